"""How kopf's requests are spaced out, and that its end is never the operator's."""

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import aiohttp
import kopf
import pytest
from yarl import URL

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.informers.watches import Watches, _Pace, kopf_settings
from tests.unit.runtime.clock import run

LIST, WATCH = "http://x/pods", "http://x/pods?watch=true"
Answer = tuple[int, dict[str, str]] | type[Exception]


def paced(*answers: Answer, url: str = LIST) -> tuple[list[float], int]:
    """Return when requests were sent that follow each other as fast as they may, and how often a return was told."""
    sent: list[float] = []
    told: list[float] = []

    async def handler(_: Any) -> Any:
        sent.append(asyncio.get_running_loop().time())
        answer = answers[len(sent) - 1]
        if not isinstance(answer, tuple):
            raise answer
        return SimpleNamespace(status=answer[0], headers=answer[1], close=lambda: None)

    async def scenario() -> None:
        pace = _Pace(lambda: told.append(0))
        for _ in answers:
            try:
                await pace(SimpleNamespace(url=URL(url)), handler)  # type: ignore[arg-type]
            except aiohttp.ClientConnectionError:
                continue

    run(scenario())
    return sent, len(told)


AFTER = {"Retry-After": "20"}
LOST = aiohttp.ClientConnectionError


@pytest.mark.parametrize(
    ("answers", "url", "sent", "told"),
    [
        pytest.param([(200, {})] * 3, LIST, [0, 0, 0], 0, id="lists"),
        pytest.param([(200, {})] * 3, WATCH, [0, 1, 2], 0, id="watches"),
        pytest.param([(429, AFTER), (200, {})], LIST, [0, 20], 0, id="too many"),
        pytest.param([(503, AFTER), (200, {})], WATCH, [0, 20], 1, id="not now"),
        pytest.param([(429, {"Retry-After": "soon"}), (200, {})], LIST, [0, 0], 0, id="kopf's own delay counts"),
        pytest.param([(403, {}), (404, {}), (200, {})], LIST, [0, 15, 30], 0, id="refused"),
        pytest.param([LOST, LOST, (200, {}), (200, {})], LIST, [0, 0, 0, 0], 1, id="lost, and back"),
        pytest.param([LOST, (403, {}), (200, {})], LIST, [0, 0, 15], 1, id="a refusal is no return yet"),
        pytest.param([(500, {}), (200, {}), LOST, (200, {})], LIST, [0, 0, 0, 0], 2, id="twice"),
    ],
)
def test_requests_are_spaced_out(answers: list[Answer], url: str, sent: list[float], told: int) -> None:
    assert paced(*answers, url=url) == (sent, told)


class Ending(Watches):
    """Watches whose kopf ends as told."""

    ends: list[BaseException | float | None]
    """Errors; None for a sub-task that was cancelled; or seconds to live."""
    begun: list[float]

    async def _run_once(self, stop: asyncio.Event, started: Any) -> None:
        self.begun.append(asyncio.get_running_loop().time())
        end = self.ends.pop(0) if self.ends else 1e6
        if isinstance(end, float):
            async with asyncio.timeout(None):
                waiting = asyncio.create_task(stop.wait())
                await asyncio.wait([waiting], timeout=end)
                waiting.cancel()
        elif end is None:
            task = asyncio.create_task(asyncio.sleep(9))
            await asyncio.sleep(0)
            task.cancel()
            await task
        else:
            raise end


def watched(ends: list[BaseException | float | None], restart_at: float = 1e5) -> list[float]:
    """Return when kopf was started."""

    async def scenario() -> list[float]:
        watches = Ending(None, lambda _: None, (), kopf_settings(30, ()), Metrics())  # type: ignore[arg-type]
        watches.ends, watches.begun = list(ends), []
        stop = asyncio.Event()
        task = asyncio.create_task(watches.run(stop, lambda: None))
        asyncio.get_running_loop().call_later(restart_at, watches.restart)
        await asyncio.sleep(1000)
        assert not task.done()
        stop.set()
        await asyncio.wait_for(task, 1)
        return watches.begun

    return run(scenario())


ERRORS: list[BaseException | None] = [ValueError("no JSON"), KeyError("type"), kopf.PermanentError("x"), None]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_watches_are_built_up_anew_ever_later(error: BaseException | None) -> None:
    begun = watched([error] * 8)
    waits = [later - before for before, later in itertools.pairwise(begun)]
    assert len(waits) == 8
    assert all(low / 2 <= wait <= low for wait, low in zip(waits, (2, 4, 8, 16, 32, 60, 60, 60), strict=True)), waits


def test_a_long_life_makes_the_next_end_a_first_one() -> None:
    begun = watched([ValueError()] * 5 + [100.0, ValueError()])
    assert begun[6] - begun[5] - 100 <= 2


def test_a_restart_that_was_asked_for_comes_at_once() -> None:
    assert watched([], restart_at=50) == [0, 50]
