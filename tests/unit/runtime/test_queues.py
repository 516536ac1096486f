"""Kueue is asked about Jobs that wait, seldom, in the version that it serves; what goes wrong is part of the answer."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.views import JobView
from nnunet_operator.runtime.client.resources import EVENTS, Resource
from nnunet_operator.runtime.controllers.queues import READS_PER_SECOND, QueueFinder
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import FOLD, job, pod
from tests.unit.runtime.clock import run

KEY = Key("clinic", "hippo")
QUEUED = training(folds=[0], queueName="q")
LATER = NOW + timedelta(minutes=1)
OTHER = "0a1b2c3d-0000-4000-8000-000000000009"
PREEMPTED = f"Preempted to accommodate a workload (UID: w, JobUID: {OTHER}) due to prioritization in the ClusterQueue"
MISSING = ApiError(404, "the server could not find the requested resource", "GET")


class Server:
    """An API server that serves Workloads in some versions, or fails."""

    def __init__(self, *versions: str, failure: Exception | None = None) -> None:
        self.versions = versions
        self.failure = failure
        self.asked: list[str] = []
        self.others: list[Any] | None = None
        """Workloads of the one that this one had to make room for; None where it has to for none."""
        self.places: list[str] = []
        """Namespaces in which that was looked for."""
        self.events: list[Any] | None = None
        """On a Workload that a check has rejected; None where they can't be read."""
        self.rejected = False

    async def list_all(
        self, resource: Resource, namespace: str, labels: str = "", fields: str = ""
    ) -> tuple[list[Any], int]:
        if resource is EVENTS:
            assert fields == "involvedObject.uid=w,reason=AdmissionCheckRejected"
            if self.events is None:
                raise Unreachable("events can't be read")
            return self.events, 1
        self.asked.append(f"{resource.version} {labels}")
        if resource.version not in self.versions:
            raise MISSING
        if self.failure:
            raise self.failure
        if self.rejected:
            said = {"type": "Evicted", "status": "True", "reason": "DeactivatedDueToAdmissionCheck", "message": "by x"}
            spec = {"queueName": "q", "active": False}
            return [{"metadata": {"name": "wl", "uid": "w"}, "spec": spec, "status": {"conditions": [said]}}], 1
        if self.others is None:
            return [{"metadata": {"name": "wl"}, "spec": {"queueName": "q"}}], 1
        if labels.endswith(OTHER):
            self.places.append(namespace)
            return [one for one in self.others if namespace == one["metadata"]["namespace"]], 1
        said = {"type": "Evicted", "status": "True", "message": PREEMPTED}
        return [{"metadata": {"name": "wl"}, "spec": {"queueName": "q"}, "status": {"conditions": [said]}}], 1


def waiting(uid: str = "u") -> JobView:
    body = job(QUEUED, FOLD, "0", suspended=True)
    body["metadata"]["uid"] = uid
    return job_view(body)


def ask(server: Server, *jobs: JobView, pods: Any = (), times: int = 1, pause: float = 0.0, at: Any = LATER) -> Any:
    """Look a number of times, and return what the last look found."""

    async def scenario() -> Any:
        finder = QueueFinder(server)  # type: ignore[arg-type]
        for number in range(times):
            if number:
                await asyncio.sleep(pause)
            found = await finder.find(KEY, jobs, pods, at)
        finder.forget(KEY)
        assert finder._asked == 0
        return found

    return run(scenario())


def test_the_version_that_is_served_is_found_and_kept() -> None:
    server = Server("v1beta1")
    found = ask(server, waiting(), times=2, pause=USUAL.pod_events + 1)
    assert found.found["hippo-fold-0"].workload.name == "wl"
    assert [asked.split()[0] for asked in server.asked] == ["v1beta2", "v1beta1", "v1beta1"]
    assert server.asked[0].endswith("kueue.x-k8s.io/job-uid=u")


def test_an_answer_is_believed_for_a_while() -> None:
    server = Server("v1beta2")
    assert ask(server, waiting(), times=5, pause=1.0).again_in_seconds == USUAL.pod_events
    assert len(server.asked) == 1


def test_many_that_wait_are_asked_for_less_often() -> None:
    many = [waiting(str(number)) for number in range(500)]
    server = Server("v1beta2")
    ask(server, *many, times=3, pause=USUAL.pod_events + 1)
    assert 2 * (USUAL.pod_events + 1) < 500 / READS_PER_SECOND and len(server.asked) == 500


def test_a_cluster_without_kueue_is_asked_once_a_minute() -> None:
    server = Server()
    found = ask(server, waiting(), times=3, pause=USUAL.pod_events + 1)
    assert not found.found["hippo-fold-0"].served and len(server.asked) == 2


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ApiError(403, "workloads is forbidden", "GET"), "workloads is forbidden"),
        (ApiError(500, "conversion webhook failed", "GET"), "conversion webhook failed"),
        (Unreachable("GET: HTTP 503", said="try later"), "try later"),
        (Unreachable("no answer"), "no answer"),
    ],
)
def test_what_goes_wrong_is_part_of_the_answer(failure: Exception, words: str) -> None:
    assert ask(Server("v1beta2", failure=failure), waiting()).found["hippo-fold-0"].unread == words


def test_only_jobs_that_wait_or_can_not_go_are_asked_for() -> None:
    going = job(QUEUED, FOLD, "0", deleting=True)
    runs = pod_view(pod(going, phase="Running"))
    for jobs, pods, times in (
        ([job_view(job(QUEUED, FOLD, "0"))], [], 0),
        ([job_view(going)], [], 1),
        ([job_view(going)], [runs], 0),
    ):
        server = Server("v1beta2")
        ask(server, *jobs, pods=pods)
        assert len(server.asked) == times
    server = Server("v1beta2")
    assert 0 < ask(server, waiting(), at=NOW).again_in_seconds <= USUAL.job_without_pod and not server.asked


@pytest.mark.parametrize(
    ("namespace", "owners", "who"),
    [
        ("clinic", [{"kind": "Job", "name": "spleen-fold-0"}], "Job spleen-fold-0"),
        ("clinic", [], "Workload other"),
        ("ward", [{"kind": "Job", "name": "liver-plan"}], f"a workload (UID: w, JobUID: {OTHER})"),
    ],
)
def test_who_preempted_it_is_named_within_its_namespace(namespace: str, owners: list[Any], who: str) -> None:
    """Nobody learns here what is in another."""
    server = Server("v1beta2")
    server.others = [{"metadata": {"name": "other", "namespace": namespace, "ownerReferences": owners}}]
    found = ask(server, waiting()).found["hippo-fold-0"].workload
    assert found.stopped == f"Preempted to accommodate {who} due to prioritization in the ClusterQueue"
    assert server.places == ["clinic"]


def rejection(words: str, minute: int) -> dict[str, Any]:
    at = f"2026-03-01T12:{minute:02d}:00Z"
    message = f"Deactivating workload because AdmissionCheck for x was Rejected: {words}"
    return {"metadata": {"resourceVersion": "1"}, "lastTimestamp": at, "message": message}


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([rejection("no budget", 7), rejection("no nodes", 5)], "AdmissionCheck for x was Rejected: no budget"),
        ([], "by x"),
        (None, "by x"),
    ],
)
def test_why_a_check_has_rejected_is_told_by_an_event(events: list[Any] | None, words: str) -> None:
    """Its newest; where there is none any more, the name of the check has to do."""
    server = Server("v1beta2")
    server.rejected, server.events = True, events
    assert ask(server, waiting()).found["hippo-fold-0"].workload.stopped == words
