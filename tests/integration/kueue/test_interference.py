"""What people, checks and other teams do to trainings in a queue: it is said, it costs no retry, and it has an end."""

from tests.integration.conftest import Lab
from tests.integration.kueue.test_queues import checked, queued_training
from tests.support.api import Object
from tests.support.kubelet import FOLD, STAGE
from tests.support.kueue import GPU, PLENTY, Kueue


def no_retry_is_used(lab: Lab) -> bool:
    """Tell whether no pod that is gone has been counted as failed, or is about to be."""
    seen = [job["status"] for job in lab.jobs()]
    return not any(one.get("failed") or one.get("uncountedTerminatedPods", {}).get("failed") for one in seen)


def begun_again(lab: Lab, before: Object) -> Object:
    """Wait until another pod is there in the place of one that was stopped, and return it.

    That one may live on for a moment when its Job goes on already.
    """
    uid, labels = before["metadata"]["uid"], before["metadata"]["labels"]

    def another() -> Object | None:
        living = lab.kubelet.pods("hippo", labels[STAGE], labels.get(FOLD, ""))
        return next((pod for pod in living if pod["metadata"]["uid"] != uid), None)

    return lab.wait("another pod", another)


def test_a_check_that_has_it_try_again(kueue: Kueue, lab: Lab) -> None:
    """Kueue takes its quota back and asks again; then it goes on."""
    checked(kueue, lab)
    queued_training(lab)
    lab.wait_said(f"waits for admission check {lab.namespace}")
    (job,) = lab.jobs()
    kueue.decide(lab.namespace, job, lab.namespace, "Retry", "zone a has no nodes")
    condition = lab.wait_said("Previously: Retry")
    assert condition["reason"] == "WaitingForQueue", condition
    assert "kubectl describe admissionchecks.kueue.x-k8s.io" in condition["message"]
    kueue.decide(lab.namespace, job, lab.namespace, "Ready", "")
    lab.kubelet.pod("hippo", "plan")
    assert no_retry_is_used(lab)


def test_an_evaluation_is_stopped_for_others(kueue: Kueue, lab: Lab) -> None:
    """It is told for whom, the proof stands, and it begins again."""
    high = f"{lab.namespace}-high"
    kueue.priority(high, 1000)
    kueue.cluster_queue(
        lab.namespace, {"cpu": "8", "memory": "32Gi", GPU: "1"}, preemption={"withinClusterQueue": "LowerPriority"}
    )
    kueue.queue(lab.namespace, "q", lab.namespace)
    queued_training(lab, retryLimit=0)
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"))
    pod = lab.kubelet.pod("hippo", "evaluate")
    lab.kubelet.run(pod)
    queued_training(lab, "urgent", queuePriorityClassName=high)
    condition = lab.wait_said("Preempted to accommodate Job urgent-plan")
    assert condition["reason"] == "WaitingForQueue" and condition["message"].startswith("evaluation waits")
    assert lab.condition("EpochsProven")["status"] == "True" and lab.condition("Failed")["status"] == "False"
    lab.api.delete("nnunettrainings", lab.namespace, "urgent")
    lab.kubelet.end(begun_again(lab, pod))
    lab.wait_reason("Complete", "TrainingComplete")
    assert no_retry_is_used(lab)


def test_a_local_queue_that_somebody_stops_and_lets_go_on(kueue: Kueue, lab: Lab) -> None:
    kueue.queue(lab.namespace, "q")
    queued_training(lab)
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod)
    lab.api.merge("localqueues", lab.namespace, "q", {"spec": {"stopPolicy": "HoldAndDrain"}})
    condition = lab.wait_said("LocalQueue is stopped")
    assert condition["reason"] == "WaitingForQueue" and condition["message"].startswith("fold 0 waits")
    assert "says why it is stopped" in condition["message"], condition
    lab.api.merge("localqueues", lab.namespace, "q", {"spec": {"stopPolicy": "None"}})
    begun_again(lab, pod)
    assert no_retry_is_used(lab)


def test_a_workload_that_somebody_deletes(kueue: Kueue, lab: Lab) -> None:
    """Of a Job that runs: Kueue makes another, and all goes on."""
    kueue.queue(lab.namespace, "q")
    queued_training(lab)
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod)
    (job,) = [one for one in lab.jobs() if one["metadata"]["name"] == "hippo-fold-0"]
    found = kueue.workload(lab.namespace, job)
    assert found
    lab.api.delete("workloads", lab.namespace, found["metadata"]["name"])

    def another() -> bool:
        now = kueue.workload(lab.namespace, job)
        return now is not None and now["metadata"]["uid"] != found["metadata"]["uid"]

    lab.wait("another Workload", another)
    lab.kubelet.end(begun_again(lab, pod))
    lab.kubelet.pod("hippo", "verify")
    assert no_retry_is_used(lab)


def test_a_job_that_somebody_puts_into_another_queue(kueue: Kueue, lab: Lab) -> None:
    """What holds is the queue of the Job; the training's own is named beside it, with the way back."""
    kueue.queue(lab.namespace, "q", **{**PLENTY, "memory": "1Gi"})
    queued_training(lab)
    lab.wait_said("insufficient quota")
    label = {"metadata": {"labels": {"kueue.x-k8s.io/queue-name": "elsewhere"}}}
    lab.api.merge("jobs", lab.namespace, "hippo-plan", label)
    condition = lab.wait_said("LocalQueue elsewhere doesn't exist")
    assert "(spec.queueName is q)" in condition["message"], condition
    assert "Suspend and resume the training" in condition["message"], condition


def test_quota_that_its_owner_takes_back(kueue: Kueue, lab: Lab) -> None:
    """A fold that runs on what another team has lent; it waits until there is some again."""
    name = lab.namespace
    resources = {"cpu": "100", "memory": "1Ti"}
    for team, gpus in (("lends", "1"), ("borrows", "0")):
        preemption = {"reclaimWithinCohort": "Any"}
        kueue.cluster_queue(f"{name}-{team}", {**resources, GPU: gpus}, cohortName=name, preemption=preemption)
        kueue.local_queue(name, team, f"{name}-{team}")
    queued_training(lab, queueName="borrows")
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod)
    queued_training(lab, "owner", queueName="lends")
    lab.plan_and_train("owner")
    condition = lab.wait_said("Preempted to accommodate Job owner-fold-0 due to reclamation within the cohort")
    assert condition["reason"] == "WaitingForQueue" and condition["message"].startswith("fold 0 waits")
    lab.kubelet.end(lab.kubelet.pod("owner", "fold", "0"))
    begun_again(lab, pod)
    assert no_retry_is_used(lab)
