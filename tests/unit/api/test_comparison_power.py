"""How many cases a margin needs, said before anything trains."""

import pytest

from nnunet_api.comparison.contract import ArmFacts
from nnunet_api.comparison.power import cases_needed, detectable_loss, expectation, replicates_needed, spread_of
from nnunet_api.comparison.status import CandidateVerdict, NnunetComparisonStatus
from tests.support.made_comparisons import comparison


def pilot(spread: float | None = 0.004, **changes: object) -> NnunetComparisonStatus:
    """Return the status of a comparison of 40 cases with a standard deviation of 3 points."""
    verdict = CandidateVerdict(
        arm="fast",
        verdict="Inconclusive",
        difference=0.0,
        low=-0.02,
        high=0.02,
        detectable_loss=detectable_loss(0.03, 40),
    )
    arms = [ArmFacts(name=name, mean=0.9, spread=spread, replicates=3) for name in ("standard", "fast")]
    return NnunetComparisonStatus(verdicts=[verdict], cases=40, arms=arms).model_copy(update=changes)


@pytest.mark.parametrize(("loss", "cases"), [(0.01, 56), (0.005, 223), (0.02, 14), (0.5, 2)])
def test_three_points_of_spread(loss: float, cases: int) -> None:
    assert cases_needed(0.03, loss) == cases
    said = expectation(comparison(expectedDifferenceSD=0.03, maxDiceLoss=loss).spec)
    assert f"it takes {cases} test cases to tell a loss of" in said and "3 points from case to case" in said


def test_a_pilot_tells_replicates_too() -> None:
    found = spread_of(pilot())
    assert found is not None and found.deviation == pytest.approx(0.03) and found.cases == 40
    spec = comparison(pilot="first", maxDiceLoss=0.02).spec
    # (0.02 / 2.487)^2 - 0.03^2 / 40 is 4.2e-5; two arms of 0.004^2 are 3.2e-5.
    assert replicates_needed(0.03, 40, 2 * 0.004**2, 0.02) == 1
    assert "as in comparison first; with the 40 cases of that one: 1 replicates of each arm" in expectation(
        spec, pilot()
    )
    assert "7 replicates of each arm" in expectation(spec, pilot(0.0115))
    assert "more replicates do not help" in expectation(comparison(pilot="first").spec, pilot())
    assert "with the 40 cases" not in expectation(spec, pilot(None)), "one replicate tells nothing of seeds"


def test_a_pilot_of_patients_tells_how_many_of_them_it_takes() -> None:
    """Its loss was that of 10 patients with 40 cases: the spread over patients is half as large as that over cases."""
    found = spread_of(pilot(patients=10))
    assert found is not None and found.deviation == pytest.approx(0.015) and found.cases == 10
    said = expectation(comparison(pilot="first", maxDiceLoss=0.005).spec, pilot(patients=10))
    assert "it takes 56 patients to tell a loss of 0.5 points" in said and "from patient to patient" in said
    assert "with the 10 patients of that one" in said


def test_what_is_not_known_is_said() -> None:
    assert expectation(comparison().spec) == ""
    spec = comparison(pilot="first").spec
    for unknown in (None, NnunetComparisonStatus(), pilot(verdicts=[])):
        assert "comparison first (spec.pilot) has no verdict yet" in expectation(spec, unknown)
