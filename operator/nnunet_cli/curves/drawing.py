"""The curves as a picture. Loads matplotlib only where it draws."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnunet_api.fold_status import FoldEarlyStopping
from nnunet_api.words import counted
from nnunet_cli.curves.history import FoldHistory, History, Values
from nnunet_cli.errors import CliError, ExitCode

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, Color universal design (2008), as in report.html.
BLUE, ORANGE, GREEN, SKY, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#8A3D6B", "#595959"
DARK = "#222222"
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nnunetctl",  # the same data give the same file
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "text.parse_math": False,  # folds are named by folders, which anybody's image may have made
}
_ROW_INCHES = 2.3
_DPI = 150
_MOST_FOLDS = 100
"""Rows of a picture: of many more none can be made."""


def draw(history: History, form: str) -> bytes:
    """Return a picture as png or svg: a row for each fold. Raises CliError without matplotlib."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        how = "install the extra curves (pipx inject nnunet-operator matplotlib)"
        words = f"drawing needs matplotlib: {how}, or take the numbers with -o json"
        raise CliError(words, ExitCode.USAGE) from None
    output, folds = io.BytesIO(), history.folds[:_MOST_FOLDS]
    with rc_context(_STYLE):
        figure = Figure(figsize=(12.5, 0.35 + _ROW_INCHES * len(folds)))
        _fill(figure, history, folds)
        metadata = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(output, format=form, dpi=_DPI, metadata=metadata)
    return output.getvalue()


def _fill(figure: "Figure", history: History, folds: Sequence[FoldHistory]) -> None:
    more = f": {len(folds)} of {len(history.folds)} folds, all with -o json" if len(folds) < len(history.folds) else ""
    figure.suptitle(f"{history.namespace}/{history.name}{more}", x=0.01, ha="left", fontsize=11, fontweight="bold")
    # Beside the panels, because in them the words would lie on the curves.
    rows = figure.subplots(len(folds), 4, squeeze=False, width_ratios=(1, 1, 1, 0.62))
    for (loss, dice, rate, words), fold in zip(rows, folds, strict=True):
        loss.set_title(f"Fold {fold.fold}, epoch {fold.epoch} of {history.epochs}: loss")
        _line(loss, fold.training_loss, BLUE, "training loss")
        _line(loss, fold.validation_loss, ORANGE, "validation loss", style="--")
        dice.set_title("Pseudo-Dice on patches (trend only)")
        _line(dice, fold.pseudo_dice, SKY, "pseudo-Dice", width=0.7)
        _line(dice, fold.ema_pseudo_dice, DARK, "its moving average", width=1.6)
        rate.set_title("Learning rate")
        _line(rate, fold.learning_rate, GREEN, "learning rate")
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter("{x:g}")
        entries = _entries(loss) | _entries(dice) | _entries(rate)
        for axes in (loss, dice, rate):
            axes.set_xlabel("epoch")
            axes.set_xlim(0, max(history.epochs, 1) * 1.02)
            _mark_policy(axes, history.min_epochs)
            _mark_verdict(axes, fold.early_stopping)
        entries |= _entries(rate)
        words.axis("off")
        words.legend(entries.values(), entries.keys(), loc="center left", borderaxespad=0)


def _entries(axes: "Axes") -> dict[str, Any]:
    """Return what is drawn, by its label."""
    drawn, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, drawn, strict=True))


def _line(axes: "Axes", values: Values, colour: str, label: str, style: str = "-", width: float = 1.1) -> None:
    points = [(epoch, value) for epoch, value in enumerate(values, 1) if value is not None]
    if not points:
        return
    # A fold of one epoch has no line.
    marker = "." if len(points) == 1 else ""
    axes.plot(*zip(*points, strict=True), style, color=colour, label=label, linewidth=width, marker=marker)


def _mark_policy(axes: "Axes", min_epochs: int | None) -> None:
    if min_epochs:
        label = f"policy: at least {counted(min_epochs, 'epoch')}"
        axes.axvline(min_epochs, color=GREY, linewidth=3.0, alpha=0.35, label=label, zorder=1)


def _mark_verdict(axes: "Axes", stopping: FoldEarlyStopping | None) -> None:
    if stopping is None:
        return
    if stopping.suppressed_epoch is not None:
        label = f"early stop at {stopping.suppressed_epoch} suppressed"
        axes.axvline(stopping.suppressed_epoch, color=PURPLE, linestyle="-.", linewidth=1.1, label=label)
    if stopping.epoch is None:
        return
    label = f"plateau at {stopping.epoch} ({stopping.state})"
    axes.axvline(stopping.epoch, color=PURPLE, linestyle=":", linewidth=1.6, label=label)
    if stopping.end_epoch is not None and stopping.end_epoch > stopping.epoch:
        label = f"annealing until {stopping.end_epoch}"
        axes.axvspan(stopping.epoch, stopping.end_epoch, color=PURPLE, alpha=0.12, linewidth=0, label=label)
