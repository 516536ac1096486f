"""The logs of several pods, one after the other or all at once."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from nnunet_cli.errors import CliError
from nnunet_cli.kube.cluster import Refused
from nnunet_cli.kube.pods import Pod, runs, state, subject, work


class Logs(Protocol):
    """The part of a cluster that reading logs takes."""

    def log(self, namespace: str, pod: str, *, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """Yield the lines of a pod's log."""


def show_logs(
    logs: Logs, pods: Sequence[Pod], *, follow: bool, tail: int | None, echo: Callable[[str], object]
) -> bool:
    """Print the logs of pods, each after a line that says which it is.

    Where they are of several folds, each line begins with its fold. With `follow`, pods that run are read at once,
    after all others. Return whether anything could be read: what has ended may be gone with its node, and that is said
    in a line. Raises what reading raises otherwise, after all that could be read was printed.
    """
    gone = 0
    several = len({work(pod) for pod in pods}) > 1
    at_once = [pod for pod in pods if follow and runs(pod)]
    for pod in pods:
        if pod not in at_once:
            echo(header(pod))
            try:
                for line in _lines(logs, pod, follow=False, tail=tail):
                    echo(_prefixed(pod, line, several))
            except (Refused, CliError) as error:
                if runs(pod) or (isinstance(error, Refused) and error.answer.forbidden):
                    raise
                echo(f"(its log can't be read any more: {error})")
                gone += 1
    for pod in at_once:
        echo(header(pod))
    for pod, line in _merged(logs, at_once, tail):
        echo(_prefixed(pod, line, several))
    return gone < len(pods)


def header(pod: Pod) -> str:
    """Return the line that says which pod it is."""
    return f"==> {subject(pod)}, pod {pod['metadata']['name']}, {state(pod)} <=="


def _merged(logs: Logs, pods: Sequence[Pod], tail: int | None) -> Iterator[tuple[Pod, str]]:
    """Yield the lines of all pods as they come, until the last has ended."""
    lines: queue.Queue[tuple[Pod, str | Exception | None]] = queue.Queue(maxsize=1000)

    def read(pod: Pod) -> None:
        try:
            for line in _lines(logs, pod, follow=True, tail=tail):
                lines.put((pod, line))
            lines.put((pod, None))
        except Exception as error:  # whatever it is, it belongs to the thread that prints
            lines.put((pod, error))

    for pod in pods:
        # Daemons: Ctrl-C does not wait for a log that is silent.
        threading.Thread(target=read, args=(pod,), daemon=True).start()
    left, failed = len(pods), None
    while left:
        pod, line = lines.get()
        if isinstance(line, str):
            yield pod, line
            continue
        left -= 1
        failed = failed or line
    if failed:
        raise failed


def _lines(logs: Logs, pod: Pod, *, follow: bool, tail: int | None) -> Iterator[str]:
    return logs.log(pod["metadata"]["namespace"], pod["metadata"]["name"], follow=follow, tail=tail)


def _prefixed(pod: Pod, line: str, several: bool) -> str:
    return f"[{subject(pod)}] {line}" if several else line
