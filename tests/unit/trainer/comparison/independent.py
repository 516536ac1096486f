"""The numbers of a comparison once more, written apart: plain loops, scipy, and nothing of the product.

Only what is drawn has to be drawn alike: `seed` is given, and the order of the draws is patients, luck, variance.

Patients are drawn with replacement, each with all its cases: the randomized cluster bootstrap of Field and Welsh 2007
(doi 10.1111/j.1467-9868.2007.00593.x), which is the first strategy of Davison and Hinkley 1997, section 3.8. `patients`
has the places of each one's cases; where nobody says who is whose, of each case alone.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import stats

Scores = Any
"""Shape (replicates, cases, classes), NaN where there is no score."""
Patients = Sequence[Sequence[int]]
"""For each patient the places of its cases."""
Interval = Callable[[float], tuple[float, float]]
"""Level -> low and high end."""


def score(one: Scores) -> float:
    """Return nnU-Net's foreground mean of one replicate's (cases, classes)."""
    of_classes = []
    for place in range(one.shape[1]):
        found = [value for value in one[:, place] if not math.isnan(value)]
        if found:
            of_classes.append(sum(found) / len(found))
    return float(sum(of_classes) / len(of_classes)) if of_classes else math.nan


def difference(baseline: Scores, candidate: Scores) -> float:
    """Return the difference of the arms' scores."""
    means = [sum(score(one) for one in arm) / len(arm) for arm in (baseline, candidate)]
    return means[1] - means[0]


def of_cases(baseline: Scores, candidate: Scores) -> dict[int, float]:
    """Return the difference on each case that has one."""
    found = {}
    for case in range(baseline.shape[1]):
        values = []
        for place in range(baseline.shape[2]):
            means = [[one for one in arm[:, case, place] if not math.isnan(one)] for arm in (baseline, candidate)]
            if all(means):
                values.append(sum(means[1]) / len(means[1]) - sum(means[0]) / len(means[0]))
        if values:
            found[case] = sum(values) / len(values)
    return found


def by_patient(found: dict[int, float], patients: Patients) -> list[list[float]]:
    """Return the differences of each patient's cases; of those patients alone that have one."""
    of_each = [[found[case] for case in of if case in found] for of in patients]
    return [one for one in of_each if one]


def standard_error(of_patients: list[list[float]]) -> float:
    """Return the standard error of the mean of all cases, a ratio of sums over patients (linearized)."""
    number = len(of_patients)
    cases = sum(map(len, of_patients))
    mean = sum(map(sum, of_patients)) / cases
    rests = [sum(value - mean for value in one) for one in of_patients]
    return math.sqrt(number / (number - 1) * sum(rest**2 for rest in rests)) / cases


def interval_of_methods(baseline: Scores, candidate: Scores, seed: int, samples: int, patients: Patients) -> Interval:
    """Return the wider interval by patients and seeds: with variances of their own or one for both, by Student's t."""
    random = np.random.default_rng(seed)
    number_of = len(patients)
    drawn = [
        [case for one in sample for case in patients[one]]
        for sample in random.integers(0, number_of, (samples, number_of))
    ]
    luck = random.standard_normal(samples)
    middles, own, pooled, parts = [], 0.0, [0.0, 0.0, 0.0], []
    for arm in (baseline, candidate):
        number = len(arm)
        # A sample without any case that has a class has no score: it is left out.
        scores = np.array([[score(one[row]) for one in arm] for row in drawn])
        middle = np.array([sum(row) / number for row in scores])
        middles.append(middle)
        if number > 1:
            told = ~np.isnan(middle)
            departing = sum(float(np.var((scores[:, place] - middle)[told])) for place in range(number)) / number
            departing *= number / (number - 1)
            whole = float(np.var([score(one) for one in arm], ddof=1))
            own += max(0.0, whole - departing) / number
            parts.append((max(0.0, whole - departing) / number, number - 1))
            more = (number - 1, (number - 1) * whole, (number - 1) * departing)
            pooled = [one + other for one, other in zip(pooled, more, strict=True)]
    freedom, squares, departed = pooled
    shares = 1 / len(baseline) + 1 / len(candidate)
    both = [max(0.0, squares / chi - departed / freedom) for chi in random.chisquare(freedom, samples)]
    found = middles[1] - middles[0]
    centre = float(np.mean(found[~np.isnan(found)]))
    further_out = math.sqrt(residual_share(patients))
    wide = [centre + (one - centre) / further_out for one in found]
    apart = np.array([one + math.sqrt(own) * by for one, by in zip(wide, luck, strict=True)])
    together = np.array([one + math.sqrt(of * shares) * by for one, of, by in zip(wide, both, luck, strict=True)])
    apart, together = apart[~np.isnan(apart)], together[~np.isnan(together)]
    of_cases = min(number_of - 1, freedom_of_classes(baseline, candidate, patients))
    rest = max(0.0, float(np.var(apart)) - own)
    below = rest**2 / of_cases + sum(part**2 / free for part, free in parts)
    of_both = (rest + own) ** 2 / below

    def of_level(level: float) -> tuple[float, float]:
        ends = []
        further = float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, of_both)))
        for drawn_, beyond in ((apart, further), (together, (1 - level) / 2)):
            ends.append((float(np.quantile(drawn_, beyond)), float(np.quantile(drawn_, 1 - beyond))))
        return min(low for low, _ in ends), max(high for _, high in ends)

    return of_level


def residual_share(patients: Patients) -> float:
    """Return the expected squared residual of a mean that is weighted by sizes, as a share of what it estimates.

    By the matrix that makes residuals of patients' values of equal variance.
    """
    sizes = np.array([len(one) for one in patients], dtype=float)
    residuals = np.eye(len(sizes)) - np.outer(np.ones(len(sizes)), sizes / sizes.sum())
    variances = np.diag(residuals @ residuals.T)
    return float((sizes**2 * variances).sum() / (sizes**2).sum())


def freedom_of_classes(baseline: Scores, candidate: Scores, patients: Patients) -> float:
    """Return the degrees of freedom of a mean of classes' means, each over its own cases of each patient."""
    above = below = 0.0
    for place in range(baseline.shape[2]):
        sizes = [
            sum(
                all(any(not math.isnan(one) for one in arm[:, case, place]) for arm in (baseline, candidate))
                for case in of
            )
            for of in patients
        ]
        if cases := sum(sizes):
            # The variance is a sum of each patient's square, weighted by the square of its share of the cases.
            weights = [(size / cases) ** 2 for size in sizes]
            freedom = sum(weights) ** 2 / sum(weight**2 for weight in weights) - 1
            above += sum(weights)
            below += sum(weights) ** 2 / max(1.0, freedom)
    return above**2 / below


def interval_of_models(baseline: Scores, candidate: Scores, seed: int, samples: int, patients: Patients) -> Interval:
    """Return scipy's paired BCa interval of two single models."""

    def statistic(drawn: Any) -> float:
        places = [case for one in drawn for case in patients[int(one)]]
        # Each patient once, in whatever order, is one value: to the digits that the order of a sum leaves.
        return round(score(candidate[0][places]) - score(baseline[0][places]), 12)

    if any(len(of) > 1 for of in patients):
        return _bca_of_few(baseline, candidate, np.random.default_rng(seed), samples, statistic, patients)

    def of_level(level: float) -> tuple[float, float]:
        found = stats.bootstrap(
            (np.arange(len(patients)),), statistic, n_resamples=samples, method="BCa", vectorized=False,
            confidence_level=level, rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
        return float(found.low), float(found.high)

    return of_level


def _bca_of_few(
    baseline: Scores,
    candidate: Scores,
    random: Any,
    samples: int,
    statistic: Callable[[Any], float],
    patients: Patients,
) -> Interval:
    """Return the BCa interval of samples that are widened, as much further out as Student's t is wider."""
    number = len(patients)
    every = [statistic(sample) for sample in random.integers(0, number, (samples, number))]
    told = [one for one in every if not math.isnan(one)]
    whole = statistic(range(number))
    ties = sum(one == whole for one in every)
    bias = stats.norm.ppf((sum(one < whole for one in every) + ties / 2) / len(every))
    without = [statistic([one for one in range(number) if one != left]) for left in range(number)]
    departures = [sum(without) / number - one for one in without]
    skew = sum(one**3 for one in departures) / (6 * sum(one**2 for one in departures) ** 1.5)
    middle = sum(told) / len(told)
    further_out = math.sqrt(residual_share(patients))
    wide = [middle + (one - middle) / further_out for one in told]
    freedom = min(number - 1, freedom_of_classes(baseline, candidate, patients))

    def of_level(level: float) -> tuple[float, float]:
        ends = []
        for share in ((1 - level) / 2, (1 + level) / 2):
            reach = bias + float(stats.norm.ppf(share))
            moved = float(stats.norm.cdf(bias + reach / (1 - skew * reach)))
            broken = math.isnan(moved) or len(told) < len(every)
            further = float(stats.t.ppf(share if broken else moved, freedom))
            ends.append(float(np.quantile(wide, stats.norm.cdf(further))))
        return ends[0], ends[1]

    return of_level


def interval_of_folds(baseline: Scores, candidate: Scores, folds: list[list[int]]) -> Interval:
    """Return the corrected resampled t interval of Nadeau and Bengio."""
    found = []
    for fold in folds:
        means = [sum(score(one[fold]) for one in arm) / len(arm) for arm in (baseline, candidate)]
        found.append(means[1] - means[0])
    cases = sum(map(len, folds))
    held_out = cases / len(folds)
    correction = 1 / len(folds) + held_out / (cases - held_out)
    error = math.sqrt(correction * float(np.var(found, ddof=1)))

    def of_level(level: float) -> tuple[float, float]:
        low, high = stats.t.interval(level, len(folds) - 1, sum(found) / len(found), error)
        return float(low), float(high)

    return of_level


def verdicts(intervals: Sequence[Interval], margin: float, alpha: float) -> list[str]:
    """Return the verdicts, by closed testing in the place of Holm's steps (Marcus, Peritz and Gabriel 1976).

    A claim about an arm holds if in each set of arms that it is in, one has it at alpha / (number of arms in the set).
    """

    def above(interval: Interval, bound: float, p: float) -> bool:
        return interval(1 - 2 * p)[0] > bound

    def below(interval: Interval, bound: float, p: float) -> bool:
        return interval(1 - 2 * p)[1] < bound

    claims: dict[str, Callable[[Interval, int], bool]] = {
        "Superior": lambda one, many: above(one, 0, alpha / 2 / many),
        "Inferior": lambda one, many: below(one, -margin, alpha / 2 / many),
        "Equivalent": lambda one, many: above(one, -margin, alpha / 2 / many) and below(one, margin, alpha / many),
        "NonInferior": lambda one, many: above(one, -margin, alpha / 2 / many),
    }
    places = range(len(intervals))
    sets = [chosen for size in range(1, len(intervals) + 1) for chosen in itertools.combinations(places, size)]

    def holds(claim: Callable[[Interval, int], bool], place: int) -> bool:
        return all(any(claim(intervals[one], len(of)) for one in of) for of in sets if place in of)

    return [next((name for name in claims if holds(claims[name], place)), "Inconclusive") for place in places]


def adjusted(values: Sequence[float]) -> list[float]:
    """Return p values adjusted by closed testing with Bonferroni's, which is Holm's."""
    places = range(len(values))
    sets = [chosen for size in range(1, len(values) + 1) for chosen in itertools.combinations(places, size)]
    return [max(min(1.0, len(of) * min(values[one] for one in of)) for of in sets if place in of) for place in places]


def ranks(scores: Sequence[float]) -> list[float]:
    """Return ranks, 1 for the highest; equal ones share theirs."""
    return [1 + sum(other > one for other in scores) + (scores.count(one) - 1) / 2 for one in scores]


def rank_biserial(differences: list[float]) -> float:
    """Return (favourable - unfavourable) / all, of the ranks of the sizes."""
    changed = [value for value in differences if value]
    sizes = sorted(abs(value) for value in changed)

    def rank(value: float) -> float:
        places = [place + 1 for place, size in enumerate(sizes) if size == abs(value)]
        return sum(places) / len(places)

    gains = sum(rank(value) for value in changed if value > 0)
    losses = sum(rank(value) for value in changed if value < 0)
    return (gains - losses) / (gains + losses) if changed else 0.0


def p_permutation(of_patients: list[list[float]], seed: int) -> float:
    """Return scipy's p of signs that are flipped for all cases of a patient at once."""
    cases = sum(map(len, of_patients))
    shares = [sum(one) * len(of_patients) / cases for one in of_patients]  # whose mean is that of all cases
    return float(
        stats.permutation_test(
            (np.array(shares),), np.mean, permutation_type="samples", n_resamples=9_999, vectorized=True,
            rng=np.random.default_rng(seed),
        ).pvalue
    )  # fmt: skip
