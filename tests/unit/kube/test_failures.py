"""Each failure ends in a condition with a closed reason and a message that a user can act on."""

from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    EVALUATE,
    FOLD,
    PLAN,
    after,
    condition,
    decide,
    ended,
    failed_by,
    job,
    planned,
    pod,
    running,
    stated,
    world,
)

ONE = training(folds=[0], retryLimit=2)
POLICY = "Container trainer for pod clinic/hippo-fold-0-x failed with exit code {} matching FailJob rule at index 2"
BACKOFF = failed_by(reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
SAID = TerminationReport(message="Dataset004_Hippocampus has no labelsTr: add the labels.")


def result_of(*objects: Manifest) -> Any:
    return decide(world(ONE, *objects))


CODES = pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (64, "WrongConfiguration", "create one that is put right"),
        (65, "WrongData", "Put the dataset right"),
        (69, "CheckpointUnusable", "Restore them from a backup"),
        (74, "StorageFailed", "Make room"),
        (76, "GPUOutOfMemory", "larger GPU"),
    ],
)


@pytest.mark.parametrize(("code", "reason"), [(77, "LossNotFinite"), (1, "RetriesExhausted")])
def test_the_last_of_too_many_attempts_says_why(code: int, reason: str) -> None:
    fold = job(ONE, FOLD, "0", conditions=[failed_by("Failed", "BackoffLimitExceeded")], failed=4)
    result = result_of(*planned(ONE), fold, ended(fold, code))
    assert stated(result, "Failed") == ("True", reason)
    assert "fold 0 failed 4 times, which spec.retryLimit (2) does not forgive" in condition(result, "Failed").message


def test_what_keeps_folders_from_being_made_is_said() -> None:
    """The trainer was never started: the words are those of the container before it."""
    said = "storage.results.subPath leads into a folder that belongs to training clinic/other: give another one"
    told = {"exitCode": 64, "reason": "Error", "message": TerminationReport(message=said).model_dump_json()}
    prepare = {"name": "prepare", "state": {"terminated": told}}
    foreign = {"name": "istio-init", "state": {"terminated": {"exitCode": 0}}}
    plan_job = job(ONE, PLAN, conditions=[failed_by()])
    trainer = {"waiting": {"reason": "PodInitializing"}}
    result = result_of(plan_job, pod(plan_job, phase="Failed", state=trainer, initContainerStatuses=[foreign, prepare]))
    assert stated(result, "Failed") == ("True", "WrongConfiguration")
    assert said in condition(result, "Failed").message


@CODES
@pytest.mark.parametrize("type_", ["Failed", "FailureTarget"])
def test_exit_codes(code: int, reason: str, remedy: str, type_: str) -> None:
    fold = job(ONE, FOLD, "0", conditions=[failed_by(type_, message=POLICY.format(code))])
    result = result_of(*planned(ONE), fold, ended(fold, code))
    assert stated(result, "Failed") == ("True", reason)
    message = condition(result, "Failed").message
    assert message.startswith("fold 0: ")
    assert f"exit code {code}" in message
    assert remedy in message
    assert result.status.phase == "Failed"
    assert result.status.folds[0].phase == "Failed"
    assert result.status.completion_time is not None
    assert [(e.type, e.reason) for e in result.events if e.type == "Warning"] == [("Warning", reason)]


@CODES
def test_the_exit_code_is_known_without_the_pod(code: int, reason: str, remedy: str) -> None:
    fold = job(ONE, FOLD, "0", conditions=[failed_by(message=POLICY.format(code))])
    assert stated(result_of(*planned(ONE), fold), "Failed") == ("True", reason)


def test_the_trainers_own_words_come_first() -> None:
    plan_job = job(ONE, PLAN, conditions=[failed_by()])
    message = condition(result_of(plan_job, ended(plan_job, 65, SAID)), "Failed").message
    assert message.startswith(f"planning and preprocessing: {SAID.message}")
    assert "spec.suspend" in message


def test_a_trainer_that_leaves_a_log_instead_of_a_report() -> None:
    plan_job = job(ONE, PLAN, conditions=[failed_by()])
    message = condition(
        result_of(plan_job, ended(plan_job, 74, "a\nOSError: No space left on device\n")), "Failed"
    ).message
    assert "may not be used (exit code 74): OSError: No space left on device. Make room" in message


def test_words_of_a_pod_that_is_seen_late_replace_the_poorer_ones_and_then_stay() -> None:
    plan_job = job(ONE, PLAN, conditions=[failed_by(message=POLICY.format(65))])
    early = after(ONE, plan_job)
    late = after(early, plan_job, ended(plan_job, 65, SAID))
    assert SAID.message in late.status.conditions[-1].message
    assert after(late, plan_job).status == late.status  # the pod was deleted


MEMORY = {"memory": "8Gi", "preprocessing": {"memory": "4Gi"}}


@pytest.mark.parametrize(
    ("stage", "fold", "test_set", "field"),
    [
        (PLAN, "", None, "spec.resources.preprocessing.memory (4Gi)"),
        (FOLD, "0", None, "spec.resources.memory (8Gi)"),
        (EVALUATE, "", None, "spec.resources.preprocessing.memory (4Gi)"),
        (EVALUATE, "", {}, "spec.resources.memory (8Gi)"),
    ],
)
@pytest.mark.parametrize("over", [False, True])
def test_out_of_memory_names_the_field(stage: str, fold: str, test_set: Any, field: str, over: bool) -> None:
    small = training(folds=[0], resources=MEMORY, testSet=test_set)
    body = job(small, stage, fold, failed=1, conditions=[BACKOFF] if over else [])
    result = decide(world(small, body, ended(body, 137, reason="OOMKilled")))
    if test_set is not None and not over:
        assert condition(result, "Failed").status == "False", "the next attempt predicts fewer cases at once"
        return
    assert stated(result, "Failed") == ("True", "OutOfMemory")
    assert field in condition(result, "Failed").message


@pytest.mark.parametrize(
    ("own", "field"),
    [
        ({"2d": {"memory": "12Gi"}}, "spec.resources.configurations.2d.memory (12Gi)"),
        ({"2d": {"memory": "4Gi"}}, "spec.resources.memory (8Gi)"),
    ],
)
def test_of_several_configurations_the_one_that_asks_for_most_is_named(own: dict[str, Any], field: str) -> None:
    of = training(
        configurations=["3d_fullres", "2d"],
        selection={},
        testSet={},
        folds=[0],
        resources={**MEMORY, "configurations": own},
    )
    body = job(of, EVALUATE, failed=1, conditions=[BACKOFF])
    result = decide(world(of, body, ended(body, 137, reason="OOMKilled")))
    assert f"evaluation: killed because it needed more than {field}" in condition(result, "Failed").message


@pytest.mark.parametrize(
    ("had", "said"),
    [
        ("8192Mi", "more than spec.resources.memory (8Gi)"),
        ("2Gi", "more than the 2Gi of memory that its pod had, where spec.resources.memory is 8Gi now"),
    ],
)
def test_out_of_memory_names_what_the_pod_really_had(had: str, said: str) -> None:
    """An autoscaler, a webhook or a resize has lowered it, or the field was raised since."""
    small = training(folds=[0], resources=MEMORY)
    body = job(small, FOLD, "0", failed=1)
    pod = ended(body, 137, reason="OOMKilled")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": had}}
    assert said in condition(decide(world(small, body, pod)), "Failed").message


def test_retries_exhausted_tells_how_the_last_attempt_ended() -> None:
    fold = job(ONE, FOLD, "0", failed=3, conditions=[BACKOFF])
    log = 'Traceback (most recent call last):\n  File "x.py"\nRuntimeError: cuDNN error\n'
    pods = [
        ended(fold, 1, "first", name="a", created="2026-03-01T12:00:00Z"),
        ended(fold, 1, log, name="b", created="2026-03-01T12:01:00Z"),
        ended(fold, 75, "preempted", name="c", created="2026-03-01T12:02:00Z"),
    ]
    result = result_of(*planned(ONE), fold, *reversed(pods))
    assert stated(result, "Failed") == ("True", "RetriesExhausted")
    message = condition(result, "Failed").message
    assert "fold 0 failed 3 times" in message
    assert "spec.retryLimit (2)" in message
    assert "exit code 1: RuntimeError: cuDNN error" in message
    assert "kubectl logs job/hippo-fold-0" in message


@pytest.mark.parametrize(
    ("objects", "says"),
    [
        (lambda j: [], "reached the specified backoff limit"),
        (lambda j: [ended(j, 137)], "exit code 137"),
        (lambda j: [ended(j, 128, 'exec: "nnunet-trainer": not found', reason="StartError")], "(StartError): exec:"),
    ],
)
def test_endings_of_all_kinds(objects: Any, says: str) -> None:
    fold = job(ONE, FOLD, "0", failed=1, conditions=[BACKOFF])
    result = result_of(*planned(ONE), fold, *objects(fold))
    assert stated(result, "Failed") == ("True", "RetriesExhausted")
    assert says in condition(result, "Failed").message


def preempted(fold: Manifest) -> Manifest:
    return ended(fold, 75, TerminationReport(message="stopped by SIGTERM at epoch 12"), name="old")


@pytest.mark.parametrize(
    ("previous", "says"),
    [
        (preempted, "the attempt before was preempted: stopped by SIGTERM at epoch 12"),
        (lambda j: ended(j, 1, "ValueError: x", name="old"), "ended with exit code 1: ValueError: x"),
        (
            lambda j: pod(
                j,
                name="old",
                phase="Failed",
                reason="Evicted",
                message="node was low on memory",
                conditions=[{"type": "DisruptionTarget", "status": "True"}],
            ),
            "was evicted from its node: node was low on memory",
        ),
    ],
)
@pytest.mark.parametrize("next_pod", [False, True])
def test_a_retry_is_no_failure_and_says_why(previous: Any, says: str, next_pod: bool) -> None:
    fold = job(ONE, FOLD, "0", failed=1)
    pods = [pod(fold, name="new")] if next_pod else []
    result = result_of(*planned(ONE), fold, *pods, previous(fold))
    assert stated(result, "Failed") == ("False", "NotFailed")
    assert stated(result, "Progressing") == ("True", "Starting")
    assert says in condition(result, "Progressing").message


def test_an_input_output_error_of_a_fold_leaves_the_others_alone() -> None:
    two = training(folds=[0, 1])
    failed, other = job(two, FOLD, "0", failed=1), job(two, FOLD, "1")
    said = TerminationReport(message="the storage reported an error, Input/output error: /nnunet/results/x")
    objects = [*planned(two), failed, ended(failed, 1, said, name="old"), other, running(other)]
    result = decide(world(after(two, *objects), *objects))
    assert stated(result, "Failed") == ("False", "NotFailed")
    assert not result.actions


def test_the_newest_pod_counts() -> None:
    fold = job(ONE, FOLD, "0", failed=1)
    result = result_of(*planned(ONE), fold, running(fold, name="new"), preempted(fold))
    assert stated(result, "Progressing") == ("True", "Training")
    assert condition(result, "Progressing").message == "fold 0 trains"


def test_a_pod_that_is_evicted_is_being_stopped() -> None:
    fold = job(ONE, FOLD, "0")
    leaving = running(fold, deleting=True)
    leaving["spec"] = {"nodeName": "node-7"}
    result = result_of(*planned(ONE), fold, leaving)
    assert stated(result, "Progressing") == ("True", "Stopping")
    assert "goes on in a new pod once node-7" in condition(result, "Progressing").message


def test_a_failure_while_others_stop_says_so() -> None:
    two = training(folds=[0, 1])
    bad = job(two, FOLD, "0", conditions=[failed_by()])
    objects = [*planned(two), bad, ended(bad, 65), job(two, FOLD, "1", deleting=True)]
    result = decide(world(after(two, *objects), *objects))
    assert stated(result, "Failed") == ("True", "WrongData")
    assert stated(result, "Progressing") == ("True", "Stopping")
    assert result.status.phase == "Failed"
    rest = decide(world(after(two, *objects), *objects[:-1]))
    assert stated(rest, "Progressing") == ("False", "WrongData")
    assert rest.status.folds[0].phase == "Failed"


def test_endless_messages_are_cut() -> None:
    plan_job = job(ONE, PLAN, conditions=[failed_by()])
    result = result_of(plan_job, ended(plan_job, 65, "x" * 50_000))
    assert len(condition(result, "Failed").message) < 2000
    assert all(len(event.message) <= 1000 for event in result.events)


def test_a_limit_that_somebody_has_lowered_is_not_called_the_trainings() -> None:
    fold = job(ONE, FOLD, "0", failed=1, conditions=[BACKOFF])
    fold["spec"]["backoffLimit"] = 0
    message = condition(result_of(*planned(ONE), fold, ended(fold, 1)), "Failed").message
    assert "fold 0 failed, which the backoffLimit of its Job (0) does not forgive" in message
