"""The conditions, and how they are merged with those that were written before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from nnunet_api.conditions import Condition, merge, state_condition
from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import told
from nnunet_api.remedies.table import advice
from nnunet_api.results import Results, Spread
from nnunet_api.standard import Asked, Trained, judge_training
from nnunet_api.status import MAX_MATTER, Problem, Provenance
from nnunet_api.words import counted
from nnunet_operator.core import data_feed, early_stopping, stall
from nnunet_operator.core.evidence import UNPROVEN
from nnunet_operator.core.headline import Headline, of_running, of_stopping
from nnunet_operator.core.observation import Child, Trouble
from nnunet_operator.core.policy import Finding
from nnunet_operator.core.stages import Stages
from nnunet_operator.core.training import Training

_SUSPENDED = Trouble(Reason.SUSPENDED_BY_USER, "no pod runs and no GPU is held")


class Mode(StrEnum):
    """What is to become of the training as a whole."""

    RUN = "run"
    SUSPEND = "suspend"
    HOLD = "hold"
    """The policies do not allow it: as with SUSPEND, nothing runs and nothing is lost."""
    FAIL = "fail"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Situation:
    """All that the conditions are computed from."""

    training: Training
    found: Stages
    policy: Finding
    folds: list[FoldStatus]
    mode: Mode
    failure: Trouble | None
    creating: frozenset[Child]
    held_back: frozenset[Child]
    """Children whose Job was lost, and for which the next one is made after a pause."""
    provenance: Provenance | None
    results: Results | None
    now: datetime


def conditions(situation: Situation) -> list[Condition]:
    """Return the full list of conditions, in a fixed order."""
    headline = _headline(situation)
    spec = situation.training.spec
    wanted = [
        state_condition(ConditionType.STANDARD_SCHEDULE, *judge_training(Asked.by(spec), _trained(situation.folds))),
        _policy_compliant(situation),
        _suspended(situation, headline),
        _dataset_ready(situation),
        state_condition(
            ConditionType.PROGRESSING, headline.progressing, headline.reason, _message(situation, headline)
        ),
        _stalled(situation),
        _data_starved(situation),
        state_condition(ConditionType.EARLY_STOPPED, *early_stopping.judge(spec.early_stopping, situation.folds)),
        _epochs_proven(situation),
        _evaluated(situation),
        _complete(situation),
        _failed(situation),
    ]
    return merge(situation.training.status.conditions, wanted, situation.training.generation, situation.now)


def _trained(folds: Sequence[FoldStatus]) -> Trained:
    """Return what the final checkpoints say was trained."""
    return Trained(
        [fold.proven_iterations for fold in folds if fold.proven_iterations is not None],
        [fold.proven_learning_rate for fold in folds if fold.proven_learning_rate is not None],
    )


def problem(situation: Situation) -> Problem | None:
    """Return what stands in the way, in parts; the condition of its reason says it with what to do."""
    trouble = _leading(situation)
    if trouble is None:
        return None
    matter = trouble.matter if len(trouble.matter) <= MAX_MATTER else f"{trouble.matter[: MAX_MATTER - 4]} ..."
    return Problem(reason=trouble.reason, matter=matter, case=trouble.case)


def _leading(situation: Situation) -> Trouble | None:
    """Return what stands in the way, in the words of the condition that says most."""
    headline = _headline(situation)
    if situation.mode is Mode.FAIL:
        return situation.failure
    if situation.mode is Mode.HOLD and not headline.progressing:
        return _hold(situation)
    if situation.mode is Mode.SUSPEND and not headline.progressing:
        return _SUSPENDED
    if headline.troubles and not headline.progressing:
        return replace(headline.troubles[0], matter=headline.matter)
    return _beside_progress(situation)


def _beside_progress(situation: Situation) -> Trouble | None:
    """Return what is wrong with folds that run, the worst first."""
    training, folds = situation.training, situation.folds
    return stall.found(training, folds) or data_feed.found(training, folds)


def _message(situation: Situation, headline: Headline) -> str:
    """Return the message of Progressing, the one that `kubectl get nnt -o wide` shows: with what stands in the way,
    whatever condition is there for it."""
    beside: Trouble | None = None
    if situation.mode is Mode.FAIL:
        beside = situation.failure
    elif situation.mode is Mode.RUN and headline.progressing:
        beside = _beside_progress(situation)
    if beside is None:
        return _told(situation, headline.matter, *headline.troubles)
    return _told(situation, f"{headline.matter}; {beside.matter}", *headline.troubles, beside)


def _hold(situation: Situation) -> Trouble:
    return Trouble(situation.policy.reason, situation.policy.matter, situation.policy.case)


def _told(situation: Situation, matter: str, *troubles: Trouble) -> str:
    """Return a message: what is the matter, and what is to do about these troubles."""
    training = situation.training
    return told(matter, *(advice(t.reason, t.case, training.name, training.namespace) for t in troubles))


def _headline(situation: Situation) -> Headline:
    mode, found = situation.mode, situation.found
    if mode is Mode.COMPLETE:
        return Headline(False, Reason.TRAINING_COMPLETE, "all stages are done")
    if mode is Mode.SUSPEND:
        # Failed Jobs have to go, too: whoever resumes at the word Suspended must not meet an old failure.
        after = Headline(False, Reason.SUSPENDED_BY_USER, "nothing runs because spec.suspend is true")
        return of_stopping(found.unfinished, "spec.suspend is true") or after
    if mode is Mode.HOLD:
        after = Headline(
            False, situation.policy.reason, f"nothing runs: {situation.policy.matter}", (_hold(situation),)
        )
        return of_stopping(found.unfinished, "the policies do not allow it any more") or after
    if mode is Mode.FAIL and situation.failure:
        after = Headline(False, situation.failure.reason, "nothing runs because the training has failed")
        return of_stopping((o for o in found.unfinished if not o.ended), "the training has failed") or after
    return of_running(found, situation.creating, situation.held_back, situation.training.spec.max_parallel_folds)


def _suspended(situation: Situation, headline: Headline) -> Condition:
    type_ = ConditionType.SUSPENDED
    if situation.mode not in (Mode.SUSPEND, Mode.HOLD):
        return state_condition(type_, False, Reason.NOT_SUSPENDED, why_not_suspended(situation.training))
    if headline.progressing:
        return state_condition(type_, False, Reason.STOPPING, "pods stop after their last finished epoch")
    if situation.mode is Mode.HOLD:
        trouble = _hold(situation)
        return state_condition(type_, True, trouble.reason, _told(situation, trouble.matter, trouble))
    message = _told(situation, _SUSPENDED.matter, _SUSPENDED)
    return state_condition(type_, True, _SUSPENDED.reason, message)


def why_not_suspended(training: Training) -> str:
    """Return the message of condition Suspended of a training that is not."""
    return "it has ended: there is nothing to suspend" if training.spec.suspend else "spec.suspend is false"


def _policy_compliant(situation: Situation) -> Condition:
    policy = situation.policy
    message = policy.matter if policy.compliant else _told(situation, policy.matter, _hold(situation))
    return state_condition(ConditionType.POLICY_COMPLIANT, policy.compliant, policy.reason, message)


def _stalled(situation: Situation) -> Condition:
    trouble = stall.found(situation.training, situation.folds)
    return _of_trouble(situation, ConditionType.STALLED, trouble, Reason.NOT_STALLED)


def _data_starved(situation: Situation) -> Condition:
    trouble = data_feed.found(situation.training, situation.folds)
    return _of_trouble(situation, ConditionType.DATA_STARVED, trouble, Reason.NOT_DATA_STARVED)


def _of_trouble(situation: Situation, type_: ConditionType, trouble: Trouble | None, otherwise: Reason) -> Condition:
    """Return a condition that is True with a trouble, and says what to do about it."""
    if trouble is None:
        return state_condition(type_, False, otherwise, "")
    return state_condition(type_, True, trouble.reason, _told(situation, trouble.matter, trouble))


def _dataset_ready(situation: Situation) -> Condition:
    type_ = ConditionType.DATASET_READY
    dataset = situation.training.spec.dataset.name
    if not situation.found.planned and situation.mode is Mode.FAIL and situation.failure:
        # Nothing else can have failed before the planning has ended.
        return state_condition(type_, False, situation.failure.reason, situation.failure.matter)
    if not situation.found.planned:
        return state_condition(type_, False, Reason.NOT_YET_PLANNED, f"{dataset} is not planned and preprocessed yet")
    provenance = situation.provenance
    message = f"{dataset} is planned and preprocessed"
    if provenance and provenance.preprocessed_path:
        claim = situation.training.spec.storage.preprocessed.claim_name
        message += f" in {provenance.preprocessed_path} on claim {claim}"
        message += ", shared with a training before" if provenance.preprocessing_reused else ""
    if left_out := situation.found.left_out:
        message += f". Not planned by nnU-Net for it, and left out: {', '.join(left_out)}"
    if provenance and provenance.dataset_notes:
        message += f". What is odd in it: {provenance.dataset_notes}"
    return state_condition(type_, True, Reason.PREPROCESSED, message)


def _epochs_proven(situation: Situation) -> Condition:
    type_ = ConditionType.EPOCHS_PROVEN
    failure = situation.failure
    if situation.found.verified:
        proven = ", ".join(f"fold {f.name}: {f.proven_epochs}" for f in situation.folds if f.proven_epochs is not None)
        message = f"the final checkpoints prove the epochs ({proven})" if proven else "the final checkpoints prove them"
        return state_condition(type_, True, Reason.CHECKPOINTS_VERIFIED, message)
    if failure and failure.reason in UNPROVEN and situation.mode is Mode.FAIL:
        return state_condition(type_, False, failure.reason, failure.matter)
    return state_condition(type_, False, Reason.NOT_YET_VERIFIED, "the final checkpoints are not verified yet")


def _evaluated(situation: Situation) -> Condition:
    type_ = ConditionType.EVALUATED
    if situation.mode is not Mode.COMPLETE:
        return state_condition(type_, False, Reason.NOT_YET_EVALUATED, "the evaluation has not ended")
    if situation.training.spec.test_set:
        return state_condition(type_, True, Reason.TEST_SET_SCORED, score(situation.results))
    return state_condition(type_, True, Reason.CROSS_VALIDATION_SCORED, score(situation.results))


def _complete(situation: Situation) -> Condition:
    type_ = ConditionType.COMPLETE
    if situation.mode is not Mode.COMPLETE:
        return state_condition(type_, False, Reason.NOT_COMPLETE, "see Progressing for what is going on")
    folds = situation.training.spec.fold_names
    names = situation.training.spec.configuration_names
    each = [one for one in names if one not in situation.found.left_out]
    of = f" of {', '.join(each)}" if len(names) > 1 else ""
    several = len(folds) > 1 or len(each) > 1
    trained = f"{'folds' if len(folds) > 1 else 'fold'} {', '.join(folds)}{of} {'are' if several else 'is'}"
    replicates = situation.training.spec.replicates
    times = f" in {replicates} replicates" if replicates > 1 else ""
    message = f"{trained} trained{times} and evaluated: {score(situation.results)}"
    return state_condition(type_, True, Reason.TRAINING_COMPLETE, message)


def _failed(situation: Situation) -> Condition:
    type_ = ConditionType.FAILED
    if situation.mode is Mode.FAIL and situation.failure:
        message = _told(situation, situation.failure.matter, situation.failure)
        return state_condition(type_, True, situation.failure.reason, message)
    return state_condition(type_, False, Reason.NOT_FAILED, "")


def score(results: Results | None) -> str:
    """Return the Dice in words, behind what was chosen by it."""
    test = results.test_dice if results else None
    spread = (results.spread if results else None) or Spread()
    parts = []
    if test and test.mean is not None:
        cases = f" over {counted(test.cases, 'case')}" if test.cases else ""
        parts.append(f"test Dice {test.mean:.3f}{_plus_minus(spread.test_dice)}{cases}")
    if results and results.mean_validation_dice is not None:
        parts.append(f"cross-validation Dice {results.mean_validation_dice:.3f}{_plus_minus(spread.validation_dice)}")
    each = [
        f"{one.configuration} {one.mean_validation_dice:.3f}{_plus_minus(one.spread)}"
        for one in (results.configurations if results else None) or ()
        if one.mean_validation_dice is not None
    ]
    if each:
        parts.append(f"cross-validation Dice of {', '.join(each)}")
    scores = ", ".join(parts) or "the scores are in summary.json in the run folder"
    return f"{results.selection.told()}; {scores}" if results and results.selection else scores


def _plus_minus(deviation: float | None) -> str:
    return f" ± {deviation:.3f}" if deviation is not None else ""
