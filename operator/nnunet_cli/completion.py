"""What the shell completes: names of trainings, asked of the cluster."""

import typer

from nnunet_cli.errors import CliError
from nnunet_cli.kube.cluster import Cluster, Refused

TIMEOUT_SECONDS = 3.0
"""Nobody waits longer for the Tab key."""


def complete_trainings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the trainings that begin so; none where the cluster does not answer."""
    given = ctx.params
    try:
        cluster = Cluster(given.get("kubeconfig"), given.get("context"), TIMEOUT_SECONDS)
        found = cluster.trainings(given.get("namespace") or cluster.namespace)
    except (CliError, Refused):
        return []
    return [name for body in found if (name := body["metadata"]["name"]).startswith(incomplete)]
