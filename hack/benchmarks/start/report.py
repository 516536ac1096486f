"""The table of the benchmark from what was measured. Pure: costs in, rows and Markdown out."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PLAIN, TRAINER, BEFORE = "plain", "trainer", "before"
STAGES = {
    "plan": "plan: check, fingerprint, plan, preprocess",
    "prepared": "plan: where another training has prepared the same data",
    "start": "train: to the end of the first iteration",
    "epochs": "train: the rest of two tiny epochs",
    "validation": "train: validation on full volumes",
    "verify": "verify",
    "evaluate": "evaluate: predict and score the test set",
}
"""What the stages are called, in their order."""
_NAMES = {PLAIN: "plain nnU-Net", BEFORE: "trainer before", TRAINER: "trainer"}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    cpu: Mapping[str, float]
    """CPU seconds of each side: the median of its rounds."""
    seconds: Mapping[str, float]

    def ratio(self, side: str) -> str:
        """Return the trainer's CPU seconds as a share of another side's."""
        return f"{self.cpu[TRAINER] / self.cpu[side]:.2f}" if {side, TRAINER} <= self.cpu.keys() else ""


def rows(costs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return a row for each stage, then one for all those that each side has."""
    found = [
        Row(words, *(_medians(costs, stage, what) for what in ("cpu_seconds", "seconds")))
        for stage, words in STAGES.items()
    ]
    sides = {side for row in found for side in row.cpu}
    common = [row for row in found if row.cpu.keys() == sides]
    sums = [{side: sum(getattr(row, what)[side] for row in common) for side in sides} for what in ("cpu", "seconds")]
    return [*found, Row(f"all of them that {'both' if len(sides) == 2 else 'all'} have", *sums)]


def _medians(costs: Sequence[Mapping[str, Any]], stage: str, what: str) -> dict[str, float]:
    each: dict[str, list[float]] = {}
    for cost in costs:
        if cost["stage"] == stage:
            each.setdefault(cost["side"], []).append(cost[what])
    return {side: statistics.median(values) for side, values in each.items()}


def table(found: Sequence[Row]) -> list[list[str]]:
    """Return head and lines of the table: CPU seconds of each side, and their ratios."""
    sides = [side for side in (PLAIN, BEFORE, TRAINER) if any(side in row.cpu for row in found)]
    others = [side for side in sides if side != TRAINER]
    head = ["CPU seconds", *(_NAMES[side] for side in sides), *(f"trainer / {_NAMES[side]}" for side in others)]
    lines = [
        [
            row.what,
            *(f"{row.cpu[side]:.1f}" if side in row.cpu else "" for side in sides),
            *(row.ratio(side) for side in others),
        ]
        for row in found
    ]
    return [head, *lines]


def page(found: Sequence[Row], options: Mapping[str, Any]) -> str:
    """Return the page in the documentation."""
    head, *lines = table(found)
    text = "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])
    before = (
        "\nThe trainer before is that of the image given by `--before`, measured in the same rounds.\n"
        if any(BEFORE in row.cpu for row in found)
        else ""
    )
    return f"""\
# What the stages cost before the work

`make bench-start` makes this page; see [the benchmarks](README.md).

{text}

Median of {options["rounds"]} rounds, each with a new dataset of six training and two test cases of 30 x 34 x 32 voxels,
a network of three stages and two epochs of ten iterations, on a CPU: what is left is what a stage takes however small
its work is. Processes: {options["processes"]}. Each command has empty caches, as in a new pod, and files that were read
before. CPU seconds are those of all processes of a stage: other work on the machine changes them less than the time by
the clock, but by up to a third. The last line is the sum of the stages that each side has.
{before}
Plain nnU-Net is `nnUNetv2_plan_and_preprocess --verify_dataset_integrity`, `nnUNetv2_train`, `nnUNetv2_predict` and
`nnUNetv2_evaluate_folder` with the same trainer class and numbers of processes. It verifies no checkpoints, measures no
surfaces and writes no report.
"""
