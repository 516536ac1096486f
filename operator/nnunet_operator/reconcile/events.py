"""Events: one for each transition, found by comparing the status before and after."""

from collections.abc import Iterator

from nnunet_operator.api.reasons import ConditionType, EventReason, FoldPhase, Reason
from nnunet_operator.api.status import FoldStatus, NnunetTrainingStatus
from nnunet_operator.reconcile.model import Event

MESSAGE_LIMIT = 1000
"""Characters; the API server refuses Events with more than 1024."""

_OVER = frozenset({Reason.TRAINING_COMPLETE.value, Reason.SUSPENDED_BY_USER.value})


def events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> tuple[Event, ...]:
    """Return what to announce: folds first, then the transitions of the conditions."""
    return (*_fold_events(before, after), *_condition_events(before, after))


def _condition_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    yield from _schedule_events(before, after)
    for type_ in (ConditionType.DATASET_READY, ConditionType.SUSPENDED, ConditionType.COMPLETE):
        if _became_true(before, after, type_):
            yield _event("Normal", after, type_)
    if _became_true(before, after, ConditionType.FAILED):
        yield _event("Warning", after, ConditionType.FAILED)
    if _became_true(after, before, ConditionType.SUSPENDED):
        yield Event("Normal", EventReason.RESUMED.value, "spec.suspend is false again: what is not done goes on")
    yield from _progress_events(before, after)


def _schedule_events(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> Iterator[Event]:
    """Warn of a short schedule, once: it can't change."""
    new = after.condition(ConditionType.STANDARD_SCHEDULE)
    if new is not None and new.status == "False" and before.condition(ConditionType.STANDARD_SCHEDULE) is None:
        yield _event("Warning", after, ConditionType.STANDARD_SCHEDULE)


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
    known = {fold.fold: fold for fold in before.folds}
    for fold in after.folds:
        yield from _events_of_fold(known.get(fold.fold) or FoldStatus(fold=fold.fold), fold)


def _events_of_fold(old: FoldStatus, new: FoldStatus) -> Iterator[Event]:
    if new.attempts > max(old.attempts, 1):
        text = f"fold {new.fold}: attempt {new.attempts} goes on from epoch {new.checkpoint_epoch or 0}"
        yield Event("Normal", EventReason.FOLD_RESTARTED.value, f"{text} of {new.epochs_target}")
    elif new.phase == FoldPhase.RUNNING and old.phase != FoldPhase.RUNNING and old.attempts == 0:
        text = f"fold {new.fold} trains for {new.epochs_target} epochs"
        yield Event("Normal", EventReason.FOLD_STARTED.value, text)
    if new.phase == FoldPhase.COMPLETED and old.phase != FoldPhase.COMPLETED:
        dice = new.mean_validation_dice
        scored = f", validation Dice {dice:.3f}" if dice is not None else ""
        text = f"fold {new.fold} completed {new.epoch} epochs{scored}"
        yield Event("Normal", EventReason.FOLD_COMPLETED.value, text)
