"""`kubectl nnunet compare`: the verdict of a comparison, the sentence first, then the numbers."""

from typing import Annotated

import typer

from nnunet_cli.compare.output import as_data, as_text, is_acceptable, read, rows
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Object, Refused
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import Namespace, Output, TextOutput, asks_cluster
from nnunet_cli.text.output import print_data, print_lines, print_table


@asks_cluster
def compare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the comparison.")],
    namespace: Namespace = None,
    output: Output = TextOutput.TEXT,
    *,
    to: Connection,
) -> None:
    """Tell the verdict of a comparison: whether a way of training is as good as the baseline.

    First the sentence, then the numbers: difference of Dice with its interval, effect, tests, and what it would take to
    tell where it can't be told. Before there is a verdict, what it waits for.

    \b
    Examples:
      kubectl nnunet compare shorter
      kubectl nnunet compare shorter -n radiology -o json | jq -r '.verdicts[].verdict'

    \b
    Exit codes:
      0  every arm is Superior, Equivalent or NonInferior
      1  an arm has another verdict, or one that only indicates; or there is no verdict, or none yet
      2  wrong usage
      3  there is no such comparison, or the cluster can't be reached, or refuses
    """
    cluster = Cluster(to)
    found = read(_comparison(cluster, namespace or cluster.namespace, name))
    if not print_data(output, lambda: as_data(found)):
        print_lines(lambda width: as_text(found, width))
        if found.status.verdicts:
            print_table(*rows(found))
    raise typer.Exit(ExitCode.OK if is_acceptable(found) else ExitCode.FOUND)


def _comparison(cluster: Cluster, namespace: str, name: str) -> Object:
    try:
        found = cluster.comparison(namespace, name)
    except Refused as refused:
        if refused.answer.status == 404:
            words = "the cluster knows no NnunetComparisons: is this version of the operator installed?"
            raise CliError(words, ExitCode.CLUSTER) from None
        raise CliError(f"comparison {name} can't be read: {refused}", ExitCode.CLUSTER) from None
    if found is None:
        words = f"there is no comparison {name} in namespace {namespace}: see kubectl get nnc -n {namespace}"
        raise CliError(words, ExitCode.CLUSTER)
    return found
