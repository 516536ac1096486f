"""What watches, full lists and our own writes tell: into the cache, and whom it concerns into the queue."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.informers.controller import Controller
from nnunet_operator.runtime.informers.informer import Cache, Changes
from nnunet_operator.runtime.informers.store import Change, key_of, version_of
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue.workqueue import WorkQueue

log = logging.getLogger(__name__)

Take = Callable[[Resource, Mapping[str, Any]], None]
"""Takes an event of a watch, without blocking."""


class Feed:
    """Takes what is told. Its content only says where to look; what is decided rests on the cache."""

    def __init__(self, cache: Cache, queue: WorkQueue) -> None:
        self.cache = cache
        self._queue = queue
        self._controllers: tuple[Controller, ...] = ()
        self.relisted = asyncio.Event()
        """Set when a full list is due: a watch started over, which hides what was deleted in between, or `doubt`."""

    def serve(self, controllers: Iterable[Controller]) -> None:
        """Tell these controllers of what concerns them."""
        self._controllers = tuple(controllers)

    def doubt(self) -> None:
        """Have a full list made soon, because what is known may be wrong."""
        self.relisted.set()

    def take(self, resource: Resource, event: Mapping[str, Any]) -> None:
        """Take an event of a watch. Never raises: one that can't be read is lost, and a full list has to make up."""
        try:
            if event["type"] is None:
                self.relisted.set()
            if event["type"] == "DELETED":
                self.gone(resource, key_of(event["object"]), version_of(event["object"]))
            else:
                self.seen(resource, event["object"])
        except Exception:
            log.exception("an event of a watch of %s can't be read; a full list will be made", resource.plural)
            self.doubt()

    def seen(self, resource: Resource, body: Manifest, by: Resource | None = None) -> bool:
        """Take an object over; return whether that was news. See `tell` for `by`."""
        return self._tell_one(resource, self.cache[resource].put(body), by)

    def gone(self, resource: Resource, key: Key, version: int, by: Resource | None = None) -> bool:
        """Take over that an object is gone since a version; return whether that was news. See `tell` for `by`."""
        return self._tell_one(resource, self.cache[resource].remove(key, version), by)

    def tell(self, changes: Changes, by: Resource | None = None) -> None:
        """Have reconciled what these changes concern.

        `by` is the kind whose controller made or saw the change while it reconciled: it knows already, but for what
        the change of one object means for others.
        """
        for controller in self._controllers:
            for reason in controller.owns:
                if controller.resource == by and not reason.others:
                    continue
                if found := changes.get(reason.resource):
                    for key in dict.fromkeys(reason.concerned(self.cache, found)):
                        self._queue.add(controller.request(key), reason.delay)

    def _tell_one(self, resource: Resource, change: Change[Any] | None, by: Resource | None) -> bool:
        if change is None:
            return False
        self.tell({resource: [change]}, by)
        return True
