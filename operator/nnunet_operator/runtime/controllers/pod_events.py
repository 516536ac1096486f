"""What only Events tell: why a Job gets no pod, and why a pod that has a node does not start."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nnunet_operator.kube.blocked import CLAIM_REFUSED, PodWarning
from nnunet_operator.kube.objects import Manifest, parse_time
from nnunet_operator.kube.views import JobView, PodView
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import EVENTS
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL, Patience

AT_ONCE = 16
"""Questions that are under way at the same time, over all trainings."""


@dataclass
class PodEvents:
    """What was found."""

    refusals: dict[str, str] = field(default_factory=dict)
    """By Job name: what the API server said when it refused the Job's pod."""
    warnings: dict[str, PodWarning] = field(default_factory=dict)
    """By pod name."""
    unread: dict[str, str] = field(default_factory=dict)
    """By Job or pod name: why it is not known what Events say of it."""
    again_in_seconds: float | None = None
    """Seconds until Events are to be asked for again; None for never."""

    def again_in(self, seconds: float) -> None:
        """Ask again in so many seconds, or earlier."""
        self.again_in_seconds = seconds if self.again_in_seconds is None else min(self.again_in_seconds, seconds)


@dataclass(frozen=True)
class _Answer:
    at: float
    event: Manifest | None
    """The newest Event."""
    unread: str = ""
    """Why Events could not be read; empty where they could."""


class PodEventFinder:
    """Looks for Events on Jobs that should have a pod and have none, and on pods that should have started.

    What goes wrong is part of the answer, and never raised: a status says all else meanwhile.
    """

    def __init__(self, client: Client, patience: Patience = USUAL) -> None:
        self._client = client
        self._patience = patience
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._answers: dict[Key, dict[str, _Answer]] = {}  # by training: UID of the Job or pod -> answer

    async def find(self, key: Key, jobs: Iterable[JobView], pods: Iterable[PodView], now: datetime) -> PodEvents:
        """Return what Events say."""
        pods = tuple(pods)
        found = PodEvents()
        without_pod = [
            (job, last_pod)
            for job, last_pod in _jobs_without_pod(jobs, pods)
            if not self._wait(found, last_pod or job.created, now, self._patience.job_without_pod)
        ]
        not_started = [
            pod
            for pod in filter(_should_have_started, pods)
            if not self._wait(found, pod.started, now, self._patience.pod_not_started)
        ]
        without_claim = [
            pod
            for pod in pods
            if pod.lacks_claim
            and not (pod.over or pod.deleting)
            and not self._wait(found, pod.created, now, self._patience.job_without_pod)
        ]
        questions = [(job.uid, "reason=FailedCreate") for job, _ in without_pod]
        questions += [(pod.uid, "") for pod in not_started]
        questions += [(pod.uid, f"reason={CLAIM_REFUSED}") for pod in without_claim]
        answers = await self._ask(key, questions)
        for job, last_pod in without_pod:
            event = answers[job.uid].event
            if answers[job.uid].unread:
                found.unread[job.name] = answers[job.uid].unread
            # One that is not newer than the last pod is about a pod that came into being after all.
            if event and (last_pod is None or _last_seen(event) > last_pod):
                found.refusals[job.name] = str(event.get("message") or "")
        for pod in (*not_started, *without_claim):
            event = answers[pod.uid].event
            if answers[pod.uid].unread:
                found.unread[pod.name] = answers[pod.uid].unread
            if event and event.get("type") == "Warning":
                words = str(event.get("message") or "")
                found.warnings[pod.name] = PodWarning(str(event.get("reason") or ""), words)
        return found

    async def _ask(self, key: Key, questions: Sequence[tuple[str, str]]) -> Mapping[str, _Answer]:
        """Return the answers by the UID of what they are about."""
        known = self._answers.pop(key, {})
        asked = (self._answer(uid, key.namespace, known, fields) for uid, fields in questions)
        answers = {uid: answer for (uid, _), answer in zip(questions, await asyncio.gather(*asked), strict=True)}
        read = {uid: answer for uid, answer in answers.items() if not answer.unread}
        if read:
            self._answers[key] = read  # the others are asked for again at the next look
        return answers

    def _wait(self, found: PodEvents, since: datetime | None, now: datetime, grace: float) -> bool:
        """Note when to look again; return whether it is too early to wonder."""
        age = (now - since).total_seconds() if since else 0.0
        if age < -grace:  # clocks that differ by so much tell nothing, and would be waited for
            age = grace + 1.0
        found.again_in(self._patience.pod_events if age > grace else grace - age + 0.5)
        return age <= grace

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a training."""
        self._answers.pop(key, None)

    async def _answer(self, uid: str, namespace: str, known: Mapping[str, _Answer], fields: str = "") -> _Answer:
        now = asyncio.get_running_loop().time()
        before = known.get(uid)
        if before and now - before.at < self._patience.pod_events:
            return before
        selector = f"involvedObject.uid={uid}" + (f",{fields}" if fields else "")
        try:
            async with self._limit:
                events, _ = await self._client.list_all(EVENTS, namespace, fields=selector)
        except (ApiError, Unreachable) as error:
            if before and before.event:
                return before  # a cause that is known does not come and go with an API server in trouble
            return _Answer(now, None, error.message if isinstance(error, ApiError) else error.said or str(error))
        return _Answer(now, max(events, key=newest, default=None))


def _jobs_without_pod(jobs: Iterable[JobView], pods: tuple[PodView, ...]) -> Iterable[tuple[JobView, datetime | None]]:
    """Yield the Jobs that should have a living pod and have none, and when their last pod was created."""
    for job in jobs:
        mine = [pod for pod in pods if pod.owner.uid == job.uid]
        if _should_have_pod(job) and all(pod.over for pod in mine):
            # The times of creation are the API server's, not those of a node whose clock may be wrong.
            yield job, max((pod.created for pod in mine if pod.created), default=None)


def _should_have_pod(job: JobView) -> bool:
    return not job.ended and not job.deleting and not job.suspended


def _should_have_started(pod: PodView) -> bool:
    return bool(pod.node) and not pod.over and not pod.deleting and not pod.running


def newest(event: Manifest) -> tuple[datetime, int]:
    """Return what orders Events, the newest last."""
    # Some components give whole seconds, others fractions: within a second the later write counts.
    return _last_seen(event).replace(microsecond=0), int(event["metadata"]["resourceVersion"])


def _last_seen(event: Manifest) -> datetime:
    stamp = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    seen = parse_time(stamp)
    assert seen is not None
    return seen
