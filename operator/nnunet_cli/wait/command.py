"""`kubectl nnunet wait`: end when a training ends, with a code that says how. For scripts and CI."""

import time
from typing import Annotated

import typer

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.trainings import find_training, read_training
from nnunet_cli.kube.watched import Watched, matter, message, watched
from nnunet_cli.options import Name, Namespace, asks_cluster, duration_of
from nnunet_cli.text.output import note, say
from nnunet_cli.text.words import duration

POLL_SECONDS = 5.0
POLL_SECONDS_AT_FIRST = 1.0


@asks_cluster
def wait(
    name: Name,
    namespace: Namespace = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="DURATION", parser=duration_of, help="Give up after so long: 30m, 48h."),
    ] = None,
    *,
    to: Connection,
) -> None:
    """Wait until a training is complete or has failed.

    What is going on meanwhile is said on the standard error, whenever it changes. A training that waits for something,
    is suspended or is held by a policy is waited for, too. A cluster that does not answer for a while is waited for.

    \b
    Examples:
      kubectl nnunet wait hippocampus
      kubectl nnunet wait hippocampus --timeout 48h && kubectl nnunet report hippocampus

    \b
    Exit codes:
      0  it is complete
      1  it has failed, was deleted, or has not ended in time; the last line says which
      2  wrong usage
      3  there is no such training, or the cluster can't be reached at the beginning, or refuses
    """
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    found = watched(read_training(cluster, where, name))
    try:
        found = _wait(cluster, found, timeout or None)
    except KeyboardInterrupt:
        raise CliError(f"{where}/{name}: not waited for; the training goes on", ExitCode.FOUND) from None
    if found.failed:
        raise CliError(f"{where}/{name} has failed: {message(found.status)}", ExitCode.FOUND)
    say(f"{where}/{name}: complete. {message(found.status)}")


def _wait(cluster: Cluster, first: Watched, limit_seconds: float | None) -> Watched:
    """Return the training when it has ended. Raises CliError where it is deleted, or the time is over."""
    begun, place = time.monotonic(), f"{first.namespace}/{first.name}"
    found, said, pause = first, "", POLL_SECONDS_AT_FIRST
    words = _words(first)
    while not found.finished:
        if words != said:
            note(f"{place}: {words}")
            said = words
        left = pause if limit_seconds is None else begun + limit_seconds - time.monotonic()
        if left <= 0:
            late = f"{place} has not ended within {duration(limit_seconds or 0)}, and goes on"
            raise CliError(f"{late}. See kubectl nnunet explain {first.name} -n {first.namespace}", ExitCode.FOUND)
        time.sleep(min(pause, left))
        pause = min(POLL_SECONDS, pause * 1.5)
        try:
            body = find_training(cluster, first.namespace, first.name)
        except CliError as error:
            words = f"no news, still trying: {error}"
            continue
        if body is None or body["metadata"]["uid"] != first.uid:
            raise CliError(f"{place} was deleted meanwhile", ExitCode.FOUND)
        found = watched(body)
        words = _words(found)
    return found


def _words(found: Watched) -> str:
    return f"{found.status.phase or 'not seen by the operator yet'}: {matter(found.status)}".rstrip(": ")
