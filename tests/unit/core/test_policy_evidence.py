"""A training that breaks a policy as an arm of its comparison: it runs, and complies once the verdict says so."""

from dataclasses import replace

import pytest

from nnunet_api.policy.decision import Policy
from nnunet_api.policy.evidence import Compared
from nnunet_api.policy.status import MAX_DECISIONS
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from tests.support import made_worlds as make
from tests.support.made_policies import exception, policy
from tests.support.made_trainings import training
from tests.support.made_verdicts import BASELINE, CLINICAL, RULES, compared, registered, status
from tests.support.made_worlds import created, decide, planned, stated

ARM = training(name="short", uid="uid-of-short", folds=[0], comparison="shorter", schedule={"epochs": 10}, testSet={})
NOT_YET = compared(status(conditions=[], verdicts=[], phase="WaitingForArms"))


def look(of: Training, found: Compared | None, by: object = CLINICAL) -> Decision:
    policies = Policies((by,), compared=found) if by else Policies((), compared=found)  # type: ignore[arg-type]
    return decide(replace(make.world(of, *planned(of)), policies=policies))


def complete(of: Training, decision: Decision) -> Training:
    """Return the training as it is stored once it is complete."""
    over = [
        one.model_copy(update={"status": "True"}) if one.type == "Complete" else one
        for one in decision.status.conditions
    ]
    of_baseline = {"results": BASELINE.status.results, "provenance": BASELINE.status.provenance}
    return replace(of, status=make.stored(decision.status.model_copy(update={"conditions": over, **of_baseline})))


def test_it_runs_and_complies_once_its_comparison_has_come_to_a_verdict() -> None:
    running = look(ARM, None)
    assert created(running) and stated(running, "PolicyCompliant") == ("False", "ComparisonRequired")
    (decision,) = running.status.policy.decisions if running.status.policy else []
    assert (decision.outcome, decision.comparison, decision.broken_rules) == ("Compared", "shorter", ["minEpochs"])

    over = complete(ARM, running)
    waits = look(over, NOT_YET)
    assert stated(waits, "PolicyCompliant") == ("False", "ComparisonRequired")
    assert "has no verdict yet (WaitingForArms)" in make.condition(waits, "PolicyCompliant").message
    assert not waits.actions and not waits.events, "no news: it was required before"

    allowed = look(over, compared())
    assert stated(allowed, "PolicyCompliant") == ("True", "ComparisonAccepted")
    assert [event.reason for event in allowed.events] == ["PolicyDecision"]
    kept = replace(over, status=make.stored(allowed.status))
    stricter = policy("clinical", rules={**RULES, "requireComparison": {"maxDiceLoss": 0.001}})
    for later in (look(kept, None), look(kept, compared(status("Inferior"))), look(kept, None, stricter)):
        assert later.status == allowed.status and not later.events, "what was accepted once stays"
    assert allowed.status.policy is not None
    assert [one.comparison for one in allowed.status.policy.accepted] == ["shorter"]


def test_a_verdict_that_does_not_count_is_told_and_changes_nothing_else() -> None:
    over = complete(ARM, look(ARM, None))
    failed = look(over, compared(status("Inferior")))
    assert stated(failed, "PolicyCompliant") == ("False", "ComparisonFailed")
    message = make.condition(failed, "PolicyCompliant").message
    assert "policy clinical: it breaks minEpochs as an arm, and NnunetComparison shorter came to Inferior" in message
    assert "Don't rely on the model" in message
    assert failed.status.holds("Complete")
    gone = look(replace(over, status=make.stored(failed.status)), None)
    assert stated(gone, "PolicyCompliant") == ("False", "ComparisonRequired"), "deleting it makes nothing compliant"


def test_what_can_never_count_is_told_before_anything_is_trained() -> None:
    wide = compared(status(conditions=[], verdicts=[]), maxDiceLoss=0.5)
    assert stated(look(ARM, wide), "PolicyCompliant") == ("False", "ComparisonFailed")


def test_a_policy_that_is_gone_leaves_a_complete_training_without_a_verdict() -> None:
    over = complete(ARM, look(ARM, None))
    left = look(over, compared(), by=None)
    assert stated(left, "PolicyCompliant") == ("False", "ComparisonRequired")
    assert (
        "policy clinical, which asks for a comparison, is not there any more"
        in make.condition(left, "PolicyCompliant").message
    )


def test_two_policies_have_to_accept_it_each() -> None:
    strict = policy("strict", rules={**RULES, "requireComparison": {"maxDiceLoss": 0.005}})
    both = Policies((CLINICAL, strict), compared=compared())
    over = complete(ARM, decide(replace(make.world(ARM, *planned(ARM)), policies=both)))
    found = decide(replace(make.world(over), policies=both))
    assert stated(found, "PolicyCompliant") == ("False", "ComparisonFailed")
    assert found.status.policy is not None
    assert [one.policy for one in found.status.policy.accepted] == ["clinical"]


def test_what_no_comparison_stands_for_is_not_lifted_by_one() -> None:
    """Neither while it trains nor at rest: another policy warns of the same training."""
    warns = policy("aside", mode="Warn", rules={"minEpochs": 1000})
    both = Policies((CLINICAL, warns), compared=compared())
    over = complete(ARM, decide(replace(make.world(ARM, *planned(ARM)), policies=both)))
    assert stated(decide(replace(make.world(over), policies=both)), "PolicyCompliant") == ("False", "PolicyNotEnforced")


@pytest.mark.parametrize(
    ("last", "expected"),
    [(policy("z", rules=RULES), ("False", "ComparisonRequired")), (policy("z", rules={}), ("True", "PoliciesKept"))],
)
def test_more_policies_than_the_status_keeps_hide_none_that_is_broken(last: Policy, expected: tuple[str, str]) -> None:
    kept = [policy(f"a{number:02}", rules={}) for number in range(MAX_DECISIONS)]
    of = ARM if last.spec.rules.min_epochs else replace(ARM, spec=ARM.spec.model_copy(update={"comparison": None}))
    decision = decide(replace(make.world(of, *planned(of)), policies=Policies((*kept, last))))
    assert stated(decision, "PolicyCompliant") == expected


def test_so_many_comparisons_can_not_be_looked_after() -> None:
    asking = tuple(policy(f"a{number:02}", rules=RULES) for number in range(MAX_DECISIONS + 1))
    for count, expected in ((MAX_DECISIONS - 1, "True"), (MAX_DECISIONS, "False"), (MAX_DECISIONS + 1, "False")):
        policies = Policies(asking[:count], compared=compared())
        over = complete(ARM, decide(replace(make.world(ARM, *planned(ARM)), policies=policies)))
        found = decide(replace(make.world(over), policies=policies))
        assert stated(found, "PolicyCompliant")[0] == expected
    assert "32 policies or more ask for a comparison" in make.condition(found, "PolicyCompliant").message


def test_an_exception_shows_beside_the_verdict_for_ever() -> None:
    granted = exception(name="short", liftedRules=["requireTestSet"])
    by = policy("clinical", rules={**RULES, "requireTestSet": True}, exceptions=[granted])
    over = complete(ARM, look(ARM, None, by))
    found = look(over, compared(), by)
    assert stated(found, "PolicyCompliant") == ("True", "PolicyExcepted")
    message = make.condition(found, "PolicyCompliant").message
    assert "accepts NnunetComparison shorter: NonInferior" in message and "exceptions: QM-17" in message


def test_another_training_of_the_name_is_none_of_the_arm() -> None:
    """The losing arm deleted, and made anew under its name after the verdict."""
    new = replace(ARM, uid="another")
    found = look(complete(new, look(new, None)), compared(trainings={"long": BASELINE}))
    assert stated(found, "PolicyCompliant") == ("False", "ComparisonFailed")
    late = compared(status(known=(registered("standard", "long", True), registered("fast", "short", True))))
    assert stated(look(complete(ARM, look(ARM, None)), late), "PolicyCompliant") == ("False", "ComparisonFailed")
