"""The logs of several pods, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from nnunet_cli.errors import CliError
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.pods import Pod, runs, state, subject, work


class Logs(Protocol):
    """The part of a cluster that reading logs takes."""

    def log(self, namespace: str, pod: str, *, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of a pod's log."""


def show_logs(logs: Logs, pods: Sequence[Pod], *, tail: int | None, echo: Callable[[str], object]) -> bool:
    """Print the logs of pods, each after a line that says which it is.

    Where they are of several folds, each line begins with its fold. Return whether anything could be read: what has
    ended may be gone with its node, and that is said in a line. Raises what reading raises otherwise.
    """
    gone = 0
    several = len({work(pod) for pod in pods}) > 1
    for pod in pods:
        echo(header(pod))
        try:
            for line in logs.log(pod["metadata"]["namespace"], pod["metadata"]["name"], tail=tail):
                echo(prefixed(pod, line, several))
        except (Refused, CliError) as error:
            if runs(pod) or (isinstance(error, Refused) and error.answer.forbidden):
                raise
            echo(f"(its log can't be read any more: {error})")
            gone += 1
    return gone < len(pods)


def header(pod: Pod) -> str:
    """Return the line that says which pod it is."""
    return f"==> {subject(pod)}, pod {pod['metadata']['name']}, {state(pod)} <=="


def prefixed(pod: Pod, line: str, several: bool) -> str:
    """Return a line with what its pod does before it, where it is one of several."""
    return f"[{subject(pod)}] {line}" if several else line
