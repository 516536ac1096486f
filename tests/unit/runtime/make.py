"""Controllers and what they stand on, with an API server of the test's own."""

import asyncio
from typing import Any, cast

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.controllers.registry import CONTROLLERS, INFORMERS
from nnunet_operator.runtime.informers.feed import Feed
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.queue.workqueue import WorkQueue
from nnunet_operator.settings import Settings
from tests.support.made_trainings import OPTIONS


def parts(server: Any = None, session: Any = None, metrics: Metrics | None = None) -> tuple[Parts, WorkQueue]:
    """Return the parts of all controllers, which are told of what the feed takes, and the queue that it fills."""
    metrics = metrics or Metrics()
    cache, queue = Cache(INFORMERS), WorkQueue(metrics, jitter=lambda: 1.0)
    feed = Feed(cache, queue)
    settings = Settings(trainer_image=OPTIONS.trainer_image)
    made = Parts(cast(Any, server), feed, metrics, PolicyCache(cast(Any, server), cache), session, settings)
    feed.serve(make(made) for make in CONTROLLERS)
    return made, queue


async def drain(queue: WorkQueue, kind: str, seconds: float = 1) -> list[Key]:
    """Return the objects of a kind that are due within a time. What is due of other kinds is dropped."""
    return sorted(request.key for request in await drain_all(queue, seconds) if request.kind == kind)


async def drain_all(queue: WorkQueue, seconds: float = 1) -> list[Request]:
    """Return what is due within a time."""
    found: list[Request] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(end):
                request = await queue.get()
        except TimeoutError:
            return sorted(found)
        assert request is not None
        found.append(request)
        queue.done(request)
