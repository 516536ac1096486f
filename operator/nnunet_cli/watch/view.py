"""A training's status as something to look at. Pure: a status in, a rich renderable or a line of text out."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import FoldPhase, Phase, Reason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_cli.kube.watched import Event, Watched, message
from nnunet_cli.text.words import dice, duration
from nnunet_cli.watch.view_words import early_stopping, remarks

EVENTS_SHOWN = 6
HISTORY = 12
"""Epochs that a sparkline shows."""
_AROUND = 18
"""Lines of a frame that are no folds, at the usual width of messages."""
_BARS = "▁▂▃▄▅▆▇█"

_CALM = "cyan"
_GOOD = "green"
_BAD = "bold red"
_WAITS = "yellow"
_PHASE_STYLES = {Phase.COMPLETED: _GOOD, Phase.FAILED: _BAD, Phase.SUSPENDED: _WAITS, Phase.STOPPING: _WAITS}
_UNDER_WAY = frozenset({Phase.PENDING, Phase.PLANNING, Phase.TRAINING, Phase.VERIFYING, Phase.EVALUATING})
_FOLD_STYLES = {
    FoldPhase.PENDING: "dim",
    FoldPhase.STARTING: _WAITS,
    FoldPhase.RUNNING: _CALM,
    FoldPhase.COMPLETED: _GOOD,
    FoldPhase.FAILED: _BAD,
}
_INTERESTING = (FoldPhase.FAILED, FoldPhase.RUNNING, FoldPhase.STARTING, FoldPhase.PENDING, FoldPhase.COMPLETED)
"""Which folds are shown first, where there is no room for all."""


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


class _Sparkline:
    """A sparkline that loses its oldest values where there is little room."""

    def __init__(self, bars: str, style: str) -> None:
        self._bars, self._style = bars, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self._bars[-options.max_width :], style=self._style)


def live(
    watched: Watched,
    now: datetime,
    history: History | None = None,
    notice: str = "",
    height: int | None = None,
) -> RenderableType:
    """Return the live view: what is going on, a bar for each fold, what is to be minded, the last events.

    `notice` is about the view itself, such as a cluster that does not answer. With `height`, the lines of the terminal,
    folds that do not fit are only counted.
    """
    status = watched.status
    parts: list[RenderableType] = [Text(notice, style=_BAD)] if notice else []
    parts += [_headline(watched, now), Text(), *_folds(status, history, height)]
    said = remarks(status)
    stops = early_stopping(status)
    if said or stops:
        parts += [Text(), *(Text(line, style=_WAITS) for line in said), *(Text(line) for line in stops)]
    if watched.events:
        parts += [Text(), _events(watched.events[-EVENTS_SHOWN:])]
    title = f"[bold]{escape(watched.name)}[/] in namespace {escape(watched.namespace)}"
    subtitle = f"{escape(watched.dataset)}, {escape(watched.configuration)}"
    return Panel(Group(*parts), title=title, subtitle=subtitle, title_align="left", subtitle_align="left")


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
            parts.append(f"fold {fold.name} {_fold_state(fold)} {fold.epoch}/{fold.planned_end}{seen}")
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


def _folds(status: NnunetTrainingStatus, history: History | None, height: int | None) -> list[RenderableType]:
    shown, others = _that_fit(status.folds, max(3, height - _AROUND) if height else len(status.folds))
    lines = {fold.name: history.line(fold.name) for fold in shown} if history else {}
    seen = any(lines.values())
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
    table.add_column("fold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, min_width=4)  # the bar takes what the numbers leave
    for heading in ("epoch", "pseudo-\nDice"):
        table.add_column(heading, justify="right", no_wrap=True)
    if seen:
        table.add_column("seen\nso far", no_wrap=True, max_width=HISTORY, min_width=4, ratio=1)
    for heading in ("loss\ntrain/val", "learning\nrate", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    for fold in shown:
        style = _FOLD_STYLES[fold.phase]
        bar = ProgressBar(
            total=max(1, fold.planned_end),
            completed=fold.epoch,
            complete_style=style,
            finished_style=_GOOD,
        )
        table.add_row(
            fold.name,
            Text(_fold_state(fold), style=style),
            bar,
            f"{fold.epoch}/{fold.planned_end}" if fold.epochs_target else "-",
            dice(fold.ema_pseudo_dice),
            *([_Sparkline(lines[fold.name], style)] if seen else []),
            _losses(fold),
            f"{fold.learning_rate:.4f}" if fold.learning_rate is not None else "-",
            _left(fold),
        )
    if not others:
        return [table]
    counts = Counter(fold.phase for fold in others)
    words = ", ".join(f"{counts[phase]} {phase}" for phase in _INTERESTING if counts[phase])
    return [table, Text(f"and {len(others)} others: {words}", style="dim")]


def _that_fit(folds: Sequence[FoldStatus], room: int) -> tuple[list[FoldStatus], list[FoldStatus]]:
    """Return the folds that are shown, in their order, and the others."""
    if len(folds) <= room:
        return list(folds), []
    order: Mapping[str, int] = {phase: number for number, phase in enumerate(_INTERESTING)}
    chosen = {fold.name for fold in sorted(folds, key=lambda fold: order[fold.phase])[: room - 1]}
    shown = [fold for fold in folds if fold.name in chosen]
    return shown, [fold for fold in folds if fold.name not in chosen]


def _fold_state(fold: FoldStatus) -> str:
    return "Validating" if _validates(fold) else str(fold.phase)


def _validates(fold: FoldStatus) -> bool:
    return fold.phase == FoldPhase.RUNNING and 0 < fold.planned_end <= fold.epoch


def _left(fold: FoldStatus) -> str:
    if fold.phase == FoldPhase.COMPLETED and fold.mean_validation_dice is not None:
        return f"Dice {fold.mean_validation_dice:.3f}"
    if fold.phase != FoldPhase.RUNNING or not fold.epoch_seconds or _validates(fold):
        return "-"
    return duration((fold.planned_end - fold.epoch) * fold.epoch_seconds)


def _events(events: Sequence[Event]) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 1), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for event in events:
        style = _WAITS if event.warning else _CALM
        if event.reason == Reason.TRAINING_COMPLETE:
            style = _GOOD
        table.add_row(f"{event.time:%H:%M:%S}", Text(event.reason, style=style), Text(event.message))
    return table


def _losses(fold: FoldStatus) -> str:
    training = "NaN" if fold.nonfinite_loss_epochs else _loss(fold.training_loss)
    losses = (training, _loss(fold.validation_loss))
    return "-" if losses == ("-", "-") else "/".join(losses)


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
