"""Follows a training on a cluster until it is over, and shows it meanwhile."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from nnunet_cli import view
from nnunet_cli.watched import Event, Watched, read_events, watched
from nnunet_cli.words import duration
from nnunet_operator.api.training import KIND
from tests.cluster import ClusterError

POLL_SECONDS = 1.0
LINE_SECONDS = 5.0
"""Without a terminal: seconds between two lines."""
SILENCE_SECONDS = 30.0
"""How long the API server may fail to answer before following is given up."""

Object = Mapping[str, Any]


class Kubectl(Protocol):
    """The part of kubectl that reading takes."""

    def get(self, *args: str) -> Any:
        """Return an object or a list as parsed JSON; raise ClusterError when kubectl fails."""


class TimedOut(Exception):
    """The training was not over in time."""


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


def follow(look: Callable[[], Watched], console: Console, limit_seconds: float) -> Watched:
    """Show the training until it is complete or failed, and return it as it is then.

    Raises TimedOut after `limit_seconds`, and ClusterError where nothing can be read for half a minute.
    """
    patient = _patient(look)
    if console.is_terminal:
        return _follow_live(patient, console, limit_seconds)
    return _follow_lines(patient, console, limit_seconds)


def _follow_live(look: Callable[[], Watched], console: Console, limit_seconds: float) -> Watched:
    deadline = time.monotonic() + limit_seconds
    history = view.History()
    found = look()

    def frame() -> RenderableType:
        history.add(found.status)
        return view.live(found, datetime.now(UTC), history, height=console.height)

    with Live(get_renderable=frame, console=console, refresh_per_second=2):
        while not found.finished:
            _check(deadline, limit_seconds)
            time.sleep(POLL_SECONDS)
            found = look()
    return found


def _follow_lines(look: Callable[[], Watched], console: Console, limit_seconds: float) -> Watched:
    deadline = time.monotonic() + limit_seconds
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
        _check(deadline, limit_seconds)
        time.sleep(POLL_SECONDS)


def _print(console: Console, text: str) -> None:
    console.print(f"  {datetime.now(UTC):%H:%M:%S} {text}", markup=False, highlight=False, soft_wrap=True)


def _check(deadline: float, limit_seconds: float) -> None:
    if time.monotonic() > deadline:
        raise TimedOut(f"the training was not over after {duration(limit_seconds)}")


def _patient(look: Callable[[], Watched]) -> Callable[[], Watched]:
    """Return `look` that repeats itself where the API server does not answer for a while."""

    def patient() -> Watched:
        deadline = time.monotonic() + SILENCE_SECONDS
        while True:
            try:
                return look()
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)

    return patient
