"""Arithmetic of the schedule: learning rate and the moving average of the pseudo-Dice. No torch in here."""

import math
from collections.abc import Sequence

EXPONENT = 0.9
"""Exponent of nnU-Net's PolyLRScheduler."""
EMA_WEIGHT = 0.1
"""Weight of a new value in nnU-Net's moving average (MetaLogger.log)."""


def poly_learning_rate(initial: float, epoch: int, epochs: int, exponent: float = EXPONENT) -> float:
    """Return nnU-Net's learning rate of an epoch (0 = first): initial * (1 - epoch/epochs) ** exponent.

    Past the end it is 0, where nnU-Net's own formula turns into a complex number.
    """
    return float(initial * max(0.0, 1 - epoch / epochs) ** exponent)


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


def number(value: float | None) -> float | None:
    """Return the value as a plain float, None where it is missing or not finite (JSON knows no NaN)."""
    return float(value) if value is not None and math.isfinite(value) else None
