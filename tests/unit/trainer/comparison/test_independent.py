"""The product's numbers are those of a script that was written apart, to 1e-6, on five fixed sets of scores."""

import numpy as np
import pytest
from scipy import stats

from nnunet_trainer.comparison.arms import Arm
from nnunet_trainer.comparison.comparing import compare
from nnunet_trainer.comparison.estimate import SAMPLES
from tests.unit.trainer.comparison import independent
from tests.unit.trainer.comparison.made_arms import made

SETS = {
    "three seeds, one class": made(1, (3, 3), 24, differences=(0.0, -0.012)),
    "four and two seeds, classes that cases lack": made(2, (4, 2), 12, 3, lacking=0.3),
    "single models": made(3, (1, 1), 30, 2, differences=(0.0, 0.02), lacking=0.2),
    "single models that are nearly the same": made(4, (1, 1), 8, noise=1e-4, of_seeds=0.0),
    "cross-validation with two seeds": made(5, (2, 2), 25, 2, differences=(0.0, -0.01), folds=5),
}


@pytest.mark.parametrize("arms", SETS.values(), ids=SETS)
def test_the_numbers_are_those_of_an_independent_script(arms: list[Arm]) -> None:
    found = compare(arms, 0.01)
    baseline, candidate = (arm.values for arm in arms)
    (one,) = found.candidates
    if arms[0].folds:
        folds = [list(fold) for fold in arms[0].folds]
        expected = independent.interval_of_folds(baseline, candidate, folds, 0.95)
    elif len(baseline) == len(candidate) == 1:
        expected = independent.interval_of_models(baseline, candidate, found.seed, 0.95)
    else:
        expected = independent.interval_of_methods(baseline, candidate, found.seed, 0.95, SAMPLES)
    assert one.interval == pytest.approx(expected, abs=1e-6)
    if not arms[0].folds:
        assert one.estimate.difference == pytest.approx(independent.difference(baseline, candidate), abs=1e-9)
    by_case = independent.of_cases(baseline, candidate)
    differences = list(by_case.values())
    wilcoxon = stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert one.significance.p_wilcoxon == pytest.approx(wilcoxon, abs=1e-6)
    assert one.significance.p_permutation == pytest.approx(independent.p_permutation(differences, found.seed), abs=1e-6)
    assert one.significance.rank_biserial == pytest.approx(independent.rank_biserial(differences), abs=1e-6)
    assert one.share_worse == pytest.approx(sum(value < -0.01 for value in differences) / len(differences))
    names = [arms[0].cases[place] for place in sorted(by_case, key=by_case.__getitem__)[:5] if by_case[place] < 0]
    assert [case for case, _ in one.worst] == names
    assert one.power.detectable_loss == pytest.approx(
        2.487 * float(np.std(differences, ddof=1)) / len(differences) ** 0.5, abs=1e-6
    )
