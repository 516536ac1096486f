"""The page in the documentation that the results make. Pure: results in, Markdown out."""

import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hack.benchmarks.hardness.cells import ARMS, FULL, STANDARD_EPOCHS, Arm, Budget
from hack.benchmarks.hardness.tasks import Task

SMALLEST_CLASS = "lesion"
"""The class whose Dice is shown beside the mean."""

Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What one arm came to in one task, over its seeds. Dice in per cent."""

    arm: Arm
    dice: list[float]
    smallest: list[float]
    epochs: list[int]
    full: list[float]
    """Dice of the full budget with the same seeds."""
    judged: Mapping[str, Any] | None = None
    """What the comparison came to for this arm."""

    @property
    def differences(self) -> list[float]:
        """Dice minus that of the full budget, seed by seed."""
        return [mine - full for mine, full in zip(self.dice, self.full, strict=True)]

    @property
    def verdict(self) -> str:
        """The verdict on the arm; without one, whether it and the full budget can be told apart by these seeds."""
        if self.arm.name == FULL:
            return ""
        if self.judged:
            return str(self.judged["verdict"])
        if max(self.dice) < min(self.full):
            return "every seed below every seed of full"
        if min(self.dice) > max(self.full):
            return "every seed above every seed of full"
        return "within the spread"


def rows(results: Iterable[Result], task: str, compared: Mapping[str, Any] | None = None) -> list[Row]:
    """Return the rows of a task, in the order of the arms; seeds without a result of the full budget are left out.

    `compared` is what `judge` found of it.
    """
    judged = {one["arm"]: one for one in (compared or {}).get("candidates", ())}
    mine = [result for result in results if result["settings"]["task"] == task]
    full = {result["settings"]["seed"]: 100 * result["test"] for result in mine if result["settings"]["arm"] == FULL}
    found = []
    for arm in ARMS:
        cells = sorted(
            (cell for cell in mine if cell["settings"]["arm"] == arm.name and cell["settings"]["seed"] in full),
            key=lambda cell: int(cell["settings"]["seed"]),
        )
        if cells:
            found.append(
                Row(
                    arm=arm,
                    dice=[100 * cell["test"] for cell in cells],
                    smallest=[100 * cell["testPerClass"][SMALLEST_CLASS] for cell in cells],
                    epochs=[cell["epochs"] for cell in cells],
                    full=[full[cell["settings"]["seed"]] for cell in cells],
                    judged=judged.get(arm.name),
                )
            )
    return found


def page(
    results: Sequence[Result],
    tasks: Sequence[Task],
    budget: Budget,
    verdicts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> str:
    """Return the whole page; `verdicts` has what the comparison of a task came to, by its name."""
    parts = [_introduction(budget, bool(verdicts))]
    for task in tasks:
        compared = verdicts.get(task.name)
        found = rows(results, task.name, compared)
        if found:
            parts.append(_section(task, found, budget))
        if differing := (compared or {}).get("differences"):
            told = "; ".join(f"{one['path']}: {one['matter']}" for one in differing)
            parts.append(_filled(f"**Not comparable**, so there is no verdict: {told}"))
    parts.append(_conditions(results, budget))
    return "\n\n".join(parts) + "\n"


def _section(task: Task, found: Sequence[Row], budget: Budget) -> str:
    cases = f"{task.training_cases} cases for training and validation, {task.test_cases} test cases."
    head = [
        f"## Task {task.name}",
        "",
        _filled(f"{task.description} {cases}"),
        "",
        f"| | test Dice, % | {SMALLEST_CLASS}, % | epochs trained | share of full | minus full | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_line(row, budget) for row in found)])


def _line(row: Row, budget: Budget) -> str:
    share = statistics.mean(row.epochs) / budget.epochs
    difference = _difference(row) if row.verdict else ""
    cells = (
        row.arm.title,
        _spread(row.dice),
        _spread(row.smallest),
        _epochs(row.epochs),
        f"{100 * share:.0f} %",
        difference,
        row.verdict,
    )
    return f"| {' | '.join(cells)} |"


def _difference(row: Row) -> str:
    if not row.judged:
        return _spread(row.differences, "+.1f")
    value, low, high = (100 * row.judged[key] for key in ("difference", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _epochs(values: Sequence[int]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ", ".join(str(value) for value in values)


def _spread(values: Sequence[float], form: str = ".1f") -> str:
    """Return mean and standard deviation over the seeds."""
    mean = f"{statistics.mean(values):{form}}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def _introduction(budget: Budget, judged: bool) -> str:
    scale = STANDARD_EPOCHS / budget.epochs
    paragraphs = (
        "Synthetic tasks of known hardness, trained by `nnunet-trainer` on a CPU and scored on held-out cases, with "
        "several seeds. `make table-schedules` makes this page; what it shows, and what not, is said in "
        "[the benchmarks](README.md#the-table-of-schedules).",
        f"**An epoch is not an epoch here.** The full schedule has {budget.epochs} epochs of {budget.iterations} "
        f"iterations with a small 2D network, in the place of nnU-Net's {STANDARD_EPOCHS} of 250. What can be compared "
        "is the share of the schedule. The settings of early stopping are the defaults, divided by "
        f"{scale:g} like the schedule; minDelta and nnU-Net's moving average are not scaled, so that the average lags "
        "behind by more of the schedule than in a real training.",
        "Dice is the mean over classes and test cases, of the final checkpoint. ± is the standard deviation over the "
        "seeds. "
        + (
            "Each row is an arm of an NnunetComparison with the full budget as its baseline, at a margin of one point; "
            "*minus full* is the difference with its 95 % interval."
            if judged
            else "*Minus full* compares runs of the same seed."
        ),
    )
    title = "# What a shorter or a stopped training costs"
    return "\n\n".join([title, *(_filled(paragraph) for paragraph in paragraphs)])


def _conditions(results: Sequence[Result], budget: Budget) -> str:
    seeds = sorted({int(result["settings"]["seed"]) for result in results})
    text = (
        f"Seeds {', '.join(map(str, seeds))}; fold 0; {budget.validation_iterations} validation iterations an epoch. "
        "Generator and network: `hack/benchmarks/hardness`. On one machine a seed gives the same result again."
    )
    return f"## Conditions\n\n{_filled(text)}"


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)
