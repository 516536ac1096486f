"""State of each fold: from its trainer's facts, served or as last words, or from what the status remembers."""

from collections.abc import Iterator
from typing import Any

from nnunet_api.contract import FoldEvidence
from nnunet_api.facts import FoldFacts, FoldNumbers
from nnunet_api.fold_key import FoldKey
from nnunet_api.fold_status import FoldStatus
from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import FoldPhase
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core import early_stopping, local_copy, usage
from nnunet_operator.core.data_feed import with_feed
from nnunet_operator.core.observation import Observation, State
from nnunet_operator.core.rounding import count, dice, number, text
from nnunet_operator.core.stages import Stages
from nnunet_operator.core.stall import with_stall
from nnunet_operator.core.training import Training

_PHASES = {
    State.STARTING: FoldPhase.STARTING,
    State.RUNNING: FoldPhase.RUNNING,
    State.FAILED: FoldPhase.FAILED,
}
_NUMBERS = ("epoch", "epochs_target", *FoldNumbers.model_fields)
"""Fields that a fold's status takes over from its trainer's facts under the same name."""


def fold_statuses(
    training: Training, found: Stages, starting: frozenset[FoldKey | None], failed: bool
) -> list[FoldStatus]:
    """Return the state of each fold of the spec, in its order.

    `starting` are the folds whose Job is created now. In a `failed` training a fold stays Failed when its
    Job vanishes.
    """
    remembered: dict[FoldKey, FoldStatus] = {fold.key: fold for fold in training.status.folds}
    scores = found.evaluation.fold_dice if found.evaluation else {}
    proofs = {proof.fold: proof for proof in found.evidence.folds} if found.evidence else {}
    spec = training.spec
    statuses = []
    for observation in found.folds:
        key = observation.child.fold
        assert key is not None, observation
        before = remembered.get(key) or FoldStatus.of(key, epochs_target=spec.schedule.epochs)
        done = observation.child in found.done
        phase = _phase(observation, before, done=done, starting=key in starting, failed=failed)
        status = _with_numbers(before, observation, phase, spec)
        if status.mean_validation_dice is None and key.name in scores:  # the fold's own report was lost
            status = status.model_copy(update={"mean_validation_dice": dice(scores[key.name])})
        status = with_feed(before, with_stall(training, observation, before, status))
        statuses.append(status.model_copy(update=_proven(proofs.get(key.name), status, done)))
    return statuses


def _phase(observation: Observation, before: FoldStatus, *, done: bool, starting: bool, failed: bool) -> FoldPhase:
    if done:
        return FoldPhase.COMPLETED
    if starting and observation.trouble is None:  # else the API server has refused its Job, and may do so again
        return FoldPhase.STARTING
    if failed and before.phase == FoldPhase.FAILED and not observation.exists:
        return FoldPhase.FAILED
    return _PHASES.get(observation.state, FoldPhase.PENDING)


_PROVEN = ("proven_epochs", "checkpoint_hash", "proven_iterations", "proven_learning_rate", "network_weights")
"""What the status of a fold keeps of its final checkpoint."""


def _proven(proof: FoldEvidence | None, status: FoldStatus, done: bool) -> dict[str, Any]:
    """Return what the final checkpoint proves. It counts for more than what the trainer said, or could not say."""
    if not done:
        return dict.fromkeys(_PROVEN)
    if proof is None:
        return {}
    verdict, told = early_stopping.stated(proof.early_stopping), status.early_stopping
    if verdict and told and (verdict.epoch, verdict.end_epoch) == (told.epoch, told.end_epoch):
        verdict = told  # the same, perhaps in more words
    return _known(
        epoch=count(proof.epochs),
        early_stopping=verdict,
        proven_epochs=count(proof.epochs),
        checkpoint_hash=text(proof.checkpoint_hash),
        proven_iterations=count(proof.iterations_per_epoch),
        proven_learning_rate=proof.highest_learning_rate,
        network_weights=count(proof.network_weights),
    )


def _with_numbers(
    before: FoldStatus, observation: Observation, phase: FoldPhase, spec: NnunetTrainingSpec
) -> FoldStatus:
    changes: dict[str, Any] = {"phase": phase}
    for facts in _told(before, observation):
        changes.update(_taken_over(before, facts, spec.resources.gpus))
    status = before.model_copy(update=changes)
    if status.local_copy and status.local_copy.state is CopyState.COPYING and phase != FoldPhase.RUNNING:
        status = status.model_copy(update={"local_copy": None})  # it goes with its pod
    if phase == FoldPhase.COMPLETED and "epoch" not in changes:  # its report was lost
        return status.model_copy(update={"epoch": max(before.epoch, _end(status, spec))})
    return status


def _end(fold: FoldStatus, spec: NnunetTrainingSpec) -> int:
    """Return the epochs that a completed fold must have; 0 where it may have been stopped at any."""
    stopping = fold.early_stopping
    open_ended = spec.early_stopping.can_end_early and (stopping is None or stopping.end_epoch is None)
    return 0 if open_ended else fold.planned_end


def _passed_over(before: FoldStatus, attempts: int | None, named: str | None) -> str | None:
    """Return the damaged checkpoints of the present attempt: those of the one before are of no interest any more."""
    return text(named) or (before.passed_over if (attempts or 0) <= before.attempts else None)


def _told(before: FoldStatus, observation: Observation) -> Iterator[FoldFacts]:
    """Yield what the trainers said: the attempt that ended last, then the one that runs."""
    facts = observation.report.fold if observation.report else None
    # An attempt that reports less attempts than the status knows is older than what the status knows.
    if facts and facts.fold == before.name and (count(facts.attempts) or 0) >= before.attempts:
        yield facts
    if observation.live:
        yield observation.live


def _taken_over(before: FoldStatus, facts: FoldFacts, gpus: int) -> dict[str, Any]:
    """Return the changes to a fold's status: numbers by their name, and what is not a mere number."""
    changes = _known(
        **{name: _fit(getattr(facts, name)) for name in _NUMBERS},
        early_stopping=early_stopping.stated(facts.early_stopping),
    )
    changes["local_copy"] = local_copy.stated(facts.local_copy)
    changes["passed_over"] = _passed_over(before, facts.attempts, facts.passed_over)
    if facts.nonfinite_loss_epochs is not None:
        changes["nonfinite_loss_epochs"] = count(facts.nonfinite_loss_epochs) or None
        if changes["nonfinite_loss_epochs"]:  # the last good loss would look like the present one
            changes["training_loss"] = None
    return changes | usage.of_fold(before, gpus, facts.held_seconds, facts.lost_seconds)


def _fit(value: float | None) -> float | None:
    """Return a number fit for the status; None where it means nothing."""
    return count(value) if isinstance(value, int) else number(value)


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
