"""Full lists: on start, from time to time, when a watch had to start over, and after the API server was away."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from nnunet_operator.api.labels import TRAINING_LABEL
from nnunet_operator.builders.model import Manifest
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.cache import Cache, Store, key_of, version_of
from nnunet_operator.runtime.client import JOBS, NAMESPACES, PODS, POLICIES, TRAININGS, Client, Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.feed import Feed
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.lasting import Backoff, forever, persistently
from nnunet_operator.runtime.patience import USUAL, Patience

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
"""Delay after the first list that failed; it doubles with each further one."""
LONGEST_RETRY_SECONDS = 60.0
LONGEST_FIRST_SECONDS = 15.0
"""The longest such delays. Without the first lists nothing is done at all."""


class ReplacedHistoryError(Exception):
    """A list proves that etcd's history is another one than that of what is known."""


@dataclass
class _Found:
    """What differed between full lists and what was known."""

    groups: set[Key] = field(default_factory=set)
    """Groups of which something was new or gone."""
    ended: set[Key] = field(default_factory=set)
    """Trainings that are gone."""
    policies: bool = False
    """A policy or a namespace was new or gone."""


class Resync:
    """Repairs what watches missed. Writes nothing; what differs is looked at."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        feed: Feed,
        namespaces: Iterable[str],
        metrics: Metrics,
        restart_watches: Callable[[], None] = lambda: None,
        patience: Patience = USUAL,
    ) -> None:
        """`restart_watches` has all watches list anew and go on from there."""
        self._client = client
        self._cache = cache
        self._feed = feed
        self._namespaces = tuple(namespaces) or ("",)
        self._metrics = metrics
        self._restart_watches = restart_watches
        self._patience = patience
        self._outdated = ""
        """How it was found out that what is known is of another history; empty where it is not."""
        self._found = _Found()
        """What was found since it was last told, also by lists that failed half-way: no later list shows it again."""
        self._refused: set[str] = set()
        self.synced = False
        """The cache has been filled once."""

    async def first(self) -> None:
        """Fill the cache, waiting for the API server and the CustomResourceDefinitions as long as it takes."""
        await persistently("the first full list", self._begin, Backoff(RETRY_SECONDS, LONGEST_FIRST_SECONDS))
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
        await asyncio.sleep(min(self._patience.first_lists, interval_seconds))
        # What went between the first list and the watches' own, for example Jobs that the first looks deleted: no watch
        # tells of it.
        self._feed.relisted.clear()
        backoff = Backoff(RETRY_SECONDS, LONGEST_RETRY_SECONDS)
        await persistently("the full list", self._counted, backoff)
        await forever("the full list", lambda: self._turn(interval_seconds), backoff)

    async def _begin(self) -> None:
        if not await self._client.served():
            raise Unreachable("waiting for the CustomResourceDefinitions of nnunet.dev: they are not installed yet")
        fresh = Cache()  # with what an attempt before has left, it could not be told from a history that was replaced
        await self._list_all(fresh, _Found())
        self._cache.replace_by(fresh)
        self._feed.policies_differ()

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
        """Have a look at what differed."""
        found, self._found = self._found, _Found()
        if found.policies:
            self._feed.policies_differ()
        if found.ended:
            self._feed.enqueue(found.ended)  # the look forgets them, and has the policies counted anew
        for group in found.groups:
            self._feed.enqueue_group(group)
        if found.groups:
            self._metrics.repairs.inc(len(found.groups))
            log.info("a full list showed what no watch had told of: %s", ", ".join(map(str, sorted(found.groups)[:10])))

    async def _rebuild(self) -> None:
        """Read everything anew, forget what was known, and have the watches begin anew.

        At once and not bit by bit: no training may be judged while policies or Jobs are half known. The watches wait
        for versions that come only after as many writes as were lost, and tell nothing until then.
        """
        fresh = Cache()
        await self._list_all(fresh, _Found())
        trainings = self._cache.replace_by(fresh)
        self._outdated, self._found = "", _Found()
        self._metrics.rebuilds.inc()
        self._restart_watches()
        self._feed.policies_differ()
        self._feed.enqueue(trainings)
        log.warning("read anew: %d trainings, %d Jobs, %d Pods", *map(len, (fresh.trainings, fresh.jobs, fresh.pods)))

    async def _list_all(self, cache: Cache, found: _Found) -> None:
        """Take full lists over, and note what differed. Raises ReplacedHistoryError, ApiError and Unreachable."""
        # First of all, for no training may be judged without the policies.
        for resource, store in ((POLICIES, cache.policies), (NAMESPACES, cache.namespaces)):
            found.policies |= bool((await self._list(resource, store, ""))[0])
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
        for resource, store in ((TRAININGS, cache.trainings), (JOBS, cache.jobs), (PODS, cache.pods)):
            groups, gone = await self._list(resource, store, namespace)
            found.groups |= groups
            if resource is TRAININGS:
                found.ended |= gone

    def _leave(self, cache: Cache, namespace: str, refusal: ApiError, found: _Found) -> None:
        """Go on without a namespace that can't be listed. What is known of it stays as long as the namespace does."""
        log.warning(
            "watched namespace %s is not served, because it can't be listed: %s. It is tried again with each full "
            "list. If it was deleted, take it out of watch.namespaces; else see its Role and RoleBinding",
            namespace,
            refusal,
        )
        if cache.namespaces.version(Key("", namespace)) < 0:
            found.ended |= cache.trainings.leave(namespace).keys()
            cache.jobs.leave(namespace)
            cache.pods.leave(namespace)

    async def _list(self, resource: Resource, store: Store, namespace: str) -> tuple[set[Key], set[Key]]:
        """Take a full list over. Return the groups in which something differed, and the keys of what is gone."""
        labels = TRAINING_LABEL if resource in (JOBS, PODS) else ""
        groups: set[Key] = set()
        listed: dict[Key, int] = {}
        newest, version = store.newest, 0
        async for page, at in self._client.pages(resource, namespace, labels):
            version = at
            for body in page:
                listed[key_of(body)] = version_of(body)
                if _put(store, body, resource):
                    groups.add(store.group(body))
        if proof := store.disproof(listed, version, newest):
            raise ReplacedHistoryError(f"the list of {resource.plural} {proof}")
        gone = store.retain(listed, version, namespace=namespace)
        return groups | set(gone.values()), set(gone)


def _put(store: Store, body: Manifest, resource: Resource) -> bool:
    """Take an object of a list over; return whether that changed anything. One that can't be read is left out."""
    try:
        return store.put(body)
    except Exception:
        if resource in (POLICIES, NAMESPACES):
            raise  # nothing may be judged without them
        log.exception("%s %s can't be read and is left out", resource.plural, key_of(body))
        return False
