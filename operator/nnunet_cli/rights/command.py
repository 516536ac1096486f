"""`kubectl nnunet rights`: who holds rights by which the operator's promises can be got around."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import asks_cluster
from nnunet_cli.rights.holders import Holder, holders
from nnunet_cli.text.output import note, print_data, print_table

NOT_SEEN = "note: rights by RBAC. Who is in a group, and what another authorizer allows, the cluster does not know"


class RightsOutput(StrEnum):
    """How the rights are written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@asks_cluster
def rights(
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Only what holds in this namespace. Default: all.", show_default=False),
    ] = None,
    system: Annotated[bool, typer.Option("--system", help="Also accounts that belong to Kubernetes itself.")] = False,
    output: Annotated[RightsOutput, typer.Option("--output", "-o", help="Form of the output.")] = RightsOutput.TABLE,
    *,
    to: Connection,
) -> None:
    """List who holds rights by which policies, evidence or other people's runs can be got at.

    The operator's own account is in the list, and has to be. What each right is good for, and what stops it, is said
    in docs/operations/threat-model.md. It needs the right to list roles and bindings.

    \b
    Examples:
      kubectl nnunet rights
      kubectl nnunet rights -n radiology
      kubectl nnunet rights -o json | jq -r '.items[] | select(.right == "policies").subject.name'

    \b
    Exit codes:
      0  the rights were listed, whatever they are
      2  wrong usage
      3  the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    try:
        found = holders(*cluster.roles_and_bindings())
    except Refused as refused:
        words = f"roles and their bindings can't be listed: {refused}. Ask an administrator of the cluster to run this"
        raise CliError(words, ExitCode.CLUSTER) from None
    there = [one for one in found if namespace is None or one.namespace in ("", namespace)]
    shown = [one for one in there if system or not one.subject.of_kubernetes]
    hidden = len({one.subject for one in there} - {one.subject for one in shown})
    if hidden:
        note(f"note: left out: {hidden} accounts of Kubernetes itself. See them by --system")
    note(NOT_SEEN)
    if not print_data(output, lambda: {"items": [_item(one) for one in shown]}):
        print_table(("NAMESPACE", "WHO", "RIGHT", "CAN", "BY"), map(_row, shown))


def _item(holder: Holder) -> dict[str, Any]:
    subject = holder.subject
    return {
        "subject": {"kind": subject.kind, "name": subject.name, "namespace": subject.namespace or None},
        "namespace": holder.namespace or None,
        "right": holder.danger.name,
        "can": holder.danger.can,
        "only": list(holder.only),
        "by": holder.by,
    }


def _row(holder: Holder) -> tuple[str, ...]:
    only = f", only {', '.join(holder.only)}" if holder.only else ""
    right = holder.danger
    return holder.namespace or "*", holder.subject.words, right.name, right.can + only, holder.by
