"""Objects in the API server, as a controller reads and changes them while it reconciles. The cache keeps up with it."""

import logging
from typing import Any, NoReturn

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.views import JobView
from nnunet_operator.runtime.client.resources import JOBS, Resource
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.informers.store import version_of
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)


class Stored:
    """The API server and the cache, for the controller of one kind."""

    def __init__(self, parts: Parts, by: Resource) -> None:
        self._client = parts.client
        self._feed = parts.feed
        self._cache = parts.feed.cache
        self._by = by

    async def get(self, resource: Resource, key: Key) -> Manifest:
        """Return an object. Raises ApiError, and Unreachable also for one that is older than is known."""
        known = self._cache[resource].last(key)
        body = await self._client.get(resource, key)
        if version_of(body) < known:
            self.wonder(f"{resource.plural} {key} is at version {version_of(body)}, after {known} was seen")
        return body

    async def reread(self, resource: Resource, key: Key) -> bool:
        """Read an object anew; return whether that was news to the cache."""
        known = self._cache[resource].version(key)
        try:
            return self._feed.seen(resource, await self.get(resource, key), by=self._by)
        except ApiError as error:
            if error.status != 404:
                raise
            return known >= 0 and self._feed.gone(resource, key, known, by=self._by)

    def wonder(self, what: str) -> NoReturn:
        """Give up this reconcile, because no history that goes on can say so: a full list will tell what is right."""
        self._feed.doubt()
        raise Unreachable(f"{what}: a full list will be made")

    async def delete(self, resource: Resource, key: Key, uid: str, version: str) -> Manifest | None:
        """Delete an object; None where it is gone already. Raises Conflict where it has changed."""
        try:
            return await self._client.delete(resource, key, uid, version)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status == 409:
                raise Conflict(str(error)) from None
            raise

    async def delete_job(self, key: Key, uid: str) -> JobView | None:
        """Delete a Job, and return it as it was known; None where another one, or none, has its name."""
        job: JobView | None = self._cache[JOBS].get(key)
        if job is None or job.uid != uid:
            return None
        answer = await self.delete(JOBS, key, uid, job.version)
        log.info("deleted Job %s", key.name)
        if answer is None:
            self._feed.gone(JOBS, key, int(job.version), by=self._by)
        elif answer.get("kind") == "Job":
            self._feed.seen(JOBS, answer, by=self._by)
        return job

    async def write_status(self, key: Key, body: Manifest, status: dict[str, Any]) -> Manifest | None:
        """Write the status of an object of the controller's kind, known as `body`, and return it as it is stored.

        None where it was deleted meanwhile: the watch tells. Raises Conflict where it has changed.
        """
        try:
            stored = await self._client.write_status(self._by, key, body["metadata"]["resourceVersion"], status)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status == 409:
                await self.reread(self._by, key)
                if self._cache[self._by].version(key) != version_of(body):
                    raise Conflict(str(error)) from None
            raise
        self._feed.seen(self._by, stored, by=self._by)
        return stored
