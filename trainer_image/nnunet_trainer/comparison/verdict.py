"""From intervals to one of a closed set of verdicts."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_trainer.comparison.estimate import Estimate  # with SciPy's statistics, which words need not


class Verdict(StrEnum):
    """What is shown of a candidate against the baseline. Never "no difference" because a p value is large."""

    SUPERIOR = "Superior"
    """The whole interval is above 0."""
    INFERIOR = "Inferior"
    """The whole interval is below -margin: the loss is larger than what is accepted."""
    EQUIVALENT = "Equivalent"
    """NonInferior, and the gain is below the margin as well (interval of 1 - 2 alpha): two one-sided tests.

    That of the loss is the stricter one. With alpha for both, as usual, a loss that is not accepted would pass as
    equivalent twice as often as it passes as NonInferior."""
    NON_INFERIOR = "NonInferior"
    """The whole interval is above -margin: the loss, if any, is smaller than what is accepted."""
    INCONCLUSIVE = "Inconclusive"
    """Nothing of all that is shown: more cases or more replicates are needed."""


Claim = Callable[["Estimate", float], bool]
"""Whether a claim about a difference holds at a one-sided level."""


def verdicts(estimates: Sequence["Estimate"], margin: float, alpha: float) -> list[Verdict]:
    """Return the verdict on each candidate: the first of the set that holds.

    With several candidates each claim is adjusted for their number by Holm's steps (1979): the one with the smallest p
    has to hold at alpha / m, the next at alpha / (m - 1), and none after the first that does not hold.
    """
    half = alpha / 2  # a two-sided interval of 1 - alpha
    shown = {
        Verdict.SUPERIOR: _holm(estimates, half, lambda e: e.p_above(0.0), lambda e, p: _above(e, 0.0, p)),
        Verdict.INFERIOR: _holm(estimates, half, lambda e: e.p_below(-margin), lambda e, p: _below(e, -margin, p)),
        Verdict.EQUIVALENT: _holm(
            estimates,
            alpha,
            lambda e: max(2 * e.p_above(-margin), e.p_below(margin)),
            lambda e, p: _above(e, -margin, p / 2) and _below(e, margin, p),
        ),
        Verdict.NON_INFERIOR: _holm(estimates, half, lambda e: e.p_above(-margin), lambda e, p: _above(e, -margin, p)),
    }
    return [
        next((verdict for verdict, of in shown.items() if of[place]), Verdict.INCONCLUSIVE)
        for place in range(len(estimates))
    ]


def _above(estimate: "Estimate", bound: float, p: float) -> bool:
    return estimate.interval(1 - 2 * p)[0] > bound


def _below(estimate: "Estimate", bound: float, p: float) -> bool:
    return estimate.interval(1 - 2 * p)[1] < bound


def _holm(
    estimates: Sequence["Estimate"], level: float, p_of: Callable[["Estimate"], float], claim: Claim
) -> list[bool]:
    """Return for which estimates a claim holds; of a single one, simply whether it does."""
    count = len(estimates)
    if count == 1:
        return [claim(estimates[0], level)]
    p_values = list(map(p_of, estimates))
    held = [False] * count
    for step, place in enumerate(sorted(range(count), key=lambda place: p_values[place])):
        if not claim(estimates[place], level / (count - step)):
            break
        held[place] = True
    return held
