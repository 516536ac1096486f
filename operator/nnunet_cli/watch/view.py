"""A training's status as something to look at. Pure: a status in, a rich renderable or a line of text out."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nnunet_api.reasons import FoldPhase, Phase, Reason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_cli.kube.watched import Event, Watched, message
from nnunet_cli.text.words import duration
from nnunet_cli.watch.folds import HISTORY, FoldTable, fold_state, that_fit
from nnunet_cli.watch.view_words import early_stopping, remarks

EVENTS_SHOWN = 6
_BARS = "▁▂▃▄▅▆▇█"

_CALM = "cyan"
_GOOD = "green"
_BAD = "bold red"
_WAITS = "yellow"
_PHASE_STYLES = {Phase.COMPLETED: _GOOD, Phase.FAILED: _BAD, Phase.SUSPENDED: _WAITS, Phase.STOPPING: _WAITS}
_UNDER_WAY = frozenset({Phase.PENDING, Phase.PLANNING, Phase.TRAINING, Phase.VERIFYING, Phase.EVALUATING})
_FEWEST = 2
"""Folds for which the rest makes room."""
_STEPS = (
    (EVENTS_SHOWN, False, False),
    (3, False, False),
    (EVENTS_SHOWN, True, False),
    (3, True, False),
    (3, True, True),
    (1, True, True),
)
"""Events, whether those are cut to a line, and whether all else is; the most first."""


class History:
    """The moving averages of the pseudo-Dice that were seen while watching, for each fold."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}
        self._epochs: dict[str, int] = {}

    def add(self, status: NnunetTrainingStatus) -> None:
        """Remember the values of epochs that are new; a fold that begins again begins a new line."""
        for fold in status.folds:
            if fold.ema_pseudo_dice is None or self._epochs.get(fold.name) == fold.epoch:
                continue
            if fold.epoch < self._epochs.get(fold.name, 0):
                self._seen.pop(fold.name, None)
            self._epochs[fold.name] = fold.epoch
            self._seen.setdefault(fold.name, deque(maxlen=HISTORY)).append(fold.ema_pseudo_dice)

    def line(self, fold: str) -> str:
        """Return the values of a fold as a sparkline, from the least to the greatest of them."""
        seen = self._seen.get(fold, ())
        if len(seen) < 2:
            return ""
        low, high = min(seen), max(seen)
        top = len(_BARS) - 1
        return "".join(_BARS[round(top * (value - low) / (high - low)) if high > low else 0] for value in seen)


@dataclass(frozen=True)
class _Room:
    """How much of a training is shown."""

    folds: int
    events: int
    brief_events: bool = False
    """Each in one line, cut where it is longer."""
    brief: bool = False
    """So for all that is to be minded."""


class _View:
    """The live view, with as much in it as the lines of the terminal hold; the newest Events stay to the last."""

    def __init__(self, watched: Watched, now: datetime, history: History | None, notice: str, height: int | None):
        self._watched, self._now, self._history, self._notice = watched, now, history, notice
        self._height = height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the frame."""
        folds, height = len(self._watched.status.folds), self._height
        for step in _STEPS:
            frame = self._frame(_Room(folds, *step))
            over = len(console.render_lines(frame, options, pad=False)) - height if height else 0
            if over <= 0:
                break
        else:
            frame = self._frame(_Room(max(_FEWEST, folds - over), *_STEPS[-1]))
        yield frame

    def _frame(self, room: _Room) -> Panel:
        watched, status = self._watched, self._watched.status
        parts: list[RenderableType] = [Text(self._notice, style=_BAD)] if self._notice else []
        parts += [_headline(watched, self._now), Text(), *_folds(status, self._history, room.folds)]
        said, stops = remarks(status), early_stopping(status)
        if said or stops:
            below = [*(Text(line, style=_WAITS) for line in said), *(Text(line) for line in stops)]
            for text in below if room.brief else []:
                text.no_wrap, text.overflow = True, "ellipsis"
            parts += [Text(), *below]
        # What is to be minded is there already, in the same words.
        events = [event for event in watched.events if f"{event.reason}: {event.message}" not in said]
        if events:
            parts += [Text(), _events(events[-room.events :], room.brief_events)]
        title = f"[bold]{escape(watched.name)}[/] in namespace {escape(watched.namespace)}"
        subtitle = f"{escape(watched.dataset)}, {escape(watched.configuration)}"
        return Panel(Group(*parts), title=title, subtitle=subtitle, title_align="left", subtitle_align="left")


def live(
    watched: Watched,
    now: datetime,
    history: History | None = None,
    notice: str = "",
    height: int | None = None,
) -> RenderableType:
    """Return the live view: what is going on, a bar for each fold, what is to be minded, the last events.

    `notice` is about the view itself, such as a cluster that does not answer. With `height`, the lines of the terminal,
    older Events are left out where it is too low, then long lines are cut, and folds that do not fit are only counted.
    """
    return _View(watched, now, history, notice, height)


def line(watched: Watched) -> str:
    """Return the state in one line, for where there is no terminal."""
    status = watched.status
    parts = [f"{status.phase or 'not seen by the operator yet'}"]
    if status.progress and status.progress.epoch:
        left = status.progress.estimated_seconds_left
        parts.append(f"{status.progress.summary} epochs" + (f", {duration(left)} left" if left else ""))
    for fold in status.folds:
        if fold.phase != FoldPhase.PENDING:
            seen = f", pseudo-Dice {fold.ema_pseudo_dice:.3f}" if fold.ema_pseudo_dice is not None else ""
            parts.append(f"fold {fold.name} {fold_state(fold)} {fold.epoch}/{fold.planned_end}{seen}")
    if not status.progress or not status.progress.epoch or status.phase not in _UNDER_WAY:
        parts.append(message(status))
    return " | ".join(part for part in parts if part)


def phase_style(phase: Phase | None) -> str:
    """Return the colour of a phase."""
    return _CALM if phase in _UNDER_WAY else _PHASE_STYLES.get(phase, _WAITS) if phase else "dim"


def _headline(watched: Watched, now: datetime) -> RenderableType:
    status = watched.status
    phase = "being deleted" if watched.deleting else status.phase or "not seen by the operator yet"
    words = Text(f"{phase}", style=f"bold {phase_style(status.phase)}")
    if status.start_time:
        elapsed = (status.completion_time or now) - status.start_time
        words.append(f"   {duration(elapsed.total_seconds())}", style="dim")
    if status.progress and status.progress.epoch:
        words.append(f"   {status.progress.summary} epochs", style="not bold default")
        if status.progress.estimated_seconds_left:
            words.append(f", {duration(status.progress.estimated_seconds_left)} left", style="not bold default")
    return Group(words, Text(watched.problem or message(status)))


def _folds(status: NnunetTrainingStatus, history: History | None, room: int) -> list[RenderableType]:
    shown, others = that_fit(status.folds, room)
    lines = {fold.name: history.line(fold.name) for fold in shown} if history else {}
    return [FoldTable(shown, lines), *([Text(others, style="dim")] if others else [])]


def _events(events: Sequence[Event], brief: bool) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=brief, overflow="ellipsis" if brief else "fold")
    for event in events:
        style = _WAITS if event.warning else _CALM
        if event.reason == Reason.TRAINING_COMPLETE:
            style = _GOOD
        table.add_row(f"{event.time:%H:%M:%S}", Text(event.reason, style=style), Text(event.message))
    return table
