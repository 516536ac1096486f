"""What Kueue's Workload comes to: words and remedy of a Job that waits, and what holds one that is deleted."""

from typing import Any

import pytest

from nnunet_api.kueue import rejected_for, workload
from nnunet_api.reasons import Reason
from nnunet_api.remedies.table import REMEDIES
from nnunet_operator.kube.queues import Queueing, leaving, queued
from nnunet_operator.kube.reading import job_view
from nnunet_operator.kube.views import JobView

ABSENT = Queueing(served=False)


def job(queue: str = "q", **metadata: Any) -> JobView:
    labels = {"kueue.x-k8s.io/queue-name": queue} if queue else {}
    return job_view({"metadata": {"name": "hippo-plan", "labels": labels, **metadata}, "spec": {"suspend": True}})


def said(**conditions: str) -> list[dict[str, str]]:
    """Conditions by type; a message that begins with + is of one that is True."""
    return [
        {"type": type_, "status": "True" if words.startswith("+") else "False", "message": words.removeprefix("+")}
        for type_, words in conditions.items()
    ]


def found(
    *, queue: str = "q", active: bool = True, checks: Any = None, metadata: Any = None, **conditions: str
) -> Queueing:
    body = {
        "metadata": {"name": "wl", **(metadata or {})},
        "spec": {"queueName": queue, "active": active},
        "status": {"conditions": said(**conditions), "admissionChecks": checks or []},
    }
    return Queueing(workload=workload(body))


def rejected(event: str = "") -> Queueing:
    """A Workload that an admission check has rejected, and Kueue's Event on it."""
    by_check = {"reason": "DeactivatedDueToAdmissionCheck", "message": REJECTED}
    body = {
        "metadata": {"name": "wl"},
        "spec": {"queueName": "q", "active": False},
        "status": {"conditions": [{"type": "Evicted", "status": "True", **by_check}]},
    }
    told = workload(body)
    return Queueing(workload=rejected_for(told, event) if event else told)


REJECTED = "The workload is deactivated due to Admission check(s): budget, were rejected"
TURN = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor a, 1 more needed"
)
PREEMPTED = "+Preempted to accommodate a workload (UID: u) due to prioritization in the ClusterQueue"
TOO_SLOW = "+Exceeded the PodsReady timeout n/wl"
CHECK = [{"name": "budget", "state": "Pending", "message": "asked"}, {"name": "done", "state": "Ready"}]

AGAIN = [{"name": "budget", "state": "Retry", "message": "none left"}]
NEVER = [{"name": "budget", "state": "Rejected", "message": "used up"}]


@pytest.mark.parametrize(
    ("answer", "words", "case"),
    [
        (None, "waits for admission by Kueue's LocalQueue q", ""),
        (Queueing(unread="workloads is forbidden"), "of which no more is known: workloads is forbidden", ""),
        (ABSENT, "no Kueue is in this cluster", "NoQueues"),
        (Queueing(), "Kueue has made no Workload for Job hippo-plan", "NoWorkload"),
        (found(), "waits for admission by Kueue's LocalQueue q", ""),
        (found(QuotaReserved=TURN), "LocalQueue q: insufficient unused quota for nvidia.com/gpu", ""),
        (found(QuotaReserved="LocalQueue q doesn't exist"), "LocalQueue q doesn't exist", "QueueMissing"),
        (found(QuotaReserved="ClusterQueue c doesn't exist"), "ClusterQueue c doesn't exist", "QueueMissing"),
        (found(QuotaReserved="ClusterQueue c is stopped"), "c is stopped", "QueueStopped"),
        (found(QuotaReserved="LocalQueue q is inactive"), "q is inactive", "QueueStopped"),
        (found(QuotaReserved="LocalQueue q is terminating or missing"), "is terminating", "QueueMissing"),
        (found(QuotaReserved="ClusterQueue c not found"), "c not found", "QueueMissing"),
        (found(QuotaReserved="Workload namespace doesn't match ClusterQueue selector"), "namespace", "QueueClosed"),
        (found(QuotaReserved="resources didn't satisfy LimitRange constraints: x"), "LimitRange", "QueueLimits"),
        (found(QuotaReserved="resources validation failed: must not exceed its limits"), "limits", "QueueLimits"),
        (found(QuotaReserved="Not found: DeviceClass gpu is not mapped"), "DeviceClass gpu", "QueueDevices"),
        (found(Evicted=TOO_SLOW, QuotaReserved=TOO_SLOW[1:]), "q: Exceeded the PodsReady timeout", "PodsTooSlow"),
        (found(Evicted=TOO_SLOW, QuotaReserved=TURN), "timeout n/wl; insufficient unused quota", ""),
        (found(QuotaReserved="The workload has failed admission checks"), "has failed", "QueueCheck"),
        (found(Evicted="+At least one admission check is false"), "admission check is false", "QueueCheck"),
        (found(QuotaReserved="resource cpu unavailable in ClusterQueue"), "cpu unavail", "QueueWithoutResource"),
        (found(QuotaReserved="insufficient quota for memory > maximum capacity (1)"), "quota for", "QueueTooSmall"),
        (found(QuotaReserved="flavor a doesn't match node affinity"), "node affinity", "QueueFlavor"),
        (found(QuotaReserved="untolerated taint x in flavor a"), "untolerated taint", "QueueFlavor"),
        (found(QuotaReserved=f"flavor b doesn't match node affinity, {TURN}"), "unused quota", ""),
        (found(Evicted=PREEMPTED, QuotaReserved=TURN), "due to prioritization in the ClusterQueue; insuff", ""),
        (found(Evicted="+The ClusterQueue is stopped", QuotaReserved=TURN), "is stopped; insufficient", ""),
        (found(Evicted="+The ClusterQueue is stopped"), "The ClusterQueue is stopped", "QueueStopped"),
        (found(Evicted="long ago", QuotaReserved=TURN), "q: insufficient unused quota", ""),
        (found(active=False, Evicted="+exceeded the limit"), "wl is deactivated, for good: exceeded", "Deactivated"),
        (rejected(), "wl is deactivated, for good: The workload is deactivated due to Adm", "QueueCheckRejected"),
        (
            rejected("Deactivating workload because AdmissionCheck for budget was Rejected: it is used up"),
            "wl is deactivated, for good: AdmissionCheck for budget was Rejected: it is used up",
            "QueueCheckRejected",
        ),
        (found(QuotaReserved="+", checks=CHECK), "it waits for admission check budget (asked)", "QueueCheck"),
        (found(QuotaReserved="+", checks=AGAIN), "budget, which has it try again later (none left)", "QueueCheck"),
        (found(QuotaReserved="+", checks=NEVER), "budget, which has rejected it (used up)", "QueueCheckRejected"),
        (found(QuotaReserved="+"), "its quota is reserved, and it waits", ""),
        (found(QuotaReserved="+", Admitted="+"), "it has been admitted", ""),
    ],
)
def test_what_a_job_waits_for(answer: Queueing | None, words: str, case: str) -> None:
    trouble = queued(job(), "q", answer)
    assert trouble.reason == Reason.WAITING_FOR_QUEUE and trouble.case == case
    assert trouble.matter.startswith("waits ") and words in trouble.matter, trouble.matter
    assert not case or case in REMEDIES[trouble.reason].cases


@pytest.mark.parametrize(
    ("label", "of_pods", "words"),
    [
        ("", "", "for Job hippo-plan"),
        ("research", "", "for Job hippo-plan, which asks for WorkloadPriorityClass research"),
        ("", "high", "for Job hippo-plan, which asks for PriorityClass high"),
        ("research", "high", "for Job hippo-plan, which asks for WorkloadPriorityClass research"),
    ],
)
def test_the_class_for_which_kueue_may_make_no_workload(label: str, of_pods: str, words: str) -> None:
    labels = {"kueue.x-k8s.io/queue-name": "q", "kueue.x-k8s.io/priority-class": label}
    pod = {"spec": {"priorityClassName": of_pods}}
    body = {"metadata": {"name": "hippo-plan", "labels": labels}, "spec": {"suspend": True, "template": pod}}
    assert queued(job_view(body), "q", Queueing()).matter.endswith(words)


def test_a_job_without_a_queue() -> None:
    """Only a Workload tells that it is Kueue which holds it."""
    for answer in (None, ABSENT, Queueing(), Queueing(unread="forbidden")):
        assert queued(job(queue=""), None, answer).case == "JobSuspended"
    held = queued(job(queue=""), None, found(queue="", QuotaReserved="LocalQueue  doesn't exist"))
    assert held.case == "QueueUnnamed" and "names no LocalQueue" in held.matter


def test_a_queue_that_is_not_the_one_of_the_spec() -> None:
    given = queued(job("default"), None, found(QuotaReserved=TURN))
    assert given.case == "" and given.matter.endswith("(spec.queueName names none)")
    changed = queued(job("old"), "new", found(QuotaReserved="LocalQueue old doesn't exist"))
    assert changed.case == "QueueChanged" and changed.matter.endswith("(spec.queueName is new)")


@pytest.mark.parametrize(
    ("metadata", "answer", "words"),
    [
        ({}, None, ""),
        ({}, ABSENT, ""),
        ({}, found(metadata={"finalizers": ["x"]}), ""),
        ({}, found(metadata={"finalizers": ["x/y"], "deletionTimestamp": "2026-03-01T12:00:00Z"}), "takes x/y off"),
        ({"finalizers": ["a/b"]}, None, "until a/b is taken off the finalizers of Job hippo-plan"),
    ],
)
def test_what_holds_a_job_that_is_deleted(metadata: Any, answer: Queueing | None, words: str) -> None:
    note = leaving(job(**metadata), answer)
    assert (words in note) if words else not note
