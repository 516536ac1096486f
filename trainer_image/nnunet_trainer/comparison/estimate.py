"""The difference of two arms with its interval, which belongs to the very number that is reported."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_trainer.comparison.arms import Arm, Array, aggregate, aggregate_counted

SAMPLES = 10_000
"""Bootstrap samples of cases and replicates."""
CASE_SAMPLES = 9_999
"""Bootstrap samples of cases alone."""
_BATCH = 500

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """Candidate minus baseline."""

    difference: float
    of_level: Callable[[float], Interval]
    """The two-sided interval of a level between 0 and 1."""

    def interval(self, level: float) -> Interval:
        """Return the two-sided interval of a level between 0 and 1."""
        return self.of_level(level)

    def p_above(self, bound: float) -> float:
        """Return the one-sided p that the difference is not above a bound, from the intervals."""
        return _smallest(lambda p: self.of_level(1 - 2 * p)[0] > bound)

    def p_below(self, bound: float) -> float:
        """Return the one-sided p that the difference is not below a bound, from the intervals."""
        return _smallest(lambda p: self.of_level(1 - 2 * p)[1] < bound)


def estimate(baseline: Arm, candidate: Arm, seed: int) -> Estimate:
    """Return the difference of two arms, by the method that fits what they are.

    Cross-validation: the corrected resampled t of Nadeau and Bengio. One replicate each: a bootstrap of the cases
    (BCa), which tells two models apart, not two methods. Else a bootstrap of cases and replicates.
    """
    if baseline.folds:
        return across_folds(baseline, candidate)
    if baseline.replicates == candidate.replicates == 1:
        return over_cases(baseline, candidate, seed)
    return over_cases_and_replicates(baseline, candidate, seed)


def over_cases_and_replicates(baseline: Arm, candidate: Arm, seed: int) -> Estimate:
    """Return the estimate by a two-stage bootstrap: the same cases in both arms, replicates within each; percentiles.

    Without the replicates' share the interval would hold for these weights alone (Bouthillier et al. 2021,
    arXiv 2103.03098). The plain form of it is wrong for the three to five replicates that there are: `_of_seeds` says
    why for their spread, and because three can't tell their own spread well, the percentiles are taken further out, as
    Student's t is wider than the normal distribution (Hesterberg 2014, arXiv 1411.5279, section 5.2).
    """
    random = np.random.default_rng(seed)
    arms = (baseline, candidate)
    cases = len(baseline.cases)
    drawn = random.integers(0, cases, (SAMPLES, cases))
    chosen = [random.integers(0, arm.replicates, (SAMPLES, arm.replicates)) for arm in arms]
    means = [_sampled(arm, drawn) for arm in arms]
    of_seeds = [_of_seeds(arm, of_arm) for arm, of_arm in zip(arms, means, strict=True)]
    lower, upper = (
        _with_seeds(of_arm, places, variance) for of_arm, places, variance in zip(means, chosen, of_seeds, strict=True)
    )
    sampled = (upper - lower)[~np.isnan(upper - lower)]  # a sample without any case that has a class has no score
    freedom = _degrees_of_freedom(arms, of_seeds, float(np.var(sampled)))

    def of_level(level: float) -> Interval:
        beyond = 100 * float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, freedom)))
        low, high = np.percentile(sampled, [beyond, 100 - beyond])
        return float(low), float(high)

    return Estimate(candidate.mean() - baseline.mean(), of_level)


def _sampled(arm: Arm, drawn: Array) -> Array:
    """Return the scores of the replicates on each sample of the cases; shape (samples, replicates)."""
    parts = [
        aggregate_counted(arm.values, _counts(drawn[start : start + _BATCH], len(arm.cases)))
        for start in range(0, len(drawn), _BATCH)
    ]
    return np.concatenate(parts)


def _of_seeds(arm: Arm, means: Array) -> float:
    """Return the variance of an arm's replicates by their seeds alone.

    Their scores vary by more than that: each has its own errors on the cases. The samples of the cases bring those in
    already, and would count them twice. In the samples a replicate departs from the replicates' mean by
    (1 - 1 / R) of their variance.
    """
    if arm.replicates == 1:
        return 0.0
    departures = np.nanvar(means - means.mean(1, keepdims=True), axis=0).mean()
    of_cases = float(departures) / (1 - 1 / arm.replicates)
    return max(0.0, float(np.var(arm.means(), ddof=1)) - of_cases)


def _with_seeds(means: Array, chosen: Array, variance: float) -> Array:
    """Return an arm's score on each sample, with chosen replicates that vary as much as their seeds make them.

    Drawn with replacement R replicates vary by (R - 1) / R too little; the chosen ones are scaled to `variance`.
    """
    middle = means.mean(1)
    replicates = means.shape[1]
    spread = float(np.var(np.nanmean(means, 0), ddof=1)) if replicates > 1 else 0.0
    if spread == 0.0:
        return middle
    scale = math.sqrt(variance / spread * replicates / (replicates - 1))
    return middle + scale * (np.take_along_axis(means, chosen, 1).mean(1) - middle)


def _degrees_of_freedom(arms: Sequence[Arm], of_seeds: Sequence[float], variance: float) -> float:
    """Return those of a difference with this variance: of its cases and of each arm's seeds (Satterthwaite 1946)."""
    parts = [of_arm / arm.replicates for of_arm, arm in zip(of_seeds, arms, strict=True)]
    of_cases = max(0.0, variance - sum(parts))
    below = of_cases**2 / (len(arms[0].cases) - 1)
    below += sum(part**2 / (arm.replicates - 1) for part, arm in zip(parts, arms, strict=True) if part)
    return (of_cases + sum(parts)) ** 2 / below if below else math.inf


def over_cases(baseline: Arm, candidate: Arm, seed: int) -> Estimate:
    """Return the estimate of two single models by a paired bootstrap of the cases (BCa, Efron 1987)."""
    difference = candidate.mean() - baseline.mean()

    def statistic(places: Array, axis: int) -> Array:
        moved = np.moveaxis(places, axis, -1)
        return aggregate(candidate.values[0][moved]) - aggregate(baseline.values[0][moved])

    places = np.arange(len(baseline.cases))
    found = stats.bootstrap(
        (places,), statistic, n_resamples=CASE_SAMPLES, batch=_BATCH, method="percentile",
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    drawn = found.bootstrap_distribution
    drawn = drawn[~np.isnan(drawn)]  # a sample without any case that has a class has no score
    if np.ptp(drawn) < 1e-12:
        return Estimate(difference, lambda level: (difference, difference))

    def of_level(level: float) -> Interval:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            again = stats.bootstrap(
                (places,), statistic, n_resamples=0, batch=_BATCH, method="BCa", confidence_level=level,
                bootstrap_result=found,
            ).confidence_interval  # fmt: skip
        if math.isnan(again.low) or math.isnan(again.high):
            low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
            return float(low), float(high)
        return float(again.low), float(again.high)

    return Estimate(difference, of_level)


def across_folds(baseline: Arm, candidate: Arm) -> Estimate:
    """Return the estimate from cross-validation: the corrected resampled t (Nadeau and Bengio 2003, eq. 9).

    The variance of the folds' differences counts (1/J + n_val/n_train) times, because the folds share training cases:
    without that a difference is claimed far too often.
    """
    differences = np.array(
        [
            float(np.mean(aggregate(candidate.values[:, fold])) - np.mean(aggregate(baseline.values[:, fold])))
            for fold in map(list, baseline.folds)
        ]
    )
    folds = len(differences)
    if np.isnan(differences).any():
        raise ValueError(
            "a fold has no validation case with a score of these classes: name others in spec.classes, or give testSet"
        )
    if folds < 2:
        raise ValueError("cross-validation of one fold: there is no spread to judge a difference by")
    deviation = math.sqrt((1 / folds + 1 / (folds - 1)) * float(np.var(differences, ddof=1)))
    mean = float(np.mean(differences))

    def of_level(level: float) -> Interval:
        reach = float(stats.t.ppf((1 + level) / 2, folds - 1)) * deviation
        return mean - reach, mean + reach

    return Estimate(mean, of_level)


def _counts(drawn: Array, cases: int) -> Array:
    """Return how often each sample holds each case."""
    rows: Array = np.arange(len(drawn))[:, None] * cases
    return np.bincount((drawn + rows).ravel(), minlength=len(drawn) * cases).reshape(len(drawn), cases).astype(float)


def _smallest(claimed: Callable[[float], bool]) -> float:
    """Return the smallest p up to 0.5 at which a claim holds, to 1e-4; 1 where none does."""
    low, high = 1e-4, 0.5 - 1e-9
    if not claimed(high):
        return 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if claimed(middle) else (middle, high)
    return high
