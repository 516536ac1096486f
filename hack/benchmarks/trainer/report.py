"""The figures of the benchmark from what was measured. Pure: measurements in, rows and Markdown out."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EPOCH_BUDGET = 1.0
CHECKPOINT_BUDGET = 0.01
SPREAD_WANTED = 0.01
"""Standard error of the ratio of epochs that the benchmark goes on for."""
FEWEST_PAIRS = 10
GPU_EPOCH_SECONDS = 32.0
"""An epoch of the standard 3d_fullres on an A100, by nnU-Net's own table (resenc_presets.md). For shares of it."""
STANDARD_STEPS = 250 + 50
"""Iterations of nnU-Net's epoch, and of its validation."""
PLOT_EPOCHS, PLAIN_SAVES = 20, 50
"""How often the trainer draws progress.png, and plain nnU-Net writes a checkpoint."""
CLOSE = 0.001
"""Losses that differ by less are those of the same work: a sum may be in another order by where memory lies."""
PLAIN, OURS = "plain", "ours"
CLOCK, CPU = 0, 1
"""Places of both times of a part: by the clock, and of the CPU."""
_WITHIN = ("batches", "steps", "hooks")
Pair = Mapping[str, Any]
"""An epoch of both sides: the parts of each with their times, the loss, and the memory."""


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    what: str
    plain: str
    ours: str
    ratio: str = ""
    budget: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Ratio:
    """A mean ratio, and how sure it is."""

    value: float
    error: float
    """Standard error, as a share of it. Infinite where fewer than two are known."""
    pairs: int

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.value:.3f} ± {100 * self.error:.1f} %" if math.isfinite(self.error) else f"{self.value:.3f}"

    @property
    def sure(self) -> bool:
        """Tell whether it is as sure as wanted."""
        return self.pairs >= FEWEST_PAIRS and self.error < SPREAD_WANTED


def counted(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs without the first of each run, in which much is done for the first time."""
    return [pair for pair in pairs if pair["epoch"]]


def ratio(pairs: Sequence[Pair], parts: Iterable[str] = (*_WITHIN, "between")) -> Ratio:
    """Return the ratio of CPU seconds: the mean over pairs, whose two epochs met much the same load."""
    parts = tuple(parts)
    logs = [math.log(_of(pair, OURS, parts, CPU) / _of(pair, PLAIN, parts, CPU)) for pair in counted(pairs)]
    if not logs:
        return Ratio(math.nan, math.inf, 0)
    error = statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else math.inf
    return Ratio(math.exp(statistics.mean(logs)), error, len(logs))


def _of(pair: Pair, side: str, parts: Iterable[str], clock: int) -> float:
    return float(sum(pair[side]["parts"][part][clock] for part in parts))


def _median(pairs: Sequence[Pair], side: str, parts: Sequence[str], clock: int) -> float:
    return statistics.median(_of(pair, side, parts, clock) for pair in counted(pairs))


def after_last_batch(pairs: Sequence[Pair], side: str, clock: int) -> float:
    """Return what follows an epoch's last batch: the mean, since not each epoch draws or saves."""
    return statistics.mean(_of(pair, side, ["between"], clock) for pair in counted(pairs))


def hooks_of_an_iteration(pairs: Sequence[Pair], side: str, steps: int) -> float:
    """Return what an iteration spends beside its batch and its step, in microseconds of the CPU."""
    return 1e6 * _median(pairs, side, ["hooks"], CPU) / steps


def epoch_rows(pairs: Sequence[Pair], short: Sequence[Pair], steps: int) -> list[Row]:
    """Return what epochs of standard length come to, `pairs`, and the ends of many short ones, `short`."""
    whole, within = ratio(pairs), ratio(pairs, ["batches", "steps"])
    apart = max(abs(float(pair[PLAIN]["loss"]) - float(pair[OURS]["loss"])) for pair in [*pairs, *short])
    # Of those with the longest runs: it grows with the epochs.
    memory = [max(pair[side]["peak_mib"] for pair in pairs) for side in (PLAIN, OURS)]
    hooks = [f"{hooks_of_an_iteration(pairs, side, steps):.1f}" for side in (PLAIN, OURS)]
    plain, ours = (_median(pairs, side, (*_WITHIN, "between"), CPU) for side in (PLAIN, OURS))
    of_nnunet = [f"{_median(pairs, side, ('batches', 'steps'), CPU):.2f}" for side in (PLAIN, OURS)]
    return [
        Row(
            "an epoch, CPU s",
            f"{plain:.2f}",
            f"{ours:.2f}",
            whole.words,
            f"<= {EPOCH_BUDGET:.2f}",
            # An epoch's end weighs more in shorter ones, and is where the trainer is faster: no verdict by them.
            whole.value <= EPOCH_BUDGET if steps == STANDARD_STEPS and whole.sure else None,
        ),
        Row("of that its batches and steps, CPU s", of_nnunet[0], of_nnunet[1], within.words),
        Row("of that hooks, CPU µs an iteration", hooks[0], hooks[1]),
        _after("after the last batch, s", short, CLOCK),
        _after("after the last batch, CPU s", short, CPU),
        Row("peak memory while training, MiB", f"{memory[0]:.0f}", f"{memory[1]:.0f}", f"{memory[1] / memory[0]:.2f}"),
        Row("training losses", "", f"{apart:.0e} apart" if apart else "the same", "", f"< {CLOSE}", apart < CLOSE),
    ]


def _after(what: str, short: Sequence[Pair], clock: int) -> Row:
    plain, ours = (after_last_batch(short, side, clock) for side in (PLAIN, OURS))
    return Row(what, f"{plain:.3f}", f"{ours:.3f}", f"{ours / plain:.2f}")


def standard_row(pairs: Sequence[Pair], short: Sequence[Pair], found: Mapping[str, Sequence[float]], steps: int) -> Row:
    """Return what an epoch of standard size would take by what is ours, on a GPU that needs 32 s for the rest.

    Of what follows the last batch it takes plain nnU-Net's CPU seconds, and for the trainer the time by the clock,
    which is longer where the machine does other work, and has what the disk takes.

    Both sides also write a checkpoint whenever the pseudo-Dice is better than ever, which is left out: it costs plain
    nnU-Net one more, and the trainer none, for its latest is then the same file.
    """
    plain, ours = (
        GPU_EPOCH_SECONDS
        + STANDARD_STEPS * hooks_of_an_iteration(pairs, side, steps) / 1e6
        + after_last_batch(short, side, clock)
        for side, clock in ((PLAIN, CPU), (OURS, CLOCK))
    )
    plain += statistics.median(found["plain"]) / PLAIN_SAVES
    ours += statistics.median(found["ours"])
    value = ours / plain
    return Row(
        f"an epoch of {GPU_EPOCH_SECONDS:.0f} s with what is ours, computed, s",
        f"{plain:.2f}",
        f"{ours:.2f}",
        f"{value:.3f}",
        f"<= {EPOCH_BUDGET:.2f}",
        value <= EPOCH_BUDGET,
    )


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


def all_rows(kept: Mapping[str, Any], steps: int) -> list[Row]:
    """Return all that was measured."""
    pairs, short, checkpoint = kept["pairs"], kept["short"], kept["checkpoint"]
    return [
        *epoch_rows(pairs, short, steps),
        standard_row(pairs, short, checkpoint, steps),
        *checkpoint_rows(checkpoint),
    ]


def load(pairs: Sequence[Pair]) -> float:
    """Return for how much of the time of the epochs a core was theirs; other work on the machine had the rest."""
    parts = (*_WITHIN, "between")
    cpu, clock = (
        sum(_of(pair, side, parts, place) for pair in pairs for side in (PLAIN, OURS)) for place in (CPU, CLOCK)
    )
    return cpu / clock
