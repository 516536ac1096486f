"""How many cases and replicates a margin needs."""

import math
from dataclasses import dataclass

POWER = 0.8
_SUM_OF_QUANTILES = 2.487
"""Of the normal distribution: 95 % (one-sided 5 %) and 80 % power; 1.645 + 0.842."""


@dataclass(frozen=True)
class Power:
    """What these arms could tell, and what the margin would need."""

    detectable_loss: float
    """The smallest loss that this number of cases shows in four of five comparisons."""
    cases_needed: int | None
    """Cases that a loss as large as the margin needs; None where there are as many."""
    replicates_needed: int | None
    """Replicates of each arm that it needs with the cases that there are; None where there are as many, or where more
    of them can't help."""


def detectable_loss(deviation: float, cases: int) -> float:
    """Return the smallest loss that is detected with a power of 80 % at one-sided 5 %.

    `deviation` is the standard deviation of the cases' differences, in the unit of the loss.
    """
    return _SUM_OF_QUANTILES * deviation / math.sqrt(cases)


def cases_needed(deviation: float, loss: float) -> int:
    """Return how many cases detect a loss (above 0) with a power of 80 % at one-sided 5 %."""
    return max(2, math.ceil((_SUM_OF_QUANTILES * deviation / loss) ** 2 - 1e-9))


def power(deviation: float, cases: int, seed_variance: float, replicates: int, margin: float) -> Power:
    """Return what a comparison could tell.

    `seed_variance` is the sum of both arms' sample variances of their replicates' scores: with R replicates each it
    adds a R-th of itself to the variance of the difference. `replicates` is how many the arm with fewer has.
    """
    needed = cases_needed(deviation, margin)
    left = (margin / _SUM_OF_QUANTILES) ** 2 - deviation**2 / cases
    more = math.ceil(seed_variance / left - 1e-9) if left > 0 else 0
    return Power(
        detectable_loss(deviation, cases),
        needed if needed > cases else None,
        more if more > replicates else None,
    )
