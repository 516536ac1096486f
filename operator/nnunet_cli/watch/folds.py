"""The folds of a training as a table that fits its room: the numbers that say least are left out first. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nnunet_api.fold_status import FoldStatus
from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import FoldPhase
from nnunet_api.words import counted
from nnunet_cli.text.words import dice, duration

HISTORY = 12
"""Epochs that a sparkline shows."""
_GAP = 2
_STYLES = {
    FoldPhase.PENDING: "dim",
    FoldPhase.STARTING: "yellow",
    FoldPhase.RUNNING: "cyan",
    FoldPhase.COMPLETED: "green",
    FoldPhase.FAILED: "bold red",
}
_INTERESTING = (FoldPhase.FAILED, FoldPhase.RUNNING, FoldPhase.STARTING, FoldPhase.PENDING, FoldPhase.COMPLETED)
"""Which folds are shown first, where there is no room for all."""
_BAR, _SEEN = "bar", "seen\nso far"
_LOSS, _RATE = "loss\ntrain/val", "learning\nrate"
_STEPS: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({_SEEN}),
    frozenset({_SEEN, _RATE}),
    frozenset({_SEEN, _RATE, _BAR}),
    frozenset({_SEEN, _RATE, _LOSS}),
    frozenset({_SEEN, _RATE, _LOSS, _BAR}),
)
"""What is left out, the least first; state, epochs, Dice and the time left never are."""


class FoldTable:
    """A row for each fold; `lines` are their sparklines."""

    def __init__(self, folds: Sequence[FoldStatus], lines: Mapping[str, str]) -> None:
        self._folds, self._lines = folds, lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table with the columns that fit."""
        columns = _columns(self._folds, self._lines)
        fitting = (left_out for left_out in _STEPS if _width(columns, left_out) <= options.max_width)
        left_out = next(fitting, _STEPS[-1])
        shown = {heading: cells for heading, cells in columns.items() if heading not in left_out}
        table = Table(box=None, pad_edge=False, padding=(0, 1), expand=True, header_style="dim")
        for heading in shown:
            if heading == _BAR:
                table.add_column(ratio=1, min_width=4)  # the bar takes what the numbers leave
            elif heading == _SEEN:
                table.add_column(heading, no_wrap=True, max_width=HISTORY, min_width=6, ratio=1)
            else:
                left = heading in ("fold", "")
                table.add_column(heading, no_wrap=True, justify="left" if left else "right")
        for row in zip(*shown.values(), strict=True):
            table.add_row(*row)
        yield table


class _Sparkline:
    """A sparkline that loses its oldest values where there is little room."""

    def __init__(self, bars: str, style: str) -> None:
        self._bars, self._style = bars, style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self._bars[-options.max_width :], style=self._style)


def that_fit(folds: Sequence[FoldStatus], room: int) -> tuple[list[FoldStatus], str]:
    """Return the folds that are shown, in their order, and what is said of the others."""
    if len(folds) <= room:
        return list(folds), ""
    order: Mapping[str, int] = {phase: number for number, phase in enumerate(_INTERESTING)}
    chosen = {fold.name for fold in sorted(folds, key=lambda fold: order[fold.phase])[: room - 1]}
    others = [fold for fold in folds if fold.name not in chosen]
    counts = Counter(fold.phase for fold in others)
    words = ", ".join(f"{counts[phase]} {phase}" for phase in _INTERESTING if counts[phase])
    return [fold for fold in folds if fold.name in chosen], f"and {counted(len(others), 'other')}: {words}"


def fold_state(fold: FoldStatus) -> str:
    """Return its phase, or that it validates, or copies its data."""
    copy = fold.local_copy
    if copy and copy.state is CopyState.COPYING and fold.phase == FoldPhase.RUNNING:
        return f"Copying {copy.percent or 0} %"
    return "Validating" if _validates(fold) else str(fold.phase)


def _columns(folds: Sequence[FoldStatus], lines: Mapping[str, str]) -> dict[str, list[RenderableType]]:
    """Return the cells of each column, by its heading."""
    columns: dict[str, list[RenderableType]] = {
        "fold": [Text(fold.name) for fold in folds],
        "": [Text(fold_state(fold), style=_STYLES[fold.phase]) for fold in folds],
        _BAR: [_bar(fold) for fold in folds],
        "epoch": [Text(f"{fold.epoch}/{fold.planned_end}" if fold.epochs_target else "-") for fold in folds],
        "pseudo-\nDice": [Text(dice(fold.ema_pseudo_dice)) for fold in folds],
    }
    if any(lines.values()):
        columns[_SEEN] = [_Sparkline(lines.get(fold.name, ""), _STYLES[fold.phase]) for fold in folds]
    rates = [fold.learning_rate for fold in folds]
    return columns | {
        _LOSS: [Text(_losses(fold)) for fold in folds],
        _RATE: [Text("-" if rate is None else f"{rate:.4f}") for rate in rates],
        "left": [Text(_left(fold)) for fold in folds],
    }


def _width(columns: Mapping[str, list[RenderableType]], left_out: frozenset[str]) -> int:
    """Return how wide the table has to be for nothing to be cut; bar and sparkline shrink down to a few cells."""
    widths = []
    for heading, cells in columns.items():
        if heading not in left_out:
            shrinks = 4 if heading == _BAR else 6 if heading == _SEEN else 0
            texts = [] if shrinks else [cell.plain for cell in cells if isinstance(cell, Text)]
            titles = [] if heading == _BAR else heading.split("\n")
            widths.append(max([shrinks, *map(cell_len, texts), *map(cell_len, titles)]))
    return sum(widths) + _GAP * (len(widths) - 1)


def _bar(fold: FoldStatus) -> ProgressBar:
    style = _STYLES[fold.phase]
    total = max(1, fold.planned_end)
    return ProgressBar(
        total=total, completed=fold.epoch, complete_style=style, finished_style=_STYLES[FoldPhase.COMPLETED]
    )


def _validates(fold: FoldStatus) -> bool:
    return fold.phase == FoldPhase.RUNNING and 0 < fold.planned_end <= fold.epoch


def _left(fold: FoldStatus) -> str:
    if fold.phase == FoldPhase.COMPLETED and fold.mean_validation_dice is not None:
        return f"Dice {fold.mean_validation_dice:.3f}"
    if fold.phase != FoldPhase.RUNNING or not fold.epoch_seconds or _validates(fold):
        return "-"
    return duration((fold.planned_end - fold.epoch) * fold.epoch_seconds)


def _losses(fold: FoldStatus) -> str:
    training = "NaN" if fold.nonfinite_loss_epochs else _loss(fold.training_loss)
    losses = (training, _loss(fold.validation_loss))
    return "-" if losses == ("-", "-") else "/".join(losses)


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
