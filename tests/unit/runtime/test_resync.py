"""What no watch tells of is found by a full list."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.cache import Cache
from nnunet_operator.runtime.client import JOBS, TRAININGS, Resource
from nnunet_operator.runtime.feed import Feed
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue import WorkQueue
from nnunet_operator.runtime.resync import FIRST_LISTS_SECONDS, Resync
from tests.unit.runtime.clock import run

METADATA = {"namespace": "clinic", "resourceVersion": "1"}
TRAINING = {"metadata": {**METADATA, "name": "hippo", "uid": "t", "generation": 1}, "spec": {}}
JOB = {"metadata": {**METADATA, "name": "hippo-verify", "uid": "j", "labels": {"nnunet.dev/training": "hippo"}}}


class Server:
    """An API server with one training, whose Job is there in the first list only."""

    def __init__(self) -> None:
        self.lists = 0

    async def served(self) -> bool:
        return True

    async def pages(
        self, resource: Resource, namespace: str = "", labels: str = ""
    ) -> AsyncIterator[tuple[list[Any], int]]:
        self.lists += resource is JOBS
        items: dict[Resource, list[Any]] = {TRAININGS: [TRAINING], JOBS: [JOB] if self.lists == 1 else []}
        yield items.get(resource, []), self.lists


def test_what_goes_before_the_watches_have_begun_is_noticed_soon() -> None:
    async def scenario() -> tuple[int, int, Key | None]:
        cache, queue = Cache(), WorkQueue(Metrics())
        resync = Resync(Server(), cache, Feed(cache, queue), (), Metrics())  # type: ignore[arg-type]
        await resync.first()
        seen = len(cache.jobs)
        first = await queue.get()
        assert first is not None
        queue.done(first)
        going = asyncio.create_task(resync.run(300))
        await asyncio.sleep(FIRST_LISTS_SECONDS + 2)
        going.cancel()
        return seen, len(cache.jobs), await asyncio.wait_for(queue.get(), 1)

    assert run(scenario()) == (1, 0, Key("clinic", "hippo"))
