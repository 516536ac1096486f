"""State of each fold: from its metrics, from its last words, or from what the status remembers."""

from typing import Any

from nnunet_operator.api.contract import FoldFacts
from nnunet_operator.api.reasons import FoldPhase
from nnunet_operator.api.status import FoldStatus
from nnunet_operator.progress.model import FoldSample
from nnunet_operator.reconcile.model import Training
from nnunet_operator.reconcile.observe import Observation, State
from nnunet_operator.reconcile.rounding import count, dice, number
from nnunet_operator.reconcile.stages import Survey

_PHASES = {
    State.STARTING: FoldPhase.STARTING,
    State.RUNNING: FoldPhase.RUNNING,
    State.FAILED: FoldPhase.FAILED,
}


def fold_statuses(training: Training, found: Survey, starting: frozenset[str], failed: bool) -> list[FoldStatus]:
    """Return the state of each fold of the spec, in its order.

    `starting` names the folds whose Job is created now. In a `failed` training a fold stays Failed when its
    Job vanishes.
    """
    remembered = {fold.fold: fold for fold in training.status.folds}
    evaluation = found.evaluate.report.evaluation if found.evaluate.report else None
    scores = evaluation.fold_dice if evaluation else {}
    target = training.spec.schedule.epochs
    statuses = []
    for observation in found.folds:
        name = observation.child.fold
        before = remembered.get(name) or FoldStatus(fold=name, epochs_target=target)
        done = name in found.done_folds
        phase = _phase(observation, before, done=done, starting=name in starting, failed=failed)
        status = _with_numbers(before, observation, phase)
        if status.mean_validation_dice is None and name in scores:  # the fold's own report was lost
            status = status.model_copy(update={"mean_validation_dice": dice(scores[name])})
        statuses.append(status)
    return statuses


def _phase(observation: Observation, before: FoldStatus, *, done: bool, starting: bool, failed: bool) -> FoldPhase:
    if done:
        return FoldPhase.COMPLETED
    if starting:
        return FoldPhase.STARTING
    if failed and before.phase == FoldPhase.FAILED and not observation.exists:
        return FoldPhase.FAILED
    return _PHASES.get(observation.state, FoldPhase.PENDING)


def _with_numbers(before: FoldStatus, observation: Observation, phase: FoldPhase) -> FoldStatus:
    changes: dict[str, Any] = {"phase": phase}
    facts = observation.report.fold if observation.report else None
    # An attempt that reports less attempts than the status knows is older than what the status knows.
    if facts and facts.fold == before.fold and (count(facts.attempts) or 0) >= before.attempts:
        changes.update(_facts(facts))
    if observation.sample:
        changes.update(_sample(observation.sample))
    if phase == FoldPhase.COMPLETED and "epoch" not in changes:
        changes["epoch"] = max(before.epoch, before.epochs_target)
    return before.model_copy(update=changes)


def _facts(facts: FoldFacts) -> dict[str, Any]:
    return _known(
        epoch=count(facts.epoch),
        epochs_target=count(facts.epochs_target),
        training_loss=number(facts.training_loss),
        validation_loss=number(facts.validation_loss),
        ema_pseudo_dice=dice(facts.ema_pseudo_dice),
        best_ema_pseudo_dice=dice(facts.best_ema_pseudo_dice),
        learning_rate=number(facts.learning_rate),
        checkpoint_epoch=count(facts.checkpoint_epoch),
        attempts=count(facts.attempts),
        lost_epochs=count(facts.lost_epochs),
        mean_validation_dice=dice(facts.mean_validation_dice),
    )


def _sample(sample: FoldSample) -> dict[str, Any]:
    return _known(
        epoch=count(sample.epoch),
        epochs_target=count(sample.epochs_target),
        training_loss=number(sample.training_loss),
        validation_loss=number(sample.validation_loss),
        ema_pseudo_dice=dice(sample.ema_pseudo_dice),
        best_ema_pseudo_dice=dice(sample.best_ema_pseudo_dice),
        learning_rate=number(sample.learning_rate),
        epoch_seconds=number(sample.epoch_seconds),
        checkpoint_epoch=count(sample.checkpoint_epoch),
        attempts=count(sample.attempts),
        lost_epochs=count(sample.lost_epochs),
    )


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
