"""The product's numbers are those of a script that was written apart, to 1e-6, on fixed sets of scores."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from scipy import stats

from nnunet_trainer.comparison import estimate
from nnunet_trainer.comparison.arms import Arm
from nnunet_trainer.comparison.comparing import Candidate, compare
from tests.support import sizes
from tests.unit.trainer.comparison import independent
from tests.unit.trainer.comparison.made_arms import clustered, made

MARGIN, ALPHA = 0.01, 0.05


def with_a_rare_class(arms: list[Arm]) -> list[Arm]:
    """Return arms whose last class is in five cases alone."""
    for arm in arms:
        arm.values[:, 5:, -1] = float("nan")
    return arms


def in_folds(arms: list[Arm]) -> list[Arm]:
    """Return arms as a cross-validation of three folds leaves them, none of which tears a patient apart."""
    folds = tuple(tuple(place for place, one in enumerate(arms[0].patients) if one % 3 == fold) for fold in range(3))
    return [replace(arm, folds=folds) for arm in arms]


SIZES = (1, 4, 2, 1, 7, 3, 1, 1, 2)
"""Cases of each patient."""
SETS = {
    "three seeds, one class": made(1, (3, 3), 24, differences=(0.0, -0.012)),
    "four and two seeds, classes that cases lack": made(2, (4, 2), 12, 3, lacking=0.3),
    "four seeds against a single model": made(8, (4, 1), 24, of_seeds=0.01),
    "single models": made(3, (1, 1), 30, 2, differences=(0.0, 0.02), lacking=0.2),
    "single models that are nearly the same": made(4, (1, 1), 8, noise=1e-4, of_seeds=0.0),
    "cross-validation with two seeds": made(5, (2, 2), 25, 2, differences=(0.0, -0.01), folds=5),
    "three seeds, a rare class": with_a_rare_class(made(6, (3, 3), 20, 2, differences=(0.0, 0.03))),
    "patients of several cases": clustered(9, (3, 3), SIZES, differences=(0.0, -0.012)),
    "patients, classes that cases lack": clustered(10, (3, 2), SIZES, 3, lacking=0.4),
    "patients, single models": clustered(11, (1, 1), SIZES, 2, differences=(0.0, 0.02)),
    "one patient of most cases, single models": clustered(14, (1, 1), (8, 1, 1, 1, 1, 1), differences=(0.0, -0.01)),
    "patients in folds": in_folds(clustered(12, (2, 2), SIZES, differences=(0.0, -0.01))),
    "three arms of patients": clustered(13, (3, 3, 3), SIZES, differences=(0.0, -0.05, 0.004), noise=0.01),
    "three arms": made(7, (3, 3, 3), 24, differences=(0.0, -0.05, 0.004), noise=0.01, of_seeds=0.001),
}


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Draw as many samples as these tests draw: the script's plain loops take a second for as many as the product's."""
    assert (estimate.SAMPLES, estimate.CASE_SAMPLES) == (10_000, 9_999), "fewer are intervals that differ by the seed"
    monkeypatch.setattr(estimate, "SAMPLES", sizes.SAMPLES)
    monkeypatch.setattr(estimate, "CASE_SAMPLES", sizes.SAMPLES - 1)
    estimate._samples_of_units.cache_clear()
    yield
    estimate._samples_of_units.cache_clear()


@pytest.mark.soak
@pytest.mark.usefixtures("samples")
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
    patients = patients_of(baseline)
    if baseline.folds:
        folds = [list(fold) for fold in baseline.folds]
        return independent.interval_of_folds(baseline.values, candidate.values, folds)
    if baseline.replicates == candidate.replicates == 1:
        return independent.interval_of_models(baseline.values, candidate.values, seed, estimate.CASE_SAMPLES, patients)
    return independent.interval_of_methods(baseline.values, candidate.values, seed, estimate.SAMPLES, patients)


def patients_of(arm: Arm) -> independent.Patients:
    """Return the places of each patient's cases."""
    numbers = list(arm.patients or range(len(arm.cases)))
    return [[place for place, one in enumerate(numbers) if one == number] for number in dict.fromkeys(numbers)]


def same_tests(arm: Arm, one: Candidate, seed: int) -> None:
    """Hold what is said of the cases against the script."""
    baseline, candidate = arm.values, one.arm.values
    if not arm.folds:
        assert one.estimate.difference == pytest.approx(independent.difference(baseline, candidate), abs=1e-9)
    by_case = independent.of_cases(baseline, candidate)
    differences = list(by_case.values())
    of_each = independent.by_patient(by_case, patients_of(arm))
    means = [sum(one) / len(one) for one in of_each]
    wilcoxon = stats.wilcoxon(means, zero_method="pratt").pvalue
    assert one.significance.p_wilcoxon == pytest.approx(wilcoxon, abs=1e-6)
    assert one.significance.p_permutation == pytest.approx(independent.p_permutation(of_each, seed), abs=1e-6)
    assert one.significance.rank_biserial == pytest.approx(independent.rank_biserial(means), abs=1e-6)
    assert one.share_worse == pytest.approx(sum(value < -MARGIN for value in differences) / len(differences))
    names = [arm.cases[place] for place in sorted(by_case, key=by_case.__getitem__)[:5] if by_case[place] < 0]
    assert [case for case, _ in one.worst] == names
    assert one.power.detectable_loss == pytest.approx(2.487 * independent.standard_error(of_each), abs=1e-6)


@pytest.mark.parametrize("replicates", [(3, 3), (1, 1)])
def test_patients_with_one_case_each_are_cases(replicates: tuple[int, int]) -> None:
    """To the last digit: who adds the column to a dataset of independent cases gets the same verdict."""
    arms = made(20, replicates, 15, 2, lacking=0.2)
    known = [replace(arm, patients=tuple(range(15))) for arm in arms]
    without, with_ = (compare(each, MARGIN).to_json_dict() for each in (arms, known))
    assert (without.pop("patients"), with_.pop("patients")) == (None, 15)
    for content in (without, with_):
        (one,) = content["candidates"]
        one["needed"] = one.pop("casesNeeded") or one.pop("patientsNeeded")
        one.pop("patientsNeeded", None)
    assert without == with_


def test_cases_of_one_patient_are_no_evidence_of_their_own() -> None:
    """The same case twelve times over tells as much as once: interval, tests and power stay as they were."""
    once = made(21, (3, 3), 12, differences=(0.0, -0.01))
    again = [replace(arm, cases=tuple(f"{case} {n}" for case in arm.cases for n in range(12)), patients=NUMBERS,
                     values=arm.values.repeat(12, axis=1)) for arm in once]  # fmt: skip
    (of_cases,), (of_patients,) = (compare(arms, MARGIN).candidates for arms in (once, again))
    (taken_apart,) = compare([replace(arm, patients=()) for arm in again], MARGIN).candidates
    assert of_patients.significance == of_cases.significance
    assert of_patients.power.detectable_loss == pytest.approx(of_cases.power.detectable_loss)
    wide, narrow = (one.interval[1] - one.interval[0] for one in (of_patients, taken_apart))
    assert wide == pytest.approx(of_cases.interval[1] - of_cases.interval[0], rel=0.05), "other draws, no other spread"
    assert narrow < 0.8 * wide and taken_apart.significance.p_wilcoxon < of_patients.significance.p_wilcoxon


NUMBERS = tuple(number for number in range(12) for _ in range(12))
