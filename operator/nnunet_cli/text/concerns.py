"""What is wrong with folds that train, although their training goes on. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import FoldPhase, Reason
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.words import counted
from nnunet_cli.text.words import listed

EARLY_STOP_BELOW_POLICY = "EarlyStopBelowPolicy"
"""A word of this program's own: no condition has it, for the training has not ended yet."""
_EPOCHS = 2
"""Epochs without a loss that are told, as by the alert: a single one mixed precision mends by itself."""


@dataclass(frozen=True)
class Concern:
    """Something about the folds that train."""

    reason: str
    words: str
    """What it is in which folds, without an end."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.words}"


def concerns(status: NnunetTrainingStatus) -> list[Concern]:
    """Return what is wrong with the folds that train now, the worst first."""
    return [*_not_finite(status), *_below_policy(status)]


def _running(status: NnunetTrainingStatus) -> list[FoldStatus]:
    return [fold for fold in status.folds if fold.phase == FoldPhase.RUNNING]


def _not_finite(status: NnunetTrainingStatus) -> Iterator[Concern]:
    counts = [(fold.name, fold.nonfinite_loss_epochs or 0) for fold in _running(status)]
    folds = [f"fold {fold} for the last {counted(count, 'epoch')}" for fold, count in counts if count >= _EPOCHS]
    if folds:
        yield Concern(Reason.LOSS_NOT_FINITE, f"the training loss is NaN or infinite in {listed(folds)}")


def _below_policy(status: NnunetTrainingStatus) -> Iterator[Concern]:
    least = status.min_epochs
    short = [fold for fold in _running(status) if 0 < fold.planned_end < least]
    if short:
        words = listed([f"fold {fold.name} ends at epoch {fold.planned_end}" for fold in short])
        yield Concern(EARLY_STOP_BELOW_POLICY, f"{words}, and the policies ask for at least {least}")
