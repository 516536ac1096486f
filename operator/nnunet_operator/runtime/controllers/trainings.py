"""One reconcile of a training: read, decide (in `core`, which is pure), act, report."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nnunet_api.labels import TRAINING_LABEL
from nnunet_api.reasons import EventReason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.decide import decide
from nnunet_operator.core.decision import Action, Decision, DeleteTraining, Event, Start, Stop
from nnunet_operator.core.events import MESSAGE_LIMIT, events
from nnunet_operator.core.losses import counts_more
from nnunet_operator.core.observation import Child
from nnunet_operator.core.pipeline import children
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.blocked import quoted
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.stages import manifest_of
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.observe import Snapshot, is_child, observe_all
from nnunet_operator.kube.reading import job_view
from nnunet_operator.kube.settling import is_settling
from nnunet_operator.kube.views import JobView, PodView
from nnunet_operator.runtime.client.resources import (
    COMPARISONS,
    JOBS,
    NAMESPACES,
    PODS,
    POLICIES,
    TEST_SETS,
    TRAININGS,
)
from nnunet_operator.runtime.controllers.acted import Acted, answers, said_by
from nnunet_operator.runtime.controllers.compared import compared_of
from nnunet_operator.runtime.controllers.concerned import (
    all_where_it_differs,
    arms,
    is_leaving,
    owners,
    owners_of_leaving,
    those_inside,
    waiting_for_a_ledger,
)
from nnunet_operator.runtime.controllers.decisions import count_decisions
from nnunet_operator.runtime.controllers.left import forget_left, with_left
from nnunet_operator.runtime.controllers.made import Deeds
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.pod_events import PodEventFinder
from nnunet_operator.runtime.controllers.queues import QueueFinder
from nnunet_operator.runtime.controllers.stored import Stored
from nnunet_operator.runtime.controllers.unread import is_irreversible, while_unread
from nnunet_operator.runtime.controllers.weights import waiting_for_weights, with_weights_from
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.informers.controller import Controller, Reason, itself
from nnunet_operator.runtime.informers.groups import group_of
from nnunet_operator.runtime.informers.store import key_of, version_of
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue.workers import Outcome
from nnunet_operator.runtime.scraper import Scraper
from nnunet_operator.runtime.training import InvalidSpecError, invalid_status, parse_status, parse_training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _World:
    """All that a decision needs."""

    training: Training
    snapshot: Snapshot
    policies: Policies
    now: datetime
    options: JobOptions

    def decide(self) -> Decision:
        """Observe the training's children, and decide."""
        observations = observe_all(self.training, self.snapshot, children(self.training))
        return decide(self.training, observations, self.policies, self.now, self.options)

    def but_for(self, deeds: Acted) -> "_World":
        """Return the world with what the API server said of the Jobs that it did not create."""
        jobs = (*self.snapshot.jobs, *deeds.taken)
        refusals = {**self.snapshot.refusals, **dict(deeds.refusals)}
        snapshot = replace(self.snapshot, jobs=jobs, refusals=refusals, kept=dict(deeds.kept))
        return replace(self, snapshot=snapshot)


class Trainings:
    """Reconciles trainings. Keeps nothing that it could not read again, but for what `Deeds` is for."""

    def __init__(self, parts: Parts, scraper: Scraper, pod_events: PodEventFinder) -> None:
        self._client = parts.client
        self._stored = Stored(parts, TRAININGS)
        self._feed = parts.feed
        self._cache = parts.feed.cache
        self._recorder = parts.recorder
        self._policies = parts.policies
        self._metrics = parts.metrics
        self._options = parts.options
        self._patience = parts.patience
        self._scraper = scraper
        self._pod_events = pod_events
        self._queues = QueueFinder(parts.client, parts.patience)
        self._done = Deeds()
        self._failing: dict[Key, float] = {}  # trainings whose actions fail -> since when

    async def reconcile(self, key: Key) -> Outcome:
        """Reconcile a training once.

        Raises Conflict where something had changed unseen (the cache knows by now), Unreachable, ApiError, and
        ValueError for a status that does not parse.
        """
        body = self._cache[TRAININGS].get(key)
        if body is None:
            for part in (self._scraper, self._pod_events, self._queues, self._done):
                part.forget(key)
            self._failing.pop(key, None)
            return Outcome()
        before = parse_status(body)
        untold = self._done.untold(key)
        world, again_in = await self._world(key, body, before)
        if world is None:
            return Outcome()
        decision = world.decide()
        if is_irreversible(decision, before):
            try:
                await self._refresh(key, world.snapshot)
            except (ApiError, Unreachable) as error:
                await self._tell_unread(key, body, before, said_by(error))
                raise
        deeds = await self._act(key, world, decision)
        seen = world.snapshot
        # What a Job came to that somebody deletes has to be stored before it is gone, and that one was lost at once.
        leaving = any(map(is_leaving, seen.jobs)) or counts_more(before, decision.status)
        if deeds.created and not deeds.failure and not leaving:
            return Outcome(self._patience.created, rest=True)  # its status, and all that follows, at the next reconcile
        if deeds.failure and not answers(deeds.failure) and not (deeds.refusals or deeds.kept):
            raise deeds.failure
        if not (decision.actions or seen.refusals or leaving) and is_settling(
            seen.jobs, seen.pods, world.now, self._patience.job_without_pod
        ):
            return Outcome(self._patience.created, rest=True)
        if deeds.taken or deeds.refusals or deeds.kept:
            decision = world.but_for(deeds).decide()
        # Also where an action failed: what was seen, and what stands in the way, is to be read meanwhile.
        await self._report(key, body, before, decision)
        self._done.told(key, untold)
        if forget_left(self._cache, group_of(key), seen.jobs, seen.pods):
            again_in = self._patience.children
        if deeds.failure:
            raise deeds.failure
        waits = [seconds for seconds in (decision.requeue_after, again_in) if seconds is not None]
        return Outcome(min(waits, default=None))

    async def _world(
        self, key: Key, body: Manifest, before: NnunetTrainingStatus
    ) -> tuple[_World | None, float | None]:
        """Return all that a decision needs, and after how many seconds to reconcile again.

        No world where the spec does not parse.
        """
        now = datetime.now(UTC)
        try:
            training = parse_training(body, before)
        except InvalidSpecError as problem:
            status = invalid_status(before, str(problem), body, now.replace(microsecond=0))
            await self._report(key, body, before, Decision(status, events=events(before, status)))
            return None, None
        status = self._done.untold(key).onto(training.status)
        training = with_weights_from(replace(training, status=status), self._cache)
        jobs, pods = with_left(self._cache, group_of(key), lambda uid: self._done.has_deleted(key, uid))
        warnings = await self._pod_events.find(key, jobs, pods, now)
        queues = await self._queues.find(key, jobs, pods, now)
        samples = await self._scraper.samples(key, training, pods)
        labels = await self._policies.labels(key.namespace)
        world = _World(
            training,
            Snapshot(
                jobs,
                pods,
                samples,
                warnings.refusals,
                warnings.warnings,
                now,
                warnings.unread,
                queueing=queues.found,
                unseen_seconds=self._patience.unseen,
            ),
            replace(self._policies.policies(), namespace_labels=labels, compared=compared_of(training, self._cache)),
            now,
            self._options,
        )
        waits = (warnings.again_in_seconds, queues.again_in_seconds, self._scraper.due_in(key))
        return world, min((seconds for seconds in waits if seconds is not None), default=None)

    async def _refresh(self, key: Key, seen: Snapshot) -> None:
        """Read a training and its children from the API server. Raises Conflict where the cache was behind.

        That something is gone which had ended changes nothing of what it came to.
        """
        views: tuple[JobView | PodView, ...] = (*seen.jobs, *seen.pods)
        over = {Key(key.namespace, view.name): view for view in views if _is_over(view)}
        group = group_of(key)
        changed: set[Key] = set()
        for resource in (JOBS, PODS):
            store = self._cache[resource]
            newest = store.newest
            items, version = await self._client.list_all(
                resource, key.namespace, labels=f"{TRAINING_LABEL}={group.name}"
            )
            if proof := store.disproof({key_of(item): version_of(item) for item in items}, version, newest):
                self._stored.wonder(f"a list of {resource.plural} {proof}")
            news = [change for item in items if (change := store.put(item))]
            news += store.retain(map(key_of, items), version, group=group)
            self._feed.tell({resource: news}, by=TRAININGS)
            changed |= {change.key for change in news if not _is_same_end(over.get(change.key), store.get(change.key))}
        if await self._stored.reread(TRAININGS, key):
            changed.add(key)
        if changed:
            raise Conflict(f"{', '.join(map(str, sorted(changed)))} had changed unseen")

    async def _tell_unread(self, key: Key, body: Manifest, before: NnunetTrainingStatus, said: str) -> None:
        """Say what the API server answers for longer to who wants to know how things are; nothing where it is away."""
        self._failing.setdefault(key, asyncio.get_running_loop().time())
        if said and self._fails_for(key) > self._patience.moment:
            await self._report(key, body, before, Decision(while_unread(before, said)))

    async def _act(self, key: Key, world: _World, decision: Decision) -> Acted:
        """Do what was decided. One action that fails keeps no other from being tried, unless nobody answers.

        Where a webhook does not answer for one Job, it does not for the next either, and each waits for its time limit:
        the next ones are not tried, and the same is said of them.
        """
        deeds = Acted()
        lasts = self._fails_for(key) > self._patience.moment
        # With the new status, because its provenance pins the image for all Jobs to come.
        training = replace(world.training, status=decision.status)
        stuck: ApiError | Unreachable | None = None
        for action in decision.actions:
            if stuck and isinstance(action, Start):
                deeds.note(action, stuck, lasts)
                continue
            try:
                await self._do(key, training, action, deeds)
            except (ApiError, Unreachable) as error:
                deeds.failure = deeds.failure or error
                deeds.note(action, error, lasts)
                if not answers(error):
                    break
                if isinstance(action, Start):
                    stuck = error
        if deeds.failure:
            self._failing.setdefault(key, asyncio.get_running_loop().time())
        else:
            self._failing.pop(key, None)
        return deeds

    def _fails_for(self, key: Key) -> float:
        """Return the seconds for which the actions of a training have failed, each time."""
        now = asyncio.get_running_loop().time()
        return now - self._failing.get(key, now)

    async def _do(self, key: Key, training: Training, action: Action, deeds: Acted) -> None:
        match action:
            case Start(child):
                await self._create(training, child, deeds)
            case Stop(child, uid):
                await self._delete_job(key, child.name, uid)
            case DeleteTraining():
                log.info("deleting the training: spec.ttlSecondsAfterFinished is over")
                await self._stored.delete(TRAININGS, key, training.uid, training.resource_version)

    async def _create(self, training: Training, child: Child, deeds: Acted) -> None:
        name, namespace = child.name, training.namespace
        try:
            job = await self._client.create(JOBS, namespace, manifest_of(training, self._options, child))
            log.info("created Job %s", name)
        except ApiError as error:
            if error.status == 409:
                job = await self._stored.get(JOBS, Key(namespace, name))
                if not is_child(found := job_view(job), training):
                    deeds.taken += (found,)
                    return
            elif error.refused:
                log.warning("Job %s was refused: %s", name, error.message)
                deeds.refusals += ((name, error.message),)
                return
            else:
                raise
        deeds.created = True
        self._done.made(Key(namespace, training.name), name, job["metadata"]["uid"])
        self._feed.seen(JOBS, job, by=TRAININGS)

    async def _delete_job(self, training: Key, name: str, uid: str) -> None:
        if job := await self._stored.delete_job(Key(training.namespace, name), uid):
            self._done.deleted(training, name, uid, complete=job.complete)

    async def _report(self, key: Key, body: Manifest, before: NnunetTrainingStatus, decision: Decision) -> None:
        """Write the status where it differs, and announce the transitions once that has succeeded."""
        status = decision.status.to_json_dict()
        if status == before.to_json_dict():
            return
        try:
            stored = await self._stored.write_status(key, body, status)
        except (ApiError, Unreachable) as error:
            if error.refused:  # an Event is all that can tell
                said = f"the status of this training can't be written: {quoted(said_by(error))}"
                event = Event("Warning", EventReason.STATUS_REFUSED.value, said[:MESSAGE_LIMIT])
                await self._recorder.record({**body, "kind": TRAININGS.kind}, event)
            raise
        if stored is None:
            return
        count_decisions(self._metrics, before.policy, decision.status.policy)
        for event in decision.events:
            await self._recorder.record(stored, event)


def _is_over(seen: JobView | PodView) -> bool:
    return seen.ended if isinstance(seen, JobView) else seen.over


def _is_same_end(before: JobView | PodView | None, now: Any) -> bool:
    """Return True if what had ended still has, or is gone."""
    return before is not None and (now is None or (now.uid == before.uid and _is_over(now)))


def controller(parts: Parts) -> Controller:
    """Return the controller of trainings."""
    soon = parts.patience.children
    trainings = Trainings(
        parts,
        Scraper(parts.session, parts.settings.progress_poll_seconds, parts.metrics),
        PodEventFinder(parts.client, parts.patience),
    )
    return Controller(
        TRAININGS,
        owns=(
            Reason(TRAININGS, itself),
            Reason(JOBS, owners, soon),
            Reason(JOBS, owners_of_leaving),
            Reason(PODS, owners, soon),
            Reason(POLICIES, all_where_it_differs, soon),
            Reason(NAMESPACES, those_inside, soon),
            Reason(COMPARISONS, arms, soon),
            Reason(TEST_SETS, waiting_for_a_ledger, soon),
            Reason(TRAININGS, waiting_for_weights, soon, others=True),
        ),
        reconcile=trainings.reconcile,
        at_once=parts.settings.workers,
    )
