"""How many cases and replicates a margin needs: before anything trains, and after. For operator, trainer and lint."""

import math
from dataclasses import dataclass

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.comparison.words import points

POWER = 0.8
_SUM_OF_QUANTILES = 2.487
"""Of the normal distribution: 95 % (one-sided 5 %) and 80 % power; 1.645 + 0.842."""


def detectable_loss(deviation: float, cases: int) -> float:
    """Return the smallest loss that is detected with a power of 80 % at one-sided 5 %.

    `deviation` is the standard deviation of the cases' differences, in the unit of the loss.
    """
    return _SUM_OF_QUANTILES * deviation / math.sqrt(cases)


def cases_needed(deviation: float, loss: float) -> int:
    """Return how many cases detect a loss (above 0) with a power of 80 % at one-sided 5 %."""
    return max(2, math.ceil((_SUM_OF_QUANTILES * deviation / loss) ** 2 - 1e-9))


def replicates_needed(deviation: float, cases: int, seed_variance: float, loss: float) -> int | None:
    """Return how many replicates of each arm detect a loss with these cases; None where no number of them does.

    `seed_variance` is the sum of both arms' variances by their seeds: with R replicates each it adds a R-th of itself
    to the variance of the difference.
    """
    left = (loss / _SUM_OF_QUANTILES) ** 2 - deviation**2 / cases
    return max(1, math.ceil(seed_variance / left - 1e-9)) if left > 0 else None


@dataclass(frozen=True)
class Spread:
    """How differences are expected to spread."""

    deviation: float
    """Standard deviation of the difference over the cases, or patients, in Dice (0 to 1)."""
    cases: int | None = None
    """Cases of the comparison that it is known from, or patients."""
    seed_variance: float | None = None
    """Sum of two arms' variances over their replicates there."""
    of_patients: bool = False
    """It is over patients: that comparison knew who is whose."""


def spread_of(pilot: NnunetComparisonStatus) -> Spread | None:
    """Return the largest spread that a comparison has found; None where it has found none."""
    losses = [one.detectable_loss for one in pilot.verdicts if one.detectable_loss is not None]
    if not losses or not pilot.cases:
        return None
    spreads = sorted((arm.spread for arm in pilot.arms if arm.spread is not None), reverse=True)[:2]
    seeds = sum(spread**2 for spread in spreads) if len(spreads) == 2 else None
    units = pilot.patients or pilot.cases
    deviation = max(losses) * math.sqrt(units) / _SUM_OF_QUANTILES
    return Spread(deviation, units, seeds, of_patients=bool(pilot.patients))


def expectation(spec: NnunetComparisonSpec, pilot: NnunetComparisonStatus | None = None) -> str:
    """Return what the margin needs, in a sentence; "" where no spread is expected. `pilot` is that of spec.pilot."""
    if spec.expected_difference_sd is not None:
        return _needs(spec, Spread(spec.expected_difference_sd), "")
    if spec.pilot is None:
        return ""
    found = spread_of(pilot) if pilot else None
    if found is None:
        return f"how many cases the margin needs is not known: comparison {spec.pilot} (spec.pilot) has no verdict yet"
    return _needs(spec, found, f", as in comparison {spec.pilot}")


def _needs(spec: NnunetComparisonSpec, spread: Spread, whence: str) -> str:
    loss, one = spec.max_dice_loss, "patient" if spread.of_patients else "case"
    whom = "patients" if spread.of_patients else "test cases"
    said = (
        f"it takes {cases_needed(spread.deviation, loss)} {whom} to tell a loss of {points(loss)} (power 80 %, "
        f"one-sided 5 %) where the arms differ by {points(spread.deviation)} from {one} to {one} (standard deviation)"
        f"{whence}"
    )
    if spread.cases is not None and spread.seed_variance is not None:
        more = replicates_needed(spread.deviation, spread.cases, spread.seed_variance, loss)
        enough = f"{more} replicates of each arm" if more else "more replicates do not help"
        said += f"; with the {spread.cases} {one}s of that one: {enough}"
    return f"{said}; with fewer the verdict is likely Inconclusive"
