"""Whether what the checkpoints prove is what the training asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nnunet_api.contract import EvidenceFacts, FoldEvidence
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.fold_key import FoldKey
from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.schedule import Schedule, short_of_iterations
from nnunet_api.training import NnunetTrainingSpec
from nnunet_api.words import counted
from nnunet_operator.core.observation import Trouble

UNPROVEN = (Reason.EPOCHS_NOT_REACHED, Reason.POLICY_EPOCHS_NOT_PROVEN)
"""Reasons for which the epochs of a training count as not proven."""


def missing_proof(
    spec: NnunetTrainingSpec, evidence: EvidenceFacts | None, min_epochs: int = 0, left_out: Sequence[str] = ()
) -> Trouble | None:
    """Return why the evidence does not prove the training, or None where it does.

    `min_epochs` are those that policies ask for, whatever the spec says; `left_out` are configurations that are not
    trained.
    """
    if evidence is None:
        return _trouble("the verification left no evidence", min_epochs > 0, Case.NO_EVIDENCE)
    found = _by_run(evidence)
    short = [
        f"{key.subject} proves {_proven(found.get(key.name))} of {counted(spec.schedule.epochs, 'epoch')}"
        f"{_told_few(spec, found.get(key.name), min_epochs)}"
        for key in spec.fold_keys_without(left_out)
        if not _agrees(spec, found.get(key.name), min_epochs)
    ]
    if not short:
        return None
    below = _below(spec, evidence, min_epochs, left_out)
    return _trouble(f"{'; '.join(short)}{_asked(min_epochs, below)}", below)


def not_believed(doubt: str, min_epochs: int) -> Trouble:
    """Return the trouble of a verification whose report may be another's than the operator's own container's."""
    return _trouble(f"the verification's report is not believed: {doubt}", min_epochs > 0, Case.NO_EVIDENCE)


def of_policy(
    spec: NnunetTrainingSpec,
    trouble: Trouble,
    evidence: EvidenceFacts | None,
    min_epochs: int,
    left_out: Sequence[str] = (),
) -> Trouble:
    """Return the trouble of a verification that found too few epochs, by the name of the policies where they ask."""
    if trouble.reason is not Reason.EPOCHS_NOT_REACHED or not _below(spec, evidence, min_epochs, left_out):
        return trouble
    return replace(trouble, reason=Reason.POLICY_EPOCHS_NOT_PROVEN)


def no_longer_enough(schedule: Schedule, folds: Sequence[FoldStatus], min_epochs: int) -> Trouble | None:
    """Return why epochs that were proven are not what the policies ask for by now, or None where they are."""
    short = []
    for fold in folds:
        few = _few(schedule, fold.proven_iterations, min_epochs)
        if fold.proven_epochs is not None and (few or fold.proven_epochs < min_epochs):
            told = f" ({few})" if few else ""
            short.append(f"fold {fold.name} proves {counted(fold.proven_epochs, 'epoch')}{told}")
    if not short:
        return None
    return _trouble(f"{'; '.join(short)}{_asked(min_epochs, below=True)}", True, Case.POLICY_RAISED)


def ended_too_early(
    spec: NnunetTrainingSpec, key: FoldKey, facts: FoldFacts | None, min_epochs: int = 0
) -> Trouble | None:
    """Return the trouble of a fold whose trainer says that it is done, and of fewer epochs than were asked for.

    Only a first look at what the trainer itself says; the proof is in the checkpoint.
    """
    if facts is None or facts.fold != key.name:
        return None
    below = facts.epoch < min_epochs
    if not below and _reached(spec, facts.epoch, facts.early_stopping):
        return None
    done = f"{facts.epoch} of {counted(spec.schedule.epochs, 'epoch')}{_asked(min_epochs, below)}"
    return _trouble(f"{key.subject} ended with exit code 0 after {done}", below)


def _by_run(evidence: EvidenceFacts | None) -> Mapping[str, FoldEvidence]:
    return {fold.fold: fold for fold in evidence.folds} if evidence else {}


def _below(spec: NnunetTrainingSpec, evidence: EvidenceFacts | None, min_epochs: int, left_out: Sequence[str]) -> bool:
    """Say whether fewer epochs are proven of any fold than the policies ask for."""
    found = _by_run(evidence)
    return any(_epochs(spec, found.get(key.name)) < min_epochs for key in spec.fold_keys_without(left_out))


def _trouble(matter: str, of_policy: bool, case: str = "") -> Trouble:
    return Trouble(Reason.POLICY_EPOCHS_NOT_PROVEN if of_policy else Reason.EPOCHS_NOT_REACHED, matter, case)


def _asked(min_epochs: int, below: bool) -> str:
    return f" (policy asks for at least {min_epochs})" if below else ""


def _proven(fold: FoldEvidence | None) -> str:
    return str(fold.epochs) if fold else "none"


def _epochs(spec: NnunetTrainingSpec, fold: FoldEvidence | None) -> int:
    """Return the epochs that are proven as policies count them: of fewer iterations than asked for, none is one."""
    few = fold and short_of_iterations(fold.iterations_per_epoch, spec.schedule)
    return fold.epochs if fold and fold.checkpoint_hash and not few else 0


def _few(schedule: Schedule, iterations: int | None, min_epochs: int) -> str:
    """Return that an epoch had too few iterations, where policies ask for epochs.

    Without one it fails nothing: images of before that rule let trainer classes set iterations of their own. It is told
    of by StandardSchedule.
    """
    return short_of_iterations(iterations, schedule) if min_epochs else ""


def _told_few(spec: NnunetTrainingSpec, fold: FoldEvidence | None, min_epochs: int) -> str:
    few = _few(spec.schedule, fold.iterations_per_epoch, min_epochs) if fold else ""
    return f" ({few})" if few else ""


def _agrees(spec: NnunetTrainingSpec, fold: FoldEvidence | None, min_epochs: int) -> bool:
    if fold is None or not fold.checkpoint_hash or _told_few(spec, fold, min_epochs):
        return False
    if fold.epochs < min_epochs:
        return False
    if fold.early_stopping is None and fold.is_abridged:
        # The verification has held the verdict against the epochs, or else it would not have ended with success.
        return _least(spec) <= fold.epochs <= spec.schedule.epochs
    return _reached(spec, fold.epochs, fold.early_stopping)


def _reached(spec: NnunetTrainingSpec, epochs: int, verdict: EarlyStopFacts | None) -> bool:
    """Say whether so many epochs are what the spec asks for: all of them, or as many as its rule left."""
    if epochs == spec.schedule.epochs:
        return True
    rule = spec.early_stopping
    if not rule.can_end_early or verdict is None:
        return False
    fired, end = verdict.epoch, verdict.end_epoch
    return fired is not None and fired >= rule.min_epochs and end == epochs == rule.end_of(fired, spec.schedule.epochs)


def _least(spec: NnunetTrainingSpec) -> int:
    """Return the fewest epochs that the spec can be content with."""
    rule, epochs = spec.early_stopping, spec.schedule.epochs
    return rule.end_of(rule.min_epochs, epochs) if rule.can_end_early else epochs
