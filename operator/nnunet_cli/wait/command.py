"""`kubectl nnunet wait`: end when a training or a comparison ends, with a code that says how. For scripts and CI."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube import comparisons
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.trainings import find_training, read_training
from nnunet_cli.kube.watched import matter, message, watched
from nnunet_cli.options import Name, Namespace, asks_cluster, duration_of
from nnunet_cli.text.output import note, say
from nnunet_cli.text.words import duration, printable

POLL_SECONDS = 5.0
POLL_SECONDS_AT_FIRST = 1.0


@dataclass(frozen=True)
class _Look:
    """What was seen of what is waited for."""

    finished: bool
    failed: bool
    words: str
    """What is going on."""
    message: str
    """What it came to."""


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
    """Wait until a training is complete or has failed, or a comparison has a verdict or can have none.

    What is going on meanwhile is said on the standard error, whenever it changes. What waits for something, is
    suspended or is held by a policy is waited for, too. A cluster that does not answer for a while is waited for. A
    comparison is asked for by comparison/NAME, or by a NAME that no training has.

    \b
    Examples:
      kubectl nnunet wait hippocampus
      kubectl nnunet wait hippocampus --timeout 48h && kubectl nnunet report hippocampus
      kubectl nnunet wait comparison/shorter && kubectl nnunet compare shorter

    \b
    Exit codes:
      0  it is complete; of a comparison: there is a verdict, whichever (kubectl nnunet compare tells by its code)
      1  it has failed, was deleted, or has not ended in time; the last line says which
      2  wrong usage
      3  there is no such training or comparison, or the cluster can't be reached at the beginning, or refuses
    """
    cluster = Cluster(to)
    where = namespace or cluster.namespace
    if body := comparisons.comparison_asked_for(cluster, where, name):
        find, look = comparisons.find_comparison, _comparison
    else:
        body, find, look = read_training(cluster, where, name), find_training, _training
    own = str(body["metadata"]["name"])
    place = f"{where}/{own}"
    try:
        found = _wait(place, body, lambda: find(cluster, where, own), look, timeout or None)
    except KeyboardInterrupt:
        raise CliError(f"{place}: not waited for; it goes on", ExitCode.FOUND) from None
    if found.failed:
        raise CliError(f"{place} has failed: {found.message}", ExitCode.FOUND)
    say(f"{place}: complete. {found.message}")


def _wait(
    place: str,
    first: Object,
    find: Callable[[], Object | None],
    look: Callable[[Object], _Look],
    limit_seconds: float | None,
) -> _Look:
    """Return what was seen when it had ended. Raises CliError where it is deleted, or the time is over."""
    begun, said, pause = time.monotonic(), "", POLL_SECONDS_AT_FIRST
    found = look(first)
    words = found.words
    while not found.finished:
        if words != said:
            note(f"{place}: {words}")
            said = words
        left = pause if limit_seconds is None else begun + limit_seconds - time.monotonic()
        if left <= 0:
            namespace, _, name = place.partition("/")
            late = f"{place} has not ended within {duration(limit_seconds or 0)}, and goes on"
            raise CliError(f"{late}. See kubectl nnunet explain {name} -n {namespace}", ExitCode.FOUND)
        time.sleep(min(pause, left))
        pause = min(POLL_SECONDS, pause * 1.5)
        try:
            body = find()
        except CliError as error:
            words = f"no news, still trying: {error}"
            continue
        if body is None or body["metadata"]["uid"] != first["metadata"]["uid"]:
            raise CliError(f"{place} was deleted meanwhile", ExitCode.FOUND)
        found = look(body)
        words = found.words
    return found


def _training(body: Object) -> _Look:
    found = watched(body)
    words = f"{found.status.phase or 'not seen by the operator yet'}: {matter(found.status)}".rstrip(": ")
    return _Look(found.finished, found.failed, words, message(found.status))


def _comparison(body: Object) -> _Look:
    found = comparisons.read(body)
    words = f"{found.status.phase or 'not seen by the operator yet'}: {found.message}".rstrip(": ")
    return _Look(found.finished, found.failed, words, printable(found.status.summary or "") or found.message)
