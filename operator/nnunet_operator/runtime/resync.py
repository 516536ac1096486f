"""Full lists: on start, from time to time, and when a watch had to start over."""

import asyncio
import logging
from collections.abc import Iterable

from nnunet_operator.api.labels import TRAINING_LABEL
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.cache import Cache, Store, key_of
from nnunet_operator.runtime.client import JOBS, NAMESPACES, PODS, POLICIES, TRAININGS, Client, Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.feed import Feed
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
SETTLE_SECONDS = 2.0
"""Watches that start over do so together: one list answers all of them."""
FIRST_LISTS_SECONDS = 5.0
"""Time after the start in which the watches make their own first lists."""


class Resync:
    """Repairs what watches missed. Writes nothing; what differs is looked at."""

    def __init__(self, client: Client, cache: Cache, feed: Feed, namespaces: Iterable[str], metrics: Metrics) -> None:
        self._client = client
        self._cache = cache
        self._feed = feed
        self._namespaces = tuple(namespaces) or ("",)
        self._metrics = metrics
        self.synced = False
        """The cache has been filled once."""

    async def first(self) -> None:
        """Fill the cache, waiting for the API server and the CustomResourceDefinitions as long as it takes."""
        while True:
            try:
                if await self._client.served():
                    await self._list_all()
                    break
                log.warning("waiting for the CustomResourceDefinitions of nnunet.dev: they are not installed yet")
            except (ApiError, Unreachable) as error:
                log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
        self.synced = True
        self._feed.enqueue(self._cache.trainings.keys())
        log.info(
            "listed %d trainings, %d Jobs, %d Pods",
            len(self._cache.trainings),
            len(self._cache.jobs),
            len(self._cache.pods),
        )

    async def run(self, interval_seconds: float) -> None:
        """List everything every so often. Never ends."""
        await asyncio.sleep(min(FIRST_LISTS_SECONDS, interval_seconds))
        self._feed.relisted.clear()
        # What went between the first list and the watches' own, for example Jobs that the first looks deleted: no watch
        # tells of it.
        await self._repair()
        while True:
            try:
                async with asyncio.timeout(interval_seconds):
                    await self._feed.relisted.wait()
                await asyncio.sleep(SETTLE_SECONDS)
            except TimeoutError:
                pass
            self._feed.relisted.clear()
            await self._repair()

    async def _repair(self) -> None:
        try:
            groups = await self._list_all()
        except (ApiError, Unreachable) as error:
            self._metrics.resyncs.labels("error").inc()
            log.warning("the full list failed and will be made again: %s", error)
            self._feed.relisted.set()
            await asyncio.sleep(RETRY_SECONDS)
            return
        self._metrics.resyncs.labels("ok").inc()
        if groups:
            self._metrics.repairs.inc(len(groups))
            log.info("a full list showed what no watch had told of: %s", ", ".join(map(str, sorted(groups)[:10])))
        for group in groups:
            self._feed.enqueue_group(group)

    async def _list_all(self) -> set[Key]:
        """Take full lists over; return the groups in which something differed."""
        stores = ((TRAININGS, self._cache.trainings), (JOBS, self._cache.jobs), (PODS, self._cache.pods))
        groups: set[Key] = set()
        # First of all, for no training may be judged without the policies.
        if await self._list(POLICIES, self._cache.policies, "") | await self._list(
            NAMESPACES, self._cache.namespaces, ""
        ):
            self._feed.policies_differ()
        for namespace in self._namespaces:
            for resource, store in stores:
                groups |= await self._list(resource, store, namespace)
        return groups

    async def _list(self, resource: Resource, store: Store, namespace: str) -> set[Key]:
        labels = TRAINING_LABEL if resource in (JOBS, PODS) else ""
        groups: set[Key] = set()
        listed: list[Key] = []
        version = 0
        async for page, at in self._client.pages(resource, namespace, labels):
            version = at
            for body in page:
                listed.append(key_of(body))
                if store.put(body):
                    groups.add(store.group(body))
        return groups | store.retain(listed, version, namespace=namespace)
