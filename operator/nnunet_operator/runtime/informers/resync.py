"""Full lists: on start, from time to time, when a watch had to start over, and after the API server was away."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import NAMESPACES, Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.informers.feed import Feed
from nnunet_operator.runtime.informers.informer import Cache, Informer
from nnunet_operator.runtime.informers.store import Change, key_of, version_of
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.lasting import Backoff, forever, persistently
from nnunet_operator.runtime.patience import USUAL, Patience

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Delay after the first list that failed; it doubles with each further one."""
LONGEST_RETRY_SECONDS = 60.0
LONGEST_FIRST_SECONDS = 15.0
"""The longest such delays. Without the first lists nothing is done at all."""
REBUILD_SECONDS = 30.0
"""Least time from one rebuild of the cache to the next, where histories differ again and again, as behind an address
that leads to API servers with different storages. It doubles with each further one."""
LONGEST_REBUILD_SECONDS = 600.0
REBUILDS_FORGOTTEN_SECONDS = 3600.0
"""Time without a rebuild after which the next one counts as a first one."""


class ReplacedHistoryError(Exception):
    """A list proves that etcd's history is another one than that of what is known."""


class _Found:
    """What differed between full lists and what was known."""

    def __init__(self) -> None:
        self.changes: dict[Resource, list[Change[Any]]] = {}

    def add(self, informer: Informer, change: Change[Any]) -> None:
        self.changes.setdefault(informer.resource, []).append(change)

    def missed(self, informers: Iterable[Informer]) -> set[Key]:
        """Return the groups within namespaces of which something was new or gone."""
        namespaced = (informer.resource for informer in informers if informer.in_namespaces)
        return {change.group for resource in namespaced for change in self.changes.get(resource, ())}


class _Rebuilds:
    """When the cache may be rebuilt."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(REBUILD_SECONDS, LONGEST_REBUILD_SECONDS)
        self._last = float("-inf")
        self._next = float("-inf")

    def wait(self) -> float:
        """Return the seconds until a rebuild is allowed."""
        return max(0.0, self._next - self._loop.time())

    def done(self) -> None:
        """Take note of one."""
        now = self._loop.time()
        if now - self._last > REBUILDS_FORGOTTEN_SECONDS:
            self._backoff.succeeded()
        self._last, self._next = now, now + self._backoff.failed()


class Resync:
    """Repairs what watches missed. Writes nothing; what differs is looked at."""

    def __init__(
        self,
        client: Client,
        feed: Feed,
        namespaces: Iterable[str],
        metrics: Metrics,
        restart_watches: Callable[[], None] = lambda: None,
        patience: Patience = USUAL,
    ) -> None:
        """`restart_watches` has all watches list anew and go on from there."""
        self._client = client
        self._cache = feed.cache
        self._feed = feed
        self._namespaces = tuple(namespaces) or ("",)
        self._metrics = metrics
        self._restart_watches = restart_watches
        self._patience = patience
        self._outdated = ""
        """How it was found out that what is known is of another history; empty where it is not."""
        self._found = _Found()
        """What was found since it was last told, also by lists that failed half-way: no later list shows it again."""
        self._rebuilds = _Rebuilds()
        self._refused: set[str] = set()
        self.synced = False
        """The cache has been filled once."""

    async def first(self) -> None:
        """Fill the cache, waiting for the API server and the CustomResourceDefinitions as long as it takes."""
        await persistently("the first full list", self._begin, Backoff(RETRY_SECONDS, LONGEST_FIRST_SECONDS))
        self.synced = True
        log.info("listed %s", self._cache)

    async def run(self, interval_seconds: float) -> None:
        """List everything every so often. Never ends."""
        await asyncio.sleep(min(self._patience.first_lists, interval_seconds))
        # What went between the first list and the watches' own, for example Jobs that the first looks deleted: no watch
        # tells of it.
        self._feed.relisted.clear()
        backoff = Backoff(RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        await persistently("the full list", self._counted, backoff)
        await forever("the full list", lambda: self._turn(interval_seconds), backoff)

    async def _begin(self) -> None:
        if not await self._client.served(informer.resource for informer in self._cache.informers):
            raise Unreachable("waiting for the CustomResourceDefinitions of nnunet.dev: they are not installed yet")
        # With what an attempt before has left, a history that was replaced could not be told.
        fresh = self._cache.empty()
        await self._list_all(fresh, _Found())
        self._feed.tell(self._cache.replace_by(fresh))

    async def _turn(self, interval_seconds: float) -> None:
        """Wait until a list is due and make it."""
        try:
            async with asyncio.timeout(interval_seconds):
                await self._feed.relisted.wait()
            await asyncio.sleep(self._patience.relists)
        except TimeoutError:
            pass
        self._feed.relisted.clear()
        await self._counted()

    async def _counted(self) -> None:
        try:
            await self._repair()
        except BaseException:
            self._metrics.resyncs.labels("error").inc()
            self._feed.relisted.set()  # for the next turn
            raise
        self._metrics.resyncs.labels("ok").inc()

    async def _repair(self) -> None:
        if not self._outdated:
            try:
                await self._list_all(self._cache, self._found)
                self._announce()
            except ReplacedHistoryError as proof:
                if wait := self._rebuilds.wait():  # the next list has to prove it again
                    raise Unreachable(
                        f"the API server's storage was set back so soon after everything was read anew: {proof}. Does "
                        "the address of the API server lead to servers with different storages?",
                        wait,
                    ) from None
                self._outdated = str(proof)
                log.error(
                    "the API server's storage was set back, as after etcd was restored from a backup: %s. Everything "
                    "is read anew, what was known is forgotten, and all watches begin anew. What was written after "
                    "the backup is lost: see what became of trainings that were created or finished since",
                    proof,
                )
        if self._outdated:
            await self._rebuild()

    def _announce(self) -> None:
        """Have reconciled what differed."""
        found, self._found = self._found, _Found()
        self._feed.tell(found.changes)
        if missed := found.missed(self._cache.informers):
            self._metrics.repairs.inc(len(missed))
            log.info("a full list showed what no watch had told of: %s", ", ".join(map(str, sorted(missed)[:10])))

    async def _rebuild(self) -> None:
        """Read everything anew, forget what was known, and have the watches begin anew.

        At once and not bit by bit: no training may be judged while policies or Jobs are half known. The watches wait
        for versions that come only after as many writes as were lost, and tell nothing until then.
        """
        fresh = self._cache.empty()
        await self._list_all(fresh, _Found())
        changes = self._cache.replace_by(fresh)
        self._rebuilds.done()
        found, self._found, self._outdated = self._found, _Found(), ""
        self._metrics.rebuilds.inc()
        self._restart_watches()
        self._feed.tell(found.changes)
        self._feed.tell(changes)
        log.warning("read anew: %s", self._cache)

    async def _list_all(self, cache: Cache, found: _Found) -> None:
        """Take full lists over, and note what differed. Raises ReplacedHistoryError, ApiError and Unreachable."""
        # First of all, for no training may be judged without the policies.
        for informer in self._cache.informers:
            if not informer.in_namespaces:
                await self._list(cache, informer, "", found)
        refused: dict[str, ApiError] = {}
        for namespace in self._namespaces:
            try:
                await self._list_namespace(cache, namespace, found)
            except ApiError as error:
                if error.status not in (403, 404) or not namespace:
                    raise
                refused[namespace] = error
        if len(refused) == len(self._namespaces):
            raise next(iter(refused.values()))
        for namespace, refusal in refused.items():
            self._leave(cache, namespace, refusal, found)
        for namespace in filter(None, self._namespaces):
            self._metrics.refused_namespaces.labels(namespace).set(namespace in refused)
        for namespace in self._refused - refused.keys():
            log.warning("watched namespace %s can be listed again and is served", namespace)
        self._refused = set(refused)

    async def _list_namespace(self, cache: Cache, namespace: str, found: _Found) -> None:
        for informer in self._cache.informers:
            if informer.in_namespaces:
                await self._list(cache, informer, namespace, found)

    def _leave(self, cache: Cache, namespace: str, refusal: ApiError, found: _Found) -> None:
        """Go on without a namespace that can't be listed. What is known of it stays as long as the namespace does."""
        log.warning(
            "watched namespace %s is not served, because it can't be listed: %s. It is tried again with each full "
            "list. If it was deleted, take it out of watch.namespaces; else see its Role and RoleBinding",
            namespace,
            refusal,
        )
        if cache[NAMESPACES].version(Key("", namespace)) >= 0:
            return
        for informer in self._cache.informers:
            if informer.in_namespaces:
                for change in cache[informer.resource].leave(namespace):
                    found.add(informer, change)

    async def _list(self, cache: Cache, informer: Informer, namespace: str, found: _Found) -> None:
        """Take a full list over, and note what differed."""
        store = cache[informer.resource]
        listed: dict[Key, int] = {}
        newest, version = store.newest, 0
        async for page, at in self._client.pages(informer.resource, namespace, informer.selector):
            version = at
            for body in page:
                listed[key_of(body)] = version_of(body)
                if change := _put(cache, informer, body):
                    found.add(informer, change)
        if proof := store.disproof(listed, version, newest):
            raise ReplacedHistoryError(f"the list of {informer.resource.plural} {proof}")
        for change in store.retain(listed, version, namespace=namespace):
            found.add(informer, change)


def _put(cache: Cache, informer: Informer, body: Manifest) -> Change[Any] | None:
    """Take an object of a list over; return what that changed. One that can't be read is left out where that may be."""
    try:
        return cache[informer.resource].put(body)
    except Exception:
        if informer.needed:
            raise
        log.exception("%s %s can't be read and is left out", informer.resource.plural, key_of(body))
        return None
