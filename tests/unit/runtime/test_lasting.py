"""What lives as long as the operator outlives whatever one turn of it raises, and waits longer each time."""

import asyncio
import logging
from typing import Any

import pytest

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.resources import POLICIES, TRAININGS, Resource
from nnunet_operator.runtime.controllers import policies
from nnunet_operator.runtime.controllers.registry import INFORMERS
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.informers.feed import Feed
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.lasting import Backoff, forever
from nnunet_operator.runtime.queue.workers import Outcome as Looked
from nnunet_operator.runtime.queue.workers import work
from nnunet_operator.runtime.queue.workqueue import WorkQueue
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import parts

REQUEST = Request("NnunetTraining", "clinic", "hippo")


def backoff(first: float = 1, longest: float = 8) -> Backoff:
    return Backoff(first, longest, jitter=lambda: 1.0)


async def broken_off() -> None:
    """Wait for a task that somebody else cancels."""
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def fail(error: BaseException | None) -> None:
    """Fail as told; None for what `broken_off` raises."""
    if error is None:
        await broken_off()
    else:
        raise error


ERRORS: list[Any] = [
    pytest.param(Unreachable("away"), id="unreachable"),
    pytest.param(ApiError(403, "no", "GET x"), id="refused"),
    pytest.param(KeyError("items"), id="another shape"),
    pytest.param(ValueError("no JSON"), id="no JSON"),
    pytest.param(None, id="a cancelled sub-task"),
    pytest.param(AssertionError(), id="a mistake of ours"),
    pytest.param(ExceptionGroup("two", [OSError(), OSError()]), id="several"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_a_loop_goes_on_and_waits_longer_each_time(
    error: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    times: list[float] = []

    async def turn() -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) in (1, 2, 3, 4, 5, 7):
            await fail(error)
        await asyncio.sleep(100)

    async def scenario() -> None:
        going = asyncio.create_task(forever("the test", turn, backoff()))
        await asyncio.sleep(150)
        assert not going.done()
        going.cancel()

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert times == [0, 1, 3, 7, 15, 23, 123, 124]
    assert len([record for record in caplog.records if "the test" in record.getMessage()]) == 6


def test_the_server_may_ask_for_more_and_not_for_less() -> None:
    waits = backoff()
    assert [waits.failed(5), waits.failed(0), waits.failed(1)] == [5, 2, 4]
    waits.succeeded()
    assert waits.failed() == 1


def test_a_loop_ends_when_it_is_cancelled_itself() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(forever("the test", lambda: asyncio.sleep(60), backoff()))
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(scenario())


@pytest.mark.parametrize("error", ERRORS)
def test_a_worker_outlives_a_look(error: BaseException | None) -> None:
    async def scenario() -> list[float]:
        queue, looks = WorkQueue(Metrics(), jitter=lambda: 1.0), []

        async def look(_: Key) -> Looked:
            looks.append(asyncio.get_running_loop().time())
            if len(looks) < 4:
                await fail(error)
            queue.stop()
            return Looked()

        queue.add(REQUEST)
        await work(queue, {REQUEST.kind: look}, Metrics())
        return looks

    assert run(scenario()) == [0, 0.5, 1.5, 3.5]


def test_a_worker_leaves_the_server_alone_as_long_as_it_asks_for() -> None:
    """Also where Jobs and Pods change meanwhile."""

    async def scenario() -> list[float]:
        queue, looks = WorkQueue(Metrics(), jitter=lambda: 1.0), []

        async def look(_: Key) -> Looked:
            looks.append(asyncio.get_running_loop().time())
            if len(looks) == 1:
                asyncio.get_running_loop().call_later(2, queue.add, REQUEST, 0.5)
                raise Unreachable("too many requests", retry_after=30)
            queue.stop()
            return Looked()

        queue.add(REQUEST)
        await work(queue, {REQUEST.kind: look}, Metrics())
        return looks

    assert run(scenario()) == [0, 30]


class Refusing:
    """An API server that fails each write of a policy's status, and then none."""

    def __init__(self, errors: list[BaseException | None]) -> None:
        self.errors = errors
        self.written: list[tuple[float, str]] = []

    async def write_status(self, resource: Resource, key: Key, version: str, status: Any) -> Any:
        if key.name == "bad" and self.errors:
            await fail(self.errors.pop(0))
        self.written.append((asyncio.get_running_loop().time(), key.name))
        return {"metadata": {"name": key.name, "uid": "u", "generation": 1, "resourceVersion": str(int(version) + 10)}}


@pytest.mark.parametrize("error", ERRORS)
def test_the_policies_statuses_are_written_all_the_same(error: BaseException | None) -> None:
    """One that can't be written keeps no other from it, and is written later."""

    async def scenario() -> list[tuple[float, str]]:
        server = Refusing([error] * 3)
        made, queue = parts(server)
        spec = {"mode": "Enforce", "namespaceSelector": {}, "rules": {"minEpochs": 1000}}
        for version, name in enumerate(("bad", "good"), 1):
            metadata = {"name": name, "uid": name, "generation": 1, "resourceVersion": str(version)}
            made.feed.seen(POLICIES, {"metadata": metadata, "spec": spec, "status": {}})
        statuses = policies.controller(made)
        going = asyncio.create_task(work(queue, {POLICIES.kind: statuses.reconcile}, made.metrics))
        await asyncio.sleep(120)
        assert not going.done()
        going.cancel()
        return server.written

    written = run(scenario())
    assert written[0] == (5, "good") and {name for _, name in written} == {"bad", "good"}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": None},
        {"type": "ADDED", "object": {"metadata": {}}},
        {"type": "ADDED", "object": {"metadata": {"name": "hippo", "resourceVersion": "x"}}},
        {
            "type": "MODIFIED",
            "object": {"metadata": {"name": "hippo", "resourceVersion": "3"}, "status": {"policy": 7}},
        },
    ],
)
def test_an_event_that_can_not_be_read_is_made_up_for_by_a_full_list(event: dict[str, Any]) -> None:
    async def scenario() -> bool:
        cache = Cache(INFORMERS)
        feed = Feed(cache, WorkQueue(Metrics()))
        feed.take(TRAININGS, event)
        assert len(cache[TRAININGS]) == 0
        return feed.relisted.is_set()

    assert run(scenario())
