"""When the pods of a training are asked for their facts."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from nnunet_api.local_copy import CopyFacts, CopyState
from nnunet_operator.core.training import Training
from nnunet_operator.kube.reading import pod_view
from nnunet_operator.kube.views import PodView
from nnunet_operator.metrics import Metrics
from nnunet_operator.progress.model import LiveFacts
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.scraper import PATIENCE_SECONDS, SCRAPE_TIMEOUT_SECONDS, Scraper
from tests.support.made_trainings import training
from tests.support.made_worlds import live
from tests.unit.runtime.clock import run

KEY = Key("clinic", "hippo")
POD = pod_view(
    {
        "metadata": {"name": "hippo-fold-0-x", "uid": "u", "labels": {"nnunet.dev/fold": "0"}},
        "status": {"podIP": "127.0.0.1", "containerStatuses": [{"name": "trainer", "state": {"running": {}}}]},
    }
)


class Silent(Scraper):
    """Gets no answer, at once: real connections would take time of a clock that is not real."""

    async def _scrape(self, training: Training, pod: PodView) -> LiveFacts | None:
        return None


@pytest.mark.parametrize(
    ("looks", "due"),
    [
        pytest.param([0], 15, id="one interval later"),
        pytest.param([0, 13.4], 1.6, id="a look in between does not put it off"),
        pytest.param([0, 13.6], 15, id="a look that is a little early asks already"),
        pytest.param([0, 20], 15, id="late"),
    ],
)
def test_a_pod_is_asked_within_each_interval(looks: list[float], due: float) -> None:
    async def scenario() -> float | None:
        async with aiohttp.ClientSession() as session:
            scraper = Silent(session, 15, Metrics())
            for at in looks:
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                await scraper.samples(KEY, training(), [POD])
            return scraper.due_in(KEY)

    assert run(scenario()) == pytest.approx(due, abs=0.05)


def test_nobody_is_asked_where_nothing_runs() -> None:
    async def scenario() -> float | None:
        async with aiohttp.ClientSession() as session:
            scraper = Silent(session, 15, Metrics())
            await scraper.samples(KEY, training(), [POD])
            await scraper.samples(KEY, training(), [])
            return scraper.due_in(KEY)

    assert run(scenario()) is None


class Scripted(Scraper):
    """Gets these answers one after the other, and none when they are used up."""

    answers: list[LiveFacts | None]

    async def _scrape(self, training: Training, pod: PodView) -> LiveFacts | None:
        return self.answers.pop(0) if self.answers else None


def epoch(number: int) -> LiveFacts:
    return live(epoch=number)


def copied(size: int) -> LiveFacts:
    return live(epoch=0, local_copy=CopyFacts(state=CopyState.COPYING, total_bytes=1000, copied_bytes=size))


OLD = LiveFacts(None)
"""A trainer older than the facts."""


@pytest.mark.parametrize(
    ("answers", "still"),
    [
        pytest.param([epoch(3)], [0], id="the first answer is the beginning"),
        pytest.param([epoch(3)] * 3, [0, 15, 30], id="it counts from there"),
        pytest.param([epoch(3), epoch(3), epoch(4), epoch(4)], [0, 15, 0, 15], id="an epoch begins anew"),
        pytest.param([epoch(3), OLD, OLD], [0, 15, 30], id="one that told epochs can't have become older"),
        pytest.param([epoch(3), None, None], [0, 15, 30], id="a pod that falls silent does not stop it"),
        pytest.param(
            [None, None, epoch(3), epoch(3)], [None, None, 0, 15], id="silence before the first answer is none"
        ),
        pytest.param(
            [copied(1), copied(2), copied(2), epoch(0)], [0, 0, 15, 0], id="what is copied is no standing still"
        ),
        pytest.param([epoch(4), epoch(3)], [0, 0], id="a number that falls is a change, too"),
    ],
)
def test_how_long_a_fold_stands_still_by_the_operators_clock(
    answers: list[LiveFacts | None], still: list[float | None]
) -> None:
    async def scenario() -> list[float | None]:
        async with aiohttp.ClientSession() as session:
            scraper = Scripted(session, 15, Metrics())
            told: list[float | None] = []
            scraper.answers = list(answers)
            for look in range(len(answers)):
                await asyncio.sleep(15 * look - asyncio.get_running_loop().time())
                sample = (await scraper.samples(KEY, training(), [POD])).get("hippo-fold-0-x")
                told.append(sample.still_seconds if sample else None)
            return told

    assert run(scenario()) == [None if value is None else pytest.approx(value, abs=0.05) for value in still]


def test_another_pod_is_timed_anew() -> None:
    other = replace(POD, uid="other", name="hippo-fold-0-y")

    async def scenario() -> list[float | None]:
        async with aiohttp.ClientSession() as session:
            scraper = Scripted(session, 15, Metrics())
            scraper.answers = [epoch(3)] * 2
            await scraper.samples(KEY, training(), [POD])
            await asyncio.sleep(600)
            return [sample.still_seconds for sample in (await scraper.samples(KEY, training(), [other])).values()]

    assert run(scenario()) == [0]


class Slow(Scraper):
    """Gets an answer after a second, or after an hour."""

    seconds = 1.0

    async def _scrape(self, training: Training, pod: PodView) -> LiveFacts | None:
        await asyncio.sleep(self.seconds)
        return epoch(3)


def test_a_late_answer_counts_at_the_next_look_which_comes_soon() -> None:
    async def scenario() -> list[float | int | None]:
        async with aiohttp.ClientSession() as session:
            scraper = Slow(session, 15, Metrics())
            first = await scraper.samples(KEY, training(), [POD])
            waited, due = asyncio.get_running_loop().time(), scraper.due_in(KEY)
            await asyncio.sleep(due or 0)
            second = await scraper.samples(KEY, training(), [POD])
            return [len(first), waited, len(second), asyncio.get_running_loop().time(), scraper.due_in(KEY)]

    assert run(scenario()) == [0, PATIENCE_SECONDS, 1, SCRAPE_TIMEOUT_SECONDS, 13]


def test_silent_pods_do_not_hold_up_the_workers() -> None:
    """With 16 workers, 120 pods that let each wait for 2 s in 15 would have had all of them."""

    async def scenario() -> float:
        async with aiohttp.ClientSession() as session:
            scraper = Slow(session, 15, Metrics())
            scraper.seconds = 3600
            for number in range(120):
                await scraper.samples(Key("evil", f"t{number}"), training(), [replace(POD, uid=f"u{number}")])
            spent = asyncio.get_running_loop().time()
            for number in range(120):
                await scraper.samples(Key("evil", f"t{number}"), training(), [])
            await asyncio.sleep(0)
            assert [task for task in asyncio.all_tasks() if "facts" in task.get_name()] == []
            return spent

    assert run(scenario()) <= 120 * PATIENCE_SECONDS
