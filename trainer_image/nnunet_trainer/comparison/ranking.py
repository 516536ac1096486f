"""Ranks of three and more arms, and how stable they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_trainer.comparison.arms import Arm, by_patient, case_differences
from nnunet_trainer.comparison.significance import holm, p_wilcoxon
from nnunet_trainer.scoring.aggregation import Array, aggregate_counted, counts_of_cases, mean_of_known

SAMPLES = 1_000
"""Bootstrap samples of the patients, or of the cases where nobody says who is whose."""


@dataclass(frozen=True)
class Ranking:
    """Ranks, 1 = best, in the order of the arms."""

    aggregate_then_rank: tuple[float, ...]
    """By the arms' scores."""
    rank_then_aggregate: tuple[float, ...]
    """By the means of their ranks on each case."""
    intervals: tuple[tuple[float, float], ...]
    """95 % of the samples rank an arm (aggregate-then-rank) between these."""
    better_than: tuple[tuple[bool, ...], ...]
    """Row, column: the row's arm is better than the column's (one-sided Wilcoxon at alpha, Holm over all pairs)."""


def ranking(arms: Sequence[Arm], alpha: float, seed: int) -> Ranking:
    """Return the ranks of the arms (Wiesenfarth et al. 2021, doi 10.1038/s41598-021-82017-6)."""
    of_cases = np.stack([mean_of_known(mean_of_known(arm.values, 0), -1) for arm in arms])  # (arms, cases)
    scored = of_cases[:, ~np.isnan(of_cases).any(0)]
    places = stats.rankdata(-scored, axis=0).mean(1)
    sampled = _sampled_ranks(arms, seed)
    return Ranking(
        aggregate_then_rank=tuple(map(float, stats.rankdata([-arm.mean() for arm in arms]))),
        rank_then_aggregate=tuple(map(float, stats.rankdata(places))),
        intervals=tuple((float(low), float(high)) for low, high in np.percentile(sampled, [2.5, 97.5], axis=0).T),
        better_than=_significance_map(arms, alpha),
    )


def _sampled_ranks(arms: Sequence[Arm], seed: int) -> Array:
    random = np.random.default_rng(seed)
    units = arms[0].unit_count
    counts = random.multinomial(units, [1 / units] * units, SAMPLES).astype(float)
    counts = counts_of_cases(counts, arms[0].units)
    means = np.stack([aggregate_counted(arm.values, counts).mean(1) for arm in arms], 1)
    return stats.rankdata(-means[~np.isnan(means).any(1)], axis=1)


def _significance_map(arms: Sequence[Arm], alpha: float) -> tuple[tuple[bool, ...], ...]:
    pairs = [(row, column) for row in range(len(arms)) for column in range(len(arms)) if row != column]
    p_values = []
    for row, column in pairs:
        differences = case_differences(arms[column], arms[row])
        known = ~np.isnan(differences)
        p_values.append(p_wilcoxon(by_patient(differences[known], arms[row].units[known]).means, "greater"))
    better = dict(zip(pairs, (p <= alpha for p in holm(p_values)), strict=True))
    return tuple(tuple(better.get((row, column), False) for column in range(len(arms))) for row in range(len(arms)))
