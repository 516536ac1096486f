"""`kubectl nnunet watch`: a live view of one training until it has ended."""

from typing import Annotated

import typer

from nnunet_cli.errors import ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import comparison_asked_for
from nnunet_cli.kube.connection import Connection
from nnunet_cli.options import Name, Namespace, asks_cluster
from nnunet_cli.text.output import Terminal
from nnunet_cli.watch.comparison import watch_comparison
from nnunet_cli.watch.following import Follower, follow, frame

TIMEOUT_SECONDS = 10.0
"""The view says soon that the cluster does not answer."""


@asks_cluster
def watch(
    name: Name,
    namespace: Namespace = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once and end; also where the output is no terminal.")
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.5, max=3600, help="Seconds between two looks at the cluster.")
    ] = 2.0,
    *,
    to: Connection,
) -> None:
    """Follow a training until it is complete or has failed: folds, losses, time left, early stopping, Events.

    Ctrl-C leaves; the training goes on. A cluster that does not answer for a while is waited for. A comparison,
    comparison/NAME or a NAME that no training has, is followed by a line whenever it moves on.

    \b
    Examples:
      kubectl nnunet watch hippocampus
      kubectl nnunet watch hippocampus -n radiology --once

    \b
    Exit codes:
      0  it is complete; or it was left by Ctrl-C, or shown once, and has not failed
      1  it has failed, or was deleted meanwhile
      2  wrong usage
      3  there is no such training or comparison, or the cluster can't be reached at the beginning, or refuses
    """
    try:
        cluster = Cluster(to, TIMEOUT_SECONDS)
        if body := comparison_asked_for(cluster, namespace or cluster.namespace, name):
            watch_comparison(cluster, body, once, interval)
            return
        follower = Follower(cluster, namespace or cluster.namespace, name)
        console = Terminal(highlight=False)
        if once or not console.is_terminal:
            console.print(frame(follower, None))
        else:
            follow(follower, console, interval)
    except KeyboardInterrupt:
        return
    if follower.gone or follower.found.failed:
        raise typer.Exit(ExitCode.FOUND)
