"""Follows a training on a cluster until it is over, and shows it meanwhile."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from hack.localcluster import ClusterError
from nnunet_api.training import KIND
from nnunet_cli.kube.watched import Event, Watched, read_events, watched
from nnunet_cli.text.words import duration
from nnunet_cli.watch import view

POLL_SECONDS = 1.0
LINE_SECONDS = 5.0
"""Without a terminal: seconds between two lines."""
SILENCE_SECONDS = 30.0
"""How long the API server may fail to answer before following is given up."""
SIGN_SECONDS = 10.0
"""How often pods are asked for a sign of life while the status stays the same."""

Object = Mapping[str, Any]


class Kubectl(Protocol):
    """The part of kubectl that reading takes."""

    def get(self, *args: str) -> Any:
        """Return an object or a list as parsed JSON; raise ClusterError when kubectl fails."""


class Reader(Protocol):
    """The part of kubectl that reading logs takes."""

    def run(self, *args: str) -> str:
        """Return what kubectl prints; raise ClusterError when it fails."""


class StandsStill(Exception):
    """The training makes no progress."""


class Patience:
    """Gives up on a training when nothing new has been seen of it for so long, however long it takes as a whole."""

    def __init__(self, seconds: float, sign: Callable[[], str] = str) -> None:
        """`sign` returns something that changes while pods work: preprocessing and validation tell nothing else."""
        self._seconds = seconds
        self._sign = sign
        self._seen: set[object] = set()
        self._last_new = self._last_sign = time.monotonic()

    def check(self, found: Watched) -> None:
        """Take note of a look. Raises StandsStill."""
        now = time.monotonic()
        new = self._is_new(_mark(found))
        if not new and now >= self._last_sign + min(SIGN_SECONDS, self._seconds):
            self._last_sign = now
            new = self._is_new(self._sign())
        if new:
            self._last_new = now
        elif now > self._last_new + self._seconds:
            raise StandsStill(f"nothing new for {duration(self._seconds)}: {view.line(found)}")

    def _is_new(self, mark: object) -> bool:
        new = mark not in self._seen
        self._seen.add(mark)
        return new


def _mark(found: Watched) -> object:
    """Return what changes while a training gets on. Reasons that alternate are no progress: each counts once."""
    status = found.status
    folds = tuple((fold.name, fold.phase, fold.epoch, fold.attempts) for fold in status.folds)
    return status.phase, folds, tuple((one.type, one.status, one.reason) for one in status.conditions)


def last_words(kubectl: Reader, namespace: str, name: str) -> str:
    """Return the last line that each pod of a training has logged; "" where there is none to be had."""
    selector = f"--selector=nnunet.dev/training={name}"
    try:
        return kubectl.run("logs", selector, f"--namespace={namespace}", "--tail=1", "--prefix")
    except (ClusterError, subprocess.TimeoutExpired):
        return ""


def read(kubectl: Kubectl, namespace: str, name: str) -> Watched:
    """Return the training and its Events, in one call."""
    return pick(kubectl.get("nnt,events", f"--namespace={namespace}")["items"], name)


def pick(items: Sequence[Object], name: str) -> Watched:
    """Return the training of this name and the Events on it out of a list of objects of all kinds."""
    trainings = [item for item in items if item["kind"] == KIND and item["metadata"]["name"] == name]
    if not trainings:
        raise ClusterError(f"training {name} is gone")
    about = [item for item in items if item["kind"] == "Event" and _is_about(item, trainings[0])]
    return watched(trainings[0], read_events(about))


def _is_about(event: Object, training: Object) -> bool:
    about = event.get("involvedObject") or {}
    return bool(about.get("kind") == KIND and about.get("uid") == training["metadata"]["uid"])


def follow(look: Callable[[], Watched], console: Console, patience: Patience) -> Watched:
    """Show the training until it is complete or failed, and return it as it is then.

    Raises StandsStill when the patience ends, and ClusterError where nothing can be read for half a minute.
    """
    answered = _answered(look)
    if console.is_terminal:
        return _follow_live(answered, console, patience)
    return _follow_lines(answered, console, patience)


def _follow_live(look: Callable[[], Watched], console: Console, patience: Patience) -> Watched:
    history = view.History()
    found = look()

    def frame() -> RenderableType:
        history.add(found.status)
        return view.live(found, datetime.now(UTC), history, height=console.height)

    with Live(get_renderable=frame, console=console, refresh_per_second=2):
        while not found.finished:
            patience.check(found)
            time.sleep(POLL_SECONDS)
            found = look()
    return found


def _follow_lines(look: Callable[[], Watched], console: Console, patience: Patience) -> Watched:
    said: set[Event] = set()
    next_line, last_line = 0.0, ""
    while True:
        found = look()
        for event in found.events:
            if event not in said:
                said.add(event)
                _print(console, f"{'!' if event.warning else '*'} {event.reason}: {event.message}")
        line = view.line(found)
        if line != last_line and (time.monotonic() >= next_line or found.finished):
            _print(console, line)
            next_line, last_line = time.monotonic() + LINE_SECONDS, line
        if found.finished:
            return found
        patience.check(found)
        time.sleep(POLL_SECONDS)


def _print(console: Console, text: str) -> None:
    console.print(f"  {datetime.now(UTC):%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)


def _answered(look: Callable[[], Watched]) -> Callable[[], Watched]:
    """Return `look` that repeats itself where the API server does not answer for a while."""

    def answered() -> Watched:
        deadline = time.monotonic() + SILENCE_SECONDS
        while True:
            try:
                return look()
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    return answered
