"""The work queue: once, one at a time, in time."""

import asyncio

import pytest

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.patience import USUAL
from nnunet_operator.runtime.queue.workers import Outcome, work
from nnunet_operator.runtime.queue.workqueue import BACKOFF_SECONDS, WorkQueue
from tests.unit.runtime.clock import run

A, B, C = (Request("NnunetTraining", "clinic", name) for name in "abc")
P, Q = (Request("NnunetTrainingPolicy", "", name) for name in "pq")


def queue(jitter: float = 1.0) -> WorkQueue:
    return WorkQueue(Metrics(), jitter=lambda: jitter)


async def taken(waiting: WorkQueue, seconds: float) -> list[tuple[float, str]]:
    """Return when which key is handed out within a time."""
    loop, found = asyncio.get_running_loop(), []
    try:
        async with asyncio.timeout(seconds):
            while (key := await waiting.get()) is not None:
                found.append((round(loop.time(), 3), key.name))
                waiting.done(key)
    except TimeoutError:
        pass
    return found


@pytest.mark.parametrize(
    ("adds", "expected"),
    [
        pytest.param([(A, 0), (A, 0), (B, 0)], [(0, "a"), (0, "b")], id="once"),
        pytest.param([(A, 5), (A, 2), (A, 9)], [(2, "a")], id="the earliest time counts"),
        pytest.param([(A, 5), (A, 0)], [(0, "a")], id="a look makes a later one unnecessary"),
        pytest.param([(A, 3), (B, 1)], [(1, "b"), (3, "a")], id="in the order of time"),
        pytest.param([(A, 3600)], [(3600, "a")], id="an hour later"),
    ],
)
def test_when_keys_are_due(adds: list[tuple[Request, float]], expected: list[tuple[float, str]]) -> None:
    async def scenario() -> list[tuple[float, str]]:
        waiting = queue()
        for key, delay in adds:
            waiting.add(key, delay)
        return await taken(waiting, 7200)

    assert run(scenario()) == expected


def test_what_is_new_comes_before_what_was_delayed() -> None:
    async def scenario() -> list[str]:
        waiting = queue()
        waiting.add(A, 0.1)
        waiting.add(C, 0.1)
        await asyncio.sleep(1)
        waiting.add(B)
        waiting.add(C)  # was due patiently, is urgent now
        return [name for _, name in await taken(waiting, 5)]

    assert run(scenario()) == ["b", "c", "a"]


def test_a_request_that_waits_for_quiet_is_due_later_or_at_once() -> None:
    async def scenario() -> list[tuple[float, str]]:
        waiting = queue()
        for key in (A, B):
            waiting.add_after_quiet(key, 2)
            waiting.add(key, 0.5)  # what its children do
        waiting.add(C, 0.5)
        waiting.add(B)  # what its user does
        found = await taken(waiting, 5)
        waiting.add(A, 0.5)  # the rest is over
        return found + await taken(waiting, 5)

    assert run(scenario()) == [(0, "b"), (0.5, "c"), (2, "a"), (5.5, "a")]


def test_one_worker_at_a_time_has_a_key_and_nothing_is_missed() -> None:
    async def scenario() -> list[tuple[float, str]]:
        waiting = queue()
        waiting.add(A)
        assert await waiting.get() == A
        waiting.add(A)
        waiting.add(A)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await waiting.get()
        waiting.done(A)
        return await taken(waiting, 5)

    assert run(scenario()) == [(5, "a")]


def test_delays_after_errors_double_up_to_a_limit_and_start_over() -> None:
    async def scenario() -> tuple[list[float], float, float]:
        waiting = queue()
        delays = [waiting.retry(A) for _ in range(12)]
        waiting.forget(A)
        return delays, waiting.retry(A), queue(jitter=0.0).retry(A)

    delays, after, least = run(scenario())
    assert delays[:4] == [BACKOFF_SECONDS * factor for factor in (1, 2, 4, 8)]
    assert delays[-1] == USUAL.errors
    assert after == BACKOFF_SECONDS and least == BACKOFF_SECONDS / 2


def test_a_stopped_queue_hands_out_nothing_to_any_worker() -> None:
    async def scenario() -> list[Request | None]:
        waiting = queue()
        workers = [asyncio.create_task(waiting.get()) for _ in range(3)]
        await asyncio.sleep(1)
        waiting.stop()
        waiting.add(A)
        return list(await asyncio.gather(*workers))

    assert run(scenario()) == [None, None, None]


@pytest.mark.parametrize(
    ("error", "result", "again"),
    [
        (Conflict("changed"), "conflict", 0.1),
        (Unreachable("gone"), "error", 0.5),
        (ApiError(403, "no", "POST /x"), "error", 0.5),
        (ZeroDivisionError(), "error", 0.5),
        (asyncio.CancelledError(), "error", 0.5),
    ],
)
def test_no_error_ends_a_worker(error: BaseException, result: str, again: float) -> None:
    async def scenario() -> tuple[list[float], Metrics]:
        metrics = Metrics()
        waiting = WorkQueue(metrics, jitter=lambda: 1.0)
        looks: list[float] = []

        async def look(_: Key) -> Outcome:
            looks.append(round(asyncio.get_running_loop().time(), 3))
            if len(looks) == 1:
                raise error
            return Outcome(None)

        waiting.add(A)
        worker = asyncio.create_task(work(waiting, {A.kind: look}, metrics))
        await asyncio.sleep(10)
        assert not worker.done()
        waiting.stop()
        await worker
        return looks, metrics

    looks, metrics = run(scenario())
    assert looks == [0, again]
    assert (
        metrics.registry.get_sample_value("nnunet_operator_reconciles_total", {"kind": A.kind, "result": result}) == 1
    )


def test_a_worker_ends_when_it_is_cancelled() -> None:
    async def scenario() -> bool:
        metrics = Metrics()
        waiting = WorkQueue(metrics)

        async def look(_: Key) -> Outcome:
            await asyncio.sleep(3600)
            return Outcome()

        waiting.add(A)
        worker = asyncio.create_task(work(waiting, {A.kind: look}, metrics))
        await asyncio.sleep(1)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        return worker.cancelled()

    assert run(scenario())


def test_quiet_puts_off_what_was_due_earlier_by_a_delay() -> None:
    async def scenario() -> list[tuple[float, str]]:
        waiting = queue()
        waiting.add(A)
        assert await waiting.get() == A
        waiting.add(A, 0.5)  # a child changes while it is reconciled
        waiting.add_after_quiet(A, 2)
        waiting.done(A)
        return await taken(waiting, 5)

    assert run(scenario()) == [(2, "a")]


def test_kinds_take_turns() -> None:
    async def scenario() -> str:
        waiting = queue()
        for request in (A, B, C, P, Q):
            waiting.add(request)
        return "".join([name for _, name in await taken(waiting, 1)])

    assert run(scenario()) == "apbqc"


@pytest.mark.parametrize(("hanging", "other"), [("NnunetTraining", P), ("NnunetTrainingPolicy", A)])
def test_a_kind_that_takes_for_ever_keeps_no_other_waiting(hanging: str, other: Request) -> None:
    """However many of its requests are due, and whichever came first."""

    async def scenario() -> tuple[list[str], float]:
        waiting, metrics = queue(), Metrics()
        begun: list[str] = []

        async def hang(key: Key) -> Outcome:
            begun.append(key.name)
            await asyncio.sleep(3600)
            return Outcome()

        async def end(_: Key) -> Outcome:
            ended.set_result(asyncio.get_running_loop().time())
            return Outcome()

        ended = asyncio.get_running_loop().create_future()
        for kind in (A.kind, P.kind):
            waiting.share(kind, 2)
        for number in range(100):
            waiting.add(Request(hanging, "", str(number)))
        reconciles = {other.kind: end, hanging: hang}
        workers = [asyncio.create_task(work(waiting, reconciles, metrics)) for _ in range(4)]
        await asyncio.sleep(10)
        waiting.add(other, 1)
        at = await asyncio.wait_for(ended, 60)
        for worker in workers:
            worker.cancel()
        return begun, at

    assert run(scenario()) == (["0", "1"], 11)


def test_a_worker_that_is_cancelled_when_it_was_woken_loses_no_request() -> None:
    async def scenario() -> Request | None:
        waiting = queue()
        first, second = (asyncio.create_task(waiting.get()) for _ in range(2))
        await asyncio.sleep(1)
        waiting.add(A)  # wakes the first
        first.cancel()
        return await asyncio.wait_for(second, 5)

    assert run(scenario()) == A
