"""Tests and effect sizes over the differences (candidate minus baseline) of patients, or of cases if none are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_trainer.comparison.arms import Arm, PatientDifferences
from nnunet_trainer.scoring.aggregation import Array

RESAMPLES = 9_999
"""Sign flips of the permutation test, where there are not fewer in all."""


@dataclass(frozen=True)
class Significance:
    """Two-sided p values of no difference, and how large the effect is."""

    p_wilcoxon: float
    """Wilcoxon's signed-rank test; differences of zero are ranked (Pratt 1959): ties at a Dice of 1 are common."""
    p_permutation: float
    """Sign flips of the mean difference."""
    rank_biserial: float
    """Matched pairs, -1 to 1: above 0 where the candidate is better (Kerby 2014)."""
    probability_better: float
    """That one replicate of the candidate beats one of the baseline; equal ones count half."""


def significance(baseline: Arm, candidate: Arm, differences: PatientDifferences, seed: int) -> Significance:
    """Return what the patients' differences and the replicates' scores say.

    All cases of a patient have one sign and one rank: signs are flipped by patient, and Wilcoxon's test and the effect
    are of the patients' means (a summary of each: Matthews et al. 1990, doi 10.1136/bmj.300.6719.230).
    """
    return Significance(
        p_wilcoxon=p_wilcoxon(differences.means),
        p_permutation=p_permutation(differences.sums, seed),
        rank_biserial=rank_biserial(differences.means),
        probability_better=probability_better(baseline, candidate),
    )


def p_wilcoxon(differences: Array, alternative: str = "two-sided") -> float:
    """Return p of the signed-rank test; 1 where none differs."""
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences, zero_method="pratt", alternative=alternative).pvalue)


def p_permutation(differences: Array, seed: int) -> float:
    """Return the two-sided p of the mean difference under flipped signs; 1 where none differs.

    Of patients the sums over their cases are given: the mean over all cases is theirs but for a factor.
    """
    if not np.any(differences):
        return 1.0

    def mean(sample: Array, axis: int) -> Array:
        return np.mean(sample, axis=axis)

    found = stats.permutation_test(
        (differences,), mean, permutation_type="samples", n_resamples=RESAMPLES, vectorized=True,
        rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.pvalue)


def rank_biserial(differences: Array) -> float:
    """Return (sum of the ranks of gains - sum of the ranks of losses) / sum of all; 0 where none differs."""
    changed = differences[differences != 0]
    if not len(changed):
        return 0.0
    ranks = stats.rankdata(np.abs(changed))
    return float((ranks[changed > 0].sum() - ranks[changed < 0].sum()) / ranks.sum())


def probability_better(baseline: Arm, candidate: Arm) -> float:
    """Return the share of pairs of replicates in which the candidate's scores more."""
    differences = candidate.means()[:, None] - baseline.means()[None, :]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def holm(values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number (Holm 1979), in the order given."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    adjusted, least = [1.0] * len(values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        adjusted[place] = least
    return adjusted
