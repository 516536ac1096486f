"""Events of many Jobs and pods are asked for at the same time, and a question that fails loses no other answer."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.views import PodView
from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.controllers.pod_events import AT_ONCE, PodEventFinder
from nnunet_operator.runtime.errors import Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import FOLD, job, pod
from tests.unit.runtime.clock import run

KEY = Key("clinic", "hippo")
MANY = training(folds=[0, 1, 2, 3, 4], replicates=10, trainer={"seed": 1})
LATER = NOW + timedelta(minutes=1)
SECONDS = 1.0
"""How long the API server takes for an answer."""


class Server:
    """An API server that answers each question about Events after a second."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.under_way = self.most = 0
        self.failing: set[str] = set()

    async def list_all(self, _: Resource, __: str, fields: str) -> tuple[list[Any], int]:
        uid = fields.split(",")[0].partition("=")[2]
        self.asked.append(uid)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(SECONDS)
        self.under_way -= 1
        if uid in self.failing:
            raise Unreachable("away")
        metadata = {"resourceVersion": "7", "creationTimestamp": "2026-03-01T12:00:30Z"}
        said = {"type": "Warning", "reason": "FailedMount", "message": f"about {uid}"}
        return [{"metadata": metadata, "lastTimestamp": "2026-03-01T12:00:30Z", **said}], 7


def folds(number: int) -> list[Any]:
    return [job(MANY, FOLD, key.name) for key in MANY.spec.fold_keys[:number]]


def placed(body: Any) -> PodView:
    """Return a Job's pod that has a node and does not start."""
    found = pod(body, name=f"{body['metadata']['name']}-x", startTime="2026-03-01T12:00:00Z")
    return pod_view({**found, "spec": {"nodeName": "n"}})


@pytest.mark.parametrize(("jobs", "seconds"), [(0, 0), (1, 1), (AT_ONCE, 1), (AT_ONCE + 1, 2), (50, 4)])
@pytest.mark.parametrize("with_pods", [False, True])
def test_events_are_asked_for_at_the_same_time(jobs: int, seconds: float, with_pods: bool) -> None:
    async def scenario() -> None:
        server, wanted = Server(), folds(jobs)
        finder = PodEventFinder(server)  # type: ignore[arg-type]
        began = asyncio.get_running_loop().time()
        found = await finder.find(KEY, map(job_view, wanted), map(placed, wanted) if with_pods else [], LATER)
        assert asyncio.get_running_loop().time() - began == pytest.approx(seconds, abs=0.1)
        assert server.most <= AT_ONCE and len(server.asked) == jobs
        told = {name: warning.message for name, warning in found.warnings.items()} if with_pods else found.refusals
        assert len(told) == jobs and len(set(told.values())) == jobs
        if jobs and not with_pods:
            assert told["hippo-fold-0-r1"] == "about job-fold0-r1"

    run(scenario())


@pytest.mark.parametrize("ahead_seconds", [4, 3600])
def test_clocks_that_differ_keep_no_question_waiting_for_long(ahead_seconds: int) -> None:
    """The API server's and the node's may be ahead of the operator's."""

    async def scenario() -> None:
        wanted, server = folds(1), Server()
        finder = PodEventFinder(server)  # type: ignore[arg-type]
        found = await finder.find(KEY, map(job_view, wanted), [], NOW - timedelta(seconds=ahead_seconds))
        assert (len(server.asked) == 1) == (ahead_seconds > USUAL.job_without_pod)
        assert found.again_in_seconds is not None and found.again_in_seconds <= USUAL.pod_events

    run(scenario())


def test_a_question_that_fails_is_asked_again_and_no_other() -> None:
    async def scenario() -> None:
        server, wanted = Server(), folds(3)
        finder = PodEventFinder(server)  # type: ignore[arg-type]
        server.failing = {wanted[1]["metadata"]["uid"]}
        found = await finder.find(KEY, map(job_view, wanted), [], LATER)
        assert found.unread == {"hippo-fold-1-r1": "away"} and len(found.refusals) == 2
        server.failing.clear()
        server.asked.clear()
        found = await finder.find(KEY, map(job_view, wanted), [], LATER)
        assert server.asked == [wanted[1]["metadata"]["uid"]] and len(found.refusals) == 3
        await asyncio.sleep(USUAL.pod_events)
        await finder.find(KEY, map(job_view, wanted[:2]), [], LATER)
        assert len(server.asked) == 3

    run(scenario())


def test_a_cause_that_is_known_stays_while_the_api_server_is_in_trouble() -> None:
    """Or else the status would change to and fro, with an Event each time."""

    async def scenario() -> None:
        server, wanted = Server(), folds(1)
        finder = PodEventFinder(server)  # type: ignore[arg-type]
        first = await finder.find(KEY, map(job_view, wanted), [], LATER)
        server.failing = {wanted[0]["metadata"]["uid"]}
        for _ in range(2):
            await asyncio.sleep(USUAL.pod_events + 1)
            again = await finder.find(KEY, map(job_view, wanted), [], LATER)
            assert again.refusals == first.refusals and again.refusals and not again.unread
        assert len(server.asked) == 3, "it is asked for all the same"

    run(scenario())
