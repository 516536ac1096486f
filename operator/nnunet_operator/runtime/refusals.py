"""Why a Job has no pod: the API server refused it, which only an Event of the Job controller tells."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from nnunet_operator.builders.model import Manifest
from nnunet_operator.reconcile.objects import (
    controller_of,
    is_deleting,
    name_of,
    parse_time,
    true_condition,
    uid_of,
)
from nnunet_operator.runtime.client import EVENTS, Client
from nnunet_operator.runtime.keys import Key

GRACE_SECONDS = 2.0
"""Age up to which a Job without a pod is nothing to wonder about."""
KEEP_SECONDS = 15.0
"""How long an answer is believed."""


@dataclass(frozen=True)
class _Answer:
    at: float
    message: str


class Refusals:
    """Looks for FailedCreate Events of Jobs that should have a pod and have none."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: dict[Key, dict[str, _Answer]] = {}  # by training: Job UID -> answer

    async def find(
        self, key: Key, jobs: Iterable[Manifest], pods: Iterable[Manifest], now: datetime
    ) -> tuple[Mapping[str, str], float | None]:
        """Return messages of refusals by Job name, and in how many seconds to look again (None: never).

        Raises ApiError and Unreachable.
        """
        owners = {controller_of(pod).get("uid") for pod in pods}
        without = [job for job in jobs if _should_have_pod(job) and uid_of(job) not in owners]
        if not without:
            self.forget(key)
            return {}, None
        known = self._answers.get(key, {})
        self._answers[key] = {}
        found: dict[str, str] = {}
        for job in without:
            if _age(job, now) <= GRACE_SECONDS:
                continue
            answer = await self._answer(job, key.namespace, known.get(uid_of(job)))
            self._answers[key][uid_of(job)] = answer
            if answer.message:
                found[name_of(job)] = answer.message
        youngest = min(_age(job, now) for job in without)
        return found, KEEP_SECONDS if youngest > GRACE_SECONDS else GRACE_SECONDS - youngest + 0.5

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a training."""
        self._answers.pop(key, None)

    async def _answer(self, job: Manifest, namespace: str, known: _Answer | None) -> _Answer:
        now = asyncio.get_running_loop().time()
        if known and now - known.at < KEEP_SECONDS:
            return known
        fields = f"involvedObject.uid={uid_of(job)},reason=FailedCreate"
        events, _ = await self._client.list_all(EVENTS, namespace, fields=fields)
        newest = max(events, key=_last_seen, default=None)
        return _Answer(now, str(newest.get("message") or "") if newest else "")


def _should_have_pod(job: Manifest) -> bool:
    ended = true_condition(job, "Complete", "SuccessCriteriaMet", "Failed", "FailureTarget")
    return not ended and not is_deleting(job) and not job["spec"].get("suspend")


def _age(job: Manifest, now: datetime) -> float:
    created = parse_time(job["metadata"].get("creationTimestamp"))
    return (now - created).total_seconds() if created else 0.0


def _last_seen(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
