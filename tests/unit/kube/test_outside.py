"""What ends pods from outside is no attempt of the trainer: it is named, with Kubernetes' own words first."""

from collections.abc import Callable
from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_operator.kube.endings import ending_of
from nnunet_operator.kube.failures import MAX_EVICTIONS, describe, loss_of
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.reading import job_view, pod_view
from tests.support.made_trainings import training
from tests.support.made_worlds import FOLD, condition, decide, ended, job, planned, pod, running, stated, world

ONE = training(folds=[0], retryLimit=2)
FOLD_JOB = job(ONE, FOLD, "0", failed=1)
TARGET = [{"type": "DisruptionTarget", "status": "True"}]
NO_GPU = "Pod was rejected: Allocate failed due to no healthy devices present"
FULL = "Pod ephemeral local storage usage exceeds the total limit of containers 4Gi. "
STOPPED = TerminationReport(message="stopped on request during plan")
WAITS = {"waiting": {"reason": "PodInitializing"}}


def placed(body: Manifest, node: str = "gpu-1") -> Manifest:
    body["spec"]["nodeName"] = node
    return body


def away(reason: str = "UnexpectedAdmissionError", message: str = NO_GPU, **more: Any) -> Manifest:
    return placed(pod(FOLD_JOB, phase="Failed", reason=reason, message=message, **more))


def injected(code: int, place: str, trainer: dict[str, Any], why: str = "Error", **more: Any) -> Manifest:
    """Return a failed pod in which a container of somebody else ended."""
    told = {"exitCode": code, "reason": why, "message": "no certificate"}
    foreign = {"name": "istio", "state": {"terminated": told}}
    body = pod(FOLD_JOB, phase="Failed", state=trainer, **more)
    body["status"].setdefault(place, []).insert(0, foreign)
    return placed(body)


def with_reason(body: Manifest, reason: str, message: str) -> Manifest:
    """Return a pod with what Kubernetes says of it as a whole."""
    body["status"] |= {"reason": reason, "message": message}
    return placed(body)


def full(code: int = 75, **more: Any) -> Manifest:
    return with_reason(ended(FOLD_JOB, code, STOPPED if code == 75 else "", **more), "Evicted", FULL)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (away(), f"was turned away by node gpu-1 (UnexpectedAdmissionError): {NO_GPU}"),
        (away("OutOfcpu", "Node didn't have enough cpu"), "was turned away by node gpu-1 (OutOfcpu): Node didn't"),
        (away("NodeAffinity", ""), "was turned away by node gpu-1 (NodeAffinity)"),
        (away("NodeShutdown", "Pod was rejected as the node is shutting down."), "by node gpu-1 (NodeShutdown): Pod"),
        (away("AppArmor", "Cannot enforce AppArmor: no"), "(AppArmor): Cannot enforce AppArmor: no"),
        (away(state=WAITS), "was turned away"),
        (pod(FOLD_JOB, phase="Failed"), "was turned away by its node"),
        # It ran until its node was started anew, and was not taken again.
        (with_reason(ended(FOLD_JOB, 137), "UnexpectedAdmissionError", NO_GPU), "was turned away by node gpu-1"),
        (full(), f"was evicted from node gpu-1: {FULL.rstrip('. ')}"),
        (full(137, reason="ContainerStatusUnknown"), "was evicted from node gpu-1: Pod ephemeral"),
        (placed(ended(FOLD_JOB, 137, reason="ContainerStatusUnknown")), "was lost on node gpu-1, which does not know"),
        (placed(ended(FOLD_JOB, 255, reason="Unknown")), "how its container ended (Unknown)"),
        (
            injected(137, "initContainerStatuses", WAITS, why="OOMKilled"),
            "ended with exit code 137 (OOMKilled): no cert",
        ),
        (
            with_reason(ended(FOLD_JOB, 137), "DeadlineExceeded", "Pod was active longer than the specified deadline"),
            "was ended by node gpu-1 because it has an activeDeadlineSeconds: Pod was active longer",
        ),
        (
            placed(ended(FOLD_JOB, 128, "nvidia-container-cli: driver not loaded", reason="StartError")),
            "could not be started by node gpu-1 (StartError): nvidia-container-cli",
        ),
        (
            placed(ended(FOLD_JOB, 127, "libnvidia-ml.so.1: no such file or directory", reason="ContainerCannotRun")),
            "could not be started by node gpu-1 (ContainerCannotRun): libnvidia",
        ),
        (full(75, conditions=TARGET), "was evicted from node gpu-1: Pod ephemeral"),
        (
            with_reason(
                ended(FOLD_JOB, 75, STOPPED, conditions=TARGET), "Terminated", "Pod was terminated in response"
            ),
            "was preempted: Pod was terminated in response",
        ),
        (injected(1, "initContainerStatuses", WAITS), "container istio in it, which is not the trainer's, ended with"),
        (injected(3, "containerStatuses", {"terminated": {"exitCode": 0}}), "ended with exit code 3: no certificate"),
    ],
)
def test_what_ends_a_pod_from_outside_is_said_first(body: Manifest, says: str) -> None:
    ending = ending_of(pod_view(body))
    assert ending and says in describe(ending)
    assert (ending.outside is None) == ("preempted" in says)


@pytest.mark.parametrize("reason", ["AppArmor", "SupplementalGroupsPolicyNotSupported"])
def test_a_node_that_lacks_what_the_training_asks_of_it_is_not_broken(reason: str) -> None:
    ending = ending_of(pod_view(away(reason, "not on this node")))
    assert ending and ending.outside and ending.outside.case == "Profile"


@pytest.mark.parametrize(
    "body",
    [
        ended(FOLD_JOB, 1),
        ended(FOLD_JOB, 75, STOPPED),
        ended(FOLD_JOB, 128, reason="StartError"),
        ended(FOLD_JOB, 128, 'exec: "nnunet-trainer": executable file not found in $PATH', reason="StartError"),
        ended(FOLD_JOB, 128, "executable file `/opt/bin/nnunet-trainer` not found: No such file", reason="StartError"),
        ended(FOLD_JOB, 128, "exec /opt/bin/nnunet-trainer: exec format error", reason="StartError"),
        pod(FOLD_JOB, phase="Failed", reason="NodeLost", conditions=TARGET),
        # A sidecar ends with its pod, and says nothing of why that ended.
        injected(143, "initContainerStatuses", {"terminated": {"exitCode": 1}}),
        injected(1, "initContainerStatuses", WAITS, conditions=TARGET),
    ],
)
def test_what_is_the_trainers_own_stays_so(body: Manifest) -> None:
    ending = ending_of(pod_view(body))
    assert ending and ending.outside is None


@pytest.mark.parametrize(
    ("pods", "failed", "attempts"),
    [
        pytest.param([away(), away()], 2, 0, id="none was the trainer's"),
        pytest.param([ended(FOLD_JOB, 1), away()], 2, 1, id="mixed"),
        pytest.param([away()], 3, 2, id="pods that are gone count as the trainer's"),
        pytest.param([away(), running(FOLD_JOB)], 0, 1, id="and those that are not known to have ended"),
        pytest.param([ended(FOLD_JOB, 75), full(), away()], 1, 0, id="what Kubernetes does not count is not taken off"),
        pytest.param([ended(FOLD_JOB, 1)], 1, None, id="the trainer alone"),
        pytest.param([full()], 1, None, id="an eviction that was in time is no failure of the Job"),
        pytest.param([], 1, None, id="nothing is known"),
    ],
)
def test_the_trainers_attempts_are_told_from_the_others(
    pods: list[Manifest], failed: int, attempts: int | None
) -> None:
    found = loss_of([pod_view(body) for body in pods], job_view(job(ONE, FOLD, "0", failed=failed)))
    assert (found.attempts if found else None) == attempts


@pytest.mark.parametrize(
    ("how", "times", "remedy"),
    [
        (away, 1, "kubectl describe node NODE"),
        (away, 2, "kubectl cordon NODE"),
        (full, 1, "describe limitranges"),
        (full, 3, "ephemeral-storage"),
        (lambda: injected(1, "initContainerStatuses", WAITS), 1, "A webhook of the cluster put this container"),
    ],
)
@pytest.mark.parametrize("next_pod", [False, True])
def test_the_next_attempt_tells_what_ended_the_last_with_its_remedy(
    how: Callable[[], Manifest], times: int, remedy: str, next_pod: bool
) -> None:
    new = [pod(FOLD_JOB, name="new")] if next_pod else []
    result = decide(world(ONE, *planned(ONE), FOLD_JOB, *new, *(how() for _ in range(times))))
    assert stated(result, "Progressing") == ("True", "Starting") and stated(result, "Failed")[0] == "False"
    message = condition(result, "Progressing").message
    assert "the attempt before " in message and remedy in message
    assert "node gpu-1" in message or "container istio" in message
    assert (f"{times} pods of this Job ended so" in message) == (times > 1)
    assert "kubectl logs" not in message


@pytest.mark.parametrize(("more", "fails"), [(0, False), (1, True)])
def test_evictions_that_kubernetes_does_not_count_have_an_end(more: int, fails: bool) -> None:
    late = with_reason(ended(FOLD_JOB, 75), "DeadlineExceeded", "")
    pods = [late, *(full() for _ in range(MAX_EVICTIONS - 1 + more))]
    fold = job(ONE, FOLD, "0")
    result = decide(world(ONE, *planned(ONE), fold, *pods))
    assert stated(result, "Failed") == (("True", "PodsLost") if fails else ("False", "NotFailed"))
    if fails:
        message = condition(result, "Failed").message
        assert f"fold 0: {MAX_EVICTIONS + 1} pods; the last was evicted from node gpu-1: Pod ephemeral" in message
        assert "describe limitranges" in message and "kubectl nnunet resume hippo" in message
    disrupted = [full(conditions=TARGET) for _ in range(MAX_EVICTIONS + 1)]
    assert stated(decide(world(ONE, *planned(ONE), fold, *disrupted)), "Failed")[0] == "False"
