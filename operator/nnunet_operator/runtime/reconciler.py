"""One look at a training: read, decide (in `reconcile`, which is pure), act, report."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn

from nnunet_operator.api.labels import TRAINING_LABEL
from nnunet_operator.api.reasons import ConditionType
from nnunet_operator.api.status import NnunetTrainingStatus
from nnunet_operator.builders.model import Manifest, Options
from nnunet_operator.reconcile.events import events
from nnunet_operator.reconcile.model import Action, CreateJob, DeleteJob, DeleteTraining, Plan, World
from nnunet_operator.reconcile.objects import is_child, uid_of
from nnunet_operator.reconcile.plan import plan
from nnunet_operator.reconcile.settling import is_settling
from nnunet_operator.runtime.cache import Cache, Store, group_of, key_of, version_of
from nnunet_operator.runtime.client import JOBS, PODS, TRAININGS, Client, Resource
from nnunet_operator.runtime.complaints import ComplaintFinder
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.policies import PolicyBook
from nnunet_operator.runtime.policy_use import PolicyKeeper
from nnunet_operator.runtime.recorder import Recorder
from nnunet_operator.runtime.scraper import Scraper
from nnunet_operator.runtime.training import InvalidSpecError, invalid_status, parse_status, parse_training

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.5
"""Time from the creation of a Job to the status that tells of it: long enough for its pod to show, so that
one write says all, and for the Jobs of other trainings that were applied at once to be created first."""


@dataclass(frozen=True)
class Outcome:
    """What a look came to."""

    requeue_after: float | None = None
    """Seconds until the next look without an event; None for never."""
    rest: bool = False
    """What Jobs and Pods do meanwhile is no reason to look earlier."""


@dataclass
class _Deeds:
    """What became of the actions."""

    created: bool = False
    taken: tuple[Manifest, ...] = ()
    """Jobs of somebody else under names that the training needs."""
    refusals: tuple[tuple[str, str], ...] = ()
    """Names of Jobs that the API server refused, and what it said."""
    failure: ApiError | Unreachable | None = None
    """The first failure after which all has to be tried again."""


class Reconciler:
    """Looks at trainings. Keeps nothing that it could not read again from the API server."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        scraper: Scraper,
        complaints: ComplaintFinder,
        recorder: Recorder,
        book: PolicyBook,
        keeper: PolicyKeeper,
        options: Options,
        doubt: Callable[[], None] = lambda: None,
    ) -> None:
        """`doubt` is called where an answer does not go with what is known: a full list has to tell."""
        self._doubt = doubt
        self._client = client
        self._cache = cache
        self._scraper = scraper
        self._complaints = complaints
        self._recorder = recorder
        self._book = book
        self._keeper = keeper
        self._options = options

    async def reconcile(self, key: Key) -> Outcome:
        """Look at a training once.

        Raises Conflict where something had changed unseen (the cache knows by now), Unreachable, ApiError, and
        ValueError for a status that does not parse.
        """
        body = self._cache.trainings.get(key)
        if body is None:
            self._scraper.forget(key)
            self._complaints.forget(key)
            self._keeper.changed()
            return Outcome()
        before = parse_status(body)
        world, look_again = await self._world(key, body, before)
        if world is None:
            return Outcome()
        decision = plan(world)
        if _is_irreversible(decision, before):
            await self._refresh(key, body)
        deeds = await self._act(key, world, decision)
        if deeds.created and not deeds.failure:
            return Outcome(SETTLE_SECONDS, rest=True)  # its status, and all that follows, at the next look
        if deeds.failure and not _answers(deeds.failure):
            raise deeds.failure
        if not (decision.actions or world.refusals) and is_settling(world.jobs, world.pods, world.now):
            return Outcome(SETTLE_SECONDS, rest=True)
        if deeds.taken or deeds.refusals:
            world = replace(
                world,
                jobs=(*world.jobs, *deeds.taken),
                refusals={**world.refusals, **dict(deeds.refusals)},
            )
            decision = plan(world)
        # Also where an action failed: what was seen, and what stands in the way, is to be read meanwhile.
        await self._report(key, body, before, decision)
        if deeds.failure:
            raise deeds.failure
        waits = [seconds for seconds in (decision.requeue_after, look_again) if seconds is not None]
        return Outcome(min(waits, default=None))

    async def _world(self, key: Key, body: Manifest, before: NnunetTrainingStatus) -> tuple[World | None, float | None]:
        """Return all that a decision needs, and when to look again; no world where the spec does not parse."""
        now = datetime.now(UTC)
        try:
            training = parse_training(body, before)
        except InvalidSpecError as problem:
            status = invalid_status(before, str(problem), body["metadata"]["generation"], now.replace(microsecond=0))
            await self._report(key, body, before, Plan(status, events=events(before, status)))
            return None, None
        group = group_of(key)
        jobs, pods = self._cache.jobs.of(group), self._cache.pods.of(group)
        complaints = await self._complaints.find(key, jobs, pods, now)
        samples = await self._scraper.samples(key, training, pods)
        policies = self._book.policies()
        world = World(
            training,
            jobs,
            pods,
            samples,
            complaints.refusals,
            now,
            self._options,
            warnings=complaints.warnings,
            policies=policies.readable,
            unreadable_policies=policies.unreadable,
            namespace_labels=await self._book.labels(key.namespace),
        )
        waits = (complaints.look_again, self._scraper.due_in(key))
        return world, min((seconds for seconds in waits if seconds is not None), default=None)

    async def _refresh(self, key: Key, body: Manifest) -> None:
        """Read a training and its children from the API server. Raises Conflict where the cache was behind."""
        group = group_of(key)
        changed: set[Key] = set()
        for resource, store in ((JOBS, self._cache.jobs), (PODS, self._cache.pods)):
            labels = f"{TRAINING_LABEL}={group.name}"
            newest = store.newest
            items, version = await self._client.list_all(resource, key.namespace, labels=labels)
            if proof := store.disproof({key_of(item): version_of(item) for item in items}, version, newest):
                self._wonder(f"a list of {resource.plural} {proof}")
            changed |= {key_of(item) for item in items if store.put(item)}
            changed |= store.retain(map(key_of, items), version, group=group).keys()
        try:
            if self._cache.trainings.put(await self._get(TRAININGS, self._cache.trainings, key)):
                changed.add(key)
        except ApiError as error:
            if error.status != 404:
                raise
            self._cache.trainings.remove(body)
            changed.add(key)
        if changed:
            raise Conflict(f"{', '.join(map(str, sorted(changed)))} had changed unseen")

    async def _get(self, resource: Resource, store: Store, key: Key) -> Manifest:
        """Return an object from the API server. Raises ApiError, and Unreachable also for one older than is known."""
        known = store.last(key)
        body = await self._client.get(resource, key)
        if version_of(body) < known:
            self._wonder(f"{resource.plural} {key} is at version {version_of(body)}, after {known} was seen")
        return body

    def _wonder(self, what: str) -> NoReturn:
        """Give up this look, because no history that goes on can say so: a full list will tell what is right."""
        self._doubt()
        raise Unreachable(f"{what}: a full list will be made")

    async def _act(self, key: Key, world: World, decision: Plan) -> _Deeds:
        """Do what was decided. One action that fails keeps no other from being tried, unless nobody answers.

        Where a webhook does not answer for one Job, it does not for the next either, and each waits for its time limit.
        """
        deeds = _Deeds()
        for action in decision.actions:
            try:
                await self._do(key, world, action, deeds)
            except (ApiError, Unreachable) as error:
                deeds.failure = deeds.failure or error
                if not _answers(error) or isinstance(action, CreateJob):
                    break
        return deeds

    async def _do(self, key: Key, world: World, action: Action, deeds: _Deeds) -> None:
        match action:
            case CreateJob(manifest):
                await self._create(world, manifest, deeds)
            case DeleteJob(name, uid):
                await self._delete_job(Key(key.namespace, name), uid)
            case DeleteTraining():
                log.info("deleting the training: spec.ttlSecondsAfterFinished is over")
                await self._delete(TRAININGS, key, world.training.uid, world.training.resource_version)

    async def _create(self, world: World, manifest: Manifest, deeds: _Deeds) -> None:
        name = manifest["metadata"]["name"]
        try:
            job = await self._client.create(JOBS, world.training.namespace, manifest)
            log.info("created Job %s", name)
        except ApiError as error:
            if error.status == 409:
                job = await self._get(JOBS, self._cache.jobs, Key(world.training.namespace, name))
                if not is_child(job, world.training):
                    deeds.taken += (job,)
                    return
            elif error.refused:
                log.warning("Job %s was refused: %s", name, error.message)
                deeds.refusals += ((name, error.message),)
                return
            else:
                raise
        except Unreachable as error:
            if error.refused:
                deeds.refusals += ((name, error.said or ""),)
            raise  # and to be tried again soon: it may be for a moment only
        deeds.created = True
        self._cache.jobs.put(job)

    async def _delete_job(self, key: Key, uid: str) -> None:
        job = self._cache.jobs.get(key)
        if job is None or uid_of(job) != uid:
            return
        answer = await self._delete(JOBS, key, uid, job["metadata"]["resourceVersion"])
        log.info("deleted Job %s", key.name)
        if answer is None:
            self._cache.jobs.remove(job)
        elif answer.get("kind") == "Job":
            self._cache.jobs.put(answer)

    async def _delete(self, resource: Resource, key: Key, uid: str, version: str) -> Manifest | None:
        """Delete an object; None where it is gone already. Raises Conflict where it has changed."""
        try:
            return await self._client.delete(resource, key, uid, version)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status == 409:
                raise Conflict(str(error)) from None
            raise

    async def _report(self, key: Key, body: Manifest, before: NnunetTrainingStatus, decision: Plan) -> None:
        """Write the status where it differs, and announce the transitions once that has succeeded."""
        status = decision.status.to_json_dict()
        if status == before.to_json_dict():
            return
        try:
            stored = await self._client.write_status(TRAININGS, key, body["metadata"]["resourceVersion"], status)
        except ApiError as error:
            if error.status == 404:
                return  # deleted meanwhile; the watch tells
            if error.status == 409:
                await self._read_again(key)
                raise Conflict(str(error)) from None
            raise
        self._cache.trainings.put(stored)
        self._keeper.decided(before.policy, decision.status.policy)
        for event in decision.events:
            await self._recorder.record(stored, event)

    async def _read_again(self, key: Key) -> None:
        try:
            self._cache.trainings.put(await self._get(TRAININGS, self._cache.trainings, key))
        except ApiError as error:
            if error.status != 404:
                raise


def _answers(error: ApiError | Unreachable) -> bool:
    """Say whether the API server answers, and does not ask to be left alone."""
    return isinstance(error, ApiError) or (error.said is not None and error.retry_after is None)


def _is_irreversible(decision: Plan, before: NnunetTrainingStatus) -> bool:
    """Say whether a decision deletes something or declares the training failed or complete for the first time."""
    if any(isinstance(action, DeleteJob | DeleteTraining) for action in decision.actions):
        return True
    return any(
        decision.status.holds(type_) and not before.holds(type_)
        for type_ in (ConditionType.FAILED, ConditionType.COMPLETE)
    )
