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
    return sum(of_classes) / len(of_classes)


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
    """Return the interval by cases and replicates: rescaled, with percentiles by Student's t."""
    random = np.random.default_rng(seed)
    cases = baseline.shape[1]
    drawn = random.integers(0, cases, (samples, cases))
    chosen = [random.integers(0, len(arm), (samples, len(arm))) for arm in (baseline, candidate)]
    found = []
    for sample in range(samples):
        means = []
        for arm, places in zip((baseline, candidate), chosen, strict=True):
            scores = [score(one[drawn[sample]]) for one in arm]
            middle = sum(scores) / len(scores)
            if len(arm) > 1:
                again = sum(scores[place] for place in places[sample]) / len(scores)
                middle += math.sqrt(len(arm) / (len(arm) - 1)) * (again - middle)
            means.append(middle)
        found.append(means[1] - means[0])
    variance = float(np.var(found))
    seeds = [
        float(np.var([score(one) for one in arm], ddof=1)) / len(arm) if len(arm) > 1 else 0.0
        for arm in (baseline, candidate)
    ]
    rest = max(0.0, variance - sum(seeds))
    below = rest**2 / (cases - 1)
    for part, arm in zip(seeds, (baseline, candidate), strict=True):
        if part:
            below += part**2 / (len(arm) - 1)
    freedom = (rest + sum(seeds)) ** 2 / below
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
