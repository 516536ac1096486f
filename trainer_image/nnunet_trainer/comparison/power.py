"""How many cases, or patients where it is known who is whose, and replicates a margin needs."""

from dataclasses import dataclass

from nnunet_api.comparison.power import cases_needed, detectable_loss, replicates_needed


@dataclass(frozen=True)
class Power:
    """What these arms could tell, and what the margin would need."""

    detectable_loss: float
    """The smallest loss that this number of cases, or patients, shows in four of five comparisons."""
    units_needed: int | None
    """Cases, or patients with as many cases each, that a loss as large as the margin needs; None where there are as
    many."""
    replicates_needed: int | None
    """Replicates of each arm that it needs with the cases that there are; None where there are as many, or where more
    of them can't help."""


def power(deviation: float, units: int, seed_variance: float, replicates: int, margin: float) -> Power:
    """Return what a comparison of so many cases, or patients, could tell; `deviation` is that of their differences.

    `seed_variance` is the sum of both arms' sample variances of their replicates' scores: with R replicates each it
    adds a R-th of itself to the variance of the difference. `replicates` is how many the arm with fewer has.
    """
    needed = cases_needed(deviation, margin)
    more = replicates_needed(deviation, units, seed_variance, margin)
    return Power(
        detectable_loss(deviation, units),
        needed if needed > units else None,
        more if more is not None and more > replicates else None,
    )
