"""Arithmetic of the schedule: learning rate and the moving average of the pseudo-Dice. No torch in here."""

import itertools
import math
from collections.abc import Sequence

from nnunet_api.schedule import LearningRatePolicy

EXPONENT = 0.9
"""Exponent of nnU-Net's PolyLRScheduler."""
EMA_WEIGHT = 0.1
"""Weight of a new value in nnU-Net's moving average (MetaLogger.log)."""


def poly_learning_rate(initial: float, epoch: int, epochs: int, exponent: float = EXPONENT) -> float:
    """Return nnU-Net's learning rate of an epoch (0 = first): initial * (1 - epoch/epochs) ** exponent.

    Past the end it is 0, where nnU-Net's own formula turns into a complex number.
    """
    return float(initial * max(0.0, 1 - epoch / epochs) ** exponent)


def cosine_learning_rate(initial: float, epoch: int, epochs: int) -> float:
    """Return the learning rate of an epoch (0 = first) on half a cosine: initial * (1 + cos(pi * epoch/epochs)) / 2.

    Loshchilov and Hutter, SGDR (ICLR 2017), equation 5, without restarts and down to 0. Past the end it is 0.
    """
    return float(initial * (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2)


def warmup_learning_rate(initial: float, epoch: int, epochs: int, warmup: int) -> float:
    """Return the learning rate of an epoch (0 = first): linear over `warmup` epochs, then Poly over the rest.

    As nnUNetTrainer_warmup: initial * (epoch + 1)/warmup (Lin_incr_LRScheduler), then
    initial * (1 - (epoch - warmup)/(epochs - warmup)) ** 0.9 (PolyLRScheduler_offset).
    """
    if epoch < warmup:
        return float(initial * (epoch + 1) / warmup)
    return poly_learning_rate(initial, epoch - warmup, epochs - warmup)


def annealed_learning_rate(start: float, epoch: int, begin: int, end: int) -> float:
    """Return the learning rate of an epoch (0 = first) of the tail [begin, end): Poly from `start` to 0."""
    return poly_learning_rate(start, epoch - begin, max(1, end - begin))


def learning_rate(policy: LearningRatePolicy, initial: float, epoch: int, epochs: int, warmup: int) -> float:
    """Return the learning rate of an epoch (0 = first) by a policy."""
    if policy is LearningRatePolicy.COSINE:
        return cosine_learning_rate(initial, epoch, epochs)
    if policy is LearningRatePolicy.POLY_WITH_WARMUP:
        return warmup_learning_rate(initial, epoch, epochs, warmup)
    return poly_learning_rate(initial, epoch, epochs)


def moving_average(previous: float, value: float) -> float:
    """Return nnU-Net's EMA, stepping over what is not a number; NaN only as long as no number was seen.

    nnU-Net's own EMA stays NaN for ever once one epoch had no foreground in its validation patches.
    """
    if math.isnan(value):
        return previous
    if math.isnan(previous):
        return value
    return (1 - EMA_WEIGHT) * previous + EMA_WEIGHT * value


def best(values: Sequence[float]) -> float | None:
    """Return the largest number, ignoring NaN; None without any."""
    return max((value for value in values if not math.isnan(value)), default=None)


def epochs_since_best(values: Sequence[float]) -> int | None:
    """Return how many epochs ago the best value was first reached; None without any number."""
    top = best(values)
    return None if top is None else len(values) - 1 - list(values).index(top)


def nonfinite_at_end(values: Sequence[float]) -> int:
    """Return how many values in a row, up to the last one, are NaN or infinite."""
    return sum(1 for _ in itertools.takewhile(lambda value: not math.isfinite(value), reversed(values)))
