"""Events: one for each transition, found by comparing the status before and after."""

from collections.abc import Iterator

from nnunet_api.fold_status import FoldStatus
from nnunet_api.local_copy import CopyState
from nnunet_api.policy.status import PolicyDecision
from nnunet_api.reasons import HELD_BY_POLICY, ConditionType, EventReason, FoldPhase, Reason
from nnunet_api.standard import planner_advice
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import Planning
from nnunet_api.words import counted
from nnunet_operator.core import early_stopping, slipped_in
from nnunet_operator.core.decision import Event

MESSAGE_LIMIT = 1000
"""Characters; the API server refuses Events with more than 1024."""

_OVER = (Reason.TRAINING_COMPLETE, Reason.SUSPENDED_BY_USER, *HELD_BY_POLICY)


def events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> tuple[Event, ...]:
    """Return what to announce: folds first, then the transitions of the conditions."""
    return (*_fold_events(before, after), *_condition_events(before, after))


def planner_events(before: NnunetTrainingStatus, planning: Planning) -> tuple[Event, ...]:
    """Return nnU-Net's advice on its old planner, when the training is first seen and never again."""
    advice = planner_advice(planning)
    if not advice or before.condition(ConditionType.STANDARD_SCHEDULE) is not None:
        return ()
    return (Event("Normal", EventReason.PLANNER_ADVICE.value, advice),)


def _condition_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    yield from _schedule_events(before, after)
    yield from policy_events(before, after)
    if (words := slipped_in.told(after)) and words != slipped_in.told(before):
        yield Event("Warning", EventReason.SLIPPED_IN.value, words[:MESSAGE_LIMIT])
    for type_ in (
        ConditionType.DATASET_READY,
        ConditionType.SUSPENDED,
        ConditionType.EPOCHS_PROVEN,
        ConditionType.COMPLETE,
    ):
        if _became_true(before, after, type_) and not (type_ is ConditionType.SUSPENDED and _is_held(after)):
            yield _event("Normal", after, type_)
    for type_ in (ConditionType.STALLED, ConditionType.DATA_STARVED, ConditionType.FAILED):
        if _became_true(before, after, type_):
            yield _event("Warning", after, type_)
    if _became_true(after, before, ConditionType.SUSPENDED):
        why = "the policies allow it again" if _is_held(before) else "spec.suspend is false again"
        yield Event("Normal", EventReason.RESUMED.value, f"{why}: what is not done goes on")
    yield from _progress_events(before, after)


def _schedule_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    """Tell how a training differs from the standard, and again where what was trained does. A choice is no warning."""
    old, new = (status.condition(ConditionType.STANDARD_SCHEDULE) for status in (before, after))
    if new is not None and new.status == "False" and (old is None or old.reason != new.reason):
        kind = "Normal" if new.reason == Reason.CHANGED_STANDARD else "Warning"
        yield _event(kind, after, ConditionType.STANDARD_SCHEDULE)


def policy_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> tuple[Event, ...]:
    """Return each decision of the policies once; that none is for the training goes without saying."""
    old, new = before.condition(ConditionType.POLICY_COMPLIANT), after.condition(ConditionType.POLICY_COMPLIANT)
    if new is None or (old is None and new.reason == Reason.NO_POLICY):
        return ()
    if old is None or old.reason != new.reason or not _decided_the_same(before, after):
        message = f"{new.reason}: {new.message}"[:MESSAGE_LIMIT]
        return (Event("Normal" if new.status == "True" else "Warning", EventReason.POLICY_DECISION.value, message),)
    return ()


def _decided_the_same(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> bool:
    old, new = (status.policy.decisions if status.policy else [] for status in (before, after))
    return len(old) == len(new) and all(map(PolicyDecision.says_the_same, old, new))


def _is_held(status: NnunetTrainingStatus) -> bool:
    """Say whether it is the policies that keep the training from running."""
    condition = status.condition(ConditionType.SUSPENDED)
    return condition is not None and condition.reason in HELD_BY_POLICY


def _progress_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    old, new = before.condition(ConditionType.PROGRESSING), after.condition(ConditionType.PROGRESSING)
    if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
        return
    failed = after.condition(ConditionType.FAILED)
    told = new.reason in _OVER or (failed is not None and failed.status == "True" and failed.reason == new.reason)
    if not told:  # the event of Complete, Suspended or Failed says it better
        yield _event("Normal" if new.status == "True" else "Warning", after, ConditionType.PROGRESSING)


def _became_true(before: NnunetTrainingStatus, after: NnunetTrainingStatus, type_: ConditionType) -> bool:
    old, new = before.condition(type_), after.condition(type_)
    return new is not None and new.status == "True" and (old is None or old.status != "True")


def _event(kind: str, status: NnunetTrainingStatus, type_: ConditionType) -> Event:
    condition = status.condition(type_)
    assert condition is not None
    message = condition.message[:MESSAGE_LIMIT]
    return Event("Warning" if kind == "Warning" else "Normal", condition.reason, message)


def _fold_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    known = {fold.key: fold for fold in before.folds}
    for fold in after.folds:
        old = known.get(fold.key) or FoldStatus.of(fold.key)
        yield from _events_of_fold(old, fold)
        suppressed = early_stopping.describe_suppressed(fold, after.min_epochs)
        if suppressed and not early_stopping.describe_suppressed(old, 0):
            yield Event("Normal", EventReason.EARLY_STOP_SUPPRESSED.value, suppressed)


def _events_of_fold(old: FoldStatus, new: FoldStatus) -> Iterator[Event]:
    if new.attempts > max(old.attempts, 1):
        text = f"fold {new.name}: attempt {new.attempts} goes on from epoch {new.checkpoint_epoch or 0}"
        yield Event("Normal", EventReason.FOLD_RESTARTED.value, f"{text} of {new.epochs_target}")
    elif new.phase == FoldPhase.RUNNING and old.phase != FoldPhase.RUNNING and old.attempts == 0:
        text = f"fold {new.name} trains for {counted(new.epochs_target, 'epoch')}"
        yield Event("Normal", EventReason.FOLD_STARTED.value, text)
    if new.passed_over and (new.passed_over != old.passed_over or new.attempts > old.attempts):
        which = "are damaged and were" if ", " in new.passed_over else "is damaged and was"
        text = f"fold {new.name}: {new.passed_over} {which} passed over; the newest checkpoint that loads is used"
        yield Event("Warning", EventReason.CHECKPOINT_PASSED_OVER.value, text)
    yield from _copy_events(old, new)
    if new.stall_restarts > old.stall_restarts:
        text = f"fold {new.name} stood still at epoch {new.epoch} and is restarted from its checkpoint"
        yield Event("Normal", EventReason.RESTARTED_AFTER_STALL.value, f"{text} (restart {new.stall_restarts})")
    if (plateau := early_stopping.describe(new)) and plateau != early_stopping.describe(old):
        yield Event("Normal", EventReason.PLATEAU_FOUND.value, plateau)
    if new.phase == FoldPhase.COMPLETED and old.phase != FoldPhase.COMPLETED:
        dice = new.mean_validation_dice
        scored = f", validation Dice {dice:.3f}" if dice is not None else ""
        early = f" of {new.epochs_target}, stopped early" if new.planned_end < new.epochs_target else ""
        text = f"fold {new.name} completed {counted(new.epoch, 'epoch')}{early}{scored}"
        yield Event("Normal", EventReason.FOLD_COMPLETED.value, text)


def _copy_events(old: FoldStatus, new: FoldStatus) -> Iterator[Event]:
    copy = new.local_copy
    if copy is None or (copy.state is (old.local_copy and old.local_copy.state) and new.attempts == old.attempts):
        return
    if copy.state is CopyState.SKIPPED and copy.words:
        text = f"fold {new.name} {copy.words}"[:MESSAGE_LIMIT]
        yield Event("Warning", EventReason.LOCAL_COPY_SKIPPED.value, text)
    if copy.state is CopyState.IN_USE:
        size = f"{(copy.total_bytes or 0) / 2**30:.1f} GiB"
        text = f"fold {new.name} reads its data from a copy on its node ({size}, copied in {copy.seconds or 0} s)"
        yield Event("Normal", EventReason.LOCAL_COPY_READY.value, text)
