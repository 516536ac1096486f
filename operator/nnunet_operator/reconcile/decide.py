"""The decision: a snapshot in, actions and a new status out. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.table import phase
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.builders.evaluate import gpus_of_evaluation
from nnunet_operator.reconcile import facts, usage
from nnunet_operator.reconcile.blocked import Trouble
from nnunet_operator.reconcile.conditions import Mode, Situation, conditions, problem, why_not_suspended
from nnunet_operator.reconcile.events import events
from nnunet_operator.reconcile.failures import remembered
from nnunet_operator.reconcile.folds import fold_statuses
from nnunet_operator.reconcile.model import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteTraining,
    Snapshot,
    Training,
)
from nnunet_operator.reconcile.observe import Child, Observation, State
from nnunet_operator.reconcile.pipeline import manifest_of
from nnunet_operator.reconcile.policy import Finding, find
from nnunet_operator.reconcile.progress import total_progress
from nnunet_operator.reconcile.stages import Stages, look_at_stages, to_create
from nnunet_operator.reconcile.stall import to_restart

NAME_TAKEN_SECONDS = 60.0
"""How often to look whether a Job that is not ours, and that no watch tells of, still takes a name."""
SOON_SECONDS = 1.0


def decide(snapshot: Snapshot) -> Decision:
    """Return what to do about a training, what its status is, and what to announce.

    The actions come before the status write, the events after it. Nothing that a later look depends on is
    deleted before the status says it: Jobs of a failed training go only once Failed is stored.
    """
    training = snapshot.training
    if training.deleting:
        return Decision(training.status)  # Kubernetes' garbage collector deletes the Jobs
    if training.status.holds(ConditionType.COMPLETE):
        return _at_rest(snapshot)
    policy = find(snapshot)
    found = look_at_stages(snapshot, policy.min_epochs)
    failure = _failure(training.status, found)
    mode = _mode(training, found, failure, policy)
    creating = to_create(found, training.spec) if mode is Mode.RUN else ()
    status = _status(snapshot, found, mode, failure, policy, frozenset(creating))
    return Decision(
        status=status,
        actions=_actions(snapshot, found, mode, status, creating),
        events=events(training.status, status),
        requeue_after=_earliest(
            _next_look(snapshot, found, mode, status), _seconds_until(policy.next_change, snapshot.now)
        ),
    )


def _mode(training: Training, found: Stages, failure: Trouble | None, policy: Finding) -> Mode:
    if found.complete:
        return Mode.COMPLETE  # also while suspended: there is nothing left to suspend
    if training.spec.suspend:
        return Mode.SUSPEND
    if failure:
        return Mode.FAIL
    return Mode.RUN if policy.allowed else Mode.HOLD


def _failure(status: NnunetTrainingStatus, found: Stages) -> Trouble | None:
    """Return why the training has failed, or None. What was stored stands until something says more."""
    seen = [o.trouble for o in found.all if o.state is State.FAILED and o.trouble]
    detailed = next((trouble for trouble in seen if trouble.detailed), None)
    if detailed:
        return detailed
    return remembered(status) or (seen[0] if seen else None)


def _status(
    snapshot: Snapshot, found: Stages, mode: Mode, failure: Trouble | None, policy: Finding, creating: frozenset[Child]
) -> NnunetTrainingStatus:
    training, before = snapshot.training, snapshot.training.status
    now = snapshot.now.replace(microsecond=0)
    started = before.start_time or _first_start(found, now if creating else None)
    provenance = facts.provenance(training, found, snapshot.options) if started else before.provenance
    results = facts.results(training, found)
    starting = frozenset(child.fold for child in creating if child.fold)
    folds = fold_statuses(training, found, starting, failed=mode is Mode.FAIL)
    samples = [observation.sample for observation in found.folds]
    situation = Situation(training, found, policy, folds, mode, failure, creating, provenance, results, now)
    stated = conditions(situation)
    over = mode in (Mode.COMPLETE, Mode.FAIL)
    return NnunetTrainingStatus(
        observed_generation=training.generation,
        phase=phase(stated),
        conditions=stated,
        problem=problem(situation),
        progress=total_progress(folds, samples, before.progress, snapshot.now),
        folds=folds,
        usage=usage.total(folds, found.evaluation, gpus_of_evaluation(training), before.usage),
        results=results,
        provenance=provenance,
        policy=policy.record,
        run_path=facts.run_path(training),
        start_time=started,
        completion_time=(before.completion_time or found.evaluate.finished or now) if over else None,
    )


def _first_start(found: Stages, creating_now: datetime | None) -> datetime | None:
    times = [observation.created for observation in found.all if observation.created]
    return min(times, default=creating_now)


def _actions(
    snapshot: Snapshot, found: Stages, mode: Mode, status: NnunetTrainingStatus, creating: tuple[Child, ...]
) -> tuple[Action, ...]:
    if mode is Mode.RUN:
        # With the new status, because its provenance pins the image for all Jobs to come.
        training = replace(snapshot.training, status=status)
        below_minimum = folds_below_policy_minimum(training, found.folds)
        again = (*to_restart(snapshot.training, found.folds), *found.repeating, *below_minimum)
        return (
            *(DeleteJob(name, uid) for name, uid in dict.fromkeys((o.child.name, o.job_uid) for o in again)),
            *(CreateJob(manifest_of(training, snapshot.options, child)) for child in creating),
        )
    if mode in (Mode.SUSPEND, Mode.HOLD):
        # Failed Jobs go, too: that is how a retry gets its name free.
        going = (o for o in found.all if o.stands and (o.state is not State.COMPLETED or o.child in found.to_rerun))
        return tuple(DeleteJob(o.child.name, o.job_uid) for o in going)
    if mode is Mode.FAIL and snapshot.training.status.holds(ConditionType.FAILED):
        # Jobs that have ended stay, for their logs.
        stopping = tuple(DeleteJob(o.child.name, o.job_uid) for o in found.all if o.stands and not o.ended)
        return stopping or _expire(snapshot)
    return ()


def folds_below_policy_minimum(training: Training, folds: Iterable[Observation]) -> tuple[Observation, ...]:
    """Return the folds at work whose trainer could stop before the epochs that the policies ask for now.

    Its Job says what it was told. The new one goes on from the checkpoint: an epoch is lost, the policy is not.
    """
    if not training.spec.early_stopping.can_end_early:
        return ()
    asked = training.status.min_epochs
    return tuple(fold for fold in folds if fold.stands and not fold.ended and fold.told_min_epochs < asked)


def _at_rest(snapshot: Snapshot) -> Decision:
    """Return the decision on a complete training: its status stays as it is, whatever becomes of its Jobs.

    But for what it says of spec.suspend, which can still be changed.
    """
    training = snapshot.training
    generation = training.generation
    words = {ConditionType.SUSPENDED.value: {"message": why_not_suspended(training)}}
    stated = [
        c.model_copy(update={"observed_generation": generation, **words.get(c.type, {})})
        for c in training.status.conditions
    ]
    status = training.status.model_copy(update={"observed_generation": generation, "conditions": stated})
    return Decision(status, actions=_expire(snapshot), requeue_after=_seconds_to_live(snapshot, status))


def _expire(snapshot: Snapshot) -> tuple[Action, ...]:
    left = _seconds_to_live(snapshot, snapshot.training.status)
    return (DeleteTraining(),) if left is not None and left <= 0 else ()


def _seconds_to_live(snapshot: Snapshot, status: NnunetTrainingStatus) -> float | None:
    """Return the seconds until a finished training is deleted; None for never, or where it has not ended."""
    ttl, end = snapshot.training.spec.ttl_seconds_after_finished, status.completion_time
    if ttl is None or end is None:
        return None
    return _seconds_until(end + timedelta(seconds=ttl), snapshot.now)


def _earliest(*seconds: float | None) -> float | None:
    return min((wait for wait in seconds if wait is not None), default=None)


def _seconds_until(time: datetime | None, now: datetime) -> float | None:
    return None if time is None else max(0.0, (time - now).total_seconds())


def _next_look(snapshot: Snapshot, found: Stages, mode: Mode, status: NnunetTrainingStatus) -> float | None:
    """Return the seconds until the next look, for what no watch announces."""
    if mode is Mode.FAIL and not snapshot.training.status.holds(ConditionType.FAILED):
        return SOON_SECONDS  # to stop the other Jobs
    if mode in (Mode.FAIL, Mode.COMPLETE):
        return _seconds_to_live(snapshot, status)
    if mode in (Mode.SUSPEND, Mode.HOLD):
        return None
    if any(fold.state is State.RUNNING for fold in found.folds):
        return snapshot.options.progress_poll_seconds
    outside = (Reason.CHILD_NOT_OWNED, Reason.POD_REJECTED)
    blocked = any(o.trouble and o.trouble.reason in outside for o in found.current)
    return NAME_TAKEN_SECONDS if blocked else None
