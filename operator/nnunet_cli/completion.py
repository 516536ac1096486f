"""What the shell completes: names that the kubeconfig and the cluster know."""

from collections.abc import Callable

import typer

from nnunet_cli.errors import CliError
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import connection_of
from nnunet_cli.kube.kubeconfig import names_in
from nnunet_cli.kube.watched import read_status

TIMEOUT_SECONDS = 3.0
"""Nobody waits longer for the Tab key."""


def complete_trainings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the trainings that begin so; none where the cluster does not answer."""
    return _that_begin(incomplete, ctx, lambda cluster, where: [_name(body) for body in cluster.trainings(where)])


def complete_namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the namespaces that begin so; none for who may not list them."""
    return _that_begin(incomplete, ctx, lambda cluster, _: cluster.namespaces())


def complete_folds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the folds of the training whose name was given."""

    def folds(cluster: Cluster, where: str) -> list[str]:
        # What is not finished yet, `--fold` without a value, keeps the parser from giving names to arguments.
        name = ctx.params.get("name") or next(iter(ctx.args), "")
        body = (cluster.training(where, name) if name else None) or {}
        return [fold.name for fold in read_status(body)[0].folds]

    return _that_begin(incomplete, ctx, folds)


def complete_contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the contexts of the kubeconfig that begin so."""
    try:
        found = names_in(ctx.params.get("kubeconfig"), "context")
    except Exception:  # whatever is wrong with the file, the command says it
        return []
    return [name for name in found if name.startswith(incomplete)]


def _that_begin(incomplete: str, ctx: typer.Context, ask: Callable[[Cluster, str], list[str]]) -> list[str]:
    try:
        cluster = Cluster(connection_of(ctx.params), TIMEOUT_SECONDS)
        found = ask(cluster, ctx.params.get("namespace") or cluster.namespace)
    except (CliError, Refused):
        return []
    return [name for name in found if name.startswith(incomplete)]


def _name(body: dict[str, dict[str, str]]) -> str:
    return body["metadata"]["name"]
