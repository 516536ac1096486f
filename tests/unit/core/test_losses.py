"""What becomes of a Job that is gone, or going, before it is known how it ended."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.initial_weights import InitialWeightsFacts
from nnunet_api.job_status import JobStatus
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.losses import counts_more, with_made, with_stopped
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    VERIFY,
    after,
    condition,
    created,
    decide,
    deleted,
    ended,
    failed_by,
    fold_done,
    job,
    planned,
    running,
    stated,
    stored,
    verified,
    world,
)
from tests.support.plan_facts import PLAN_FACTS

ONE = training(folds=[0], schedule={"epochs": 10}, retryLimit=2)
TRAINED = [*planned(ONE), *fold_done(ONE, "0")]
BEFORE: dict[str, list[Manifest]] = {
    PLAN: [],
    FOLD: [*planned(ONE)],
    VERIFY: TRAINED,
    EVALUATE: [*TRAINED, *verified(ONE)],
}
"""By stage: what has to be done before it."""
STAGES = pytest.mark.parametrize("stage", [PLAN, FOLD, VERIFY, EVALUATE])
DONE = {PLAN: ["hippo-fold-0"], FOLD: ["hippo-verify"], VERIFY: ["hippo-evaluate"], EVALUATE: []}


def of_stage(stage: str, serial: int = 0, **changes: object) -> Manifest:
    """Return a stage's Job, the nth that was made of it."""
    body = job(ONE, stage, "0" if stage == FOLD else "", **changes)  # type: ignore[arg-type]
    body["metadata"]["uid"] += f"-{serial}"
    body["metadata"].pop("annotations", None)  # by which it would be made anew for a training that differs
    return body


def name_of(stage: str) -> str:
    return "hippo-fold-0" if stage == FOLD else f"hippo-{stage}"


def suspended(of: Training, value: bool = True) -> Training:
    return replace(of, spec=of.spec.model_copy(update={"suspend": value}))


def success(stage: str, of: Manifest) -> Manifest:
    """Return the pod of a Job that completed."""
    _, pod = {FOLD: fold_done(ONE, "0"), VERIFY: verified(ONE)}.get(stage, planned(ONE))
    (trainer,) = pod["status"]["containerStatuses"]
    return ended(of, 0, trainer["state"]["terminated"]["message"])


@STAGES
@pytest.mark.parametrize("noticed", [False, True], ids=["unnoticed before", "noticed before"])
def test_a_job_that_has_completed_counts_while_somebody_else_deletes_it(stage: str, noticed: bool) -> None:
    of = after(ONE, *BEFORE[stage], of_stage(stage)) if noticed else ONE
    leaving = of_stage(stage, conditions=[COMPLETE], deleting=True)
    objects = [*BEFORE[stage], leaving, success(stage, leaving)]
    result = decide(world(of, *objects))
    assert created(result) == DONE[stage] and deleted(result) == []
    assert stage != EVALUATE or stated(result, "Complete") == ("True", "TrainingComplete")
    # And what it came to is remembered when it is gone.
    assert created(decide(world(after(of, *objects), *BEFORE[stage]))) == DONE[stage]


@pytest.mark.parametrize("stage", [PLAN, FOLD, EVALUATE])
def test_its_end_is_not_put_off_for_the_pods_facts(stage: str) -> None:
    leaving = of_stage(stage, conditions=[COMPLETE], deleting=True)
    result = decide(world(ONE, *BEFORE[stage], leaving, running(leaving)))
    assert created(result) == DONE[stage]


@STAGES
@pytest.mark.parametrize("noticed", [False, True], ids=["unnoticed before", "noticed before"])
def test_a_job_that_has_failed_counts_while_somebody_else_deletes_it(stage: str, noticed: bool) -> None:
    of = after(ONE, *BEFORE[stage], of_stage(stage)) if noticed else ONE
    leaving = of_stage(stage, conditions=[failed_by()], deleting=True)
    objects = [*BEFORE[stage], leaving, ended(leaving, 65, TerminationReport(message="dataset.json is missing"))]
    result = decide(world(of, *objects))
    assert stated(result, "Failed") == ("True", "WrongData")
    assert "dataset.json is missing" in condition(result, "Failed").message
    gone = decide(world(after(of, *objects), *BEFORE[stage]))
    assert stated(gone, "Failed") == ("True", "WrongData") and created(gone) == []
    shown, failed = condition(gone, "Progressing").message, condition(gone, "Failed").message
    assert shown == f"nothing runs because the training has failed; {failed}", "kubectl get nnt -o wide says why"


@STAGES
def test_a_job_that_the_operator_deletes_for_a_retry_counts_for_nothing(stage: str) -> None:
    bad = of_stage(stage, conditions=[failed_by()])
    known = after(ONE, *BEFORE[stage], bad, ended(bad, 65))
    going = suspended(known)
    assert name_of(stage) in deleted(decide(world(going, *BEFORE[stage], bad)))
    going = after(going, *BEFORE[stage], bad)
    bad["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    for resumed in (suspended(going, value=False), suspended(after(going, *BEFORE[stage], bad), value=False)):
        result = decide(world(resumed, *BEFORE[stage], bad))
        assert stated(result, "Failed") == ("False", "NotFailed")
        assert name_of(stage) not in created(result)


def test_what_somebody_deletes_during_a_suspension_counts_for_nothing_either() -> None:
    bad = of_stage(PLAN, conditions=[failed_by()], deleting=True)
    resting = after(suspended(ONE), bad)
    assert stated(decide(world(suspended(resting, value=False), bad)), "Failed") == ("False", "NotFailed")


def lose(of: Training, stage: str, now: datetime, serial: int) -> tuple[Training, Decision]:
    """Let a stage's Job be seen, and then be gone; return the training after that, and what was decided."""
    of = after(of, *BEFORE[stage], of_stage(stage, serial), now=now)
    result = decide(world(of, *BEFORE[stage], now=now))
    return replace(of, status=stored(result.status)), result


@STAGES
def test_jobs_that_are_gone_unseen_are_made_anew_as_often_as_retries_are_forgiven(stage: str) -> None:
    of, now = ONE, NOW
    of, first = lose(of, stage, now, 1)
    assert created(first) == [name_of(stage)]  # at once
    assert "again, because its Job was deleted once before it was known how it ended" in str(first.status.conditions)
    of, second = lose(of, stage, now, 2)
    assert (created(second), second.requeue_after) == ([], 10.0)
    assert stated(second, "Progressing") == ("True", "Starting")
    later = decide(world(of, *BEFORE[stage], now=now + timedelta(seconds=4)))
    assert (created(later), later.requeue_after, later.status) == ([], 6.0, of.status)
    assert created(decide(world(of, *BEFORE[stage], now=now + timedelta(seconds=10)))) == [name_of(stage)]
    of, third = lose(of, stage, now + timedelta(seconds=10), 3)
    assert stated(third, "Failed") == ("True", "OutcomeLost") and created(third) == []
    message = condition(third, "Failed").message
    for words in ("its Job was deleted 3 times before", "spec.retryLimit (2)", "ttlSecondsAfterFinished", "try again"):
        assert words in message
    # It stays so, and a retry has the whole of retryLimit again.
    assert after(of, *BEFORE[stage]).status == of.status
    of = suspended(after(suspended(of), *BEFORE[stage]), value=False)
    assert {status.lost for status in of.status.jobs} <= {0}
    again = decide(world(of, *BEFORE[stage]))
    assert stated(again, "Failed") == ("False", "NotFailed")


def test_one_loss_is_forgiven_also_without_retries() -> None:
    """Nobody who wants no failed attempt forgiven means that a Job deleted by somebody else ends the training."""
    of = training(folds=[0], schedule={"epochs": 10}, retryLimit=0)
    of, first = lose(of, FOLD, NOW, 1)
    assert created(first) == ["hippo-fold-0"]
    _, second = lose(of, FOLD, NOW, 2)
    assert stated(second, "Failed") == ("True", "OutcomeLost")
    assert "spec.retryLimit (0) forgives one such loss" in condition(second, "Failed").message


def test_a_job_that_is_deleted_alive_again_and_again_is_given_up_too() -> None:
    of = ONE
    for serial in range(1, 4):
        of = after(of, *BEFORE[FOLD], of_stage(FOLD, serial))
        leaving = of_stage(FOLD, serial, deleting=True)
        of = after(of, *BEFORE[FOLD], leaving)
        assert [(status.lost, status.stopping) for status in of.status.jobs] == [(serial - 1, None)]
        pod = running(leaving, deleting=True)
        of = after(of, *BEFORE[FOLD], pod)  # its Job is gone, and it is not
        assert [status.lost for status in of.status.jobs] == [serial - 1]
        of = after(of, *BEFORE[FOLD])
    assert of.status.phase == "Failed"


def test_a_job_that_the_operator_has_stopped_is_no_loss() -> None:
    of = after(suspended(after(ONE, *planned(ONE), of_stage(FOLD))), *planned(ONE), of_stage(FOLD))
    assert [status.stopping for status in of.status.jobs] == [True]
    of = after(suspended(of, value=False), *planned(ONE), of_stage(FOLD, deleting=True))
    of = after(of, *planned(ONE))
    assert of.status.jobs == []


def test_what_is_done_is_no_loss() -> None:
    of = after(ONE, *planned(ONE), of_stage(FOLD))
    of = after(of, *TRAINED)
    assert of.status.jobs == []
    assert created(decide(world(of))) == ["hippo-verify"]


def test_verifications_without_evidence_are_repeated_as_often_as_retries_are_forgiven() -> None:
    of = ONE
    for serial in (1, 2):
        done = of_stage(VERIFY, serial, conditions=[COMPLETE])
        result = decide(world(of, *TRAINED, done))
        assert "vanished with the evidence" in condition(result, "Progressing").message
        assert deleted(result) == ["hippo-verify"]
        of = after(of, *TRAINED, done)
        assert [(status.lost, status.stopping) for status in of.status.jobs] == [(serial, True)]
        done["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        of = after(of, *TRAINED, done)
        of = after(of, *TRAINED)
        assert [(status.lost, status.uid) for status in of.status.jobs] == [(serial, None)]
    held = decide(world(of, *TRAINED, now=NOW + timedelta(seconds=1)))
    assert (created(held), held.requeue_after) == ([], 9.0)
    last = of_stage(VERIFY, 3, conditions=[COMPLETE])
    result = decide(world(of, *TRAINED, last))
    assert stated(result, "Failed") == ("True", "OutcomeLost") and deleted(result) == []
    message = condition(result, "Failed").message
    for words in ("its pod is gone each time before its evidence is read", "ttlSecondsAfterFinished", "MultiKueue"):
        assert words in message
    assert after(after(of, *TRAINED, last), *TRAINED, last).status.phase == "Failed"


SKIPS = {"configurations": ["3d_lowres", "2d"], "skipUnavailableConfigurations": True}
WEIGHTS = {"initialWeights": {"claim": {"claimName": "models", "path": "a.pth"}}}
UNREAD = pytest.mark.parametrize("spec", [SKIPS, WEIGHTS, SKIPS | WEIGHTS], ids=["skips", "weights", "both"])


def plan_of(of: Training, serial: int) -> Manifest:
    """Return the nth completed planning Job, whose pod is gone."""
    body = job(of, PLAN, conditions=[COMPLETE])
    body["metadata"]["uid"] += f"-{serial}"
    return body


@UNREAD
def test_planning_whose_answer_nobody_has_read_is_repeated_and_given_up_in_the_end(spec: dict[str, Any]) -> None:
    """Else folds of what is not planned would be trained, or nobody would ever know what they begin with."""
    of = training(folds=[0], retryLimit=1, **spec)
    done = plan_of(of, 1)
    result = decide(world(of, done))
    assert (created(result), deleted(result)) == ([], ["hippo-plan"])
    assert "again, because its pod vanished with the report" in condition(result, "Progressing").message
    assert stated(result, "DatasetReady")[0] != "True"
    of = after(of, done)
    assert [(status.lost, status.stopping) for status in of.status.jobs] == [(1, True)]
    assert created(decide(world(of))) == ["hippo-plan"]
    last = decide(world(of, plan_of(of, 2)))
    assert stated(last, "Failed") == ("True", "OutcomeLost") and deleted(last) == []
    for words in ("the planning and preprocessing has completed 2 times", "before its report is read", "MultiKueue"):
        assert words in condition(last, "Failed").message


def told_of_weights(of: Training) -> tuple[Manifest, Manifest]:
    """Return the completed planning Job and its pod, which has looked at the weights where there are some."""
    done, _ = planned(of)
    weights = InitialWeightsFacts(claim_name="models", path="a.pth", sha256="a" * 64)
    facts = PLAN_FACTS.model_copy(update={"initial_weights": weights if of.spec.initial_weights else None})
    return done, ended(done, 0, TerminationReport(message="planned", plan=facts))


@UNREAD
def test_planning_whose_answer_is_known_is_not_repeated(spec: dict[str, Any]) -> None:
    of = training(folds=[0], **spec)
    read = after(of, *told_of_weights(of))
    for objects in ([], [plan_of(of, 1)]):
        result = decide(world(read, *objects))
        assert deleted(result) == [] and created(result)[0].startswith("hippo-fold")
    silent = plan_of(of, 1)
    seen = [silent, ended(silent, 0, TerminationReport(message="planned"))]
    assert deleted(decide(world(of, *seen))) == [], "an image that says nothing says no more the next time"


def test_planning_that_has_nothing_to_answer_counts_by_its_end() -> None:
    assert created(decide(world(ONE, job(ONE, PLAN, conditions=[COMPLETE])))) == ["hippo-fold-0"]


@pytest.mark.parametrize("crashed", [False, True], ids=["", "the operator dies before its status is written"])
def test_each_verification_without_evidence_counts_once(crashed: bool) -> None:
    done = of_stage(VERIFY, 1, conditions=[COMPLETE])
    of = after(ONE, *TRAINED, of_stage(VERIFY, 1))
    if not crashed:
        of = after(of, *TRAINED, done)
    done["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    of = after(of, *TRAINED, done)
    of = after(of, *TRAINED)
    assert [status.lost for status in of.status.jobs] == [1]


def test_a_job_that_was_gone_before_a_status_told_of_it_counts() -> None:
    of = after(ONE, *planned(ONE))
    made = replace(of, status=with_made(of.status, {"hippo-fold-0": "made"}))
    assert [status.uid for status in made.status.jobs] == ["made"]
    result = decide(world(made, *planned(ONE)))
    assert created(result) == ["hippo-fold-0"] and [status.lost for status in result.status.jobs] == [1]
    assert counts_more(of.status, result.status) and not counts_more(result.status, result.status)
    again = replace(of, status=with_made(result.status, {"hippo-fold-0": "again"}))
    assert [status.lost for status in decide(world(again, *planned(ONE))).status.jobs] == [2]
    assert with_made(of.status, {}) == of.status


@pytest.mark.parametrize("gone", [False, True], ids=["on its way out", "gone"])
def test_a_job_that_was_stopped_before_a_status_could_tell_of_it_is_not_lost(gone: bool) -> None:
    """The training was suspended, and is resumed before the status of that could be written."""
    fold = job(ONE, FOLD, "0")
    of = after(ONE, *planned(ONE), fold, running(fold))
    stopped = with_stopped(of.status, {"hippo-fold-0": fold["metadata"]["uid"]})
    fold["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    result = decide(world(replace(of, status=stopped), *planned(ONE), *([] if gone else [fold, running(fold)])))
    assert [status.lost for status in result.status.jobs] in ([], [0])
    after_all = decide(world(replace(of, status=result.status), *planned(ONE)))
    assert created(after_all) == ["hippo-fold-0"] and [status.lost for status in after_all.status.jobs] in ([], [0])
    # Without that it counts as one that somebody else has deleted.
    assert [status.lost for status in decide(world(of, *planned(ONE))).status.jobs] == [1]
    assert with_stopped(of.status, {}) == of.status


@pytest.mark.parametrize(
    ("lost", "passed", "wait"),
    [
        (1, 0, None),
        (2, 0, 10),
        (3, 0, 20),
        (3, 15, 5),
        (4, 0, 40),
        (4, 40, None),
        (9, 0, 300),
        (99, 0, 300),
        (3, -60, 20),
    ],
)
def test_the_next_attempt_waits_longer_each_time(lost: int, passed: int, wait: float | None) -> None:
    """Never longer than its time, whatever the clock does."""
    patient = training(folds=[0], schedule={"epochs": 10}, retryLimit=100)
    jobs = [JobStatus(name="hippo-fold-0", lost=lost, last_lost_time=NOW)]
    of = after(patient, *planned(patient))
    of = replace(of, status=of.status.model_copy(update={"jobs": jobs}))
    result = decide(world(of, *planned(patient), now=NOW + timedelta(seconds=passed)))
    assert (created(result), result.requeue_after) == ([] if wait else ["hippo-fold-0"], wait)
