"""The decision: what was observed in, actions and a new status out. Pure, and without anything of Kubernetes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from nnunet_api.conditions import Condition
from nnunet_api.job_status import JobStatus
from nnunet_api.labels import STAGE_FOLD, STAGE_PLAN
from nnunet_api.reasons import ConditionType, Phase, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.remedies.table import phase, phase_of
from nnunet_api.stages import STAGES
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core import facts, renewals, slipped_in, usage
from nnunet_operator.core.conditions import Mode, Situation, conditions, problem, why_not_suspended
from nnunet_operator.core.decision import Action, Decision, DeleteTraining, Start, Stop
from nnunet_operator.core.deletion import decide_held
from nnunet_operator.core.events import events, planner_events, policy_events
from nnunet_operator.core.folds import fold_statuses
from nnunet_operator.core.losses import held_back_seconds, job_statuses
from nnunet_operator.core.observation import Child, Observation, State, Trouble
from nnunet_operator.core.outdated import outdated as find_outdated
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.policy import Finding, find
from nnunet_operator.core.policy_evidence import at_rest
from nnunet_operator.core.progress import total_progress
from nnunet_operator.core.restored import forgotten, former_run, without_former_run
from nnunet_operator.core.stages import Stages, look_at_stages, to_create
from nnunet_operator.core.stall import to_restart
from nnunet_operator.core.training import Options, Training

NAME_TAKEN_SECONDS = 60.0
"""How often to look whether a Job that is not ours, and that no watch tells of, still takes a name."""
SOON_SECONDS = 1.0
_COUNTING = (Mode.RUN, Mode.FAIL)
"""Where lost Jobs are counted on. What stops all Jobs makes them begin anew, as it does with a Job's own failures."""


@dataclass(frozen=True)
class _Look:
    """What a reconcile rests on, and what it has come to so far."""

    training: Training
    found: Stages
    policy: Finding
    failure: Trouble | None
    mode: Mode
    creating: tuple[Child, ...]
    held_back: Mapping[Child, float]
    """Children that were lost, and the seconds until they may be started again."""
    now: datetime
    options: Options


def decide(
    training: Training, observations: Mapping[Child, Observation], policies: Policies, now: datetime, options: Options
) -> Decision:
    """Return what to do about a training, what its status is, and what to announce.

    `observations` has each of its `children`. The actions come before the status write, the events after it. Nothing
    that a later look depends on is deleted before the status says it: Jobs of a failed training go only once Failed is
    stored.
    """
    if training.deleting:
        if training.held_by:
            return decide_held(training, look_at_stages(training, observations), now)
        return Decision(training.status)  # what runs goes with it
    if training.status.holds(ConditionType.COMPLETE):
        return _at_rest(training, policies, now)
    if former := former_run(training):
        training = replace(training, status=without_former_run(training.status))
        decision = decide(training, observations, policies, now, options)
        return replace(decision, events=(forgotten(training, former), *decision.events))
    others = slipped_in.to_judge(training.status.provenance, observations.values())
    policy = find(training, policies, now, options.trainer_image, others)
    found = look_at_stages(training, observations, policy.min_epochs)
    failure = _failure(training.status, found)
    mode = _mode(training, found, failure, policy)
    held_back = _held_back(training, found, now) if mode is Mode.RUN else {}
    creating = to_create(found, training.spec, held_back) if mode is Mode.RUN else ()
    look = _Look(training, found, policy, failure, mode, creating, held_back, now, options)
    actions = _actions(look)
    status = _status(look, actions)
    return Decision(
        status=status,
        actions=actions,
        events=(*events(training.status, status), *planner_events(training.status, training.spec.planning)),
        requeue_after=_earliest(
            _next_look(look, status),
            _seconds_until(policy.next_change, now),
            *held_back.values(),
            *(seen.look_in_seconds for seen in found.current),
        ),
    )


def _held_back(training: Training, found: Stages, now: datetime) -> Mapping[Child, float]:
    waits = {
        seen.child: max(held_back_seconds(training, seen, now), renewals.pause_left(training.status, seen, now))
        for seen in found.current
        if seen.name_free
    }
    return {child: seconds for child, seconds in waits.items() if seconds > 0}


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
    return _remembered(status) or (seen[0] if seen else None)


def _remembered(status: NnunetTrainingStatus) -> Trouble | None:
    """Return the failure that the status tells of, or None."""
    stored = status.condition(ConditionType.FAILED)
    if stored is None or stored.status != "True" or stored.reason == Reason.INVALID_SPEC:  # it is valid now
        return None
    reason = next((known for known in Reason if known == stored.reason), Reason.RETRIES_EXHAUSTED)
    problem = status.problem
    if problem and problem.reason == stored.reason:
        return Trouble(reason, problem.matter, problem.case)
    # Stored by a version whose message was all there is, or under another reason that leads.
    return Trouble(reason, stored.message, Case.SAID)


def _status(look: _Look, actions: Iterable[Action]) -> NnunetTrainingStatus:
    training, found, before = look.training, look.found, look.training.status
    now = look.now.replace(microsecond=0)
    started = before.start_time or _first_start(found, now if look.creating else None)
    provenance = facts.provenance(training, found, look.options) if started else before.provenance
    results = facts.results(training, found, provenance)
    starting = frozenset(child.fold for child in look.creating if child.fold)
    folds = fold_statuses(training, found, starting, failed=look.mode is Mode.FAIL)
    samples = [observation.sample for observation in found.folds]
    creating = frozenset(look.creating)
    situation = Situation(
        training,
        found,
        look.policy,
        folds,
        look.mode,
        look.failure,
        creating,
        frozenset(look.held_back),
        provenance,
        results,
        now,
    )
    stated = conditions(situation)
    over = look.mode in (Mode.COMPLETE, Mode.FAIL)
    return NnunetTrainingStatus(
        observed_generation=training.generation,
        phase=_phase(stated, found),
        conditions=stated,
        problem=problem(situation),
        progress=total_progress(folds, samples, before.progress, look.now),
        folds=folds,
        left_out_configurations=list(found.left_out) or None,
        renewed_jobs=renewals.remembered(training, found.all, found.done, now) if look.mode in _COUNTING else None,
        jobs=_jobs(look, actions),
        usage=usage.total(folds, found.evaluation, usage.gpus_of_evaluation(training), before.usage),
        results=results,
        provenance=provenance,
        policy=look.policy.record,
        run_path=facts.run_path(training),
        start_time=started,
        completion_time=(before.completion_time or found.evaluate.finished or now) if over else None,
    )


def _phase(stated: list[Condition], found: Stages) -> Phase:
    """Return the phase: what only starts is Pending, but not where all epochs are trained and proof or scores due."""
    shown, current = phase(stated), found.current
    if shown is Phase.PENDING and current and current[0].child.stage not in (STAGE_PLAN, STAGE_FOLD):
        return phase_of(STAGES[current[0].child.stage].running)
    return shown


def _jobs(look: _Look, actions: Iterable[Action]) -> list[JobStatus]:
    """Return what is remembered of the Jobs that are not done."""
    found, mode = look.found, look.mode
    if mode is Mode.COMPLETE:
        return []
    stopping = {action.child for action in actions if isinstance(action, Stop)}
    if mode is Mode.FAIL:  # as soon as that is stored
        stopping |= {o.child for o in found.all if o.stands and not o.ended}
    repeating = [o for o in found.repeating if o.child in stopping]
    if mode in (Mode.SUSPEND, Mode.HOLD):
        # Whatever is on its way out then is as if stopped for that: whoever resumes shall not meet an old failure.
        stopping |= {o.child for o in found.all if o.deleting}
    now = look.now.replace(microsecond=0)
    return job_statuses(look.training, found.undone, stopping, repeating, now, counting=mode is Mode.RUN)


def _first_start(found: Stages, creating_now: datetime | None) -> datetime | None:
    times = [observation.created for observation in found.all if observation.created]
    return min(times, default=creating_now)


def _actions(look: _Look) -> tuple[Action, ...]:
    training, found = look.training, look.found
    if look.mode is Mode.RUN:
        below_minimum = folds_below_policy_minimum(training, found.folds, look.policy.min_epochs)
        renewed = renewals.to_renew(training, found.all, look.now)
        outdated = find_outdated(training, found.all, look.options)
        again = (*to_restart(training, found.folds), *found.repeating, *renewed, *below_minimum, *outdated)
        return (*dict.fromkeys(map(_stop, again)), *map(Start, look.creating))
    if look.mode in (Mode.SUSPEND, Mode.HOLD):
        # Failed Jobs go, too: that is how a retry gets its name free.
        going = (o for o in found.all if o.stands and (o.state is not State.COMPLETED or o.child in found.to_rerun))
        return tuple(map(_stop, going))
    if look.mode is Mode.FAIL and training.status.holds(ConditionType.FAILED):
        # Jobs that have ended stay, for their logs.
        stopping = tuple(_stop(o) for o in found.all if o.stands and not o.ended)
        return stopping or _expire(training, look.now)
    return ()


def _stop(observation: Observation) -> Stop:
    return Stop(observation.child, observation.job_uid)


def folds_below_policy_minimum(
    training: Training, folds: Iterable[Observation], min_epochs: int
) -> tuple[Observation, ...]:
    """Return the folds at work whose trainer could stop before the epochs that the policies ask for now.

    Its Job says what it was told. The new one goes on from the checkpoint: an epoch is lost, the policy is not.
    """
    if not training.spec.early_stopping.can_end_early:
        return ()
    return tuple(fold for fold in folds if fold.stands and not fold.ended and fold.told_min_epochs < min_epochs)


def _at_rest(training: Training, policies: Policies, now: datetime) -> Decision:
    """Return the decision on a complete training: its status stays as it is, whatever becomes of its Jobs.

    But for what it says of spec.suspend, which can still be changed, and of its comparison, whose verdict comes later.
    """
    compared = at_rest(training, policies, now)
    generation = training.generation
    words = {ConditionType.SUSPENDED.value: {"message": why_not_suspended(training)}}
    stated = [
        c.model_copy(update={"observed_generation": generation, **words.get(c.type, {})}) for c in compared.conditions
    ]
    status = compared.model_copy(update={"observed_generation": generation, "conditions": stated})
    return Decision(
        status,
        actions=_expire(training, now),
        events=policy_events(training.status, status),
        requeue_after=_seconds_to_live(training, status.completion_time, now),
    )


def _expire(training: Training, now: datetime) -> tuple[Action, ...]:
    left = _seconds_to_live(training, training.status.completion_time, now)
    return (DeleteTraining(),) if left is not None and left <= 0 else ()


def _seconds_to_live(training: Training, end: datetime | None, now: datetime) -> float | None:
    """Return the seconds until a training that has ended is deleted; None for never, or where it has not ended."""
    ttl = training.spec.ttl_seconds_after_finished
    if ttl is None or end is None:
        return None
    return _seconds_until(end + timedelta(seconds=ttl), now)


def _earliest(*seconds: float | None) -> float | None:
    return min((wait for wait in seconds if wait is not None), default=None)


def _seconds_until(time: datetime | None, now: datetime) -> float | None:
    return None if time is None else max(0.0, (time - now).total_seconds())


def _next_look(look: _Look, status: NnunetTrainingStatus) -> float | None:
    """Return the seconds until the next look, for what no watch announces."""
    training, found = look.training, look.found
    if look.mode is Mode.FAIL and not training.status.holds(ConditionType.FAILED):
        return SOON_SECONDS  # to stop the other Jobs
    if look.mode in (Mode.FAIL, Mode.COMPLETE):
        return _seconds_to_live(training, status.completion_time, look.now)
    if look.mode in (Mode.SUSPEND, Mode.HOLD):
        return None
    renewal = _seconds_until(renewals.next_time(status, found.all), look.now)
    if any(fold.state is State.RUNNING for fold in found.folds):
        return _earliest(look.options.progress_poll_seconds, renewal)
    outside = (Reason.CHILD_NOT_OWNED, Reason.POD_REJECTED)
    blocked = any(o.trouble and o.trouble.reason in outside for o in found.current)
    return _earliest(NAME_TAKEN_SECONDS if blocked else None, renewal)
