"""When the pods of a training are asked for their metrics."""

import asyncio
from typing import Any

import aiohttp
import pytest

from nnunet_operator.builders.model import Manifest, Training
from nnunet_operator.metrics import Metrics
from nnunet_operator.progress.model import FoldSample
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.scraper import Scraper
from tests.unit.builders.make import training
from tests.unit.runtime.clock import run

KEY = Key("clinic", "hippo")
POD: dict[str, Any] = {
    "metadata": {"name": "hippo-fold-0-x", "uid": "u", "labels": {"nnunet.dev/fold": "0"}},
    "status": {"podIP": "127.0.0.1", "containerStatuses": [{"name": "trainer", "state": {"running": {}}}]},
}


class Silent(Scraper):
    """Gets no answer, at once: real connections would take time of a clock that is not real."""

    async def _scrape(self, training: Training, pod: Manifest) -> FoldSample | None:
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
