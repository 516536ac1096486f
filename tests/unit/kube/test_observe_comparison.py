"""The Job of a comparison as it is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.contract import TerminationReport
from nnunet_api.kueue import Workload
from nnunet_operator.core.comparison.model import JobSeen
from nnunet_operator.core.observation import State
from nnunet_operator.kube.builders.comparison import compare_job
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.observe_comparison import JobSnapshot, observe_job
from nnunet_operator.kube.queues import Queueing
from nnunet_operator.kube.reading import job_view, pod_view
from tests.support.builders import words
from tests.support.made_comparisons import arm, comparison, wanted
from tests.support.made_trainings import NOW, OPTIONS

OF = comparison()
FACTS = ComparisonFacts(uid=OF.uid, registration="d" * 64)
SAID = words(TerminationReport(message="compared", comparison=FACTS))
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "message": "Pod failed with exit code 65"}], "failed": 1}
GIVEN_UP = {
    "conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}],
    "failed": 4,
}
FORMER = {"kind": "NnunetComparison", "name": "shorter", "uid": "former", "controller": True}


def job(status: Manifest | None = None, **metadata: Any) -> Manifest:
    body = compare_job(OF, OPTIONS, wanted(OF, arm("long"), arm("short")))
    body["metadata"] |= {"uid": "j", "resourceVersion": "1", "creationTimestamp": "2026-03-01T12:00:00Z"} | metadata
    return {**body, "status": status or {}}


def suspended(queue: str = "") -> Manifest:
    body = job()
    labels = body["metadata"]["labels"] | ({"kueue.x-k8s.io/queue-name": queue} if queue else {})
    return {**body, "metadata": {**body["metadata"], "labels": labels}, "spec": {**body["spec"], "suspend": True}}


def changed(**spec: Any) -> Manifest:
    body = job()
    return {**body, "spec": {key: value for key, value in {**body["spec"], **spec}.items() if value is not None}}


def pod(state: Manifest | None = None, phase: str = "Running", **changes: Any) -> Manifest:
    template = job()["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "shorter-compare", "uid": "j", "controller": True}
    body: Manifest = {
        "metadata": {**template["metadata"], "name": "p", "uid": "p", "ownerReferences": [owner]},
        "spec": {**template["spec"], "nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": [{"name": "trainer", "state": state or {}}]},
    }
    return {**body, **changes}


def ended(code: int = 0, message: str = SAID, reason: str = "", at: str = "12:59:00") -> Manifest:
    times = {"startedAt": "2026-03-01T12:00:00Z", "finishedAt": f"2026-03-01T{at}Z", "containerID": "c://1"}
    return {"terminated": {"exitCode": code, "message": message, "reason": reason, **times}}


def preempted() -> Manifest:
    target = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    body = pod(phase="Failed")
    return {**body, "status": {"phase": "Failed", "conditions": [target]}}


def seen(jobs: list[Manifest], pods: list[Manifest] | None = None, **more: Any) -> JobSeen:
    views = tuple(map(job_view, jobs)), tuple(map(pod_view, pods or []))
    return observe_job(OF, JobSnapshot(*views, NOW + timedelta(hours=1), **more))


@pytest.mark.parametrize(
    ("jobs", "pods", "more", "state", "words"),
    [
        ([], [], {}, State.ABSENT, ""),
        ([], [pod({"running": {}})], {}, State.STOPPING, "whose Job is gone"),
        ([], [], {"refusals": {"shorter-compare": "exceeded quota"}}, State.BLOCKED, "refuses its pod: exceeded quota"),
        ([job(creationTimestamp="2026-03-01T12:59:50Z")], [], {}, State.STARTING, ""),
        ([job()], [], {}, State.BLOCKED, "which Kubernetes' Job controller has not made"),
        ([job({"startTime": "2026-03-01T12:00:00Z"})], [], {}, State.STARTING, ""),
        ([job({"active": 1})], [], {}, State.BLOCKED, "compare lacks the label nnunet.dev/comparison,"),
        ([job()], [pod({"running": {}})], {}, State.RUNNING, ""),
        ([suspended(queue="gpus")], [], {"queue_name": "gpus"}, State.BLOCKED, "Kueue's LocalQueue gpus"),
        ([suspended()], [], {}, State.BLOCKED, "because its Job is suspended"),
        ([job()], [pod({"waiting": {"reason": "ErrImagePull"}}, "Pending")], {}, State.BLOCKED, "waits for image"),
        ([job(deletionTimestamp="2026-03-01T12:00:00Z")], [], {}, State.STOPPING, ""),
        ([job(COMPLETE)], [pod({"running": {}})], {}, State.RUNNING, ""),
        ([job(FAILED)], [pod(ended(65, '{"message": "edited"}'), "Failed")], {}, State.FAILED, "comparison: edited"),
        ([job()], [pod(ended(65, '{"message": "edited"}'), "Failed")], {}, State.STARTING, "edited"),
        ([job()], [pod(ended(at="12:54:00"), "Succeeded")], {}, State.BLOCKED, "made nothing of the end of pod p so"),
        (
            [changed(podFailurePolicy=None)],
            [pod(ended(65, '{"message": "edited"}'), "Failed")],
            {}, State.FAILED, "comparison: edited",
        ),
        (
            [changed(podFailurePolicy=None) | {"status": GIVEN_UP}],
            [preempted()],
            {}, State.FAILED, "was preempted; its Job counts that as a failure, because something has taken its",
        ),
        ([job(GIVEN_UP)], [preempted(), pod(ended(1, "no space"), "Failed")], {}, State.FAILED, "failed 4 times"),
        ([changed(parallelism=0)], [], {}, State.BLOCKED, "parallelism of its Job was set to 0"),
        ([changed(completions=2)], [pod({"running": {}})], {}, State.BLOCKED, "make several pods"),
        ([job()], [pod(ended(137, "", "OOMKilled"), "Failed")], {}, State.FAILED, "spec.resources.memory (4Gi)"),
        (
            [job(ownerReferences=[{"kind": "CronJob", "name": "x", "uid": "x", "controller": True}])],
            [], {}, State.BLOCKED, "belongs to CronJob x",
        ),
        (
            [job(ownerReferences=[FORMER])],
            [], {}, State.STOPPING, "the former comparison of this name",
        ),
    ],
)  # fmt: skip
def test_states(jobs: list[Manifest], pods: list[Manifest], more: Any, state: State, words: str) -> None:
    found = seen(jobs, pods, **more)
    assert found.state is state, found
    assert words in f"{found.note} {found.trouble.matter if found.trouble else ''}"


def test_a_verdict_is_what_the_pod_says_that_completed_the_job() -> None:
    found = seen([job(COMPLETE)], [pod(ended(), "Succeeded")])
    assert (found.state, found.facts, found.doubt) == (State.COMPLETED, FACTS, "")


def test_what_another_image_says_is_no_verdict() -> None:
    forged = pod(ended(), "Succeeded")
    forged["spec"] = {**forged["spec"], "containers": [{**forged["spec"]["containers"][0], "image": "mine:1"}]}
    found = seen([job(COMPLETE)], [forged])
    assert found.state is State.COMPLETED and found.facts is None and "mine:1" in found.doubt
    assert seen([job(COMPLETE)], [forged, {**pod(ended(), "Succeeded")}]).facts == FACTS, "it hides no true one"


def test_a_container_of_others_that_keeps_the_pod_is_told() -> None:
    body = pod(ended())
    body["status"]["containerStatuses"].append({"name": "mesh", "state": {"running": {}}})
    found = seen([job()], [body])
    assert found.trouble is not None and "container mesh keeps pod p" in found.trouble.matter


def test_what_kueue_says_of_its_job_is_said() -> None:
    full = Workload("w", "gpus", True, False, (), False, False, "insufficient unused quota for cpu", "", (), False)
    waits = seen([suspended("gpus")], queueing={"shorter-compare": Queueing(workload=full)}, queue_name="gpus")
    assert waits.state is State.BLOCKED and waits.trouble is not None
    assert "insufficient unused quota for cpu" in waits.trouble.matter
    held = replace(full, deleting=True, finalizers=("kueue.x-k8s.io/resource-in-use",))
    leaves = seen(
        [job(deletionTimestamp="2026-03-01T12:00:00Z")], queueing={"shorter-compare": Queueing(workload=held)}
    )
    assert leaves.state is State.STOPPING and "takes kueue.x-k8s.io/resource-in-use off" in leaves.note


NO_ROOM = "0/1 nodes are available: 1 Insufficient memory."


@pytest.mark.parametrize(
    ("scheduled", "node", "reason", "words"),
    [
        (None, "", "WaitingForResources", "the scheduler, which has said nothing of its pod"),
        (
            {"status": "False", "reason": "Unschedulable", "message": NO_ROOM},
            "",
            "WaitingForResources",
            "waits for a node that fits: 0/1 nodes are available: 1 Insufficient memory",
        ),
        (
            {"status": "True", "lastTransitionTime": "2026-03-01T12:00:00Z"},
            "n1",
            "ContainerConfigError",
            "node n1 has not started its trainer for more than 10 min",
        ),
        ({"status": "True", "lastTransitionTime": "2026-03-01T12:55:00Z"}, "n1", "", ""),
    ],
)
def test_a_pod_that_does_not_begin(scheduled: Manifest | None, node: str, reason: str, words: str) -> None:
    """It asks for no GPU, so it waits for none."""
    conditions = [{"type": "PodScheduled", **scheduled}] if scheduled else []
    body = pod(status={"phase": "Pending", "conditions": conditions})
    body["metadata"]["creationTimestamp"] = "2026-03-01T12:00:00Z"
    body["spec"] = {**body["spec"], "nodeName": node}
    found = seen([job({"active": 1})], [body])
    if not reason:
        assert found.state is State.STARTING and found.look_in_seconds == 300
        return
    assert found.trouble is not None and found.trouble.reason == reason, found
    assert words in found.trouble.matter, found
