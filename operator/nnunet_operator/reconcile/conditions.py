"""The seven conditions, and how they are merged with those that were written before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nnunet_operator.api.reasons import ConditionType, Reason
from nnunet_operator.api.status import Condition, Provenance, Results
from nnunet_operator.reconcile import schedule
from nnunet_operator.reconcile.blocked import Trouble
from nnunet_operator.reconcile.headline import Headline, of_running, of_stopping
from nnunet_operator.reconcile.model import Training
from nnunet_operator.reconcile.observe import Child
from nnunet_operator.reconcile.stages import Survey


class Mode(StrEnum):
    """What is to become of the training as a whole."""

    RUN = "run"
    SUSPEND = "suspend"
    FAIL = "fail"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Situation:
    """All that the conditions are computed from."""

    training: Training
    found: Survey
    mode: Mode
    failure: Trouble | None
    creating: frozenset[Child]
    provenance: Provenance | None
    results: Results | None
    now: datetime


def conditions(situation: Situation) -> list[Condition]:
    """Return the full list of conditions, in a fixed order."""
    headline = _headline(situation)
    wanted = [
        _condition(ConditionType.STANDARD_SCHEDULE, *schedule.judge(situation.training.spec.schedule)),
        _suspended(situation, headline),
        _dataset_ready(situation),
        _condition(ConditionType.PROGRESSING, headline.progressing, headline.reason, headline.message),
        _evaluated(situation),
        _complete(situation),
        _failed(situation),
    ]
    return merge(situation.training.status.conditions, wanted, situation.training.generation, situation.now)


def merge(before: Sequence[Condition], wanted: Sequence[Condition], generation: int, now: datetime) -> list[Condition]:
    """Return `wanted` for this generation; lastTransitionTime moves only where the status changed."""
    known = {condition.type: condition for condition in before}
    merged = []
    for condition in wanted:
        old = known.get(condition.type)
        since = old.last_transition_time if old and old.status == condition.status else now
        changes = {"last_transition_time": since, "observed_generation": generation}
        merged.append(condition.model_copy(update=changes))
    return merged


def _condition(type_: ConditionType, holds: bool, reason: Reason, message: str) -> Condition:
    return Condition(
        type=type_.value,
        status="True" if holds else "False",
        reason=reason.value,
        message=message,
        last_transition_time=datetime.min,  # merge() sets it
    )


def _headline(situation: Situation) -> Headline:
    mode, found = situation.mode, situation.found
    if mode is Mode.COMPLETE:
        return Headline(False, Reason.TRAINING_COMPLETE, "all stages are done")
    if mode is Mode.SUSPEND:
        # Failed Jobs have to go, too: whoever resumes at the word Suspended must not meet an old failure.
        after = Headline(False, Reason.SUSPENDED_BY_USER, "nothing runs because spec.suspend is true")
        return of_stopping(found.unfinished, "spec.suspend is true") or after
    if mode is Mode.FAIL and situation.failure:
        after = Headline(False, situation.failure.reason, "nothing runs because the training has failed")
        return of_stopping((o for o in found.unfinished if not o.ended), "the training has failed") or after
    return of_running(found, situation.creating, situation.training.spec.max_parallel_folds)


def _suspended(situation: Situation, headline: Headline) -> Condition:
    type_ = ConditionType.SUSPENDED
    if situation.mode is not Mode.SUSPEND:
        return _condition(type_, False, Reason.NOT_SUSPENDED, "spec.suspend is false")
    if headline.progressing:
        return _condition(type_, False, Reason.STOPPING, "pods stop after their last finished epoch")
    message = "no pod runs and no GPU is held; set spec.suspend to false to go on from the last checkpoint"
    return _condition(type_, True, Reason.SUSPENDED_BY_USER, message)


def _dataset_ready(situation: Situation) -> Condition:
    type_ = ConditionType.DATASET_READY
    dataset = situation.training.spec.dataset.name
    if not situation.found.planned:
        return _condition(type_, False, Reason.NOT_YET_PLANNED, f"{dataset} is not planned and preprocessed yet")
    provenance = situation.provenance
    message = f"{dataset} is planned and preprocessed"
    if provenance and provenance.preprocessed_path:
        claim = situation.training.spec.storage.preprocessed.claim_name
        message += f" in {provenance.preprocessed_path} on claim {claim}"
        message += ", shared with a training before" if provenance.preprocessing_reused else ""
    return _condition(type_, True, Reason.PREPROCESSED, message)


def _evaluated(situation: Situation) -> Condition:
    type_ = ConditionType.EVALUATED
    if situation.mode is not Mode.COMPLETE:
        return _condition(type_, False, Reason.NOT_YET_EVALUATED, "the evaluation has not ended")
    if situation.training.spec.test_set:
        return _condition(type_, True, Reason.TEST_SET_SCORED, score(situation.results))
    return _condition(type_, True, Reason.CROSS_VALIDATION_SCORED, score(situation.results))


def _complete(situation: Situation) -> Condition:
    type_ = ConditionType.COMPLETE
    if situation.mode is not Mode.COMPLETE:
        return _condition(type_, False, Reason.NOT_COMPLETE, "see Progressing for what is going on")
    folds = situation.training.spec.fold_names
    trained = f"folds {', '.join(folds)} are" if len(folds) > 1 else f"fold {folds[0]} is"
    message = f"{trained} trained and evaluated: {score(situation.results)}"
    return _condition(type_, True, Reason.TRAINING_COMPLETE, message)


def _failed(situation: Situation) -> Condition:
    type_ = ConditionType.FAILED
    if situation.mode is Mode.FAIL and situation.failure:
        return _condition(type_, True, situation.failure.reason, situation.failure.message)
    return _condition(type_, False, Reason.NOT_FAILED, "")


def score(results: Results | None) -> str:
    """Return the Dice in words."""
    test = results.test_dice if results else None
    parts = []
    if test and test.mean is not None:
        cases = f" over {test.cases} cases" if test.cases else ""
        parts.append(f"test Dice {test.mean:.3f}{cases}")
    if results and results.mean_validation_dice is not None:
        parts.append(f"cross-validation Dice {results.mean_validation_dice:.3f}")
    return ", ".join(parts) or "the scores are in summary.json in the run folder"
