"""The difference of two arms with its interval, which belongs to the very number that is reported.

Where it is known who is whose, patients are drawn in the place of cases, each with all its cases (`counts_of_cases`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from nnunet_trainer.comparison.arms import Arm
from nnunet_trainer.scoring.aggregation import Array, aggregate, aggregate_counted, counts_of_cases

SAMPLES = 10_000
"""Bootstrap samples of cases, or patients, and replicates."""
CASE_SAMPLES = 9_999
"""Bootstrap samples of cases, or patients, alone."""
_BATCH = 500
_SAME = 1e-12
"""Differences closer than this are one."""

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
    """Return the estimate by a bootstrap of the cases, the same in both arms, with the luck of the seeds on top.

    Without the replicates' share the interval would hold for these weights alone (Bouthillier et al. 2021,
    arXiv 2103.03098). There are three to five of them, which to draw again with replacement gives few values, none of
    them far out: so their share is drawn from the normal distribution. How much they vary three can't tell well, and it
    is not known whether they vary alike in both arms. So there are two intervals, each right for one of that, and the
    ends are those that lie further out: by each arm's own variance, taken out to Student's t with Satterthwaite's
    degrees of freedom (Hesterberg 2014, arXiv 1411.5279, section 5.2), and by one variance for both arms, which is
    drawn as well, as uncertain as so many replicates leave it.
    """
    random = np.random.default_rng(seed)
    arms = (baseline, candidate)
    lower, upper = _sampled(arms, random.integers(0, baseline.unit_count, (SAMPLES, baseline.unit_count)))
    luck = random.standard_normal(SAMPLES)
    spreads = [_spread(arm, of_arm) for arm, of_arm in zip(arms, (lower, upper), strict=True)]
    differences = _widened(upper.mean(1) - lower.mean(1), np.bincount(baseline.units))
    of_arms = sum(one.by_seeds / one.replicates for one in spreads)
    apart, together = differences + np.sqrt(of_arms) * luck, differences + _luck_of_both(spreads, luck, random)
    scored = ~np.isnan(differences)  # a sample without any case that has a class has no score
    freedom = _degrees_of_freedom(spreads, _freedom_of_cases(arms), float(np.var(apart[scored])))

    def of_level(level: float) -> Interval:
        ends = [_ends(apart[scored], level, freedom), _ends(together[scored], level, math.inf)]
        return min(low for low, _ in ends), max(high for _, high in ends)

    return Estimate(candidate.mean() - baseline.mean(), of_level)


def _widened(sampled: Array, sizes: Array) -> Array:
    """Return samples as far apart as they should be: those of n cases vary by (n - 1) / n too little (Hesterberg).

    Of patients with several cases each, in `sizes`, that share is the expected squared residual of a weighted mean, the
    weights being the sizes, over the square of what it estimates: for equal sizes (n - 1) / n again.
    """
    middle = float(np.nanmean(sampled))
    squares, all_ = float((sizes**2).sum()), float(sizes.sum())
    share = 1 - 2 * float((sizes**3).sum()) / (all_ * squares) + squares / all_**2
    wide: Array = middle + (sampled - middle) / math.sqrt(share)
    return wide


def _ends(sampled: Array, level: float, freedom: float) -> Interval:
    """Return percentiles, as much further out as Student's t is wider than the normal distribution."""
    beyond = 100 * float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, freedom)))
    found: Array = np.percentile(sampled, [beyond, 100 - beyond])
    return float(found[0]), float(found[1])


def _sampled(arms: Sequence[Arm], drawn: Array) -> list[Array]:
    """Return for each arm the scores of its replicates on each sample; shape (samples, replicates)."""
    parts = []
    for start in range(0, len(drawn), _BATCH):
        counts = counts_of_cases(_counts(drawn[start : start + _BATCH], drawn.shape[1]), arms[0].units)
        parts.append([aggregate_counted(arm.values, counts) for arm in arms])
    return [np.concatenate(of_arm) for of_arm in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Spread:
    """The variance of an arm's replicates."""

    replicates: int
    all: float
    """Of their scores: by their seeds, and by their own errors on the cases."""
    by_cases: float
    """The latter, which the samples of the cases bring in already, and would count twice."""

    @property
    def by_seeds(self) -> float:
        return max(0.0, self.all - self.by_cases)


def _spread(arm: Arm, means: Array) -> _Spread:
    """Return the variance of an arm's replicates. In samples each departs from their mean by (1 - 1 / R) of its own."""
    if arm.replicates == 1:
        return _Spread(1, 0.0, 0.0)
    departures = float(np.nanvar(means - means.mean(1, keepdims=True), axis=0).mean())
    return _Spread(arm.replicates, float(np.var(arm.means(), ddof=1)), departures / (1 - 1 / arm.replicates))


def _luck_of_both(spreads: Sequence[_Spread], luck: Array, random: np.random.Generator) -> Array:
    """Return what seeds may have done to the difference, if they do the same in both arms.

    The variance is drawn from what the replicates leave possible: their sum of squares over chi squared (a generalized
    pivotal quantity: Weerahandi 1993, doi 10.1080/01621459.1993.10476355). An arm of one replicate tells nothing of it,
    and has its full share all the same.
    """
    told = [one for one in spreads if one.replicates > 1]
    freedom = sum(one.replicates - 1 for one in told)
    squares = sum((one.replicates - 1) * one.all for one in told)
    by_cases = sum((one.replicates - 1) * one.by_cases for one in told) / freedom
    variance = np.maximum(0.0, squares / random.chisquare(freedom, len(luck)) - by_cases)
    drawn: Array = np.sqrt(variance * sum(1 / one.replicates for one in spreads)) * luck
    return drawn


def _degrees_of_freedom(spreads: Sequence[_Spread], of_cases: float, variance: float) -> float:
    """Return those of a difference with this variance: of its cases and of each arm's seeds (Satterthwaite 1946)."""
    parts = [one.by_seeds / one.replicates for one in spreads]
    rest = max(0.0, variance - sum(parts))
    below = rest**2 / of_cases
    below += sum(part**2 / (one.replicates - 1) for part, one in zip(parts, spreads, strict=True) if part)
    return (rest + sum(parts)) ** 2 / below if below else math.inf


def _freedom_of_cases(arms: Sequence[Arm]) -> float:
    """Return the degrees of freedom of what the cases bring in: as many as there are cases, less one, or fewer.

    A class that few cases have counts as much as the others in the score, and then most of the variance is that of its
    few cases. Classes are taken to vary alike, and apart from each other (Satterthwaite 1946). So are patients, whose
    cases are taken to vary as one: who has many of them brings in most of the variance (Carter, Schnepel and
    Steigerwald 2017, doi 10.1162/REST_a_00639, have the same for regressions).
    """
    units, classes = arms[0].units, arms[0].values.shape[2]
    scored = np.logical_and.reduce([~np.isnan(arm.values).all(0) for arm in arms])  # (cases, classes)
    above = below = 0.0
    for place in range(classes):
        sizes = np.bincount(units, weights=scored[:, place])
        if sizes.any():
            part = float((sizes**2).sum() / sizes.sum() ** 2)
            above += part
            below += part**2 / max(1.0, float((sizes**2).sum() ** 2 / (sizes**4).sum()) - 1)
    return min(arms[0].unit_count - 1, above**2 / below)


def over_cases(baseline: Arm, candidate: Arm, seed: int) -> Estimate:
    """Return the estimate of two single models by a paired bootstrap of the cases (BCa, Efron 1987).

    BCa corrects for skew, and not for samples that vary too little. Where patients have unequal numbers of cases, a few
    of them make most of the variance: samples are widened then, and the percentiles that BCa comes to taken as much
    further out as Student's t is wider. Student's quantiles inside BCa's formula would turn its sign.
    """
    difference = candidate.mean() - baseline.mean()
    counts = counts_of_cases(_samples_of_units(seed, baseline.unit_count), baseline.units)
    drawn = (aggregate_counted(candidate.values, counts) - aggregate_counted(baseline.values, counts))[:, 0]
    known = drawn[~np.isnan(drawn)]  # a sample without any case that has a class has no score
    if np.ptp(known) < _SAME:
        return Estimate(difference, lambda level: (difference, difference))
    bias, acceleration, freedom = _bias(drawn, difference), _acceleration(baseline, candidate), math.inf
    # Where samples have no score, or one case alone gives the score, there is no correction.
    corrects = bool(np.isfinite([bias, acceleration, drawn.sum()]).all())
    if baseline.unit_count < len(baseline.cases):
        known = _widened(known, np.bincount(baseline.units))
        freedom = _freedom_of_cases((baseline, candidate))

    def of_level(level: float) -> Interval:
        beyond = np.array([0.5 * (1 - level), 0.5 * (1 + level)])
        if corrects:
            reach = bias + stats.norm.ppf(beyond)
            # Beyond its pole the formula has the wrong sign: there the end is the furthest sample.
            beyond = stats.norm.cdf(bias + reach / np.maximum(_SAME, 1 - acceleration * reach))
        if math.isfinite(freedom):
            beyond = stats.norm.cdf(stats.t.ppf(beyond, freedom))
        low, high = map(float, np.percentile(known, 100 * beyond))
        return min(low, difference), max(high, difference)  # with a large bias BCa may leave out the difference itself

    return Estimate(difference, of_level)


@lru_cache(maxsize=1)
def _samples_of_units(seed: int, units: int) -> Array:
    """Return how often each sample holds each patient, or case. The same for all arms and classes of a comparison."""
    return _counts(np.random.default_rng(seed).integers(0, units, (CASE_SAMPLES, units)), units)


def _bias(drawn: Array, difference: float) -> float:
    """Return how far the samples' median is from the difference, in standard normal deviates (z0)."""
    # A sample that holds each once is the difference again, but for the last digits.
    lower, upper = (np.count_nonzero(drawn < difference + beside) for beside in (-_SAME, _SAME))
    below = (lower + upper) / (2 * len(drawn))
    return float(stats.norm.ppf(below))


def _acceleration(baseline: Arm, candidate: Arm) -> float:
    """Return how much the spread changes with the difference, from leaving out each patient, or case (jackknife)."""
    units = baseline.unit_count
    left = counts_of_cases(np.ones((units, units)) - np.eye(units), baseline.units)
    without = (aggregate_counted(candidate.values, left) - aggregate_counted(baseline.values, left))[:, 0]
    departures = without.mean() - without
    with np.errstate(invalid="ignore", divide="ignore"):
        return float((departures**3).sum() / (6 * (departures**2).sum() ** 1.5))


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


def _counts(drawn: Array, units: int) -> Array:
    """Return how often each sample holds each of those that are drawn."""
    rows: Array = np.arange(len(drawn))[:, None] * units
    return np.bincount((drawn + rows).ravel(), minlength=len(drawn) * units).reshape(len(drawn), units).astype(float)


def _smallest(claimed: Callable[[float], bool]) -> float:
    """Return the smallest p up to 0.5 at which a claim holds, to 1e-4; 1 where none does."""
    low, high = 1e-4, 0.5 - 1e-9
    if not claimed(high):
        return 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if claimed(middle) else (middle, high)
    return high
