"""What Kueue says of Jobs that wait or that can't go: it is asked only of these, seldom, and never watched."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from nnunet_api import kueue
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.queues import Queueing
from nnunet_operator.kube.views import JobView, PodView
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import EVENTS, Resource
from nnunet_operator.runtime.controllers.pod_events import newest
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL, Patience

READS_PER_SECOND = 5.0
"""Over all trainings: where more Jobs wait, each is asked for less often."""
AT_ONCE = 4
_NOT_SERVED_SECONDS = 60.0
"""How long is believed that the cluster has no Kueue."""


@dataclass
class Queues:
    """What was found."""

    found: dict[str, Queueing] = field(default_factory=dict)
    """By Job name."""
    again_in_seconds: float | None = None
    """Seconds until Kueue is to be asked again; None for never."""


@dataclass(frozen=True)
class _Answer:
    at: float
    said: Queueing


class QueueFinder:
    """Reads the Workloads of Jobs that wait for Kueue. What goes wrong is part of the answer, and never raised."""

    def __init__(self, client: Client, patience: Patience = USUAL) -> None:
        self._client = client
        self._patience = patience
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._answers: dict[Key, dict[str, _Answer]] = {}  # by training: UID of the Job -> answer
        self._asked = 0  # Jobs in there
        self._version = kueue.VERSIONS[0]
        self._not_served_until = 0.0

    async def find(self, key: Key, jobs: Iterable[JobView], pods: Iterable[PodView], now: datetime) -> Queues:
        """Return what Kueue says of the Jobs of a training."""
        found, pods = Queues(), tuple(pods)
        due: list[JobView] = []
        for job in jobs:
            if not (_waits(job) or _leaves(job, pods)):
                continue
            age, grace = _age(job, now), self._patience.job_without_pod
            # Clocks that differ by more than that tell nothing, and would be waited for.
            wait = 0.0 if job.deleting or age < -grace else grace - age
            found.again_in_seconds = min(found.again_in_seconds or 3600.0, wait if wait > 0 else self._interval)
            if wait <= 0:
                due.append(job)
        known = self._answers.get(key, {})
        answers = await asyncio.gather(*(self._answer(key.namespace, job.uid, known) for job in due))
        self.forget(key)
        if due:
            self._answers[key] = {job.uid: answer for job, answer in zip(due, answers, strict=True)}
            self._asked += len(self._answers[key])
        found.found = {job.name: answer.said for job, answer in zip(due, answers, strict=True)}
        return found

    @property
    def _interval(self) -> float:
        """Seconds for which an answer is believed."""
        return max(self._patience.pod_events, self._asked / READS_PER_SECOND)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a training."""
        self._asked -= len(self._answers.pop(key, {}))

    async def _answer(self, namespace: str, uid: str, known: Mapping[str, _Answer]) -> _Answer:
        now = asyncio.get_running_loop().time()
        before = known.get(uid)
        if before and now - before.at < self._interval:
            return before
        async with self._limit:
            return _Answer(now, await self._read(namespace, uid))

    async def _read(self, namespace: str, uid: str) -> Queueing:
        if asyncio.get_running_loop().time() < self._not_served_until:
            return Queueing(served=False)
        try:
            items = await self._list(namespace, f"{kueue.JOB_UID_LABEL}={uid}")
        except ApiError as error:
            return Queueing(unread=error.message)
        except Unreachable as error:
            return Queueing(unread=error.said or str(error))
        if items is None:
            self._not_served_until = asyncio.get_running_loop().time() + _NOT_SERVED_SECONDS
            return Queueing(served=False)
        return Queueing(workload=await self._told(namespace, items[0]) if items else None)

    async def _told(self, namespace: str, body: Manifest) -> kueue.Workload:
        """Return a Workload with what Kueue says of it elsewhere."""
        found = kueue.workload(body)
        if found.rejected and not found.active:
            return await self._rejected(namespace, body, found)
        return await self._named(namespace, found)

    async def _rejected(self, namespace: str, body: Manifest, found: kueue.Workload) -> kueue.Workload:
        """Return a Workload that says for what an admission check has rejected it: its status names the check alone."""
        fields = f"involvedObject.uid={body['metadata'].get('uid')},reason={kueue.REJECTED_REASON}"
        with suppress(ApiError, Unreachable):  # then the name of the check has to do, as when the Event is gone
            events, _ = await self._client.list_all(EVENTS, namespace, fields=fields)
            if event := max(events, key=newest, default=None):
                return kueue.rejected_for(found, str(event.get("message") or ""))
        return found

    async def _named(self, namespace: str, found: kueue.Workload) -> kueue.Workload:
        """Return a Workload that says by name for whose sake it was stopped.

        Of other namespaces Kueue tells nobody more than a UID: who reads this may not look into them.
        """
        job = kueue.preemptor(found)
        with suppress(ApiError, Unreachable):  # then its UID has to do
            if job and (others := await self._list(namespace, f"{kueue.JOB_UID_LABEL}={job}")):
                return kueue.stopped_by(found, others[0])
        return found

    async def _list(self, namespace: str, labels: str) -> list[Manifest] | None:
        """Return the Workloads with a label; None where the API server knows none, in no version."""
        for version in dict.fromkeys((self._version, *kueue.VERSIONS)):
            resource = Resource(kueue.GROUP, version, kueue.PLURAL, kueue.KIND)
            try:
                items, _ = await self._client.list_all(resource, namespace, labels=labels)
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                self._version = version
                return items
        return None


def _waits(job: JobView) -> bool:
    return job.suspended and not job.ended and not job.deleting


def _leaves(job: JobView, pods: tuple[PodView, ...]) -> bool:
    """Return True if nothing of a Job that was queued runs any more, and it is still there."""
    return job.deleting and bool(job.queue) and all(pod.over for pod in pods if pod.owner.uid == job.uid)


def _age(job: JobView, now: datetime) -> float:
    return (now - job.created).total_seconds() if job.created else 0.0
