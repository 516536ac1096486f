"""Which Jobs exist when."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.core.decision import DeleteTraining
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.training import invalid_status
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    VERIFY,
    after,
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
    verified,
    world,
)

STORED = {"metadata": {"namespace": "clinic", "name": "hippo", "generation": 1}}
THREE = training(folds=[0, 1, 2])
FOLDS = ["hippo-fold-0", "hippo-fold-1", "hippo-fold-2"]


def fold(index: int, **changes: Any) -> Manifest:
    return job(THREE, FOLD, str(index), **changes)


def done(index: int) -> Manifest:
    return fold(index, conditions=[COMPLETE])


def failed(index: int) -> Manifest:
    return fold(index, conditions=[failed_by()])


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([], ["hippo-plan"], id="first the plan"),
        pytest.param([job(THREE, PLAN)], [], id="then wait for it"),
        pytest.param([*planned(THREE)], FOLDS, id="then all folds"),
        pytest.param([job(THREE, PLAN, conditions=[COMPLETE])], FOLDS, id="also where its pod and facts are gone"),
        pytest.param([fold(0)], FOLDS[1:], id="a fold proves the plan whose Job somebody deleted"),
        pytest.param([*planned(THREE), fold(0), fold(1), fold(2)], [], id="wait for the folds"),
        pytest.param([*planned(THREE), done(0), done(1), fold(2)], [], id="wait for the last fold"),
        pytest.param([*planned(THREE), done(0), done(1), done(2)], ["hippo-verify"], id="then the verification"),
        pytest.param(
            [*planned(THREE), done(0), done(1), done(2), *verified(THREE)], ["hippo-evaluate"], id="then the evaluation"
        ),
        pytest.param([*planned(THREE), job(THREE, VERIFY)], [], id="a verification proves that the folds were there"),
        pytest.param([job(THREE, EVALUATE)], ["hippo-verify"], id="an evaluation proves no epochs"),
        pytest.param([*verified(THREE), job(THREE, EVALUATE)], [], id="an evaluation proves the folds, not the epochs"),
        pytest.param([*planned(THREE), fold(0, deleting=True), fold(1), fold(2)], [], id="a name is taken until free"),
        pytest.param([*planned(THREE), fold(0), failed(1)], [], id="nothing more after a failure"),
    ],
)
def test_jobs_to_create(objects: list[Manifest], expected: list[str]) -> None:
    assert created(decide(world(THREE, *objects))) == expected


@pytest.mark.parametrize(
    ("limit", "objects", "expected"),
    [
        pytest.param(1, [], FOLDS[:1], id="one at a time"),
        pytest.param(2, [], FOLDS[:2], id="two at a time"),
        pytest.param(5, [], FOLDS, id="more than there are"),
        pytest.param(1, [fold(0)], [], id="full"),
        pytest.param(2, [fold(1)], FOLDS[:1], id="one free"),
        pytest.param(1, [done(0)], FOLDS[1:2], id="a completed fold gives its place away"),
        pytest.param(1, [fold(0, suspended=True)], [], id="a fold that waits in a queue keeps its place"),
        pytest.param(1, [fold(0, deleting=True)], [], id="a fold that is stopping still holds its GPU"),
        pytest.param(1, [fold(0), fold(1)], [], id="a limit that was lowered stops nothing that runs"),
    ],
)
def test_parallel_limit(limit: int, objects: list[Manifest], expected: list[str]) -> None:
    limited = training(folds=[0, 1, 2], maxParallelFolds=limit)
    result = decide(world(limited, *planned(limited), *objects))
    assert created(result) == expected
    assert deleted(result) == []


def test_all_cases_is_one_fold() -> None:
    whole = training(trainOnAllCases=True, folds=[])
    assert created(decide(world(whole, *planned(whole)))) == ["hippo-fold-all"]


@pytest.mark.parametrize(
    ("objects", "gone"),
    [
        pytest.param([], [], id="before anything"),
        pytest.param([job(THREE, PLAN)], ["hippo-plan"], id="planning"),
        pytest.param([*planned(THREE), done(0), fold(1), fold(2)], FOLDS[1:], id="folds; what is done stays"),
        pytest.param([*planned(THREE), fold(0, deleting=True), fold(1)], FOLDS[1:2], id="no second deletion"),
        pytest.param([*planned(THREE), failed(0)], FOLDS[:1], id="a failed Job, so that a retry finds its name free"),
        pytest.param([*planned(THREE), job(THREE, EVALUATE)], ["hippo-evaluate"], id="evaluation"),
    ],
)
def test_suspension_stops_what_is_not_done(objects: list[Manifest], gone: list[str]) -> None:
    result = decide(world(replace(THREE, spec=training(folds=[0, 1, 2], suspend=True).spec), *objects))
    assert deleted(result) == gone
    assert created(result) == []
    stopping = any(o["kind"] == "Job" and COMPLETE not in o["status"]["conditions"] for o in objects if o.get("kind"))
    assert stated(result, "Suspended") == (("False", "Stopping") if stopping else ("True", "SuspendedByUser"))
    assert result.status.phase == ("Stopping" if stopping else "Suspended")


def test_resumption_goes_on_where_it_stopped() -> None:
    running_ = after(THREE, *planned(THREE), *fold_done(THREE, "0"), fold(1))
    suspended = after(replace(running_, spec=training(folds=[0, 1, 2], suspend=True).spec), *planned(THREE))
    result = decide(world(replace(suspended, spec=THREE.spec), *planned(THREE)))
    assert created(result) == FOLDS[1:]
    assert stated(result, "Suspended") == ("False", "NotSuspended")


def test_resumption_waits_for_pods_that_still_stop() -> None:
    result = decide(world(THREE, *planned(THREE), *(fold(i, deleting=True) for i in range(3))))
    assert (created(result), deleted(result)) == ([], [])
    assert stated(result, "Progressing") == ("True", "Stopping")


def test_an_evaluation_that_ends_during_suspension_completes_the_training() -> None:
    suspended = training(folds=[0], suspend=True)
    result = decide(world(suspended, *verified(suspended), job(suspended, EVALUATE, conditions=[COMPLETE])))
    assert stated(result, "Complete") == ("True", "TrainingComplete")
    assert result.actions == ()


def test_a_completed_fold_is_not_trained_again_when_its_job_is_deleted() -> None:
    known = after(THREE, *planned(THREE), *fold_done(THREE, "0"), fold(1), fold(2))
    result = decide(world(known, *planned(THREE), fold(1), fold(2)))
    assert created(result) == []
    assert result.status.folds[0].mean_validation_dice == 0.87


def test_a_fold_job_that_somebody_deletes_comes_back() -> None:
    known = after(THREE, *planned(THREE), fold(0), fold(1), fold(2))
    assert created(decide(world(known, *planned(THREE), fold(0), fold(2)))) == ["hippo-fold-1"]


@pytest.mark.parametrize("suspend", [False, True])
def test_a_pod_that_outlives_its_job_is_waited_for(suspend: bool) -> None:
    one = training(folds=[0, 1], maxParallelFolds=1, suspend=suspend)
    leaving = running(job(one, FOLD, "0"), deleting=True)
    leaving["spec"] = {"nodeName": "node-7"}
    known = after(one, *planned(one))
    result = decide(world(known, *planned(one), leaving))
    assert created(result) == []  # neither the fold again, nor another one on a GPU that is not free
    assert stated(result, "Progressing") == ("True", "Stopping")
    if suspend:
        assert stated(result, "Suspended") == ("False", "Stopping")
    else:
        message = "fold 0 waits until pod hippo-fold-0-x on node-7, whose Job is gone or lacks the label"
        assert message in str(result.status.condition("Progressing"))
        assert created(decide(world(known, *planned(one), ended(job(one, FOLD, "0"), 75)))) == ["hippo-fold-0"]


RETRIES = pytest.mark.parametrize(
    ("code", "gone", "first"),
    [
        # Preprocessed data may be lost, whatever the failure was: planning looks.
        pytest.param(1, ["hippo-plan", "hippo-fold-1"], ["hippo-plan"], id="any"),
        # One of the folds is damaged: each looks at its checkpoints, and ends at once where they are whole.
        pytest.param(69, ["hippo-plan", *FOLDS[:2]], ["hippo-plan"], id="a checkpoint"),
    ],
)


@RETRIES
def test_a_retry_takes_nothing_for_granted(code: int, gone: list[str], first: list[str]) -> None:
    two = training(folds=[0, 1])
    bad = job(two, FOLD, "1", conditions=[failed_by()])
    objects = [*planned(two), *fold_done(two, "0"), bad, ended(bad, code)]
    failed_ = after(two, *objects)
    suspended = replace(failed_, spec=training(folds=[0, 1], suspend=True).spec)
    result = decide(world(suspended, *objects))
    assert deleted(result) == gone
    assert stated(result, "DatasetReady") == ("False", "NotYetPlanned")

    # Jobs that are on their way out prove nothing.
    resting = after(suspended, *objects)
    leaving = [o for o in objects if o.get("kind") == "Job"]
    for body in leaving:
        if body["metadata"]["name"] in gone:
            body["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    resting = after(resting, *leaving)
    assert stated(decide(world(resting, *leaving)), "DatasetReady") == ("False", "NotYetPlanned")
    kept = [body for body in leaving if body["metadata"]["name"] not in gone]
    resumed = replace(after(resting, *kept), spec=two.spec)
    again = decide(world(resumed, *kept))
    assert created(again) == first
    folds = ["hippo-fold-1"] if code == 1 else FOLDS[:2]
    assert created(decide(world(after(resumed, *kept), *planned(two), *kept))) == folds


def test_a_suspension_without_a_failure_keeps_what_is_done() -> None:
    suspended = replace(after(THREE, *planned(THREE)), spec=training(folds=[0, 1, 2], suspend=True).spec)
    result = decide(world(suspended, *planned(THREE)))
    assert deleted(result) == []
    assert stated(result, "DatasetReady") == ("True", "Preprocessed")


def test_a_spec_that_is_valid_again_goes_on() -> None:
    objects = [*planned(THREE), fold(0), running(fold(0))]
    begun = after(THREE, *objects)
    invalid = replace(begun, status=invalid_status(begun.status, "folds: too many", STORED, NOW))
    assert stated(decide(world(begun, *objects)), "Failed") == ("False", "NotFailed")
    assert invalid.status.phase == "Failed"
    result = decide(world(invalid, *objects))
    assert deleted(result) == []
    assert stated(result, "Failed") == ("False", "NotFailed")
    assert stated(result, "Progressing") == ("True", "Training")


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([*verified(THREE), job(THREE, EVALUATE, conditions=[COMPLETE])], id="complete"),
        pytest.param([*planned(THREE), failed(0)], id="failed"),
    ],
)
def test_what_has_ended_is_not_touched_by_a_spec_that_does_not_parse(objects: list[Manifest]) -> None:
    over = after(THREE, *objects).status
    assert invalid_status(over, "folds: too many", STORED, NOW) == over


def test_failure_stops_the_other_folds_once_it_is_stored() -> None:
    objects = [*planned(THREE), fold(0), failed(1), done(2)]
    first = decide(world(THREE, *objects))
    assert (stated(first, "Failed")[0], deleted(first)) == ("True", [])
    assert first.requeue_after == 1.0
    second = decide(world(after(THREE, *objects), *objects))
    assert deleted(second) == ["hippo-fold-0"]  # the failed Job stays, for its logs
    assert second.events == ()


def test_failure_for_want_of_memory_ends_the_job_without_using_up_its_retries() -> None:
    killed = [fold(0), ended(fold(0), 137, reason="OOMKilled"), running(fold(0), name="retry")]
    known = after(THREE, *planned(THREE), *killed)
    result = decide(world(known, *planned(THREE), *killed))
    assert stated(result, "Failed") == ("True", "OutOfMemory")
    assert deleted(result) == ["hippo-fold-0"]


def test_failed_stays_failed_until_it_is_suspended() -> None:
    known = after(THREE, *planned(THREE), failed(0))
    for objects in ([], [*planned(THREE)], [*planned(THREE), fold(1)]):
        result = decide(world(known, *objects))
        assert created(result) == []
        assert stated(result, "Failed") == ("True", known.status.conditions[-1].reason)

    suspended = after(replace(known, spec=training(folds=[0, 1, 2], suspend=True).spec), *planned(THREE))
    assert suspended.status.completion_time is None
    again = decide(world(replace(suspended, spec=THREE.spec), *planned(THREE)))
    assert stated(again, "Failed") == ("False", "NotFailed")
    assert created(again) == FOLDS


def test_a_status_that_somebody_cleared_is_computed_again() -> None:
    objects = [*planned(THREE), *fold_done(THREE, "0"), *fold_done(THREE, "1"), *fold_done(THREE, "2")]
    known = after(THREE, *objects, *verified(THREE), job(THREE, EVALUATE, conditions=[COMPLETE]))
    assert known.status.phase == "Completed"
    again = decide(world(THREE, *objects, *verified(THREE), job(THREE, EVALUATE, conditions=[COMPLETE]))).status
    assert again == known.status


def test_a_complete_training_outlives_its_jobs() -> None:
    known = after(THREE, *verified(THREE), job(THREE, EVALUATE, conditions=[COMPLETE]))
    result = decide(world(known))
    assert (result.status, result.actions, result.events) == (known.status, (), ())


def test_a_training_that_is_being_deleted_is_left_alone() -> None:
    leaving = replace(THREE, deleting=True)
    result = decide(world(leaving, *planned(THREE)))
    assert (result.status, result.actions, result.events) == (leaving.status, (), ())


@pytest.mark.parametrize("end", ["Complete", "Failed"])
@pytest.mark.parametrize(
    ("ttl", "age", "gone", "again"), [(None, 1e9, False, None), (60, 10, False, 50), (60, 60, True, 0), (0, 0, True, 0)]
)
def test_time_to_live(end: str, ttl: int | None, age: float, gone: bool, again: float | None) -> None:
    mortal = training(folds=[0], ttlSecondsAfterFinished=ttl)
    last = (
        [*verified(mortal), job(mortal, EVALUATE, conditions=[COMPLETE])]
        if end == "Complete"
        else [job(mortal, FOLD, "0", conditions=[failed_by()])]
    )
    known = after(mortal, *last)
    later = NOW.fromtimestamp(NOW.timestamp() + age, NOW.tzinfo)
    result = decide(world(known, *last, now=later))
    assert result.actions == ((DeleteTraining(),) if gone else ())
    assert result.requeue_after == again


def test_an_end_is_stored_before_the_training_is_deleted() -> None:
    mortal = training(folds=[0], ttlSecondsAfterFinished=0)
    result = decide(world(mortal, *verified(mortal), job(mortal, EVALUATE, conditions=[COMPLETE])))
    assert result.actions == ()
    assert result.requeue_after is not None


def test_a_job_that_only_claims_to_be_ours_is_not() -> None:
    claims = job(THREE, PLAN, conditions=[COMPLETE])
    claims["metadata"] |= {"labels": {}, "ownerReferences": [{"kind": "X", "uid": THREE.uid, "controller": True}]}
    result = decide(world(THREE, claims))
    assert result.actions == () and result.status.phase == "ChildNotOwned"


@pytest.mark.parametrize(
    ("owner", "reason", "says"),
    [
        ({"kind": "NnunetTraining", "name": "hippo", "uid": "old"}, "Stopping", "former training"),
        ({"kind": "CronJob", "name": "nightly", "uid": "x"}, "ChildNotOwned", "CronJob nightly. Delete that Job"),
        # It would make its Job again at once.
        ({"kind": "NnunetTraining", "name": "hip.po", "uid": "x"}, "ChildNotOwned", "hip.po. Delete this training and"),
        (None, "ChildNotOwned", "nobody"),
    ],
)
@pytest.mark.parametrize("suspend", [False, True])
def test_a_job_that_is_not_ours_is_never_touched(
    owner: dict[str, str] | None, reason: str, says: str, suspend: bool
) -> None:
    foreign = job(THREE, PLAN, conditions=[COMPLETE])
    foreign["metadata"]["ownerReferences"] = [{**owner, "controller": True}] if owner else []
    result = decide(world(replace(THREE, spec=training(folds=[0], suspend=suspend).spec), foreign))
    assert result.actions == ()
    if not suspend:
        found = result.status.condition("Progressing")
        assert found is not None
        assert (found.reason, says in found.message) == (reason, True)
        assert result.status.phase == reason
