"""The product's numbers are those of a script that was written apart, to 1e-6, on fixed sets of scores."""

import numpy as np
import pytest
from scipy import stats

from nnunet_trainer.comparison.arms import Arm
from nnunet_trainer.comparison.comparing import Candidate, compare
from nnunet_trainer.comparison.estimate import SAMPLES
from tests.unit.trainer.comparison import independent
from tests.unit.trainer.comparison.made_arms import made

MARGIN, ALPHA = 0.01, 0.05


def with_a_rare_class(arms: list[Arm]) -> list[Arm]:
    """Return arms whose last class is in five cases alone."""
    for arm in arms:
        arm.values[:, 5:, -1] = np.nan
    return arms


SETS = {
    "three seeds, one class": made(1, (3, 3), 24, differences=(0.0, -0.012)),
    "four and two seeds, classes that cases lack": made(2, (4, 2), 12, 3, lacking=0.3),
    "four seeds against a single model": made(8, (4, 1), 24, of_seeds=0.01),
    "single models": made(3, (1, 1), 30, 2, differences=(0.0, 0.02), lacking=0.2),
    "single models that are nearly the same": made(4, (1, 1), 8, noise=1e-4, of_seeds=0.0),
    "cross-validation with two seeds": made(5, (2, 2), 25, 2, differences=(0.0, -0.01), folds=5),
    "three seeds, a rare class": with_a_rare_class(made(6, (3, 3), 20, 2, differences=(0.0, 0.03))),
    "three arms": made(7, (3, 3, 3), 24, differences=(0.0, -0.05, 0.004), noise=0.01, of_seeds=0.001),
}


@pytest.mark.parametrize("arms", SETS.values(), ids=SETS)
def test_the_numbers_are_those_of_an_independent_script(arms: list[Arm]) -> None:
    found = compare(arms, MARGIN, ALPHA)
    intervals = [interval(arms[0], arm, found.seed) for arm in arms[1:]]
    assert [one.verdict for one in found.candidates] == independent.verdicts(intervals, MARGIN, ALPHA)
    for one, of_level in zip(found.candidates, intervals, strict=True):
        assert one.interval == pytest.approx(of_level(1 - ALPHA), abs=1e-6)
        same_tests(arms[0], one, found.seed)
        for place, name in enumerate(arms[0].classes if len(arms[0].classes) > 1 else ()):
            baseline, candidate = arms[0].of_class(place), one.arm.of_class(place)
            of_class = interval(baseline, candidate, found.seed)(1 - ALPHA)
            assert one.classes[name][1:] == pytest.approx(of_class, abs=1e-6), name
    p_values = [(one.significance.p_wilcoxon, one.significance.p_permutation) for one in found.candidates]
    for place, of_test in enumerate(zip(*p_values, strict=True)):
        assert [both[place] for both in found.adjusted] == pytest.approx(independent.adjusted(of_test), abs=1e-9)
    if found.ranks:
        of_arms = [sum(map(independent.score, arm.values)) / arm.replicates for arm in arms]
        assert list(found.ranks.aggregate_then_rank) == independent.ranks(of_arms)


def interval(baseline: Arm, candidate: Arm, seed: int) -> independent.Interval:
    """Return the interval by the script's method for such arms."""
    if baseline.folds:
        folds = [list(fold) for fold in baseline.folds]
        return independent.interval_of_folds(baseline.values, candidate.values, folds)
    if baseline.replicates == candidate.replicates == 1:
        return independent.interval_of_models(baseline.values, candidate.values, seed)
    return independent.interval_of_methods(baseline.values, candidate.values, seed, SAMPLES)


def same_tests(arm: Arm, one: Candidate, seed: int) -> None:
    """Hold what is said of the cases against the script."""
    baseline, candidate = arm.values, one.arm.values
    if not arm.folds:
        assert one.estimate.difference == pytest.approx(independent.difference(baseline, candidate), abs=1e-9)
    by_case = independent.of_cases(baseline, candidate)
    differences = list(by_case.values())
    wilcoxon = stats.wilcoxon(differences, zero_method="pratt").pvalue
    assert one.significance.p_wilcoxon == pytest.approx(wilcoxon, abs=1e-6)
    assert one.significance.p_permutation == pytest.approx(independent.p_permutation(differences, seed), abs=1e-6)
    assert one.significance.rank_biserial == pytest.approx(independent.rank_biserial(differences), abs=1e-6)
    assert one.share_worse == pytest.approx(sum(value < -MARGIN for value in differences) / len(differences))
    names = [arm.cases[place] for place in sorted(by_case, key=by_case.__getitem__)[:5] if by_case[place] < 0]
    assert [case for case, _ in one.worst] == names
    assert one.power.detectable_loss == pytest.approx(
        2.487 * float(np.std(differences, ddof=1)) / len(differences) ** 0.5, abs=1e-6
    )
