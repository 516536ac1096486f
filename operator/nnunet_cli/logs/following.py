"""The logs of a training until it has ended: each pod that begins meanwhile is read, stage after stage."""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nnunet_cli.errors import CliError
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.pods import Pod, Wanted, choose, creation, has_log, is_wanted, runs
from nnunet_cli.kube.watched import Watched, message
from nnunet_cli.logs.streams import header, prefixed

INTERVAL_SECONDS = 2.0
PATIENCE_SECONDS = 20.0
"""How long the last lines of a training that has ended are waited for."""

Say = Callable[[str], object]


class Source(Protocol):
    """Where a training, its pods and their logs are read; each may raise CliError, or Refused where it is no wait."""

    def training(self) -> Watched | None:
        """Return the training, or None where it is gone."""

    def pods(self) -> list[Pod]:
        """Return its pods."""

    def log(self, pod: Pod, tail: int | None, since: int | None) -> Iterator[str]:
        """Yield the lines of a pod's log until it ends: the last ones, or those of the last seconds."""


@dataclass
class _Reading:
    """What is known of the log of a pod that is read."""

    pod: Pod
    open: bool = True
    failed: Exception | None = None
    heard: float = field(default_factory=time.monotonic)
    """When the last line came."""


class Following:
    """Prints the logs of a training until it has ended."""

    def __init__(self, source: Source, wanted: Wanted, tail: int | None, echo: Say, tell: Say, interval: float) -> None:
        self._source, self._wanted, self._tail, self._echo, self._tell = source, wanted, tail, echo, tell
        self._interval = interval
        self._readings: dict[str, _Reading] = {}
        self._over: set[str] = set()
        """Pods of which no more is to be read."""
        self._lines: queue.Queue[tuple[_Reading, str | None]] = queue.Queue(maxsize=1000)
        self._told = ""
        self._prefixed = not (len(wanted.folds) == 1 or wanted.stage not in ("", "fold"))

    def run(self) -> Watched | None:
        """Go on until the training has ended, or has done what is asked for; None where it was deleted.

        Raises Refused and CliError where it can't be read at the beginning, and Refused where a log may not be read.
        """
        found, pods = self._source.training(), self._source.pods()
        chosen = choose(pods, self._wanted)
        self._over = {_key(pod) for pod in pods if has_log(pod) and not runs(pod) and pod not in chosen}
        for pod in chosen:
            self._begin(pod, self._tail)
        quiet_since: float | None = None
        while True:
            ended = found is None or found.finished or self._has_all(found, pods)
            if found and not ended and not self._reads:
                self._say_once(f"{found.status.phase or 'Pending'}: {message(found.status)}".rstrip(": "))
            self._print(self._interval)
            if ended and not self._reads:
                return found
            quiet_since = (quiet_since or time.monotonic()) if ended else None
            if quiet_since and time.monotonic() > quiet_since + PATIENCE_SECONDS:
                return found
            try:
                if found is not None:
                    found = self._source.training()
                pods = self._source.pods() if found is not None else []
            except CliError as error:
                self._say_once(f"no news, still trying: {error}")
                continue
            self._take(pods)

    @property
    def _reads(self) -> bool:
        return any(reading.open for reading in self._readings.values())

    def _has_all(self, found: Watched, pods: Sequence[Pod]) -> bool:
        """Say whether all folds that were asked for are done, or the one stage."""
        wanted = self._wanted
        if wanted.folds or wanted.stage == "fold":
            folds = {fold.name: fold.phase for fold in found.status.folds}
            asked = wanted.folds or tuple(folds)
            return bool(asked) and all(folds.get(fold) in ("Completed", "Failed") for fold in asked)
        if not wanted.stage:
            return False
        ended = [pod for pod in pods if is_wanted(pod, wanted) and has_log(pod) and not runs(pod)]
        return any((pod.get("status") or {}).get("phase") == "Succeeded" for pod in ended)

    def _take(self, pods: Sequence[Pod]) -> None:
        """Read what has begun since, and read on where a log broke off while its pod still runs."""
        for pod in sorted(pods, key=creation):
            reading = self._readings.get(_key(pod))
            if reading is None and _key(pod) not in self._over and has_log(pod) and is_wanted(pod, self._wanted):
                self._begin(pod, None)
            elif reading and not reading.open and runs(pod):
                since = math.ceil(time.monotonic() - reading.heard) + 1
                self._start(reading, None, since)
        for key, reading in list(self._readings.items()):
            if not reading.open:
                gone = not any(_key(pod) == key and runs(pod) for pod in pods)
                if gone:
                    if reading.failed:
                        self._echo(f"(its log can't be read any more: {reading.failed})")
                    self._over.add(key)
                    del self._readings[key]

    def _begin(self, pod: Pod, tail: int | None) -> None:
        self._echo(header(pod))
        self._told = ""
        reading = _Reading(pod)
        self._readings[_key(pod)] = reading
        self._start(reading, tail, None)

    def _start(self, reading: _Reading, tail: int | None, since: int | None) -> None:
        def read() -> None:
            try:
                for line in self._source.log(reading.pod, tail, since):
                    self._lines.put((reading, line))
            except Exception as error:  # whatever it is, it belongs to the thread that prints
                reading.failed = error
            self._lines.put((reading, None))

        reading.open, reading.failed = True, None
        # A daemon: Ctrl-C does not wait for a log that is silent.
        threading.Thread(target=read, daemon=True).start()

    def _print(self, seconds: float) -> None:
        """Print what comes within some seconds. Raises Refused where a log may not be read."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                reading, line = self._lines.get(timeout=left)
            except queue.Empty:
                return
            if line is None:
                reading.open = False
                if isinstance(reading.failed, Refused) and reading.failed.answer.forbidden:
                    raise reading.failed
            else:
                reading.heard = time.monotonic()
                self._echo(prefixed(reading.pod, line, self._prefixed))

    def _say_once(self, words: str) -> None:
        if words != self._told:
            self._told = words
            self._tell(words)


def _key(pod: Pod) -> str:
    return str(pod["metadata"].get("uid") or pod["metadata"]["name"])
