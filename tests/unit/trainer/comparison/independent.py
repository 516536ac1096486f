"""The numbers of a comparison once more, written apart: plain loops, scipy, and nothing of the product.

Only what is drawn has to be drawn alike: `seed` is given, and the order of the draws is cases, baseline, candidate.
"""

import math
from typing import Any

import numpy as np
from scipy import stats

Scores = Any
"""Shape (replicates, cases, classes), NaN where there is no score."""


def score(one: Scores) -> float:
    """Return nnU-Net's foreground mean of one replicate's (cases, classes)."""
    of_classes = []
    for place in range(one.shape[1]):
        found = [value for value in one[:, place] if not math.isnan(value)]
        if found:
            of_classes.append(sum(found) / len(found))
    return float(sum(of_classes) / len(of_classes))


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


def interval_of_methods(
    baseline: Scores, candidate: Scores, seed: int, level: float, samples: int
) -> tuple[float, float]:
    """Return the interval by cases and replicates: seeds' own variance, and percentiles by Student's t."""
    random = np.random.default_rng(seed)
    cases = baseline.shape[1]
    drawn = random.integers(0, cases, (samples, cases))
    chosen = [random.integers(0, len(arm), (samples, len(arm))) for arm in (baseline, candidate)]
    ends, seeds = [], []
    for arm, places in zip((baseline, candidate), chosen, strict=True):
        number = len(arm)
        scores = np.array([[score(one[row]) for one in arm] for row in drawn])
        middle = np.array([sum(row) / number for row in scores])
        of_seed = scale = 0.0
        if number > 1:
            departing = sum(float(np.var(scores[:, place] - middle)) for place in range(number)) / number
            of_seed = max(0.0, float(np.var([score(one) for one in arm], ddof=1)) - departing * number / (number - 1))
            spread = float(np.var([float(np.mean(scores[:, place])) for place in range(number)], ddof=1))
            scale = math.sqrt(of_seed / spread * number / (number - 1))
        again = np.array(
            [sum(row[place] for place in taken) / number for row, taken in zip(scores, places, strict=True)]
        )
        ends.append(middle + scale * (again - middle))
        seeds.append((of_seed / number, number))
    found = ends[1] - ends[0]
    variance = float(np.var(found))
    rest = max(0.0, variance - sum(part for part, _ in seeds))
    below = rest**2 / (cases - 1) + sum(part**2 / (number - 1) for part, number in seeds if part)
    freedom = (rest + sum(part for part, _ in seeds)) ** 2 / below
    beyond = float(stats.norm.cdf(stats.t.ppf((1 - level) / 2, freedom)))
    return float(np.quantile(found, beyond)), float(np.quantile(found, 1 - beyond))


def interval_of_models(baseline: Scores, candidate: Scores, seed: int, level: float) -> tuple[float, float]:
    """Return scipy's paired BCa interval of two single models."""

    def statistic(places: Any) -> float:
        return score(candidate[0][places]) - score(baseline[0][places])

    found = stats.bootstrap(
        (np.arange(baseline.shape[1]),), statistic, n_resamples=9_999, method="BCa", vectorized=False,
        confidence_level=level, rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)


def interval_of_folds(baseline: Scores, candidate: Scores, folds: list[list[int]], level: float) -> tuple[float, float]:
    """Return the corrected resampled t interval of Nadeau and Bengio."""
    found = []
    for fold in folds:
        means = [sum(score(one[fold]) for one in arm) / len(arm) for arm in (baseline, candidate)]
        found.append(means[1] - means[0])
    cases = sum(map(len, folds))
    held_out = cases / len(folds)
    correction = 1 / len(folds) + held_out / (cases - held_out)
    error = math.sqrt(correction * float(np.var(found, ddof=1)))
    return tuple(float(end) for end in stats.t.interval(level, len(folds) - 1, sum(found) / len(found), error))  # type: ignore[return-value]


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


def p_permutation(differences: list[float], seed: int) -> float:
    """Return scipy's p of flipped signs."""
    return float(
        stats.permutation_test(
            (np.array(differences),), np.mean, permutation_type="samples", n_resamples=9_999, vectorized=True,
            rng=np.random.default_rng(seed),
        ).pvalue
    )  # fmt: skip
