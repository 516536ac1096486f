"""A training's status as something to look at. Pure: a status in, a rich renderable or a line of text out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnunet_operator.api.reasons import ConditionType, FoldPhase, Phase, Reason
from nnunet_operator.api.status import FoldStatus, NnunetTrainingStatus

EVENTS_SHOWN = 6

_CALM = "cyan"
_GOOD = "green"
_BAD = "bold red"
_WAITS = "yellow"
_PHASE_STYLES = {Phase.COMPLETED: _GOOD, Phase.FAILED: _BAD, Phase.SUSPENDED: _WAITS, Phase.STOPPING: _WAITS}
_UNDER_WAY = frozenset({Phase.PENDING, Phase.PLANNING, Phase.TRAINING, Phase.EVALUATING})
_FOLD_STYLES = {
    FoldPhase.PENDING: "dim",
    FoldPhase.STARTING: _WAITS,
    FoldPhase.RUNNING: _CALM,
    FoldPhase.COMPLETED: _GOOD,
    FoldPhase.FAILED: _BAD,
}


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event on a training."""

    time: datetime
    warning: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Watched:
    """A training as it was read: all that the view needs."""

    namespace: str
    name: str
    configuration: str
    dataset: str
    status: NnunetTrainingStatus
    events: Sequence[Event] = ()
    """Oldest first."""

    @property
    def finished(self) -> bool:
        """Complete or Failed: nothing more will happen by itself."""
        return any(holds(self.status, type_) for type_ in (ConditionType.COMPLETE, ConditionType.FAILED))


def holds(status: NnunetTrainingStatus, type_: ConditionType) -> bool:
    """Return whether a condition is True."""
    condition = status.condition(type_)
    return condition is not None and condition.status == "True"


def live(watched: Watched, now: datetime) -> RenderableType:
    """Return the live view: what is going on, a bar for each fold, the last events."""
    status = watched.status
    parts: list[RenderableType] = [_headline(status, now), Text(), _folds(status)]
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
            dice = f", pseudo-Dice {fold.ema_pseudo_dice:.3f}" if fold.ema_pseudo_dice is not None else ""
            parts.append(f"fold {fold.fold} {fold.phase} {fold.epoch}/{fold.epochs_target}{dice}")
    if not status.progress or not status.progress.epoch or status.phase not in _UNDER_WAY:
        parts.append(message(status))
    return " | ".join(part for part in parts if part)


def message(status: NnunetTrainingStatus) -> str:
    """Return the message of the condition that says most at the moment."""
    for type_ in (ConditionType.FAILED, ConditionType.COMPLETE, ConditionType.SUSPENDED):
        condition = status.condition(type_)
        if condition and condition.status == "True":
            return condition.message
    progressing = status.condition(ConditionType.PROGRESSING)
    return progressing.message if progressing else ""


def results(watched: Watched, claims: Sequence[str]) -> RenderableType:
    """Return the table at the end: scores, the model's place, what the run took. `claims` says where claims are."""
    status = watched.status
    table = Table(title=f"{watched.namespace}/{watched.name}", title_justify="left", show_header=False, min_width=60)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for fold in status.folds:
        table.add_row(f"fold {fold.fold}, validation Dice", _fold_result(fold))
    found = status.results
    if found:
        table.add_row("cross-validation Dice", _dice(found.mean_validation_dice))
        if found.test_dice:
            cases = f" ({found.test_dice.cases} cases, ensemble of the folds)" if found.test_dice.cases else ""
            table.add_row("test Dice", f"[{_GOOD}]{_dice(found.test_dice.mean)}[/]{cases}")
            for label, dice in found.test_dice.per_class.items():
                table.add_row(f"  {escape(label)}", _dice(dice))
        table.add_row("model", escape(found.model_path or "-"))
        for claim in claims:
            table.add_row("", escape(claim))
    if status.start_time and status.completion_time:
        table.add_row("took", duration((status.completion_time - status.start_time).total_seconds()))
    return table


def duration(seconds: float) -> str:
    """Return a duration in the two largest units that matter: 45 s, 3 min 20 s, 7 h 05 min, 3 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _headline(status: NnunetTrainingStatus, now: datetime) -> RenderableType:
    phase = status.phase
    style = _CALM if phase in _UNDER_WAY else _PHASE_STYLES.get(phase, _WAITS) if phase else "dim"
    words = Text(f"{phase or 'not seen by the operator yet'}", style=f"bold {style}")
    if status.start_time:
        elapsed = (status.completion_time or now) - status.start_time
        words.append(f"   {duration(elapsed.total_seconds())}", style="dim")
    if status.progress and status.progress.epoch:
        words.append(f"   {status.progress.summary} epochs", style="not bold default")
        if status.progress.estimated_seconds_left:
            words.append(f", {duration(status.progress.estimated_seconds_left)} left", style="not bold default")
    return Group(words, Text(message(status)))


def _folds(status: NnunetTrainingStatus) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
    table.add_column("fold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, min_width=4)  # the bar takes what the numbers leave
    for heading in ("epoch", "pseudo-\nDice", "loss\ntrain/val", "learning\nrate", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    for fold in status.folds:
        style = _FOLD_STYLES[fold.phase]
        bar = ProgressBar(
            total=max(1, fold.epochs_target),
            completed=fold.epoch,
            complete_style=style,
            finished_style=_GOOD,
        )
        table.add_row(
            fold.fold,
            Text(_fold_state(fold), style=style),
            bar,
            f"{fold.epoch}/{fold.epochs_target}" if fold.epochs_target else "-",
            _dice(fold.ema_pseudo_dice),
            _losses(fold),
            f"{fold.learning_rate:.4f}" if fold.learning_rate is not None else "-",
            _left(fold),
        )
    return table


def _fold_state(fold: FoldStatus) -> str:
    validates = fold.phase == FoldPhase.RUNNING and 0 < fold.epochs_target <= fold.epoch
    return "Validating" if validates else str(fold.phase)


def _left(fold: FoldStatus) -> str:
    if fold.phase == FoldPhase.COMPLETED and fold.mean_validation_dice is not None:
        return f"Dice {fold.mean_validation_dice:.3f}"
    if fold.phase != FoldPhase.RUNNING or not fold.epoch_seconds:
        return "-"
    return duration((fold.epochs_target - fold.epoch) * fold.epoch_seconds)


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


def _fold_result(fold: FoldStatus) -> str:
    attempts = "1 attempt" if fold.attempts == 1 else f"{fold.attempts} attempts"
    return (
        f"{_dice(fold.mean_validation_dice)}   [dim]{fold.epoch}/{fold.epochs_target} epochs, {attempts}, "
        f"{fold.lost_epochs} epochs lost[/]"
    )


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _losses(fold: FoldStatus) -> str:
    losses = (fold.training_loss, fold.validation_loss)
    return "/".join("-" if loss is None else f"{loss:.2f}" for loss in losses) if any(losses) else "-"
