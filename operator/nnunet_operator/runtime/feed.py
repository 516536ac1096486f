"""What the watches and the full lists tell: into the cache, and the training concerned into the queue."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from nnunet_operator.builders.model import Manifest
from nnunet_operator.runtime.cache import Cache, Store, key_of
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.runtime.queue import WorkQueue

log = logging.getLogger(__name__)

Child = Literal["jobs", "pods"]


class Feed:
    """Takes events. Their content only tells where to look; what is decided rests on the cache."""

    def __init__(
        self,
        cache: Cache,
        queue: WorkQueue,
        policies_changed: Callable[[], None] = lambda: None,
        patience: Patience = USUAL,
    ) -> None:
        """`policies_changed` is called when a policy was written, or is gone."""
        self._delay = patience.children
        self._cache = cache
        self._queue = queue
        self._policies_changed = policies_changed
        self.relisted = asyncio.Event()
        """Set when a full list is due: a watch started over, which hides what was deleted in between, or `doubt`."""

    def doubt(self) -> None:
        """Have a full list made soon, because what is known may be wrong."""
        self.relisted.set()

    def heed(self, take: Callable[[], None]) -> None:
        """Take an event. Never raises: one that can't be read is lost, and a full list has to tell what it told."""
        try:
            take()
        except Exception:
            log.exception("an event of a watch can't be read; a full list will be made")
            self.doubt()

    def training(self, event: Mapping[str, Any]) -> None:
        """Take an event of a training."""
        if self._take(self._cache.trainings, event):
            self._queue.add(key_of(event["object"]))

    def child(self, kind: Child, event: Mapping[str, Any]) -> None:
        """Take an event of a Job or Pod."""
        store = self._cache.jobs if kind == "jobs" else self._cache.pods
        if self._take(store, event):
            self.enqueue_group(store.group(event["object"]))

    def policy(self, event: Mapping[str, Any]) -> None:
        """Take an event of a policy."""
        store, key = self._cache.policies, key_of(event["object"])
        before = store.get(key)
        if self._take(store, event) and _spec(before) != _spec(store.get(key)):  # not for the status, which we write
            self.policies_differ()

    def namespace(self, event: Mapping[str, Any]) -> None:
        """Take an event of a namespace."""
        store, key = self._cache.namespaces, key_of(event["object"])
        before = store.get(key)
        if self._take(store, event) and _labels(before) != _labels(store.get(key)):
            trainings = self._cache.trainings.keys()
            self._patiently(training for training in trainings if training.namespace == key.name)

    def policies_differ(self) -> None:
        """Have a look at all trainings, because policies have changed."""
        self._policies_changed()
        self._patiently(self._cache.trainings.keys())

    def enqueue_group(self, group: Key) -> None:
        """Have a look at the training that the Jobs and Pods of a group belong to."""
        for owner in self._cache.trainings.keys_of(group):  # one, save for a collision of hashes
            self._queue.add(owner, self._delay)

    def enqueue(self, keys: Iterable[Key]) -> None:
        """Have a look at trainings."""
        for key in keys:
            self._queue.add(key)

    def _patiently(self, keys: Iterable[Key]) -> None:
        """Have a look at trainings after those that wait for something new."""
        for key in keys:
            self._queue.add(key, self._delay)

    def _take(self, store: Store, event: Mapping[str, Any]) -> bool:
        body: Manifest = event["object"]
        if event["type"] == "DELETED":
            return store.remove(body)
        if event["type"] is None:
            self.relisted.set()
        return store.put(body)


def _spec(policy: Manifest | None) -> Any:
    return policy and (policy["metadata"]["uid"], policy["spec"])


def _labels(namespace: Manifest | None) -> Any:
    return namespace and namespace["metadata"]["labels"]
