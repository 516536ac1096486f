"""What suspend and resume share."""

from collections.abc import Callable

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.trainings import read_training
from nnunet_cli.kube.watched import Watched
from nnunet_cli.suspend.suspension import Outcome, State, change, wait
from nnunet_cli.text.output import say


def carry_out(
    name: str,
    namespace: str | None,
    suspend: bool,
    judge: Callable[[Watched], Outcome],
    limit_seconds: float | None,
    to: Connection,
) -> None:
    """Write spec.suspend where it is not so already, wait, and say what came of it; None for no waiting."""
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    found = read_training(cluster, where, name)
    if bool((found.get("spec") or {}).get("suspend")) != suspend:
        found = change(cluster, found, suspend)
    place = f"{where}/{name}"
    if limit_seconds is None:
        say(f"{place}: spec.suspend is {str(suspend).lower()}")
        return
    try:
        outcome = wait(cluster, found, judge, limit_seconds)
    except KeyboardInterrupt:
        # The wish stands, and typer's word for Ctrl-C would say otherwise.
        raise CliError(f"{place}: not waited for; spec.suspend is {str(suspend).lower()}", ExitCode.FOUND) from None
    if outcome.state is not State.DONE:
        raise CliError(f"{place}: {outcome.text}", ExitCode.FOUND)
    say(f"{place}: {outcome.text}")
