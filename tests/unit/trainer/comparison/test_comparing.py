"""What a comparison says, and what it refuses to say."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnunet_api.comparison.power import cases_needed, detectable_loss
from nnunet_trainer.comparison.arms import Arm, case_differences
from nnunet_trainer.comparison.comparing import compare
from nnunet_trainer.comparison.estimate import Estimate, estimate
from nnunet_trainer.comparison.power import power
from nnunet_trainer.comparison.significance import holm, p_permutation, p_wilcoxon, probability_better, rank_biserial
from nnunet_trainer.comparison.verdict import Verdict, verdicts
from nnunet_trainer.scoring.aggregation import aggregate, aggregate_counted
from tests.unit.trainer.comparison.made_arms import arm, clustered, made

MARGIN = 0.01
NAN = float("nan")


def fixed(low: float, high: float) -> Estimate:
    """Return an estimate whose 95 % interval is given, normal around its middle."""
    from scipy import stats

    middle, deviation = (low + high) / 2, (high - low) / 2 / stats.norm.ppf(0.975)

    def of_level(level: float) -> tuple[float, float]:
        reach = float(stats.norm.ppf((1 + level) / 2)) * deviation
        return middle - reach, middle + reach

    return Estimate(middle, of_level)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.02, Verdict.SUPERIOR),
        (-0.03, -0.011, Verdict.INFERIOR),
        (-0.009, 0.009, Verdict.EQUIVALENT),
        (-0.0095, 0.0105, Verdict.EQUIVALENT),  # of the gain the 90 % interval counts
        (-0.0105, 0.0095, Verdict.INCONCLUSIVE),  # of the loss the 95 % interval, as for NonInferior
        (-0.009, 0.03, Verdict.NON_INFERIOR),
        (-0.012, 0.012, Verdict.INCONCLUSIVE),
        (-0.03, -0.009, Verdict.INCONCLUSIVE),
        (-0.009, -0.001, Verdict.EQUIVALENT),  # worse, and by less than is accepted
        (0.0, 0.03, Verdict.NON_INFERIOR),
    ],
)
def test_the_first_verdict_that_holds(low: float, high: float, expected: Verdict) -> None:
    assert verdicts([fixed(low, high)], MARGIN, 0.05) == [expected]


def test_several_candidates_have_to_show_more() -> None:
    """Of two, the stronger claim has to hold at alpha / 2; only then the weaker at alpha."""
    barely, clear, none = fixed(-0.0099, 0.04), fixed(-0.002, 0.04), fixed(-0.05, 0.05)
    assert verdicts([barely], MARGIN, 0.05) == [Verdict.NON_INFERIOR]
    assert verdicts([barely, clear], MARGIN, 0.05) == [Verdict.NON_INFERIOR, Verdict.NON_INFERIOR]
    assert verdicts([barely, none], MARGIN, 0.05) == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_the_mean_is_nnunets() -> None:
    """Cases first, then classes: a class that few cases have counts as much as the others."""
    values = np.array([[1.0, NAN], [0.5, NAN], [0.3, 0.2]])
    assert aggregate(values) == pytest.approx((0.6 + 0.2) / 2)
    counts = np.array([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]])
    assert aggregate_counted(values[None], counts)[:, 0] == pytest.approx([0.4, 2.5 / 3])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(2, 9), st.integers(1, 3))
def test_counted_samples_are_samples(seed: int, replicates: int, cases: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    values = random.random((replicates, cases, classes))
    values[random.random(values.shape) < 0.3] = np.nan
    drawn = random.integers(0, cases, (5, cases))
    counts = np.stack([np.bincount(row, minlength=cases) for row in drawn]).astype(float)
    expected = np.stack([aggregate(values[:, row]) for row in drawn])
    np.testing.assert_allclose(aggregate_counted(values, counts), expected)


def test_a_pair_that_is_the_same_is_equivalent() -> None:
    baseline = made(7, (3,), 40, differences=(0.0,))[0]
    found = compare([baseline, replace(baseline, name="twin")], MARGIN)
    (one,) = found.candidates
    assert one.estimate.difference == 0.0
    assert (one.verdict, one.significance.p_wilcoxon, one.significance.p_permutation) == (Verdict.EQUIVALENT, 1.0, 1.0)
    assert (one.worst, one.share_worse, one.significance.probability_better) == ((), 0.0, 0.5)
    assert not found.notes


def test_one_model_beside_its_twin() -> None:
    baseline = made(8, (1,), 20, differences=(0.0,))[0]
    (one,) = compare([baseline, replace(baseline, name="twin")], MARGIN).candidates
    assert (one.interval, one.verdict) == ((0.0, 0.0), Verdict.EQUIVALENT)


@pytest.mark.parametrize(
    ("difference", "expected"), [(-0.04, Verdict.INFERIOR), (0.04, Verdict.SUPERIOR), (-0.001, Verdict.EQUIVALENT)]
)
@pytest.mark.parametrize("replicates", [(1, 1), (3, 3), (3, 5)])
def test_what_is_clear_is_said(difference: float, expected: Verdict, replicates: tuple[int, int]) -> None:
    arms = made(9, replicates, 60, 2, differences=(0.0, difference), noise=0.01, of_seeds=0.001)
    found = compare(arms, MARGIN)
    (one,) = found.candidates
    assert one.verdict == expected
    assert one.interval[0] < one.estimate.difference < one.interval[1]
    assert [note.split(":")[0] for note in found.notes] == (["ModelsNotMethods"] if replicates == (1, 1) else [])


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (made(30, (1, 1), 8), True),
        (made(30, (1, 1), 29), True),
        (made(30, (1, 1), 30), False),
        (made(30, (3, 3), 8), False),
        (made(30, (1, 3), 8), False),
        (clustered(30, (1, 1), [1] * 8), True),
        (clustered(30, (1, 1), [2] * 11), True),
        (clustered(30, (1, 1), [2] * 12), False),
        (made(30, (1, 1), 20, folds=5), False),
    ],
    ids=["8", "29", "30", "replicates", "of one arm", "patients of one case", "few patients", "patients", "folds"],
)
def test_too_few_cases_for_the_interval_of_two_models_are_told(arms: list[Arm], said: bool) -> None:
    """Where seeds are drawn too the interval is wider. Of patients with several cases it is widened, and fewer do."""
    notes = [note for note in compare(arms, MARGIN).notes if note.startswith("FewCases: ")]
    assert len(notes) == said
    if said:
        units = "11 patients" if arms[0].unit_count == 11 else f"{len(arms[0].cases)} cases"
        assert notes[0].startswith(f"FewCases: {units} and one replicate of each arm")
        least = 12 if "patients" in units else 30
        assert notes[0].endswith(f"so take {least} at least, or 3 replicates of each arm")


def test_cross_validation_is_indicative_at_most() -> None:
    arms = made(10, (1, 1), 50, differences=(0.0, -0.05), noise=0.01, folds=5)
    assert compare(arms, MARGIN).to_json_dict()["candidates"][0]["verdict"] == "IndicativeInferior"


def test_a_class_that_is_lost_is_named_by_its_interval() -> None:
    arms = made(11, (3, 3), 40, 2, noise=0.01, of_seeds=0.001)
    arms[1].values[:, :, 1] -= 0.08
    (one,) = compare(arms, MARGIN).candidates
    assert one.classes["class 1"][0] == pytest.approx(-0.08, abs=0.01)
    assert one.classes["class 1"][2] < -0.05 < one.classes["class 0"][1]


def test_a_class_that_nobody_has_is_left_out() -> None:
    arms = made(12, (2, 2), 12, 2)
    for one in arms:
        one.values[:, :, 1] = NAN
    found = compare(arms, MARGIN)
    assert list(found.candidates[0].classes) == ["class 0"]
    assert [note.split(":")[0] for note in found.notes] == ["FewReplicates"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1, 1, 1, 2, 3, 8, 30]), min_size=5, max_size=40),
    st.integers(0, 2**32),
    st.integers(1, 2),
    st.sampled_from([(1, 1), (1, 1), (1, 1), (3, 3), (3, 1)]),
)
@example([20, *[1] * 29], 8000001, 1, (1, 1))
@example([30, 1, 1, 1, 1, 1], 8000000, 1, (1, 1))
def test_an_interval_holds_its_own_difference(
    sizes: list[int], seed: int, classes: int, replicates: tuple[int, int]
) -> None:
    """However few patients have however many of the cases: else what is lost may look like a gain."""
    baseline, candidate = clustered(seed, replicates, sizes, classes, differences=(0.0, -0.02), of_seeds=0.0)
    found = estimate(baseline, candidate, seed)
    intervals = [found.interval(level) for level in (0.5, 0.9, 0.95, 0.99, 0.9998)]
    for (low, high), (lower, higher) in pairwise(intervals):
        assert lower <= low <= found.difference <= high <= higher


def test_one_patient_of_most_cases_decides_nothing() -> None:
    """Twenty of 49 cases are one draw: the samples with that patient are far from those without."""
    arms = clustered(8000001, (1, 1), (20, *(1,) * 29), differences=(0.0, -0.02), of_seeds=0.0)
    (one,) = compare(arms, MARGIN).candidates
    assert one.verdict == Verdict.INCONCLUSIVE and one.interval[1] - one.interval[0] > 0.06


@pytest.mark.parametrize("draw", range(6))
def test_a_class_of_few_cases_can_be_missing_in_a_sample(draw: int) -> None:
    """Then that sample has no score; the others make the interval."""
    arms = made(draw, (1, 1), 30, 1)
    for one in arms:
        one.values[:, 8:, 0] = NAN
    (found,) = compare(arms, MARGIN).candidates
    assert found.interval[0] <= found.estimate.difference <= found.interval[1]


def test_classes_that_too_few_cases_have_are_refused() -> None:
    arms = made(16, (3, 3), 30, 1)
    for one in arms:
        one.values[:, 3:, 0] = NAN
    with pytest.raises(ValueError, match="3 cases have a score in both arms"):
        compare(arms, MARGIN)
    folded = made(17, (1, 1), 30, 1, folds=5)
    for one in folded:
        one.values[:, list(one.folds[0]), 0] = NAN
    with pytest.raises(ValueError, match="a fold has no validation case with a score"):
        compare(folded, MARGIN)


def test_three_arms_are_ranked() -> None:
    arms = made(13, (3, 3, 3), 40, differences=(0.0, 0.05, -0.05), noise=0.01)
    found = compare(arms, MARGIN)
    assert found.ranks is not None
    assert found.ranks.aggregate_then_rank == found.ranks.rank_then_aggregate == (2.0, 1.0, 3.0)
    assert found.ranks.intervals == ((2.0, 2.0), (1.0, 1.0), (3.0, 3.0))
    assert found.ranks.better_than == ((False, False, True), (True, False, True), (False, False, False))
    assert [one.verdict for one in found.candidates] == [Verdict.SUPERIOR, Verdict.INFERIOR]


def test_the_same_scores_give_the_same_numbers_and_json() -> None:
    arms = made(14, (3, 3), 30, 2, lacking=0.2)
    first, again = (json.dumps(compare(arms, MARGIN).to_json_dict(), allow_nan=False) for _ in range(2))
    assert first == again
    renamed = compare([replace(arm, name=arm.name.upper()) for arm in arms], 2 * MARGIN)
    assert renamed.candidates[0].interval == compare(arms, MARGIN).candidates[0].interval, "no name gets other draws"
    arms[1].values[0, 0, 0] += 1e-9
    assert compare(arms, MARGIN).seed != json.loads(first)["seed"]


def test_power_is_that_of_the_formula() -> None:
    """At a standard deviation of 3 points: 56 cases for one point, 223 for half a point."""
    assert (cases_needed(0.03, 0.01), cases_needed(0.03, 0.005)) == (56, 223)
    assert detectable_loss(0.03, 56) == pytest.approx(0.00997, abs=1e-5)
    assert power(0.03, 40, 0.0, 3, 0.01).units_needed == 56
    assert power(0.03, 100, 0.00006, 3, 0.01).replicates_needed == 9
    assert power(0.03, 20, 0.00006, 3, 0.01).replicates_needed is None  # more seeds can't make up for cases


def test_nobody_is_told_to_do_what_is_done() -> None:
    found = power(0.03, 100, 0.0, 3, 0.01)
    assert (found.units_needed, found.replicates_needed) == (None, None)


def test_effects_by_hand() -> None:
    differences = np.array([0.0, 0.1, -0.2, 0.3])
    assert rank_biserial(differences) == pytest.approx((1 + 3 - 2) / 6)
    two = arm("a", [[0.5], [0.7]]), arm("b", [[0.6], [0.7]])
    assert probability_better(*two) == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert (p_wilcoxon(np.zeros(4)), p_permutation(np.zeros(4), 1)) == (1.0, 1.0)
    # All of six positive: one of 64 sign patterns in each tail.
    assert p_permutation(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), 1) == pytest.approx(2 / 64)


def test_a_case_without_a_class_in_one_arm_has_no_difference_in_it() -> None:
    baseline, candidate = arm("a", [[[0.5, NAN], [0.5, 0.9]]]), arm("b", [[[0.6, NAN], [0.5, 0.7]]])
    np.testing.assert_allclose(case_differences(baseline, candidate), [0.1, -0.1])


BASE = made(15, (2, 2), 10, 2)


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (BASE[:1], "1 arm to compare"),
        (made(1, (2, 2), 4), "4 cases: a comparison needs 5 at least"),
        ([BASE[0], replace(BASE[1], cases=("x",) * 10)], "not scored on the same cases"),
        ([BASE[0], replace(BASE[1], classes=("other", "class 1"))], "not scored on the same cases"),
        ([BASE[0], replace(BASE[1], values=BASE[1].values[:, :9])], "scores of shape"),
        ([BASE[0], replace(BASE[1], values=BASE[1].values[:0])], "scores of shape"),
        ([BASE[0], replace(BASE[1], values=BASE[1].values * NAN)], "has no score, or one that is infinite"),
        ([BASE[0], replace(BASE[1], values=BASE[1].values * float("inf"))], "has no score, or one that is infinite"),
    ],
)
def test_what_can_not_be_compared_is_refused(arms: list[Arm], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compare(arms, MARGIN)


@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (-0.01, 0.05), (0.01, 0.0), (0.01, 0.5), (NAN, 0.05)])
def test_numbers_without_sense_are_refused(margin: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="has to be above 0"):
        compare(BASE, margin, alpha)
