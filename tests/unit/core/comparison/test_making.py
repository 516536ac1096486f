"""What becomes of a comparison that makes its trainings from a template."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.comparison.template import made_specs, with_made_names
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.comparison.decide import decide
from nnunet_operator.core.comparison.decision import ComparisonDecision, DeleteComparison, Seen
from nnunet_operator.core.comparison.model import Compare, Comparison, JobSeen, Make, SetSuspend, Stranger
from nnunet_operator.core.observation import State
from nnunet_operator.core.training import Training
from tests.support.made_comparisons import TEMPLATE, arm, comparison
from tests.support.made_trainings import NOW

ARMS: list[dict[str, Any]] = [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}]
NAMES = ["shorter-long", "shorter-short"]
FAILED = {"status": "True", "type": "Failed"}


def templated(*, before: ComparisonDecision | None = None, **spec: Any) -> Comparison:
    made = comparison(**{"template": TEMPLATE, "arms": ARMS, **spec}, status=before.status if before else None)
    return replace(made, spec=with_made_names(made.spec, made.name))


def trained(of: Comparison, *, complete: bool = False, **changes: Any) -> dict[str, Training]:
    specs: Mapping[str, NnunetTrainingSpec] = made_specs(of.spec, of.name)
    return {
        name: replace(arm(name, complete=complete), spec=spec.model_copy(update=changes))
        for name, spec in specs.items()
    }


def referred() -> Training:
    """Return a training `long` that fits the one that the template makes for the other arm."""
    return replace(trained(templated())[NAMES[0]], name="long", uid="uid-of-long")


def decided(of: Comparison, trainings: Any, refused: Mapping[str, str] | None = None) -> ComparisonDecision:
    return decide(Seen(of, trainings, JobSeen(State.ABSENT, name_free=True), NOW, refused=refused or {}))


def said(decision: ComparisonDecision, type_: str = "Progressing") -> tuple[str, str, str]:
    condition = decision.status.condition(type_)
    assert condition is not None
    return condition.status, condition.reason, condition.message


def test_it_makes_its_trainings_waits_for_them_and_compares() -> None:
    first = decided(templated(), {})
    (make,) = first.actions
    assert isinstance(make, Make) and list(make.specs) == NAMES
    assert said(first)[:2] == ("True", "Starting")
    of = templated(before=first)
    waits = decided(of, trained(of))
    assert waits.actions == () and waits.status.phase == "WaitingForArms"
    registration = waits.status.registration
    assert registration is not None and registration.digest and [one.name for one in registration.trainings] == NAMES
    of = templated(before=waits)
    (compare,) = decided(of, trained(of, complete=True)).actions
    assert isinstance(compare, Compare) and [one.name for one in compare.trainings] == NAMES


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"varies": []}, "schedule.epochs: long: 1000; short: 250"),
        ({"varies": ["schedule", "configuration"]}, "configuration: is named in spec.varies, and does not differ"),
        (
            {"arms": [ARMS[0], {"name": "short", "patch": {"schedule": {"epochs": 250}, "folds": [0]}}]},
            'folds: long: ["0", "1", "2", "3", "4"]; short: ["0"]',
        ),
        (
            {"arms": [ARMS[0], {"name": "short", "patch": {"schedule": {"epochs": 250}, "trainer": {"seed": 7}}}]},
            "trainer.seed: long: 1, 2, 3; short: 7, 8, 9",
        ),
    ],
)
def test_what_can_not_be_compared_is_never_made(spec: dict[str, Any], words: str) -> None:
    decision = decided(templated(**spec), {})
    assert said(decision, "Failed")[1] == "NotComparable" and words in said(decision, "Failed")[2]
    assert decision.actions == ()


def test_what_is_no_training_ends_it_before_anything_is_made() -> None:
    decision = decided(templated(arms=[ARMS[0], {"name": "short", "patch": {"schedule": {"epochs": -1}}}]), {})
    status, reason, message = said(decision, "Failed")
    assert (status, reason) == ("True", "InvalidTemplate") and "arm short: spec.schedule.epochs is -1" in message
    assert decision.actions == () and decision.status.phase == "Failed"


def test_what_the_api_server_refuses_is_said_in_its_words_and_tried_again() -> None:
    decision = decided(templated(), {}, {"shorter-short": "spec.schedule.epochs is 250, must be at least 1000"})
    status, reason, message = said(decision)
    assert (status, reason, decision.status.phase) == ("False", "TrainingRefused", "Blocked")
    assert "training shorter-short can't be created: spec.schedule.epochs is 250, must be at least 1000" in message
    assert "it is tried again every minute" in message
    assert isinstance(decision.actions[0], Make)


@pytest.mark.parametrize("strange", ["by its label", "by what it computes"])
def test_a_training_that_was_not_made_by_it_is_left_alone(strange: str) -> None:
    of = templated(suspend=False)
    trainings: dict[str, Any] = trained(of)
    other = trainings[NAMES[1]]
    longer = other.spec.schedule.model_copy(update={"epochs": 2000})
    trainings[NAMES[1]] = (
        Stranger("it does not have the label")
        if strange == "by its label"
        else replace(other, spec=other.spec.model_copy(update={"schedule": longer}))
    )
    decision = decided(of, trainings)
    assert said(decision)[1] == "TrainingRefused" and decision.actions == ()
    assert f"training {NAMES[1]} is there already and was not made by this comparison" in said(decision)[2]
    assert decision.status.registration is not None
    assert [one.name for one in decision.status.registration.trainings] == [NAMES[0]]
    first = decided(templated(suspend=True), trainings)
    asleep = templated(suspend=True, before=first)
    assert decided(asleep, trainings).actions == (SetSuspend(NAMES[0], f"uid-of-{NAMES[0]}", True),)


@pytest.mark.parametrize("now", [{}, {NAMES[1]: Stranger("it does not have the label")}], ids=["gone", "another's"])
def test_one_that_was_deleted_is_not_made_again(now: dict[str, Any]) -> None:
    of = templated()
    registered = decided(of, trained(of))
    decision = decided(templated(before=registered), {NAMES[0]: trained(of)[NAMES[0]], **now})
    assert said(decision, "Failed")[1] == "ArmChanged" and decision.in_doubt == (NAMES[1],) and decision.actions == ()


def test_nothing_is_made_before_those_are_known_that_it_refers_to() -> None:
    arms = [{"name": "long", "trainings": ["long"]}, ARMS[1]]
    waits = decided(templated(arms=arms), {})
    assert waits.actions == ()
    assert "training long is not there; training shorter-short is created once the others are there" in said(waits)[2]
    fits = referred()
    (make,) = decided(templated(arms=arms), {"long": fits}).actions
    assert isinstance(make, Make) and list(make.specs) == [NAMES[1]]
    other = replace(fits, spec=fits.spec.model_copy(update={"configuration": "2d"}))
    decision = decided(templated(arms=arms), {"long": other})
    assert said(decision, "Failed")[1] == "NotComparable" and decision.actions == ()


def test_it_suspends_and_resumes_those_that_it_has_made_and_no_others() -> None:
    arms = [{"name": "long", "trainings": ["long"]}, ARMS[1]]
    asleep = templated(arms=arms, suspend=True)
    assert decided(asleep, {}).actions == (), "nothing is made meanwhile"
    runs = {"long": referred(), **trained(asleep)}
    first = decided(asleep, runs)
    assert first.actions == () and first.status.phase == "Suspended", "it is known what to resume before it is done"
    assert first.requeue_after == 0
    stops = decided(templated(arms=arms, suspend=True, before=first), runs)
    assert stops.actions == (SetSuspend(NAMES[1], f"uid-of-{NAMES[1]}", True),)
    assert stops.status.phase == "Suspended"
    rests = {"long": referred(), **trained(asleep, suspend=True)}
    again = templated(arms=arms, before=decided(templated(arms=arms, suspend=True, before=stops), rests))
    resumed = decided(again, rests)
    assert resumed.actions == (SetSuspend(NAMES[1], f"uid-of-{NAMES[1]}", False),)
    goes_on = decided(templated(arms=arms, before=resumed), rests)
    assert goes_on.actions == (), "what somebody suspends by hand stays so"


def test_it_stays_suspended_until_its_trainings_may_be_resumed() -> None:
    asleep = templated(suspend=True)
    rests = trained(asleep, suspend=True)
    stopped = decided(asleep, rests)
    held = decided(templated(before=stopped), rests, {NAMES[0]: "a policy forbids it"})
    assert said(held, "Suspended")[0] == "True"
    assert f"training {NAMES[0]} can't be resumed: a policy forbids it" in said(held, "Suspended")[2]
    assert len(decided(templated(before=held), rests).actions) == 2, "it is tried again"


def test_what_is_complete_is_neither_suspended_nor_resumed() -> None:
    of = templated(suspend=True)
    first = decided(of, trained(of, complete=True))
    assert first.actions == decided(templated(suspend=True, before=first), trained(of, complete=True)).actions == ()


def lost(**spec: Any) -> ComparisonDecision:
    """Return the decision on a comparison that has lost one training for good while the other trains."""
    of = templated()
    return decided(templated(before=decided(of, trained(of)), **spec), {NAMES[0]: trained(of)[NAMES[0]]})


def test_one_that_has_failed_for_good_says_what_goes_on_and_how_to_stop_it() -> None:
    status, reason, message = said(lost(), "Failed")
    assert (status, reason) == ("True", "ArmChanged")
    assert f"goes on until spec.suspend of the comparison is true: training {NAMES[0]}. What was reg" in message
    rests = {NAMES[0]: trained(templated(), suspend=True)[NAMES[0]]}
    of = templated()
    assert "goes on" not in said(decided(templated(before=decided(of, trained(of))), rests), "Failed")[2]


def test_one_that_has_failed_for_good_suspends_and_resumes_what_it_has_made() -> None:
    failed = lost()
    (name, one) = next(iter(trained(templated()).items()))
    runs, rests = {name: one}, {name: replace(one, spec=one.spec.model_copy(update={"suspend": True}))}
    assert decided(templated(before=failed), runs).actions == ()
    told = decided(templated(before=failed, suspend=True), runs)
    assert told.actions == () and told.requeue_after == 0 and said(told, "Suspended")[0] == "True"
    assert said(told, "Failed") == said(failed, "Failed") and told.status.phase == "Failed", "it stays final"
    stops = decided(templated(before=told, suspend=True), runs)
    assert stops.actions == (SetSuspend(name, one.uid, True),)
    held = decided(templated(before=told, suspend=True), runs, {name: "a policy forbids it"})
    assert f"training {name} can't be suspended: a policy forbids it" in said(held, "Suspended")[2]
    assert held.requeue_after is None and held.actions, "it is tried again, with patience"
    at_rest = decided(templated(before=stops, suspend=True), rests)
    assert at_rest.actions == () and at_rest.status == stops.status
    resumed = decided(templated(before=stops), rests)
    assert resumed.actions == (SetSuspend(name, one.uid, False),) and said(resumed, "Suspended")[0] == "False"
    assert [each.message for each in resumed.events] == ["spec.suspend is false again: what it has made goes on"]
    assert decided(templated(before=resumed), rests).actions == ()


@pytest.mark.parametrize("suspend", [True, False])
def test_what_is_lost_while_it_is_suspended_is_resumed_all_the_same(suspend: bool) -> None:
    asleep = decided(templated(suspend=True), trained(templated(), suspend=True))
    rests = {NAMES[0]: trained(templated(), suspend=True)[NAMES[0]]}
    failed = decided(templated(before=asleep, suspend=suspend), rests)
    assert said(failed, "Failed")[1] == "ArmChanged" and said(failed, "Suspended")[0] == "True"
    assert (failed.requeue_after == 0) is not suspend
    assert len(decided(templated(before=failed), rests).actions) == 1


def test_its_time_to_live_lets_it_stop_first_what_it_has_made() -> None:
    failed = lost()
    runs = {NAMES[0]: trained(templated())[NAMES[0]]}
    told = decided(templated(before=failed, suspend=True, ttlSecondsAfterFinished=0), runs)
    stops = decided(templated(before=told, suspend=True, ttlSecondsAfterFinished=0), runs)
    assert [type(one) for one in (*told.actions, *stops.actions)] == [SetSuspend]
    rests = {NAMES[0]: trained(templated(), suspend=True)[NAMES[0]]}
    gone = decided(templated(before=stops, suspend=True, ttlSecondsAfterFinished=0), rests)
    assert gone.actions == (DeleteComparison(),)
