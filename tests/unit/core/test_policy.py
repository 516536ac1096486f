"""What the policies do to a training: held, gone on with, proven; and what is kept of it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

import pytest

from nnunet_api.contract import CONTRACT_ENV, TerminationReport
from nnunet_api.facts import EarlyStopFacts
from nnunet_api.policy.decision import Policy
from nnunet_api.policy.model import MAX_LIFTED, LiftableRule
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support import made_worlds as make
from tests.support.made_policies import NOW, exception, policy
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    FOLD,
    condition,
    created,
    decide,
    deleted,
    fold_done,
    job,
    planned,
    stated,
)

ONE = training(folds=[0], schedule={"epochs": 10})
STOPPING = training(folds=[0], schedule={"epochs": 10}, earlyStopping={"mode": "Stop", "minEpochs": 2})
LONG = policy("clinical", rules={"minEpochs": 11})
SHORT = policy("clinical", rules={"minEpochs": 10})
CLINICAL = {"nnunet.dev/clinical": "true"}


def look(of: Training, *objects: Manifest, policies: tuple[Policy, ...] = (), **changes: Any) -> Decision:
    """Return the plan under these policies."""
    later = changes.pop("now", NOW)
    world = make.world(of, *objects, now=later, **{k: v for k, v in changes.items() if k in ("samples", "refusals")})
    extra = {k: v for k, v in changes.items() if k in ("namespace_labels", "unreadable")}
    return decide(replace(world, policies=Policies(policies, **extra)))


def known(of: Training, result: Decision) -> Training:
    """Return the training with the status of a plan, as stored."""
    return replace(of, status=make.stored(result.status))


def told(result: Decision) -> list[tuple[str, str]]:
    return [(event.reason, event.type) for event in result.events]


def test_no_policy_is_no_news() -> None:
    result = look(ONE)
    assert stated(result, "PolicyCompliant") == ("True", "NoPolicy")
    assert result.status.policy is None and "PolicyDecision" not in [reason for reason, _ in told(result)]


def test_a_denied_training_never_begins() -> None:
    result = look(ONE, policies=(LONG,))
    assert (result.actions, result.requeue_after, result.status.phase) == ((), None, "PolicyDenied")
    for type_ in ("PolicyCompliant", "Progressing"):
        assert stated(result, type_) == ("False", "PolicyDenied")
    assert stated(result, "Suspended") == ("True", "PolicyDenied")
    assert "spec.schedule.epochs is 10, must be at least 11" in condition(result, "PolicyCompliant").message
    assert told(result) == [
        ("VeryShortSchedule", "Warning"),
        ("PolicyDecision", "Warning"),
        ("PlannerAdvice", "Normal"),
    ]
    assert result.status.policy is not None and result.status.policy.min_epochs is None
    again = look(known(ONE, result), policies=(LONG,), now=NOW + timedelta(hours=1))
    assert (again.status, again.events) == (make.stored(result.status), ())


def test_it_begins_as_soon_as_it_is_allowed() -> None:
    denied = known(ONE, look(ONE, policies=(LONG,)))
    result = look(denied, policies=(replace(SHORT, generation=2),))
    assert created(result) == ["hippo-plan"]
    assert stated(result, "PolicyCompliant") == ("True", "PoliciesKept")
    assert ("Resumed", "Normal") in told(result) and ("PolicyDecision", "Normal") in told(result)
    record = result.status.policy
    assert record is not None and record.min_epochs == 10
    assert [(d.policy, d.generation, d.mode, d.outcome) for d in record.decisions] == [
        ("clinical", 2, "Enforce", "Allowed")
    ]


def test_a_running_training_is_suspended_at_its_checkpoint_and_goes_on() -> None:
    objects, samples = make.still(ONE)
    running = known(ONE, look(ONE, *objects, policies=(SHORT,), samples=samples))
    result = look(running, *objects, policies=(LONG,), samples=samples)
    assert deleted(result) == ["hippo-fold-0"] and created(result) == []
    assert stated(result, "PolicyCompliant") == ("False", "PolicyChanged")
    assert stated(result, "Progressing") == ("True", "Stopping")
    # What was trained until now is held against what held until now.
    assert result.status.policy is not None and result.status.policy.min_epochs == 10
    held = look(known(ONE, result), *planned(ONE), policies=(LONG,))
    assert (held.status.phase, held.actions) == ("PolicyChanged", ())
    assert held.status.folds[0].epoch == 3
    resumed = look(known(ONE, held), *planned(ONE), policies=(SHORT,))
    assert created(resumed) == ["hippo-fold-0"]


def test_an_exception_ends_while_it_runs() -> None:
    excepting = policy("clinical", rules={"minEpochs": 1000}, exceptions=[exception(minEpochs=10)])
    objects, samples = make.still(ONE)
    result = look(ONE, *objects, policies=(excepting,), samples=samples)
    assert stated(result, "PolicyCompliant") == ("True", "PolicyExcepted")
    assert result.status.policy is not None
    assert [(e.ticket, e.min_epochs) for e in result.status.policy.exceptions] == [("QM-17", 10)]
    end = excepting.spec.exceptions[0].expires_at
    waiting = look(
        known(ONE, result), *planned(ONE), job(ONE, FOLD, "0", suspended=True), policies=(excepting,), now=NOW
    )
    assert waiting.requeue_after == (end - NOW).total_seconds()
    over = look(known(ONE, result), *objects, policies=(excepting,), samples=samples, now=end)
    assert deleted(over) == ["hippo-fold-0"]
    assert "exception QM-17 ended at 2026-06-01T00:00:00Z" in condition(over, "PolicyCompliant").message


def test_an_exception_that_begins_to_count_wakes_the_training_that_is_held() -> None:
    """Nobody writes anything at that time: the look has to be asked for before."""
    far = exception(minEpochs=10, expiresAt="2027-06-01T00:00:00Z")
    excepting = policy("clinical", rules={"minEpochs": 1000}, exceptions=[far])
    held = look(ONE, policies=(excepting,))
    assert stated(held, "Progressing") == ("False", "PolicyDenied") and created(held) == []
    assert held.requeue_after is not None
    begins = NOW + timedelta(seconds=held.requeue_after)
    assert begins == excepting.spec.exceptions[0].expires_at - timedelta(days=366)
    assert created(look(known(ONE, held), policies=(excepting,), now=begins)) == ["hippo-plan"]


def test_that_it_was_excepted_is_never_forgotten() -> None:
    excepting = policy("clinical", rules={"minEpochs": 1000}, exceptions=[exception(minEpochs=10)])
    before = known(ONE, look(ONE, policies=(excepting,)))
    result = look(before, *planned(ONE), policies=())
    assert stated(result, "PolicyCompliant") == ("True", "PolicyExcepted")
    assert "ticket QM-17, approved by dr.x@example.org" in condition(result, "PolicyCompliant").message


@pytest.mark.parametrize(
    ("labels", "policies", "allowed"),
    [(CLINICAL, (), False), (CLINICAL, (SHORT,), True), ({}, (), True)],
)
def test_a_clinical_namespace_without_a_policy(
    labels: dict[str, str], policies: tuple[Policy, ...], allowed: bool
) -> None:
    result = look(ONE, policies=policies, namespace_labels=labels)
    assert bool(created(result)) is allowed
    if not allowed:
        assert stated(result, "Suspended") == ("True", "PolicyMissing") and result.status.phase == "PolicyMissing"


@pytest.mark.parametrize("mode", ["Warn", "Audit"])
def test_what_is_not_enforced_is_said_and_runs(mode: str) -> None:
    result = look(ONE, policies=(policy("soft", mode, rules={"minEpochs": 1000}),))
    assert created(result) == ["hippo-plan"]
    assert stated(result, "PolicyCompliant") == ("False", "PolicyNotEnforced")
    record = result.status.policy
    assert record is not None and record.min_epochs is None and record.decisions[0].broken_rules == ["minEpochs"]


def test_a_policy_that_cannot_be_read_lets_nothing_run() -> None:
    result = look(ONE, unreadable={"new": "spec.rules.colour: extra inputs are not permitted"})
    assert created(result) == [] and stated(result, "PolicyCompliant") == ("False", "PolicyDenied")
    assert "policy new: spec.rules.colour" in condition(result, "PolicyCompliant").message


def test_the_user_suspends_what_policies_deny_and_deletes_it() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, suspend=True)
    assert stated(look(of, policies=(LONG,)), "Suspended") == ("True", "SuspendedByUser")
    gone = replace(ONE, deleting=True)
    assert look(gone, policies=(LONG,)).actions == ()


def test_a_complete_training_stays_as_it_is() -> None:
    evaluation = job(ONE, make.EVALUATE, conditions=[COMPLETE])
    objects = [*planned(ONE), *fold_done(ONE, "0"), *make.verified(ONE), evaluation]
    done = known(ONE, look(ONE, *objects, policies=(SHORT,)))
    assert done.status.phase == "Completed"
    result = look(done, *objects, policies=(LONG,))
    assert (result.status, result.actions, result.events) == (done.status, (), ())


def contract(manifest: Manifest) -> dict[str, Any]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = json.loads(next(v["value"] for v in container["env"] if v["name"] == CONTRACT_ENV))
    return found


def test_the_trainer_is_told_the_minimum() -> None:
    result = look(ONE, *planned(ONE), policies=(SHORT,))
    (body,) = make.made(ONE, result)
    assert contract(body)["policy"]["minEpochs"] == 10


@pytest.mark.parametrize(
    ("of", "told_epochs", "asked", "restarted"),
    [
        pytest.param(STOPPING, 5, 8, True, id="raised"),
        pytest.param(STOPPING, None, 8, True, id="a Job that says nothing of it"),
        pytest.param(STOPPING, "garbage", 8, True, id="a Job made by hand"),
        pytest.param(STOPPING, 8, 8, False, id="the same"),
        pytest.param(STOPPING, 8, 5, False, id="lowered"),
        pytest.param(ONE, None, 8, False, id="it can't stop early"),
    ],
)
def test_a_trainer_that_was_told_less_begins_again(of: Training, told_epochs: Any, asked: int, restarted: bool) -> None:
    body = job(of, FOLD, "0")
    environment = body["spec"]["template"]["spec"]["containers"][0]["env"]
    entry = next(variable for variable in environment if variable["name"] == CONTRACT_ENV)
    entry["value"] = told_epochs if isinstance(told_epochs, str) else json.dumps({"policy": {"minEpochs": told_epochs}})
    pod = make.running(body)
    result = look(of, *planned(of), body, pod, policies=(policy(rules={"minEpochs": asked}),))
    assert deleted(result) == (["hippo-fold-0"] if restarted else [])


@pytest.mark.parametrize(
    ("proven", "asked", "reason"),
    [(10, 10, None), (6, 6, None), (6, 7, "PolicyEpochsNotProven"), (6, 0, None), (1, 0, "EpochsNotReached")],
)
def test_the_evidence_is_held_against_the_policies(proven: int, asked: int, reason: str | None) -> None:
    stop = make.verdict(proven, proven) if proven < 10 else None
    evidence = make.proof(proven, stop)
    policies = (policy(rules={"minEpochs": asked}),) if asked else ()
    result = look(STOPPING, *planned(STOPPING), *make.verified(STOPPING, evidence), policies=policies)
    if reason is None:
        assert stated(result, "EpochsProven") == ("True", "CheckpointsVerified")
    else:
        assert stated(result, "Failed") == ("True", reason)
        assert stated(result, "EpochsProven") == ("False", reason)


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(policy("clinical", "Warn", rules={"minEpochs": 10}), id="it only warned"),
        pytest.param(policy("clinical", rules={"minEpochs": 5}), id="it asked for less"),
    ],
)
@pytest.mark.parametrize("evaluated", [False, True])
def test_a_policy_that_asks_for_more_than_was_proven_ends_it(first: Policy, evaluated: bool) -> None:
    verified = [*planned(STOPPING), *make.verified(STOPPING, make.proof(6, make.verdict(6, 6)))]
    before = known(STOPPING, look(STOPPING, *verified, policies=(first,)))
    assert before.status.holds("EpochsProven")
    evaluation = job(STOPPING, make.EVALUATE, conditions=[COMPLETE] if evaluated else [])
    result = look(before, *verified, evaluation, policies=(SHORT,))
    for type_, status in (("Failed", "True"), ("EpochsProven", "False")):
        assert stated(result, type_) == (status, "PolicyEpochsNotProven")
    said = condition(result, "Failed").message
    assert "fold 0 proves 6 epochs (policy asks for at least 10)" in said and "exception" in said
    again = look(known(STOPPING, result), *verified, policies=(SHORT,))
    assert stated(again, "Failed") == ("True", "PolicyEpochsNotProven") and again.events == ()


@pytest.mark.parametrize("policy_first", [True, False])
def test_policies_count_no_epoch_of_fewer_iterations_than_were_asked_for(policy_first: bool) -> None:
    """Whether the policy came before the verification, or after one that passed without any."""
    verified = [*planned(ONE), *make.verified(ONE, make.proof(10, iterations=1))]
    before = known(ONE, look(ONE, *verified, policies=(SHORT,) if policy_first else ()))
    assert before.status.holds("EpochsProven") is not policy_first
    result = look(before, *verified, policies=(SHORT,))
    assert stated(result, "Failed") == ("True", "PolicyEpochsNotProven")
    assert "an epoch had 1 iteration, and schedule.iterationsPerEpoch is 250" in condition(result, "Failed").message


def test_without_a_policy_epochs_of_fewer_iterations_are_told_of() -> None:
    of = training(folds=[0])
    result = look(of, *planned(of), *make.verified(of, make.proof(1000, iterations=1)))
    assert stated(result, "EpochsProven") == ("True", "CheckpointsVerified")
    assert stated(result, "StandardSchedule") == ("False", "HollowEpochs")


def test_what_was_proven_stays_proven_while_policies_deny_the_training() -> None:
    verified = [*planned(STOPPING), *make.verified(STOPPING, make.proof(6, make.verdict(6, 6)))]
    before = known(STOPPING, look(STOPPING, *verified, policies=(policy("clinical", rules={"minEpochs": 5}),)))
    result = look(before, *verified, policies=(LONG,))
    assert stated(result, "Failed")[0] == "False" and stated(result, "EpochsProven")[0] == "True"
    assert result.status.phase == "PolicyChanged"


def test_an_edit_that_changes_nothing_for_a_training_is_no_news() -> None:
    before = known(ONE, look(ONE, policies=(LONG,)))
    result = look(before, policies=(replace(LONG, generation=2),))
    assert result.events == ()
    assert result.status.policy is not None and result.status.policy.decisions[0].generation == 2


def test_an_exception_that_lasts_too_long_is_told_as_such() -> None:
    excepting = policy(
        "clinical",
        rules={"minEpochs": 1000},
        exceptions=[exception(minEpochs=10, expiresAt="2029-06-01T00:00:00Z")],
    )
    said = condition(look(ONE, policies=(excepting,)), "PolicyCompliant").message
    assert "exception QM-17 does not count: it lasts until 2029-06-01T00:00:00Z, and 366 days are the most" in said


def test_many_policies_hold_a_training_all_the_same() -> None:
    rules = {"minEpochs": 11, "allowedTrainerClasses": [f"Trainer{'x' * 100}{number}" for number in range(16)]}
    objects, samples = make.still(ONE)
    result = look(ONE, *objects, samples=samples, policies=tuple(policy(f"p{n}", rules=rules) for n in range(100)))
    assert deleted(result) == ["hippo-fold-0"]
    message = condition(result, "PolicyCompliant").message
    assert len(message) <= 32768
    assert message.endswith("With an exception it begins by itself."), "what to do is never cut off"
    status = result.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert NnunetTrainingStatus.model_validate(status) == result.status


@pytest.mark.parametrize(
    ("proven", "asked", "reason"),
    [
        (4, 10, "PolicyEpochsNotProven"),
        (None, 10, "PolicyEpochsNotProven"),
        (4, 0, "EpochsNotReached"),
        (4, 3, "EpochsNotReached"),
    ],
)
def test_a_verification_that_fails_by_itself(proven: int | None, asked: int, reason: str) -> None:
    body = job(ONE, make.VERIFY, conditions=[make.failed_by()])
    report = TerminationReport(message="too few", evidence=make.proof(proven) if proven else None)
    policies = (policy(rules={"minEpochs": asked}),) if asked else ()
    result = look(ONE, *planned(ONE), body, make.ended(body, 70, report), policies=policies)
    assert stated(result, "Failed") == ("True", reason)


def test_no_evidence_at_all_where_a_policy_asks_for_it() -> None:
    done, pod = make.verified(ONE)
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = "lost"
    result = look(ONE, *planned(ONE), done, pod, policies=(SHORT,))
    assert stated(result, "Failed") == ("True", "PolicyEpochsNotProven")


def test_what_is_proven_while_it_is_held_counts_against_what_held_before() -> None:
    before = known(ONE, look(ONE, *planned(ONE), policies=(SHORT,)))
    result = look(before, *planned(ONE), *make.verified(ONE), policies=(LONG,))
    assert stated(result, "EpochsProven") == ("True", "CheckpointsVerified")
    assert (created(result), stated(result, "PolicyCompliant")) == ([], ("False", "PolicyChanged"))


def test_a_suppressed_stop_is_told_once() -> None:
    objects, samples = make.still(
        STOPPING, early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING, suppressed_epoch=3)
    )
    result = look(STOPPING, *objects, samples=samples, policies=(SHORT,))
    (event,) = [event for event in result.events if event.reason == "EarlyStopSuppressed"]
    assert "fold 0 would have acted on a plateau at epoch 3" in event.message and "(10 epochs)" in event.message
    assert result.status.folds[0].early_stopping is not None
    assert result.status.folds[0].early_stopping.suppressed_epoch == 3
    again = look(known(STOPPING, result), *objects, samples=samples, policies=(SHORT,))
    assert again.events == ()


def test_an_exception_that_lifts_as_much_as_one_may_is_kept() -> None:
    lifted = list(get_args(LiftableRule))[:MAX_LIFTED]
    granted = exception(namespace=ONE.namespace, name=ONE.name, liftedRules=lifted, expiresAt="2026-06-01T00:00:00Z")
    result = look(ONE, policies=(policy("house", exceptions=[granted]),))
    assert result.status.policy and result.status.policy.exceptions[0].lifted_rules == lifted
