"""Folds that stand still: found, reported, restarted.

Nothing of it rests on a node's clock, and the operator may be killed anywhere. A stall is known by the name of the pod
that stands still: it is stored before the pod's Job is deleted, stays as long as the pod does nothing (also when a new
operator has measured nothing yet), and becomes a restart when the pod goes.
"""

from nnunet_api.facts import FoldFacts
from nnunet_api.fold_key import FoldKey
from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.words import counted
from nnunet_operator.core import local_copy
from nnunet_operator.core.observation import Observation, State, Trouble
from nnunet_operator.core.rounding import count
from nnunet_operator.core.training import Training

MEDIANS = 5
"""A fold may take so many times its median epoch before it counts as stalled."""


def is_stalled(training: Training, fold: Observation, before: FoldStatus | None) -> bool:
    """Say whether a fold that runs has not finished an epoch for too long.

    After its last epoch a fold validates on full volumes, for which there is no limit. A pod that has never answered
    tells nothing: perhaps the network keeps the operator away from it. Nor does a trainer older than the facts.
    """
    if fold.state is not State.RUNNING or (fold.sample and fold.sample.facts is None):
        return False
    facts = fold.live
    end = training.spec.schedule.epochs
    if facts and facts.epoch >= min(end, count(facts.planned_end) or end):
        return False
    if _is_known(training, fold, before) and not _has_moved(facts, before):
        return True
    still = fold.sample.still_seconds if fold.sample else None
    if facts is None or still is None:
        return False
    limit = max(float(training.spec.stall_timeout_seconds), MEDIANS * (facts.median_epoch_seconds or 0.0))
    return still > limit


def gives_up(training: Training, fold: Observation, before: FoldStatus | None) -> Trouble | None:
    """Return the failure of a fold that has stalled once more than retryLimit forgives, or None."""
    restarts = before.stall_restarts if before else 0
    if not training.spec.restart_on_stall or restarts < training.spec.retry_limit:
        return None
    if _is_told(fold, before) or not is_stalled(training, fold, before):
        return None
    return Trouble(
        Reason.STALLED,
        f"{fold.child.subject} stands still after {counted(restarts, 'restart')}, as many as spec.retryLimit allows",
    )


def with_stall(training: Training, fold: Observation, before: FoldStatus, status: FoldStatus) -> FoldStatus:
    """Return the fold's status with what is to be said of a stall, and of the restarts for one."""
    spec = training.spec
    stalled = fold.pod if is_stalled(training, fold, before) else None
    failed = _has_failed(training)
    goes = before.stalled_pod is not None and (fold.deleting or before.stalled_pod != fold.pod)
    restarted = goes and spec.restart_on_stall and not spec.suspend and not failed
    # A retry begins to count anew, as it does with a new Job's failures.
    restarts = 0 if spec.suspend and failed else before.stall_restarts + int(restarted)
    return status.model_copy(update={"stalled_pod": stalled, "stall_restarts": restarts})


def to_restart(training: Training, folds: tuple[Observation, ...]) -> tuple[Observation, ...]:
    """Return the folds whose Jobs are to be deleted, to be created anew: those whose stall the status tells of."""
    if not training.spec.restart_on_stall:
        return ()
    known: dict[FoldKey | None, FoldStatus] = {fold.key: fold for fold in training.status.folds}
    return tuple(
        fold
        for fold in folds
        if fold.stands and _is_told(fold, before := known.get(fold.child.fold)) and is_stalled(training, fold, before)
    )


def found(training: Training, folds: list[FoldStatus]) -> Trouble | None:
    """Return what stands still, or None. The words do not change with the clock."""
    stalled = [fold for fold in folds if fold.stalled_pod]
    if not stalled:
        return None
    each = ", ".join(f"fold {fold.name} since epoch {fold.epoch} (pod {fold.stalled_pod})" for fold in stalled)
    limit = f"{training.spec.stall_timeout_seconds} s and {MEDIANS} times its median epoch"
    case = Case.RESTARTED if training.spec.restart_on_stall else ""
    return Trouble(Reason.NO_EPOCH_FINISHED, f"no epoch was finished for more than {limit}: {each}", case)


def _is_told(fold: Observation, before: FoldStatus | None) -> bool:
    """Say whether the status tells that this very pod stands still."""
    return before is not None and before.stalled_pod is not None and before.stalled_pod == fold.pod


def _is_known(training: Training, fold: Observation, before: FoldStatus | None) -> bool:
    """Say whether it was found out under the present spec. One that gives more time is to have an effect at once."""
    condition = training.status.condition(ConditionType.STALLED)
    current = condition is not None and condition.observed_generation == training.generation
    return current and _is_told(fold, before)


def _has_moved(facts: FoldFacts | None, before: FoldStatus | None) -> bool:
    if facts is None or before is None:
        return False
    return facts.epoch != before.epoch or local_copy.stated(facts.local_copy) != before.local_copy


def _has_failed(training: Training) -> bool:
    return training.status.holds(ConditionType.FAILED)
