"""The figures of the benchmark from what was measured. Pure: measurements in, rows and Markdown out."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EPOCH_BUDGET = 1.01
CHECKPOINT_BUDGET = 0.01
GPU_EPOCH_SECONDS = 60.0
"""An epoch of 250 iterations of a standard 3d_fullres network on one modern GPU. An assumption, for shares of it."""


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    what: str
    plain: str
    ours: str
    ratio: str = ""
    budget: str = ""
    met: bool | None = None


def side_rows(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return what the runs of both sides come to."""
    plain, ours = (_without_first(runs, side, "epoch_seconds") for side in ("plain", "ours"))
    # Round by round: both sides of a round met much the same load.
    ratio = statistics.median(
        statistics.median(mine) / statistics.median(theirs) for mine, theirs in zip(ours, plain, strict=True)
    )
    seconds = [statistics.median(itertools.chain(*side)) for side in (plain, ours)]
    between = [
        statistics.median(itertools.chain(*_without_first(runs, side, "between_seconds"))) for side in ("plain", "ours")
    ]
    memory = [statistics.median(_of(runs, side, "peak_mib")) for side in ("plain", "ours")]
    same = {tuple(run["losses"]) for run in runs}
    return [
        Row(
            "an epoch, median, s",
            f"{seconds[0]:.2f}",
            f"{seconds[1]:.2f}",
            f"{ratio:.3f}",
            f"<= {EPOCH_BUDGET}",
            ratio <= EPOCH_BUDGET,
        ),
        Row("of that after the last batch, s", f"{between[0]:.2f}", f"{between[1]:.2f}"),
        Row("peak memory while training, MiB", f"{memory[0]:.0f}", f"{memory[1]:.0f}", f"{memory[1] / memory[0]:.2f}"),
        Row("training losses", "", "the same" if len(same) == 1 else "differ", "", "the same", len(same) == 1),
    ]


def checkpoint_rows(found: Mapping[str, Sequence[float]]) -> list[Row]:
    """Return what a checkpoint costs."""
    plain, ours, serialise = (statistics.median(found[name]) for name in ("plain", "ours", "serialise"))
    share = ours / GPU_EPOCH_SECONDS
    size = found["bytes"][0] / 1e6
    return [
        Row(f"a checkpoint of {size:.0f} MB, s", f"{plain:.2f}", f"{ours:.2f}", f"{ours / plain:.1f}"),
        Row("slowest of all, s", f"{max(found['plain']):.2f}", f"{max(found['ours']):.2f}"),
        Row(
            f"share of an epoch of {GPU_EPOCH_SECONDS:.0f} s",
            "",
            f"{100 * share:.2f} %",
            "",
            f"< {100 * CHECKPOINT_BUDGET:.0f} %",
            share < CHECKPOINT_BUDGET,
        ),
        Row("of that: to make the bytes, s", "", f"{serialise:.2f}"),
    ]


def _without_first(runs: Sequence[Mapping[str, Any]], side: str, name: str) -> list[list[float]]:
    """Return the seconds of each run's epochs, without the first one, in which much is done for the first time."""
    return [seconds[1:] or seconds for seconds in _of(runs, side, name)]


def _of(runs: Sequence[Mapping[str, Any]], side: str, name: str) -> list[Any]:
    return [run[name] for run in runs if run["side"] == side]


def page(rows: Sequence[Row], runs: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
    """Return the page in the documentation."""
    words: dict[bool | None, str] = {None: "", True: "met", False: "missed"}
    lines = [
        f"| {row.what} | {row.plain} | {row.ours} | {row.ratio} | {row.budget} | {words[row.met]} |" for row in rows
    ]
    ratios = [
        statistics.median(mine) / statistics.median(theirs)
        for mine, theirs in zip(
            _without_first(runs, "ours", "epoch_seconds"), _without_first(runs, "plain", "epoch_seconds"), strict=True
        )
    ]
    rounds = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    table = "\n".join(lines)
    return f"""\
# The trainer against plain nnU-Net

`make bench-trainer` makes this page; see [the benchmarks](README.md).

| | plain nnU-Net | trainer | ratio | budget | |
|---|---|---|---|---|---|
{table}

Ratios of the epoch, round by round: {rounds}.

{options["rounds"]} runs of each side by turns, {options["epochs"]} epochs of {options["iterations"]} iterations each,
on a CPU, with the same data, network, seed and environment. An epoch is timed from its beginning to that of the next
one, so its checkpoint counts; the first of each run is left out. That the losses are the same shows that both did the
same work.

What differs is what comes after an epoch's last batch. Plain nnU-Net draws progress.png each time, and writes a
checkpoint every 50 epochs or when the pseudo-Dice is better than ever. The trainer saves after each epoch, flushed to
disk, and draws every 20 epochs.

The checkpoint is measured apart: weights and momentum of the network that nnU-Net plans for 3d_fullres with 128³ voxels
(31 M parameters), on the disk of the checkout. nnU-Net writes in place and leaves the disk its time; the trainer writes
beside the old file, waits until it is on disk, and renames. 60 s is about what an epoch of 250 iterations takes on one
modern GPU. What a write in the background could save at most is the cost without the making of the bytes.
"""
