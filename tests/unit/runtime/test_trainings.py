"""A look at a training when an action fails, or an answer contradicts what is known."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import EVENTS, JOBS, NAMESPACES, PODS, TRAININGS, Resource
from nnunet_operator.runtime.controllers import trainings
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.queue.workers import Outcome
from tests.support.made_trainings import training
from tests.support.made_worlds import COMPLETE, PLAN, ended, failed_by
from tests.support.made_worlds import job as made_job
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, parts

KEY = Key("clinic", "hippo")
WEBHOOK = 'Internal error occurred: failed calling webhook "mjob.example.org": connection refused'


def body(version: int, suspend: bool = False) -> Manifest:
    metadata = {
        "name": "hippo",
        "namespace": "clinic",
        "uid": "0a1b2c3d-0000-4000-8000-000000000001",
        "generation": 1,
        "creationTimestamp": "2026-03-01T12:00:00Z",
        "resourceVersion": str(version),
    }
    spec = {"dataset": {"name": "Dataset004_Hippocampus"}, "suspend": suspend}
    return {"kind": "NnunetTraining", "metadata": metadata, "spec": spec}


class Server:
    """An API server that fails as told, and remembers which statuses were written."""

    def __init__(
        self,
        creating: Exception | None = None,
        writing: Exception | None = None,
        version: int = 50,
        events: Exception | None = None,
        deleting: Exception | None = None,
        suspend: bool = False,
    ) -> None:
        self.creating, self.writing, self.version = creating, writing, version
        self.events, self.deleting, self.suspend = events, deleting, suspend
        self.written: list[Any] = []
        self.recorded: list[Manifest] = []
        self.stored: list[Manifest] = []
        """Jobs that it lists."""

    async def list_all(self, resource: Resource, *_: Any, **__: Any) -> tuple[list[Manifest], int]:
        if resource is EVENTS and self.events:
            raise self.events
        return (self.stored if resource is JOBS else []), self.version

    async def delete(self, *_: Any) -> Manifest:
        assert self.deleting
        raise self.deleting

    async def get(self, resource: Resource, key: Key) -> Manifest:
        if resource is NAMESPACES:
            return {"metadata": {"name": key.name, "uid": "n", "resourceVersion": "1"}}
        return body(self.version, self.suspend)

    async def create(self, resource: Resource, namespace: str, manifest: Manifest) -> Manifest:
        if resource is JOBS and self.creating:
            raise self.creating
        if resource is EVENTS:
            self.recorded.append(manifest)
        return {**manifest, "metadata": {**manifest["metadata"], "uid": "j", "resourceVersion": "60"}}

    async def write_status(self, resource: Resource, key: Key, version: str, status: Any) -> Manifest:
        if self.writing:
            raise self.writing
        assert resource is TRAININGS
        self.written.append(status)
        return {**body(70, self.suspend), "status": status}


def look(server: Server, doubt: Callable[[], None] = lambda: None, *jobs: Manifest) -> Outcome:
    """Look once at a training that is known at version 50 and has these Jobs, by default none."""

    async def scenario() -> Outcome:
        async with aiohttp.ClientSession() as session:
            made, _ = parts(server, session)
            made.feed.seen(TRAININGS, body(50))
            for one in jobs:
                made.feed.seen(JOBS, one)
            made.feed.relisted.clear()
            try:
                return await trainings.controller(made).reconcile(KEY)
            finally:
                if made.feed.relisted.is_set():
                    doubt()

    return run(scenario())


FORBIDDEN = 'events is forbidden: User "nnunet" cannot list resource "events" in API group ""'
"""What an API server says to whom a right was taken."""


async def look_for(server: Server, seconds: float, *jobs: Manifest) -> list[str]:
    """Look once a second, whatever fails; return what the statuses said, in order, without repetitions."""
    async with aiohttp.ClientSession() as session:
        made, _ = parts(server, session)
        made.feed.seen(TRAININGS, body(50, server.suspend))
        server.stored = list(jobs)
        for one in jobs:
            made.feed.seen(JOBS, one)
        controller = trainings.controller(made)
        for _ in range(int(seconds)):
            with suppress(ApiError, Unreachable):
                await controller.reconcile(KEY)
            await asyncio.sleep(1)
    said = [progressing(status)["message"] for status in server.written]
    return [words for number, words in enumerate(said) if words not in said[:number]]


def progressing(status: Any) -> Any:
    return next(c for c in status["conditions"] if c["type"] == "Progressing")


def test_what_refuses_a_job_is_said_and_tried_again_as_an_error() -> None:
    server = Server(Unreachable(f"POST: {WEBHOOK} (HTTP 500)", said=WEBHOOK))
    with pytest.raises(Unreachable, match="failed calling webhook"):
        look(server)
    (status,) = server.written
    assert status["phase"] == progressing(status)["reason"] == "PodRejected"
    assert WEBHOOK in progressing(status)["message"]


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("POST: etcdserver: no leader (HTTP 503)", said="etcdserver: no leader"),
        ApiError(404, "gone", "POST"),
    ],
    ids=["503", "404"],
)
def test_another_failure_of_an_action_keeps_no_status_from_being_written(error: Exception) -> None:
    server = Server(error)
    with pytest.raises(type(error)):
        look(server)
    (status,) = server.written
    assert progressing(status)["reason"] == "Starting"


@pytest.mark.parametrize(
    "error",
    [Unreachable("connection refused"), Unreachable("too many (HTTP 429)", retry_after=7, said="too many")],
    ids=["away", "asks to wait"],
)
def test_a_server_that_can_not_be_asked_now_is_not_asked(error: Exception) -> None:
    server = Server(error)
    with pytest.raises(Unreachable):
        look(server)
    assert server.written == []


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("POST: etcdserver: no leader (HTTP 503)", said="etcdserver: no leader"),
        Unreachable("POST: too many requests (HTTP 429)", retry_after=1, said="too many requests"),
        ApiError(404, "the server could not find the requested resource", "POST"),
    ],
    ids=["503", "429", "404"],
)
def test_what_lasts_is_said_whatever_it_is(error: ApiError | Unreachable) -> None:
    """Of a moment nothing is said. A server that asks to be left alone is told nothing at all so long."""
    *first, last = run(look_for(Server(error), 14))
    assert all("starts" in words for words in first) and bool(first) == (error.retry_after is None)
    said = error.message if isinstance(error, ApiError) else error.said
    assert f"waits because the API server refuses its Job: {said}" in last


@pytest.mark.parametrize("error", [ApiError(403, FORBIDDEN, "GET"), Unreachable("GET: slow down", said="slow down")])
def test_events_that_can_not_be_read_keep_no_status_from_being_written(error: ApiError | Unreachable) -> None:
    (said,) = run(look_for(Server(events=error), 2, stored_job()))
    reason = error.message if isinstance(error, ApiError) else error.said
    assert said == (
        f"planning and preprocessing starts (what keeps it is not known, because Events can't be read: {reason})"
    )


@pytest.mark.parametrize(
    "error",
    [ApiError(403, 'admission webhook "keep.example.org" denied it', "DELETE"), Unreachable(WEBHOOK, said=WEBHOOK)],
)
def test_a_job_that_can_not_be_deleted_is_said(error: ApiError | Unreachable) -> None:
    (said,) = run(look_for(Server(deleting=error, suspend=True), 2, stored_job()))
    words = error.message if isinstance(error, ApiError) else error.said
    assert said == (
        "planning and preprocessing: being stopped because spec.suspend is true; the API server refuses to delete its "
        f"Job, which is tried again: {words}"
    )


def test_a_status_that_is_refused_is_told_by_an_event_once() -> None:
    server = Server(writing=ApiError(403, 'admission webhook "freeze.example.org" denied the request', "PATCH"))
    assert run(look_for(server, 3, stored_job())) == []
    (event,) = {event["metadata"]["name"]: event for event in server.recorded}.values()
    assert (event["type"], event["reason"]) == ("Warning", "StatusRefused")
    assert 'can\'t be written: admission webhook "freeze.example.org" denied the request' in event["message"]


def test_an_answer_of_another_history_calls_for_a_full_list() -> None:
    """The status is of a version that was lost: the conflict would last for ever."""
    doubts: list[bool] = []
    server = Server(ApiError(403, "forbidden", "POST"), ApiError(409, "conflict", "PATCH"), version=30)
    with pytest.raises(Unreachable, match="at version 30, after 50 was seen"):
        look(server, lambda: doubts.append(True))
    assert doubts == [True] and server.written == []


def stored_job() -> Manifest:
    """Return the planning Job, which has no pod."""
    job = made_job(training(), PLAN)
    job["metadata"] |= {"namespace": "clinic", "resourceVersion": "50"}
    return job


def leaving(*conditions: dict[str, str]) -> Manifest:
    """Return the planning Job that is being deleted."""
    job = made_job(training(), PLAN, conditions=conditions, deleting=True)
    job["metadata"] |= {"namespace": "clinic", "resourceVersion": "50"}
    return job


def test_an_end_is_told_also_where_its_job_is_gone_by_now() -> None:
    """The list that comes before what can't be taken back shows it no more, and what it came to is what it was."""
    server = Server()
    look(server, lambda: None, leaving(failed_by(message="failed with exit code 65 matching FailJob rule")))
    (status,) = server.written
    assert status["phase"] == "Failed"


def test_an_end_is_told_before_what_follows_is_seen() -> None:
    server = Server()
    look(server, lambda: None, leaving(COMPLETE))
    (status,) = server.written
    assert [c["status"] for c in status["conditions"] if c["type"] == "DatasetReady"] == ["True"]


@pytest.mark.parametrize(("conditions", "at_once"), [([], False), ([COMPLETE], True), ([failed_by()], True)])
def test_a_job_that_has_ended_and_is_being_deleted_is_looked_at_at_once(
    conditions: list[dict[str, str]], at_once: bool
) -> None:
    async def scenario() -> list[Key]:
        made, queue = parts(Server())
        made.feed.seen(TRAININGS, body(50))
        await drain(queue, "NnunetTraining", 0.1)
        queue.add_after_quiet(Request("NnunetTraining", *KEY), 60)
        made.feed.seen(JOBS, leaving(*conditions))
        return await drain(queue, "NnunetTraining", 10)

    assert run(scenario()) == ([KEY] if at_once else [])


@pytest.mark.parametrize(
    ("conditions", "phase", "ready"), [([COMPLETE], "Pending", "True"), ([failed_by()], "Failed", "False")]
)
def test_what_a_job_came_to_counts_also_where_it_is_gone_in_the_same_breath(
    conditions: list[dict[str, str]], phase: str, ready: str
) -> None:
    """The watch told of its end and of its deletion before anybody looked."""

    async def scenario(server: Server) -> list[Outcome]:
        async with aiohttp.ClientSession() as session:
            made, _ = parts(server, session)
            made.feed.seen(TRAININGS, body(50))
            job = leaving(*conditions)
            made.feed.seen(JOBS, job)
            made.feed.gone(JOBS, Key("clinic", "hippo-plan"), 50)
            controller = trainings.controller(made)
            return [await controller.reconcile(KEY) for _ in range(2)]

    server = Server()
    first, _ = run(scenario(server))
    status = server.written[0]
    assert status["phase"] == phase
    assert [c["status"] for c in status["conditions"] if c["type"] == "DatasetReady"] == [ready]
    assert first.requeue_after is not None and first.requeue_after < 1  # nothing else tells that its name is free


@pytest.mark.parametrize("order", [(JOBS, PODS), (PODS, JOBS)], ids=["job first", "pod first"])
def test_what_a_pod_said_counts_also_where_it_is_gone_with_its_job(order: tuple[Resource, Resource]) -> None:
    """As where a rule deletes Jobs at their end: the one is gone before the other, and both before anybody looked."""

    async def scenario(server: Server) -> list[Outcome]:
        async with aiohttp.ClientSession() as session:
            made, _ = parts(server, session)
            made.feed.seen(TRAININGS, body(50))
            job = leaving(failed_by(message="failed with exit code 65 matching FailJob rule"))
            pod = ended(job, 65, '{"message": "dataset.json is missing"}')
            pod["metadata"] |= {"namespace": "clinic", "resourceVersion": "50"}
            bodies = {JOBS: job, PODS: pod}
            for resource in order:
                made.feed.seen(resource, bodies[resource])
            for resource in order:
                made.feed.gone(resource, Key("clinic", bodies[resource]["metadata"]["name"]), 50)
            controller = trainings.controller(made)
            outcomes = [await controller.reconcile(KEY) for _ in range(2)]
            assert not made.feed.cache[PODS].left(KEY), "what was told of is forgotten"
            return outcomes

    server = Server()
    run(scenario(server))
    (failed,) = (c for c in server.written[0]["conditions"] if c["type"] == "Failed")
    assert failed["reason"] == "WrongData" and "dataset.json is missing" in failed["message"]
