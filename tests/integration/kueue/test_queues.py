"""The life of a training in a queue: why it waits, whose turn it is, and what moves it."""

import re
from collections.abc import Callable

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api, ApiError, Object
from tests.support.builders import training
from tests.support.kubelet import STAGE
from tests.support.kueue import GPU, PLENTY, Kueue
from tests.support.process import OperatorProcess

ONE_GPU = {**PLENTY, GPU: "1"}


def queued_training(lab: Lab, name: str = "hippo", **spec: object) -> None:
    """Create a training in LocalQueue q."""
    lab.apply(training(lab.namespace, name, **{"queueName": "q", "folds": [0], **spec}))


def test_what_no_queue_can_be_called_is_refused_at_apply(kueue: Kueue, lab: Lab) -> None:
    """Kueue would refuse the Jobs."""
    for field in ("queueName", "queuePriorityClassName"):
        for name in ("Foo_Bar", "a b", "-a", "a..b", "a" * 64):
            said = lab.api.refusal("nnunettrainings", training(lab.namespace, **{field: name}))
            assert field in said, (field, name)
        assert not lab.api.refusal("nnunettrainings", training(lab.namespace, **{field: "team-a.gpus"}))


def test_another_queue_is_taken_by_what_waits(kueue: Kueue, lab: Lab) -> None:
    """A wrong queue does not cost the training."""
    kueue.queue(lab.namespace, "right")
    queued_training(lab, queueName="wrong")
    lab.wait_said("LocalQueue wrong doesn't exist")
    lab.set(queueName="right")
    lab.kubelet.pod("hippo", "plan")
    (job,) = lab.jobs()
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "right"


def test_a_queue_that_the_cluster_gives_is_told(kueue: Kueue, lab: Lab) -> None:
    """Kueue puts Jobs of a namespace with a LocalQueue `default` into it."""
    kueue.queue(lab.namespace, "default", **{GPU: "1"})
    lab.apply(training(lab.namespace))
    condition = lab.wait_said("unavailable in ClusterQueue")
    assert "LocalQueue default" in condition["message"] and "spec.queueName names none" in condition["message"]


def test_folds_take_turns_and_it_is_said_for_whom_one_was_stopped(kueue: Kueue, lab: Lab) -> None:
    """One of higher priority drives it out; it goes on, and no retry is used up."""
    high = f"{lab.namespace}-high"
    kueue.priority(high, 1000)
    kueue.cluster_queue(lab.namespace, ONE_GPU, preemption={"withinClusterQueue": "LowerPriority"})
    kueue.queue(lab.namespace, "q", lab.namespace)
    queued_training(lab, folds=[0, 1])
    lab.plan_and_train()
    lab.kubelet.pod("hippo", "fold")  # of either: both Jobs were made in the same second
    condition = lab.wait_said("insufficient unused quota for nvidia.com/gpu")
    assert re.search(r"fold [01] waits for admission", condition["message"])
    queued_training(lab, "urgent", queuePriorityClassName=high)
    lab.plan_and_train("urgent")
    condition = lab.wait_said("Preempted to accommodate Job urgent-fold-0")
    assert condition["reason"] == "WaitingForQueue" and "due to prioritization" in condition["message"]
    lab.kubelet.end(lab.kubelet.pod("urgent", "fold", "0"))
    lab.kubelet.pod("hippo", "fold")
    assert not any(job["status"].get("failed") for job in lab.jobs())


def test_one_that_kueue_gives_up_is_named_with_the_way_on(kueue: Kueue, lab: Lab) -> None:
    """A deactivated Workload never comes back by itself; suspend and resume make a new one."""
    kueue.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})
    queued_training(lab)
    lab.wait_said("insufficient quota")
    (job,) = lab.jobs()
    found = kueue.workload(lab.namespace, job)
    assert found
    lab.api.merge("workloads", lab.namespace, found["metadata"]["name"], {"spec": {"active": False}})
    condition = lab.wait_said("is deactivated")
    assert found["metadata"]["name"] in condition["message"] and "suspend and resume" in condition["message"]
    lab.wait_jobs("hippo-plan")
    assert lab.jobs()[0]["metadata"]["uid"] == job["metadata"]["uid"], "it is not made anew"
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.set(suspend=False)
    lab.wait_said("insufficient quota")


def test_classes_of_priority_that_are_taken_away(kueue: Kueue, lab: Lab) -> None:
    """What is queued keeps its place; what comes after waits for the class, which is named, and goes on with it."""
    kueue.queue(lab.namespace, "q")
    kueue.queue(lab.namespace, "full", **{**PLENTY, "memory": "1Gi"})
    own, of_pods = f"{lab.namespace}-own", f"{lab.namespace}-pods"
    kueue.priority(own, 100)
    lab.api.create("priorityclasses", {"metadata": {"name": of_pods}, "value": 1000})
    queued_training(lab, "queued", queueName="full", queuePriorityClassName=own)
    queued_training(lab, "first", queuePriorityClassName=own)
    queued_training(lab, "second", podTemplate={"priorityClassName": of_pods})
    lab.wait_said("insufficient quota", "queued")
    pods = [lab.kubelet.pod(name, "plan") for name in ("first", "second")]
    lab.api.delete("workloadpriorityclasses", "", own)
    lab.api.delete("priorityclasses", "", of_pods)
    for pod in pods:
        lab.kubelet.end(pod)
    for name, kind, gone in (("first", "WorkloadPriorityClass", own), ("second", "PriorityClass", of_pods)):
        said = f"made no Workload for Job {name}-fold-0, which asks for {kind} {gone}"
        condition = lab.wait_said(said, name)
        assert condition["reason"] == "WaitingForQueue", condition
        assert "have it made again, or name another in spec.queuePriorityClassName" in condition["message"]
    assert "insufficient quota" in lab.condition("Progressing", "queued")["message"]
    lab.set("first", queuePriorityClassName=None)
    lab.kubelet.pod("first", "fold", "0")
    lab.api.create("priorityclasses", {"metadata": {"name": of_pods}, "value": 1000})
    lab.kubelet.pod("second", "fold", "0")


def test_what_a_check_says_and_how_it_ends(kueue: Kueue, lab: Lab) -> None:
    """Its own words while it decides, and when it has rejected the Job, for good: another queue is the way on."""
    checked(kueue, lab)
    queued_training(lab)
    lab.wait_said(f"waits for admission check {lab.namespace}")
    (job,) = lab.jobs()
    kueue.decide(lab.namespace, job, lab.namespace, "Pending", "asked for 1 node, expected at 09:00")
    lab.wait_said(f"waits for admission check {lab.namespace} (asked for 1 node, expected at 09:00)")
    kueue.decide(lab.namespace, job, lab.namespace, "Rejected", "the budget of the team is used up")
    condition = lab.wait_said(
        f"for good: AdmissionCheck for {lab.namespace} was Rejected: the budget of the team is used up"
    )
    assert condition["reason"] == "WaitingForQueue" and "Ask who runs the queues" in condition["message"]
    assert not lab.jobs()[0]["status"].get("failed")
    kueue.queue(lab.namespace, "other")
    lab.set(queueName="other")
    lab.kubelet.pod("hippo", "plan")


def test_what_follows_the_folds_comes_before_the_folds_of_others(
    kueue: Kueue, api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """With a class of its own for it: a trained model does not wait for its score until all others are trained."""
    high = f"{namespace}-high"
    kueue.priority(high, 1000)
    kueue.queue(namespace, "q", **ONE_GPU)
    lab = Lab(api, namespace, start_operator(namespace, finishing_priority_class=high))
    queued_training(lab, "a", testSet={})
    queued_training(lab, "b", folds=[0, 1])
    lab.plan_and_train("a")
    lab.plan_and_train("b")
    lab.kubelet.end(lab.kubelet.pod("a", "fold", "0"))
    lab.kubelet.end(lab.kubelet.pod("a", "verify"))
    # The GPU is free for a moment: a fold of b takes it, either, or the evaluation is there before Kueue has looked.
    (first,) = lab.wait("the next pod", lambda: lab.kubelet.pods("b", "fold") or lab.kubelet.pods("a", "evaluate"))
    if first["metadata"]["labels"][STAGE] == "fold":
        lab.wait_said("evaluation waits for admission", "a")
        lab.kubelet.end(first)
    lab.kubelet.end(lab.kubelet.pod("a", "evaluate"))
    lab.wait_reason("Complete", "TrainingComplete", "a")
    lab.wait_said(" waits for admission", "b")


def test_a_verification_is_stopped_for_others_without_a_false_word(kueue: Kueue, lab: Lab) -> None:
    """It begins again, and no attempt of it counts."""
    high = f"{lab.namespace}-high"
    kueue.priority(high, 1000)
    one = {"cpu": "8", "memory": "32Gi", GPU: "1"}
    kueue.cluster_queue(lab.namespace, one, preemption={"withinClusterQueue": "LowerPriority"})
    kueue.queue(lab.namespace, "q", lab.namespace)
    queued_training(lab, retryLimit=0)
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.kubelet.run(lab.kubelet.pod("hippo", "verify"))
    queued_training(lab, "urgent", queuePriorityClassName=high)
    condition = lab.wait_said("Preempted to accommodate Job urgent-plan")
    assert condition["reason"] == "WaitingForQueue" and condition["message"].startswith("verification waits")
    assert lab.condition("Failed")["status"] == "False" and lab.condition("EpochsProven")["reason"] == "NotYetVerified"
    lab.api.delete("nnunettrainings", lab.namespace, "urgent")
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    assert not any(job["status"].get("failed") for job in lab.jobs())


def test_a_queue_that_is_stopped_while_a_fold_runs(kueue: Kueue, lab: Lab) -> None:
    """HoldAndDrain stops it, and it goes on later; Hold lets it run to its end, and what comes next waits."""
    name = kueue.queue(lab.namespace, "q")
    queued_training(lab)
    lab.plan_and_train()
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"))
    kueue.hold(name, "HoldAndDrain")
    condition = lab.wait_said("fold 0 waits for admission by Kueue's LocalQueue q: The ClusterQueue is stopped")
    assert condition["reason"] == "WaitingForQueue" and "Ask who runs the queues" in condition["message"]
    kueue.hold(name, "None")
    pod = lab.kubelet.pod("hippo", "fold", "0")
    kueue.hold(name, "Hold")
    lab.kubelet.end(pod)
    condition = lab.wait_said("verification waits for admission by Kueue's LocalQueue q: ")
    assert "is inactive" in condition["message"] or "is stopped" in condition["message"], condition
    kueue.hold(name, "None")
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    assert not any(job["status"].get("failed") for job in lab.jobs())


def test_partial_admission_is_not_for_jobs_of_one_pod(kueue: Kueue, lab: Lab) -> None:
    """Somebody who may change Jobs can't have Kueue lower their parallelism, not even to what it is."""
    kueue.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})
    queued_training(lab)
    lab.wait_said("insufficient quota")
    with pytest.raises(ApiError, match="should be between 0 and 0"):
        annotations = {"kueue.x-k8s.io/job-min-parallelism": "1"}
        lab.api.merge("jobs", lab.namespace, "hippo-plan", {"metadata": {"annotations": annotations}})


def nothing(kueue: Kueue, lab: Lab) -> None:
    """The queue does not exist."""


def gpus_only(kueue: Kueue, lab: Lab) -> None:
    kueue.queue(lab.namespace, "q", **{GPU: "8"})


def small(kueue: Kueue, lab: Lab) -> None:
    kueue.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})


def stopped(kueue: Kueue, lab: Lab) -> None:
    kueue.cluster_queue(lab.namespace, PLENTY, stopPolicy="Hold")
    kueue.queue(lab.namespace, "q", lab.namespace)


def without_owner(kueue: Kueue, lab: Lab) -> None:
    kueue.local_queue(lab.namespace, "q", "nobody")


def elsewhere(kueue: Kueue, lab: Lab) -> None:
    kueue.flavor(lab.namespace, nodeLabels={"pool": "gpu"})
    kueue.cluster_queue(lab.namespace, PLENTY, flavor=lab.namespace)
    kueue.queue(lab.namespace, "q", lab.namespace)


def held(kueue: Kueue, lab: Lab) -> None:
    kueue.cluster_queue(lab.namespace, PLENTY)
    kueue.local_queue(lab.namespace, "q", lab.namespace, stopPolicy="HoldAndDrain")


def for_others(kueue: Kueue, lab: Lab) -> None:
    kueue.cluster_queue(lab.namespace, PLENTY, namespaceSelector={"matchLabels": {"team": "other"}})
    kueue.queue(lab.namespace, "q", lab.namespace)


def without_flavor(kueue: Kueue, lab: Lab) -> None:
    kueue.cluster_queue(lab.namespace, PLENTY, flavor=f"{lab.namespace}-gone")
    kueue.queue(lab.namespace, "q", lab.namespace)


def limited(kueue: Kueue, lab: Lab) -> None:
    kueue.queue(lab.namespace, "q")
    limit = {"type": "Container", "max": {"memory": "1Gi"}}
    lab.api.create(
        "limitranges", {"metadata": {"name": "max", "namespace": lab.namespace}, "spec": {"limits": [limit]}}
    )


def checked(kueue: Kueue, lab: Lab) -> None:
    kueue.check(lab.namespace)
    kueue.cluster_queue(lab.namespace, PLENTY, admissionChecksStrategy={"admissionChecks": [{"name": lab.namespace}]})
    kueue.queue(lab.namespace, "q", lab.namespace)


@pytest.mark.parametrize(
    ("queues", "spec", "said", "remedy"),
    [
        (held, {}, "LocalQueue q is ", "describe localqueues.kueue.x-k8s.io, says why it is stopped"),
        (for_others, {}, "doesn't match ClusterQueue selector", "have the ClusterQueue's namespaceSelector take"),
        (without_flavor, {}, "is inactive", "says why it is stopped"),
        (limited, {}, "didn't satisfy LimitRange constraints", "A LimitRange of the namespace"),
        (checked, {}, "waits for admission check", "a check of the ClusterQueue decides"),
        (nothing, {}, "LocalQueue q doesn't exist", "Set spec.queueName to a LocalQueue"),
        (gpus_only, {}, "unavailable in ClusterQueue", "quota for the resource"),
        (small, {}, "insufficient quota for memory", "Ask for less in spec.resources"),
        (stopped, {}, "is stopped", "why it is stopped"),
        (without_owner, {}, "ClusterQueue nobody doesn't exist", "Set spec.queueName"),
        (
            elsewhere,
            {"podTemplate": {"nodeSelector": {"pool": "cpu"}}},
            "doesn't match node affinity",
            "Put spec.podTemplate right",
        ),
    ],
    ids=[
        "held",
        "for others",
        "no ResourceFlavor",
        "LimitRange",
        "check",
        "no queue",
        "GPUs only",
        "too small",
        "stopped",
        "no ClusterQueue",
        "other nodes",
    ],
)
def test_why_a_job_waits(
    kueue: Kueue,
    lab: Lab,
    queues: Callable[[Kueue, Lab], None],
    spec: Object,
    said: str,
    remedy: str,
) -> None:
    """The cause is quoted, and the remedy is that of the cause."""
    queues(kueue, lab)
    lab.apply(training(lab.namespace, queueName="q", **spec))
    condition = lab.wait_said(said)
    assert condition["reason"] == "WaitingForQueue" and condition["status"] == "False"
    assert "LocalQueue q" in condition["message"] and remedy in condition["message"], condition
    assert lab.status()["phase"] == "WaitingForQueue"
