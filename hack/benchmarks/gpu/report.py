"""What the check tells. Pure: trainings that were seen in, rows out."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

EPOCH_BUDGET = 1.05
"""What an epoch may take beside plain nnU-Net's; few short epochs differ by some percent by chance."""
CLOSE = 0.05
"""Losses that differ by less in the same epoch are close: GPUs add up in another order each time."""
OTHER_BATCHES = "no verdict, as they had other batches"
PLAIN, TRAINER, SEEDED, RESUMED, TWO, COMPILED = "plain", "trainer", "seeded", "resumed", "two", "compiled"
PLAIN_COMPILED = "plain compiled"


@dataclass(frozen=True)
class Run:
    """What was seen of one training."""

    epoch_seconds: list[float]
    after_seconds: list[float]
    """Of each epoch, what follows its last batch: the checkpoint, and what else there is."""
    wait_seconds: list[float]
    """Of each epoch, how long the network waited for training batches."""
    losses: list[float]
    peak_mib: float
    """Memory on the GPUs, or without one in the processes."""


@dataclass(frozen=True)
class Row:
    """One line: what was compared, of what, and whether it is as it has to be."""

    what: str
    both: tuple[str, str]
    told: str = ""
    good: bool | None = None


def rows(found: Mapping[str, Run], epoch_budget: float = EPOCH_BUDGET, *, same_batches: bool = True) -> list[Row]:
    """Return what can be told from the trainings that are there.

    `same_batches` says that without a seed, too, each training has the same batches in the same order. It has not where
    several workers make them, as chance decides which is first: then their losses differ, and tell of nothing.
    """
    told: list[Row] = []
    if {PLAIN, TRAINER} <= found.keys():
        told += _beside_plain(found[PLAIN], found[TRAINER], epoch_budget)
        losses = _losses("training losses, plain / trainer", found[PLAIN], found[TRAINER])
        told.append(losses if same_batches else replace(losses, told=f"{losses.told}; {OTHER_BATCHES}", good=None))
    if {TRAINER, SEEDED} <= found.keys():
        told.append(_epochs("an epoch without / with a seed, s", found[TRAINER], found[SEEDED]))
    if {SEEDED, RESUMED} <= found.keys():
        told.append(_losses("training losses in peace / killed and resumed", found[SEEDED], found[RESUMED]))
    if {TRAINER, TWO} <= found.keys():
        told.append(_epochs("an epoch in one / two processes, s", found[TRAINER], found[TWO]))
    if {TRAINER, COMPILED} <= found.keys():
        told.append(_epochs("an epoch without / with torch.compile, s", found[TRAINER], found[COMPILED]))
        first = _both(found[TRAINER], found[COMPILED], lambda run: f"{run.epoch_seconds[0]:.1f}")
        told.append(Row("the first epoch of these, s", first))
    if {PLAIN_COMPILED, COMPILED} <= found.keys():
        told.append(_epochs("an epoch with torch.compile, plain / trainer, s", found[PLAIN_COMPILED], found[COMPILED]))
    return told


def _beside_plain(plain: Run, trainer: Run, budget: float) -> list[Row]:
    epoch = _epochs("an epoch, plain / trainer, s", plain, trainer)
    ratio = _median(trainer.epoch_seconds) / _median(plain.epoch_seconds)
    after = _both(plain, trainer, lambda run: f"{_median(run.after_seconds):.2f}")
    waits = _both(plain, trainer, lambda run: f"{100 * _median(run.wait_seconds) / _median(run.epoch_seconds):.0f} %")
    return [
        Row(epoch.what, epoch.both, f"{epoch.told}, budget {budget}", ratio <= budget),
        Row("of that after the last batch (checkpoint), s", after),
        Row("of that waiting for training data", waits),
        Row("peak memory, MiB", _both(plain, trainer, lambda run: f"{run.peak_mib:.0f}")),
    ]


def _both(one: Run, other: Run, words: Callable[[Run], str]) -> tuple[str, str]:
    return words(one), words(other)


def _epochs(what: str, one: Run, other: Run) -> Row:
    ratio = _median(other.epoch_seconds) / _median(one.epoch_seconds)
    return Row(what, _both(one, other, lambda run: f"{_median(run.epoch_seconds):.2f}"), f"ratio {ratio:.3f}")


def _losses(what: str, one: Run, other: Run) -> Row:
    pairs = list(zip(one.losses, other.losses, strict=False))
    furthest = max((abs(a - b) for a, b in pairs), default=float("inf"))
    same = len(one.losses) == len(other.losses)
    words = "equal" if furthest == 0 else f"differ by up to {furthest:.4f}, close is {CLOSE}"
    told = words if same else f"{len(one.losses)} epochs and {len(other.losses)}"
    return Row(what, _both(one, other, lambda run: _last(run.losses)), told, same and furthest <= CLOSE)


def _last(losses: Sequence[float]) -> str:
    return f"{losses[-1]:.4f}" if losses else "none"


def _median(seconds: Sequence[float]) -> float:
    """Return the median without the first epoch, in which much is done for the first time; of none it is no number."""
    return statistics.median(seconds[1:] or seconds) if seconds else math.nan


def text(found: Sequence[Row], unchecked: Mapping[str, str], machine: str) -> str:
    """Return the table, as Markdown, and what was not checked."""
    words: dict[bool | None, str] = {None: "", True: "good", False: "BAD"}
    lines = [f"| {row.what} | {row.both[0]} | {row.both[1]} | {row.told} | {words[row.good]} |" for row in found]
    left = [f"- {what}: {why}" for what, why in unchecked.items()]
    parts = [f"On {machine}.", "\n".join(["| what | | | | |", "|---|---|---|---|---|", *lines])]
    return "\n\n".join([*parts, "\n".join(["Not checked:", *left])] if left else parts) + "\n"
