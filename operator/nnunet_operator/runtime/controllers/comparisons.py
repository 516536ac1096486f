"""One reconcile of a comparison: read, decide (in `core.comparison`, which is pure), act, report."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from nnunet_api.comparison.reasons import ComparisonConditionType
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.labels import COMPARISON_LABEL, short_name
from nnunet_operator.core.comparison.decide import decide
from nnunet_operator.core.comparison.decision import ComparisonDecision, DeleteComparison, Seen, StopJob
from nnunet_operator.core.comparison.events import events
from nnunet_operator.core.comparison.model import Compare, Comparison, Make, SetSuspend, Trainings
from nnunet_operator.core.comparison.status import with_invalid_spec
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.comparison import compare_job
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.observe_comparison import JobSnapshot, is_ours, observe_job
from nnunet_operator.kube.reading import job_view
from nnunet_operator.runtime.client.resources import COMPARISONS, JOBS, PODS, TRAININGS
from nnunet_operator.runtime.comparison import parse_comparison, parse_comparison_status, training_of_arm
from nnunet_operator.runtime.controllers.compared import looks_at
from nnunet_operator.runtime.controllers.concerned import leaving
from nnunet_operator.runtime.controllers.left import forget_left, with_left
from nnunet_operator.runtime.controllers.made_trainings import MadeTrainings
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.pod_events import PodEventFinder
from nnunet_operator.runtime.controllers.queues import QueueFinder
from nnunet_operator.runtime.controllers.stored import Stored
from nnunet_operator.runtime.errors import ApiError, Conflict
from nnunet_operator.runtime.informers.controller import Controller, Reason, itself
from nnunet_operator.runtime.informers.groups import comparison_group
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue.workers import Outcome
from nnunet_operator.runtime.summary import Summary
from nnunet_operator.runtime.training import InvalidSpecError

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Comparisons that are reconciled at the same time."""
REFUSED_SECONDS = 15.0
"""Time after which a Job is tried again that the API server refused."""
TRAINING_REFUSED_SECONDS = 60.0
"""The same for trainings: policies and quotas change seldom."""


NONE: Mapping[str, str] = MappingProxyType({})


@dataclass
class _Done:
    """What came of the actions."""

    refusal: str = ""
    """Why the API server refuses the Job; "" where it does not."""
    refused: dict[str, str] = field(default_factory=dict)
    """By training: why it refuses to create, suspend or resume it."""
    is_news: bool = False
    """It is to be decided anew what the status is."""


class Comparisons:
    """Reconciles comparisons. Keeps nothing that it could not read again."""

    def __init__(self, parts: Parts, pod_events: PodEventFinder, queues: QueueFinder) -> None:
        self._client = parts.client
        self._made = MadeTrainings(parts)
        self._queues = queues
        self._stored = Stored(parts, COMPARISONS)
        self._feed = parts.feed
        self._cache = parts.feed.cache
        self._recorder = parts.recorder
        self._options = parts.options
        self._patience = parts.patience
        self._pod_events = pod_events
        self._deleted: dict[Key, set[str]] = {}  # by comparison: UIDs of the Jobs that this process has deleted

    async def reconcile(self, key: Key) -> Outcome:
        """Reconcile a comparison once. Raises Conflict, Unreachable, ApiError, and ValueError as for trainings."""
        body = self._cache[COMPARISONS].get(key)
        if body is None:
            self._pod_events.forget(key)
            self._queues.forget(key)
            self._deleted.pop(key, None)
            return Outcome()
        try:
            comparison = parse_comparison(body)
        except InvalidSpecError as problem:
            # The schema keeps such from being stored: only a definition of another version lets it in.
            before = parse_comparison_status(body)
            generation = body["metadata"]["generation"]
            status = with_invalid_spec(before, str(problem), key.name, key.namespace, generation, datetime.now(UTC))
            await self._report(key, body, ComparisonDecision(status, events=events(before, status)))
            return Outcome()
        now = datetime.now(UTC)
        snapshot, again_in = await self._snapshot(key, now)
        decision = decide(self._seen(comparison, snapshot))
        if decision.in_doubt or _is_end(decision, comparison):
            await self._confirm(key, body, decision.in_doubt)
        done = await self._act(key, comparison, decision)
        if done.refusal:
            snapshot = replace(snapshot, refusals={**snapshot.refusals, comparison.job_name: done.refusal})
            again_in = REFUSED_SECONDS
        if done.refused:
            again_in = TRAINING_REFUSED_SECONDS
        if done.is_news:
            decision = decide(self._seen(comparison, snapshot, done.refused))
        await self._report(key, body, decision)
        if forget_left(self._cache, comparison_group(key), snapshot.jobs, snapshot.pods):
            again_in = self._patience.children
        waits = [seconds for seconds in (decision.requeue_after, again_in) if seconds is not None]
        return Outcome(min(waits, default=None))

    async def _snapshot(self, key: Key, now: datetime) -> tuple[JobSnapshot, float | None]:
        group = comparison_group(key)
        jobs, pods = with_left(self._cache, group, lambda uid: uid in self._deleted.get(key, ()))
        found = await self._pod_events.find(key, jobs, pods, now)
        queues = await self._queues.find(key, jobs, pods, now)
        waits = [seconds for seconds in (found.again_in_seconds, queues.again_in_seconds) if seconds is not None]
        snapshot = JobSnapshot(jobs, pods, now, found.refusals, found.warnings, queues.found)
        return snapshot, min(waits, default=None)

    def _seen(self, comparison: Comparison, snapshot: JobSnapshot, refused: Mapping[str, str] = NONE) -> Seen:
        """Return what there is now, with the trainings as the cache has them."""
        trainings = self._trainings(comparison)
        baseline = trainings.get(comparison.spec.training_names[0])
        if isinstance(baseline, Training):
            snapshot = replace(snapshot, queue_name=comparison.spec.queue_name or baseline.spec.queue_name)
        job = observe_job(comparison, snapshot)
        looks = looks_at(baseline, self._cache) if isinstance(baseline, Training) else None
        return Seen(comparison, trainings, job, snapshot.now, self._pilot(comparison), refused, looks)

    def _pilot(self, comparison: Comparison) -> NnunetComparisonStatus | None:
        """Return the status of the comparison that spec.pilot names, where there is one that can be read."""
        name = comparison.spec.pilot
        body = self._cache[COMPARISONS].get(Key(comparison.namespace, name)) if name else None
        try:
            return parse_comparison(body).status if body else None
        except (InvalidSpecError, ValueError):
            return None

    def _trainings(self, comparison: Comparison) -> Trainings:
        keys = {name: Key(comparison.namespace, name) for name in comparison.spec.training_names}
        bodies = {name: self._cache[TRAININGS].get(key) for name, key in keys.items()}
        return {name: training_of_arm(body, comparison) for name, body in bodies.items() if body}

    async def _confirm(self, key: Key, body: Manifest, trainings: Iterable[str]) -> None:
        """Ask for a comparison, and for trainings that seem to be gone. Raises Conflict where the cache was behind."""
        changed = [
            f"{TRAININGS.plural} {name}"
            for name in trainings
            if await self._stored.reread(TRAININGS, Key(key.namespace, name))
        ]
        if await self._stored.reread(COMPARISONS, key):
            changed.append(f"{COMPARISONS.plural} {body['metadata']['name']}")
        if changed:
            raise Conflict(f"{', '.join(changed)} had changed unseen")

    async def _act(self, key: Key, comparison: Comparison, decision: ComparisonDecision) -> _Done:
        """Do what was decided; return what came of it."""
        done = _Done()
        for action in decision.actions:
            match action:
                case Make(specs) if not done.refused:
                    await self._made.make(comparison, specs, done.refused)
                    done.is_news = True
                case SetSuspend():
                    await self._made.set_suspend(comparison, action, done.refused)
                    done.is_news = True
                case Compare():
                    done.refusal = await self._create(comparison, action)
                    done.is_news = done.is_news or bool(done.refusal)
                case StopJob(uid):
                    if await self._stored.delete_job(Key(key.namespace, comparison.job_name), uid):
                        self._deleted.setdefault(key, set()).add(uid)
                case DeleteComparison():
                    log.info("deleting the comparison: spec.ttlSecondsAfterFinished is over")
                    await self._stored.delete(COMPARISONS, key, comparison.uid, comparison.resource_version)
        return done

    async def _create(self, comparison: Comparison, action: Compare) -> str:
        manifest = compare_job(comparison, self._options, action)
        try:
            job = await self._client.create(JOBS, comparison.namespace, manifest)
            log.info("created Job %s", comparison.job_name)
        except ApiError as error:
            if error.refused:
                log.warning("Job %s was refused: %s", comparison.job_name, error.message)
                return error.message
            if error.status != 409:
                raise
            job = await self._stored.get(JOBS, Key(comparison.namespace, comparison.job_name))
            if not _is_labelled(job, comparison) or not is_ours(job_view(job), comparison):
                owner = job_view(job).owner
                return f"a Job named {comparison.job_name} exists and belongs to {owner.kind} {owner.name}".rstrip()
        self._feed.seen(JOBS, job, by=COMPARISONS)
        return ""

    async def _report(self, key: Key, body: Manifest, decision: ComparisonDecision) -> None:
        """Write the status where it differs, and announce the transitions once that has succeeded."""
        status = decision.status.to_json_dict()
        if status == (body.get("status") or {}):
            return
        stored = await self._stored.write_status(key, body, status)
        if stored is None:
            return
        for event in decision.events:
            await self._recorder.record(stored, event)


def _is_labelled(job: Manifest, comparison: Comparison) -> bool:
    labels = job["metadata"].get("labels") or {}
    return bool(labels.get(COMPARISON_LABEL) == short_name(comparison.name))


def _is_end(decision: ComparisonDecision, comparison: Comparison) -> bool:
    """Return True if a decision deletes something or declares the comparison complete or failed for the first time."""
    if any(isinstance(action, StopJob | DeleteComparison) for action in decision.actions):
        return True
    ends = (ComparisonConditionType.COMPLETE, ComparisonConditionType.FAILED)
    return any(decision.status.holds(end) and not comparison.status.holds(end) for end in ends)


def controller(parts: Parts) -> Controller:
    """Return the controller of comparisons."""
    soon = parts.patience.children
    comparisons = Comparisons(
        parts, PodEventFinder(parts.client, parts.patience), QueueFinder(parts.client, parts.patience)
    )
    return Controller(
        COMPARISONS,
        owns=(
            Reason(COMPARISONS, itself),
            Reason(TRAININGS, with_the_training, soon),
            Reason(JOBS, owners, soon),
            Reason(JOBS, owners_of_leaving),
            Reason(PODS, owners, soon),
        ),
        reconcile=comparisons.reconcile,
        at_once=AT_ONCE,
    )


def owners(cache: Cache, changes: Sequence[Change[Any]]) -> Iterator[Key]:
    """Yield the comparisons that Jobs and Pods belong to."""
    for group in {change.group for change in changes}:
        yield from cache[COMPARISONS].keys_of(group)


def owners_of_leaving(cache: Cache, changes: Sequence[Change[Any]]) -> Iterator[Key]:
    """Yield the comparisons of Jobs that have ended and are being deleted: soon nobody can read their verdict."""
    yield from owners(cache, leaving(cache, changes))


def with_the_training(cache: Cache, changes: Sequence[Change[Summary]]) -> Iterator[Key]:
    """Yield the comparisons that have a training in an arm which is new, gone, or in another phase."""
    moved = {change.key for change in changes if _phase(change.before) != _phase(change.after)}
    if not moved:
        return
    for key, summary in cache[COMPARISONS].summaries():
        if any(Key(key.namespace, name) in moved for name in summary.trainings):
            yield key


def _phase(summary: Summary | None) -> str | None:
    return summary.phase if summary else None
