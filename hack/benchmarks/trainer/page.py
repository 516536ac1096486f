"""The page of the benchmark in the documentation: figures in, Markdown out."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hack.benchmarks.trainer.report import (
    GPU_EPOCH_SECONDS,
    PLAIN_SAVES,
    PLOT_EPOCHS,
    SPREAD_WANTED,
    STANDARD_STEPS,
    Ratio,
    Row,
    counted,
    load,
    ratio,
)

CHANCE = 2.0
"""Standard errors that a ratio may be from 1 without more being said."""
IDLE = 0.97
"""Share of the time for which a core is free on a machine that does nothing else."""


def page(rows: Sequence[Row], kept: Mapping[str, Any], iterations: int, validation: int) -> str:
    """Return the page."""
    words: dict[bool | None, str] = {None: "", True: "met", False: "missed"}
    table = "\n".join(
        f"| {row.what} | {row.plain} | {row.ours} | {row.ratio} | {row.budget} | {words[row.met]} |" for row in rows
    )
    return f"""\
# The trainer against plain nnU-Net

`make bench-trainer` makes this page; see [the benchmarks](README.md).

| | plain nnU-Net | trainer | ratio | budget | |
|---|---|---|---|---|---|
{table}

{_measured(kept, iterations, validation)}
{_told(kept)}"""


def _measured(kept: Mapping[str, Any], iterations: int, validation: int) -> str:
    """Return the section on how it was measured."""
    found = ratio(kept["pairs"])
    wanted = f"{100 * SPREAD_WANTED:.0f} %"
    reached = (
        f"That is less than the {wanted} that it was run for"
        if found.sure
        else f"**The {wanted} that it was to be run for was not reached**"
    )
    ends = len(counted(kept["short"]))
    short = "" if iterations + validation == STANDARD_STEPS else " **They were shorter than nnU-Net's 250 and 50.**"
    return f"""\
## How it was measured

Both sides train side by side on a CPU, with the same data, network, seed and environment and with one thread, and take
turns epoch by epoch: while one trains, the other stands still. {found.pairs} epochs of {iterations} iterations and
{validation} of validation were counted on each side, of nnU-Net's schedule of 1000, without the first of each
run.{short}
A trainer class with two clocks, the same on both sides, splits each epoch into batches, steps of the network, what is
between these (hooks), and what follows the last step until the first batch of the next epoch is asked for.

The ratio of an epoch is the mean over pairs of epochs, in CPU seconds; ± is its standard error. {reached}.
{_of_load(load(kept["pairs"]))} That the losses
are the same in each epoch, or differ in late digits, shows that both did the same work.

What follows the last batch is measured in {ends} more epochs of a few iterations each, since it takes the same after
long ones: plain nnU-Net draws progress.png each time and writes a checkpoint every {PLAIN_SAVES} epochs, the trainer
saves after each epoch, flushed to disk, and draws every {PLOT_EPOCHS}. Both save when the pseudo-Dice is better than
ever. Told is the mean.

The checkpoint is measured apart: weights and momentum of the network that nnU-Net plans for 3d_fullres with 128³ voxels
(31 M parameters), on the disk of the checkout. nnU-Net writes in place and leaves the disk its time; the trainer writes
beside the old file, waits until it is on disk, and renames. What a write in the background could save at most is the
cost without the making of the bytes.
"""


def _told(kept: Mapping[str, Any]) -> str:
    """Return the section on what the figures can tell."""
    percent = 1e4 * GPU_EPOCH_SECONDS / STANDARD_STEPS
    return f"""\
## What it can tell, and what it can't

- **What is ours** is in two rows, hooks and what follows the last batch. They are measured directly, so that the noise
  of an epoch does not hide them: 1 % of an epoch of {GPU_EPOCH_SECONDS:.0f} s is {percent:.0f} µs in each iteration, or
  {GPU_EPOCH_SECONDS / 100:.2f} s after the last one.
- **Batches and steps** are nnU-Net's own code on both sides. Their ratio tells whether the trainer slows them down.
  {_of_steps(ratio(kept["pairs"], ["batches", "steps"]))}
- **The epoch of {GPU_EPOCH_SECONDS:.0f} s is computed, not seen**: nnU-Net's figure for an A100 on both sides, with the
  hooks, the end of an epoch and the checkpoint of this page added, and without what the row of batches and steps says:
  plain nnU-Net's in CPU seconds, the trainer's by the clock, which is the longer one. Whether a GPU changes any of it
  only [`make check-gpu`](../development/gpu.md) tells, and none has run it yet.
- **The ratio of whole epochs is that of a tiny network on one core**, of which the end of an epoch is a larger share
  than of a real one. That favours the trainer. It says nothing of workers, GPUs, network storage or torch.compile.
- On a slower disk than this one it is the checkpoint that grows, and the trainer writes it in each epoch.
"""


def _of_load(share: float) -> str:
    """Say for which share of the time a core was free for the benchmark."""
    if share > IDLE:
        return "A core was theirs all the time."
    return (
        f"A core was theirs for {100 * share:.0f} % of the time, and other work on the machine had the rest. CPU\n"
        "seconds are then not quite those of an idle machine, since others use its caches, but both sides of a\n"
        "pair met much the same."
    )


def _of_steps(found: Ratio) -> str:
    """Say what is to be thought of a ratio of what nnU-Net does on both sides."""
    errors = math.log(found.value) / found.error if found.error else 0.0
    far = f"It is {abs(errors):.1f} times its error from 1"
    if abs(errors) <= CHANCE:
        return f"{far}."
    if errors > 0:
        return f"{far}, which chance alone seldom does: **to be measured again on an idle machine**."
    return (
        f"{far}, and below it, which [decision 59](../decisions/0059-freed-memory-is-kept-while-training.md)\n  "
        "explains: the trainer keeps memory that a batch frees for the next one."
    )
