"""A Job that failed without the trainer's doing is made anew after a pause: counted, bounded, and named."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nnunet_operator.core.decision import Decision
from nnunet_operator.core.renewals import LONGEST_PAUSE_SECONDS, MAX_RENEWALS
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    FOLD,
    condition,
    created,
    decide,
    deleted,
    ended,
    failed_by,
    job,
    made,
    planned,
    pod,
    stated,
    stored,
    world,
)

ONE = training(folds=[0], retryLimit=2)
BACKOFF = failed_by(reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
NO_GPU = "Pod was rejected: Allocate failed due to no healthy devices present"


def lost(uid: str = "job-1", crashed: int = 0, away: int = 3) -> list[Manifest]:
    """Return the Job of fold 0, failed through so many attempts of the trainer and pods that were turned away."""
    body = job(ONE, FOLD, "0", failed=crashed + away, conditions=[BACKOFF])
    body["metadata"]["uid"] = uid
    own = [ended(body, 1, "ValueError: x", name=f"own-{i}") for i in range(crashed)]
    turned = [
        pod(body, name=f"away-{i}", phase="Failed", reason="UnexpectedAdmissionError", message=NO_GPU)
        for i in range(away)
    ]
    for one in turned:
        one["spec"]["nodeName"] = "gpu-1"
    return [body, *own, *turned]


def look(of: Training, *objects: Manifest, now: datetime = NOW) -> tuple[Training, Decision]:
    """Return the training with the status that a look at the world gives it, and what was decided."""
    result = decide(world(of, *planned(of), *objects, now=now))
    return replace(of, status=stored(result.status)), result


def test_a_lost_job_is_made_anew_after_a_pause_once_the_status_tells_of_it() -> None:
    known, result = look(ONE, *lost())
    assert stated(result, "Failed")[0] == "False" and not result.actions
    assert stated(result, "Progressing") == ("False", "ContainerConfigError")
    message = condition(result, "Progressing").message
    assert f"fold 0 waits after its pod was turned away by node gpu-1 (UnexpectedAdmissionError): {NO_GPU}" in message
    assert "made anew (1 of 10 times)" in message and "kubectl describe node NODE" in message
    assert "kubectl logs" not in message
    assert result.requeue_after == 10
    # The pause is in the status: a new operator keeps it, and says the same.
    known, result = look(known, *lost(), now=NOW + timedelta(seconds=9))
    assert (result.requeue_after, result.actions, result.events) == (1, (), ())
    known, result = look(known, *lost(), now=NOW + timedelta(seconds=10))
    assert deleted(result) == ["hippo-fold-0"] and created(result) == []
    known, result = look(known, now=NOW + timedelta(seconds=11))
    assert created(result) == ["hippo-fold-0"] and made(known, result)[0]["spec"]["backoffLimit"] == 2
    # The next one's pause begins when it is seen, and it is longer.
    known, result = look(known, *lost("job-2"), now=NOW + timedelta(hours=1))
    assert (result.actions, result.requeue_after) == ((), 20)


@pytest.mark.parametrize("code", [75, 137])
def test_a_job_that_is_out_of_time_is_made_anew(code: int) -> None:
    """The operator gives no Job a deadline."""
    over = failed_by(reason="DeadlineExceeded", message="Job was active longer")
    body = job(ONE, FOLD, "0", failed=1, conditions=[over])
    _, result = look(ONE, body, ended(body, code))
    assert stated(result, "Progressing") == ("False", "ContainerConfigError") and result.requeue_after == 10
    message = condition(result, "Progressing").message
    assert "was ended with its Job, which was active for longer than its activeDeadlineSeconds" in message
    assert "A rule of the cluster sets activeDeadlineSeconds" in message
    assert [one.failed_attempts for one in result.status.renewed_jobs or ()] == [0]


def test_a_job_that_counts_preemptions_as_failures_is_made_anew() -> None:
    """Something has taken the rules off by which the operator tells them apart."""
    body = job(ONE, FOLD, "0", failed=3, conditions=[BACKOFF])
    target = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    ends = [ended(body, 1, "ValueError: x", name="a"), ended(body, 137, name="b", conditions=target)]
    pods = [*ends, ended(body, 75, "stopped on request", name="c")]
    assert stated(look(ONE, body, *pods)[1], "Failed") == ("True", "RetriesExhausted")
    del body["spec"]["podFailurePolicy"]
    known, result = look(ONE, body, *pods)
    assert stated(result, "Progressing") == ("False", "ContainerConfigError") and result.requeue_after == 10
    message = condition(result, "Progressing").message
    assert "was preempted: stopped on request; its Job counts that as a failure" in message
    assert "A rule of the cluster changes the pods" in message
    assert [one.failed_attempts for one in known.status.renewed_jobs or ()] == [1]


def test_pods_that_are_deleted_during_the_pause_change_nothing() -> None:
    """Pods go with a node that is removed, and by what clears failed pods away."""
    known, _ = look(ONE, *lost(crashed=1, away=2))
    for left in ([], lost(crashed=1, away=2)[:2], lost(crashed=1, away=2)[:3]):
        after, result = look(known, lost()[0], *left[1:], now=NOW + timedelta(seconds=5))
        assert stated(result, "Progressing") == ("False", "ContainerConfigError") and not result.actions
        assert after.status.renewed_jobs == known.status.renewed_jobs
    _, result = look(known, lost()[0], now=NOW + timedelta(seconds=10))
    assert deleted(result) == ["hippo-fold-0"]


def test_there_is_an_end_to_it() -> None:
    known, at, jobs = ONE, NOW, 0
    while True:
        jobs += 1
        known, result = look(known, *lost(f"job-{jobs}"), now=at)
        if stated(result, "Failed")[0] == "True":
            break
        assert result.requeue_after and result.requeue_after <= LONGEST_PAUSE_SECONDS
        at += timedelta(seconds=result.requeue_after)
    assert jobs == MAX_RENEWALS + 1
    assert at - NOW == timedelta(seconds=10 + 20 + 40 + 80 + 160 + 320 + 4 * 600)
    assert stated(result, "Failed") == ("True", "PodsLost")
    message = condition(result, "Failed").message
    assert (
        f"fold 0: {jobs} Jobs in a row failed without the trainer's doing; the last pod was turned away by node gpu-1"
        in message
    )
    assert "kubectl describe node NODE" in message and "kubectl logs" not in message
    # A retry begins to count anew.
    retried = replace(known, spec=known.spec.model_copy(update={"suspend": True}))
    known, result = look(retried, *lost(f"job-{jobs}"), now=at)
    assert result.status.renewed_jobs is None and "hippo-fold-0" in deleted(result)


def test_a_fold_that_got_on_in_between_begins_anew() -> None:
    known, _ = look(ONE, *lost())
    for epoch, count in ((3, 1), (3, 2), (4, 1)):
        folds = [known.status.folds[0].model_copy(update={"epoch": epoch})]
        known = replace(known, status=known.status.model_copy(update={"folds": folds}))
        known, _ = look(known, *lost(f"job-at-{epoch}-{count}"))
        assert [(one.count, one.epoch) for one in known.status.renewed_jobs or ()] == [(count, epoch)]


@pytest.mark.parametrize("crashed", [1, 2])
def test_the_trainers_own_failures_are_carried_over(crashed: int) -> None:
    known, _ = look(ONE, *lost("job-1", crashed=crashed, away=1))
    known, result = look(known, now=NOW + timedelta(seconds=60))
    assert made(known, result)[0]["spec"]["backoffLimit"] == 2 - crashed
    _, result = look(known, *lost("job-2", crashed=3 - crashed, away=0))
    assert stated(result, "Failed") == ("True", "RetriesExhausted")
    message = condition(result, "Failed").message
    assert "exit code 1: ValueError: x" in message and f"{crashed} more had failed in Jobs" in message
    _, result = look(known, *lost("job-2", crashed=3 - crashed, away=1))
    assert stated(result, "Failed") == ("True", "RetriesExhausted")
    message = condition(result, "Failed").message
    assert "fold 0 failed 3 times, which spec.retryLimit (2) does not forgive; the last attempt ended" in message
    assert "Besides, a pod was turned away by node gpu-1" in message


def test_what_is_over_is_forgotten_and_a_failure_of_another_is_not() -> None:
    two = training(folds=[0, 1], retryLimit=2)
    bad = job(two, FOLD, "1", conditions=[failed_by()])
    known, result = look(two, *lost(), bad, ended(bad, 65))
    assert stated(result, "Failed") == ("True", "WrongData")
    assert [one.name for one in result.status.renewed_jobs or ()] == ["hippo-fold-0"]
    _, result = look(known, *lost(), bad, now=NOW + timedelta(hours=1))
    assert not result.actions  # Jobs that have ended stay, for their logs
    known, _ = look(ONE, *lost())
    done = job(ONE, FOLD, "0", conditions=[{"type": "Complete", "status": "True"}])
    assert look(known, done)[1].status.renewed_jobs is None


def test_a_fold_that_waits_for_its_next_job_holds_no_gpu() -> None:
    two = training(folds=[0, 1], retryLimit=2, maxParallelFolds=1)
    assert created(look(two, *lost())[1]) == ["hippo-fold-1"]


def test_somebody_who_deletes_it_in_its_pause_changes_nothing() -> None:
    """It is known how it ended: nothing is lost, and the pause stays."""
    known, _ = look(ONE, *lost())
    for seconds in (1, 5):
        known, result = look(known, now=NOW + timedelta(seconds=seconds))
        assert created(result) == [] and result.requeue_after == 10 - seconds
        assert (
            condition(result, "Progressing").message == "fold 0 starts after a pause, because its Job before was lost"
        )
        assert all(one.lost == 0 for one in known.status.jobs)
    known, result = look(known, now=NOW + timedelta(seconds=10))
    assert created(result) == ["hippo-fold-0"]
