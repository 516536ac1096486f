"""Pictures of the report, as SVG that needs nothing else. Loads matplotlib only where it draws."""

import base64
import io
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnunet_api.facts import EarlyStopFacts
from nnunet_trainer.training.history import History, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, Color universal design (2008): told apart by colour-blind readers, and by lightness in grey print.
BLUE, ORANGE, GREEN, SKY, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#CC79A7", "#595959"
DARK = "#222222"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nnunet-trainer",
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
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.constrained_layout.use": True,
}
_POINTS = 240
"""Points of a curve: more than its picture is pixels wide would only make the file larger."""
_DOTS_AS_SHAPES = 1500
"""More dots than this are drawn as pixels, for the file's size."""
_FEW_DOTS = 200
"""Dots up to which each is drawn large enough to be seen alone."""
_WIDTH_INCHES = 9.6
_ATTRIBUTE = re.compile(r'="[^"]*"')
_DECIMALS = re.compile(r"(\d\.\d\d)\d+")


@dataclass(frozen=True)
class Panel:
    """One score by class."""

    title: str
    values: Mapping[str, Sequence[float]]
    """Scores of the cases by class name."""
    upper_limit: float | None = None
    """End of the axis, where the score has one."""


def curves(history: History, stopping: EarlyStopFacts | None, epochs: int) -> str:
    """Return a picture of a fold's training as a data URI: losses, pseudo-Dice, learning rate.

    The axes are as long as the schedule, `epochs`, so that folds compare and early ends are seen.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, 2.3))
        loss, dice, rate = figure.subplots(1, 3)
        loss.set_title("Loss")
        _line(loss, history.training_loss, BLUE, "training")
        _line(loss, history.validation_loss, ORANGE, "validation", style="--")
        dice.set_title("Pseudo-Dice on patches (trend only)")
        _line(dice, history.pseudo_dice, SKY, "epoch", width=0.7)
        _line(dice, history.ema_pseudo_dice, BLUE, "moving average", width=1.6)
        rate.set_title("Learning rate")
        _line(rate, history.learning_rate, GREEN, None)
        rate.set_ylim(bottom=0)
        rate.yaxis.set_major_formatter("{x:g}")
        for axes in (loss, dice, rate):
            axes.set_xlabel("epoch")
            axes.set_xlim(0, max(epochs, len(history.learning_rate)) * 1.02)
            _mark_verdict(axes, stopping, labelled=axes is rate)
        for axes in (loss, dice):
            axes.legend(loc="best")
        return _data_uri(figure)


def by_class(panels: Sequence[Panel]) -> str:
    """Return a picture of the scores of single cases as a data URI: for each class a box and a dot for each case."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = list(panels[0].values)
    with rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH_INCHES, 0.9 + 0.34 * len(names)))
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            axes.set_title(panel.title)
            _boxes(axes, [list(panel.values.get(name, ())) for name in names])
            shown = names if axes is figure.axes[0] else [""] * len(names)
            axes.set_yticks(range(len(names)), shown, parse_math=False)  # a name with dollars is no formula
            axes.set_ylim(len(names) - 0.4, -0.6)
            _scale(axes, panel)
        return _data_uri(figure)


def _line(
    axes: "Axes", values: Sequence[float], colour: str, label: str | None, style: str = "-", width: float = 1.1
) -> None:
    points = thinned(values, _POINTS)
    x, y = [epoch for epoch, _ in points], [value for _, value in points]
    # A run of one epoch has no line.
    axes.plot(x, y, style, color=colour, label=label, linewidth=width, marker="." if len(points) == 1 else "")


def _mark_verdict(axes: "Axes", stopping: EarlyStopFacts | None, labelled: bool) -> None:
    if stopping is None or stopping.epoch is None:
        return
    axes.axvline(stopping.epoch, color=PURPLE, linestyle=":", linewidth=1.4)
    if stopping.end_epoch is not None and stopping.end_epoch > stopping.epoch:
        axes.axvspan(stopping.epoch, stopping.end_epoch, color=PURPLE, alpha=0.15, linewidth=0)
    if labelled:
        axes.annotate(
            f"plateau at {stopping.epoch}",
            (stopping.epoch, 0.04),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="#8A3D6B",
        )


def _boxes(axes: "Axes", rows: Sequence[Sequence[float]]) -> None:
    axes.boxplot(
        rows,
        positions=range(len(rows)),
        orientation="horizontal",
        widths=0.55,
        showfliers=False,
        medianprops={"color": ORANGE, "linewidth": 1.6},
        boxprops={"color": DARK},
        whiskerprops={"color": DARK},
        capprops={"color": DARK},
        zorder=3,
    )
    x = [value for row in rows for value in row]
    # Spread over the row by their order, not by chance: the same scores give the same picture.
    y = [row - 0.22 + 0.44 * (7 * place % 11) / 10 for row, values in enumerate(rows) for place in range(len(values))]
    # Above the boxes, and solid while they are few: a single case that is far off is what a reader looks for.
    few = len(x) <= _FEW_DOTS
    look: dict[str, Any] = (
        {"s": 20, "alpha": 0.85, "linewidths": 0.4} if few else {"s": 9, "alpha": 0.45, "linewidths": 0}
    )
    axes.scatter(x, y, color=BLUE, edgecolors="white", rasterized=len(x) > _DOTS_AS_SHAPES, zorder=4, **look)


def _scale(axes: "Axes", panel: Panel) -> None:
    values = [value for row in panel.values.values() for value in row]
    if panel.upper_limit is not None:
        axes.set_xlim(-0.02, panel.upper_limit * 1.02)
        return
    if values and max(values) > 20 * max(1.0, statistics.median(values)):
        # A few cases that are far off would push all others into a corner.
        axes.set_xscale("symlog", linthresh=max(1.0, statistics.median(values)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("logarithmic from the median on")
    axes.set_xlim(left=0)


def _data_uri(figure: "Figure") -> str:
    output = io.StringIO()
    figure.savefig(output, format="svg", dpi=110, metadata={"Date": None, "Creator": None})
    # Hundredths of a point are more than an eye can see. Attributes only: numbers that are read stay as they are.
    svg = _ATTRIBUTE.sub(lambda attribute: _DECIMALS.sub(r"\1", attribute.group()), output.getvalue())
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
