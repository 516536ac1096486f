"""Pictures of a comparison's report, as SVG that needs nothing else. Every text is escaped. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nnunet_cli.text.html_page import escape

# Okabe and Ito, Color universal design (2008), as in report.html; the dashes tell arms apart in grey print, too.
COLOURS = ("#595959", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222", "#8A3D6B", "#6A8A00")
_DASHES = ("", "7 3", "2 2", "9 3 2 3", "5 5")
_WIDTH, _LEFT, _RIGHT, _ROW = 860, 210, 190, 24
_NAME = 30
"""Characters of a name that there is room for."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Interval:
    """A row of the forest plot, in Dice."""

    name: str
    difference: float
    low: float
    high: float
    bold: bool = False
    """It is the one that the verdict rests on."""


@dataclass(frozen=True)
class Curve:
    """A line of one arm."""

    arm: int
    """Its place among the arms, 0 is the baseline."""
    points: Sequence[Point]


def forest(rows: Sequence[Interval], margin: float) -> str:
    """Return differences with their intervals, the line of no difference, and that of the margin."""
    lowest = min([-margin, *(row.low for row in rows)])
    highest = max([margin, *(row.high for row in rows)])
    room = 0.06 * (highest - lowest)
    x = _scale(lowest - room, highest + room, _LEFT, _WIDTH - _RIGHT)
    bottom = 34 + _ROW * len(rows)
    parts = [
        _rule(x(0), 20, bottom, "#222222", ""),
        _text(x(0), 14, "no difference", "middle"),
        _rule(x(-margin), 20, bottom, "#D55E00", "5 3"),
        _text(x(-margin) - 4, bottom + 14, f"margin, -{100 * margin:g} points", "middle"),
    ]
    for place, row in enumerate(rows):
        y = 38 + _ROW * place
        colour = "#0072B2" if row.bold else "#56B4E9"
        weight = "bold" if row.bold else "normal"
        parts += [
            _text(_LEFT - 8, y + 4, _name(row.name), "end", weight),
            f'<path d="M{x(row.low)} {y}H{x(row.high)}" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{x(row.difference) - 4:.1f}" y="{y - 4}" width="8" height="8" fill="{colour}"/>',
            _text(_WIDTH - _RIGHT + 8, y + 4, _points_of(row), "start", weight),
        ]
    return _svg(bottom + 22, "Differences with their intervals", parts)


def strips(arms: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return a row for each arm with a dot for each replicate, and a line at their mean."""
    values = [value for _, found in arms for value in found]
    x = _around(values, _LEFT, _WIDTH - _RIGHT)
    parts = []
    for place, (name, found) in enumerate(arms):
        y = 18 + _ROW * place
        parts.append(_text(_LEFT - 8, y + 4, _name(name), "end"))
        if not found:
            continue
        mean = sum(found) / len(found)
        parts += [
            _rule(x(mean), y - 9, y + 9, "#222222", ""),
            _dots([(x(value), y) for value in found], _colour(place), 7),
            _text(_WIDTH - _RIGHT + 8, y + 4, f"mean {mean:.4f}", "start"),
        ]
    return _svg(14 + _ROW * len(arms), "Dice of each replicate", parts)


def pairs(cases: Sequence[Point], margin: float, baseline: str, arm: str) -> str:
    """Return a dot for each case, the baseline's Dice to the right and the arm's upwards, with line and margin."""
    size, left, bottom = 380, 60, 350
    values = [value for case in cases for value in case]
    low, high = min(values), max(values)
    high = high if high > low else low + 0.01
    x, y = _scale(low, high, left, left + 320), _scale(low, high, bottom, 30)
    shift = low + min(margin, high - low)
    parts = [
        *_axes(x, y, (low, high), (low, high)),
        f'<line x1="{x(low)}" y1="{y(low)}" x2="{x(high)}" y2="{y(high)}" stroke="#222222"/>',
        f'<line x1="{x(shift):.1f}" y1="{y(low)}" x2="{x(high)}" y2="{y(high - (shift - low)):.1f}" '
        'stroke="#D55E00" stroke-dasharray="5 3"/>',
        _dots([(x(one), y(other)) for one, other in cases], "#0072B2", 4),
        _text(left + 160, size + 8, f"Dice of {_name(baseline)}", "middle"),
        _text(left, 18, f"Dice of {_name(arm)}; below the dashed line: worse by more than the margin", "start"),
    ]
    return _svg(size + 16, "Each case in both arms", parts)


def curves(lines: Sequence[Curve], names: Sequence[str], title: str) -> str:
    """Return a line for each replicate in the colour of its arm, against what `title` says."""
    points = [point for line in lines for point in line.points]
    low, high = min(value for _, value in points), max(value for _, value in points)
    high = high if high > low else low + 0.01
    end = max(place for place, _ in points) or 1.0
    x, y = _scale(0, end, 60, _WIDTH - _RIGHT), _scale(low, high, 220, 20)
    parts = [*_axes(x, y, (0, end), (low, high)), _text(_LEFT + 100, 252, title, "middle")]
    parts += [
        f'<polyline points="{" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line.points)}" fill="none" '
        f'stroke="{_colour(line.arm)}" stroke-width="1.4" stroke-dasharray="{_dash(line.arm)}"/>'
        for line in lines
    ]
    for place, name in enumerate(names):
        at = 30 + 20 * place
        parts += [
            f'<line x1="{_WIDTH - _RIGHT + 12}" x2="{_WIDTH - _RIGHT + 40}" y1="{at}" y2="{at}" '
            f'stroke="{_colour(place)}" stroke-width="2" stroke-dasharray="{_dash(place)}"/>',
            _text(_WIDTH - _RIGHT + 46, at + 4, _name(name), "start"),
        ]
    return _svg(max(262, 40 + 20 * len(names)), title, parts)


def _axes(
    x: Callable[[float], float], y: Callable[[float], float], across: tuple[float, float], up: tuple[float, float]
) -> Iterator[str]:
    left, bottom = x(across[0]), y(up[0])
    yield f'<path d="M{left} {y(up[1])}V{bottom}H{x(across[1])}" fill="none" stroke="#595959"/>'
    for value in _ticks(*across):
        yield _text(x(value), bottom + 16, f"{value:g}", "middle")
    for value in _ticks(*up):
        yield _text(left - 6, y(value) + 4, f"{value:g}", "end")


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) or 1.0))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1.0) if (high - low) / (step * part) <= 7 or part == 1.0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: round(start + (value - low) / (high - low) * (end - start), 1)


def _around(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.08 * (high - low) or 0.01
    return _scale(low - room, high + room, start, end)


def _dots(points: Sequence[Point], colour: str, width: int) -> str:
    """Return dots as one path: a case costs a dozen bytes."""
    path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)
    return f'<path d="{path}" stroke="{colour}" stroke-width="{width}" stroke-linecap="round" stroke-opacity="0.6"/>'


def _rule(x: float, top: float, bottom: float, colour: str, dash: str) -> str:
    return f'<line x1="{x}" x2="{x}" y1="{top}" y2="{bottom}" stroke="{colour}" stroke-dasharray="{dash}"/>'


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _name(text: str) -> str:
    return text if len(text) <= _NAME else f"{text[: _NAME - 1]}…"


def _points_of(row: Interval) -> str:
    return f"{100 * row.difference:+.2f} ({100 * row.low:+.2f} to {100 * row.high:+.2f})"


def _colour(arm: int) -> str:
    return COLOURS[arm % len(COLOURS)]


def _dash(arm: int) -> str:
    return _DASHES[arm % len(_DASHES)]


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
