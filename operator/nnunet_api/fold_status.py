"""What the status says of one fold run. Its mere numbers are `FoldNumbers`, as the trainer names them."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from nnunet_api.base import StatusModel
from nnunet_api.facts import FoldNumbers
from nnunet_api.fold_key import FoldKey
from nnunet_api.local_copy import FoldCopy, known_state
from nnunet_api.reasons import EarlyStoppingState, FoldPhase


def _known_fold_phase(value: Any) -> Any:
    """Read a word of another version as Pending: it is computed anew at the next look."""
    return value if value in list(FoldPhase) else FoldPhase.PENDING


def _known_state(value: Any) -> Any:
    """Read a word of another version as Watching, for the same reason."""
    return value if value in list(EarlyStoppingState) else EarlyStoppingState.WATCHING


class FoldEarlyStopping(StatusModel):
    """What the early-stopping rule came to in one fold."""

    state: Annotated[EarlyStoppingState, BeforeValidator(_known_state)] = EarlyStoppingState.WATCHING
    """Disabled, Watching, Observed (it fired and only that is recorded), Annealing or Stopped."""
    epoch: int | None = None
    """Finished epochs at which the rule fired."""
    end_epoch: int | None = None
    """Finished epochs at which the training ends, or ended, because of it."""
    ema_gain: float | None = None
    """Observed: how much the EMA of the pseudo-Dice still gained until the end of the schedule."""
    epochs_saved: int | None = None
    """Epochs of the schedule that are not trained because of the rule; Observed: that would not have been."""
    suppressed_epoch: int | None = None
    """Finished epochs at which the rule would have acted, had a policy not asked for more."""


class _FoldStanding(StatusModel):
    """Which fold run it is and how far: a base of its own, so that these fields come before the numbers."""

    configuration: str | None = None
    """nnU-Net's name of the configuration."""
    fold: str
    """nnU-Net's name of the fold, 0 to 49 or all."""
    replicate: int | None = None
    """1 = first; absent where everything is trained once."""
    phase: Annotated[FoldPhase, BeforeValidator(_known_fold_phase)] = FoldPhase.PENDING
    """Pending, Starting, Running, Completed or Failed."""
    epoch: int = 0
    """Finished epochs."""
    epochs_target: int = 0
    """Epochs to train."""


class FoldStatus(FoldNumbers, _FoldStanding):
    """State of one fold run."""

    nonfinite_loss_epochs: int | None = None
    """Epochs in a row, up to the last one, whose training loss was NaN or infinite. Absent while it is a number."""
    early_stopping: FoldEarlyStopping | None = None
    """What the early-stopping rule came to; absent with mode Disabled."""
    data_starved: bool | None = None
    """Whether it waits too long for data, by dataWaitShare; absent while that is not known."""
    local_copy: Annotated[FoldCopy | None, BeforeValidator(known_state)] = None
    """Its copy of the preprocessed data on its node, by the attempt that reported last; absent where none is asked for.
    """
    gpu_seconds: int | None = None
    """GPU-seconds that the fold's trainers held: their running time times spec.resources.gpus."""
    lost_gpu_seconds: int | None = None
    """GPU-seconds of them whose work was lost to interruptions."""
    stalled_pod: str | None = None
    """Name of its pod, while that has not finished an epoch for too long."""
    passed_over: Annotated[str | None, Field(max_length=512)] = None
    """Checkpoints that the present attempt found damaged and passed over."""
    stall_restarts: int = 0
    """Times that the operator restarted the fold because it had stalled, since the last retry of the training."""
    proven_epochs: int | None = None
    """Epochs that the final checkpoint proves."""
    checkpoint_hash: str | None = None
    """SHA-256 of checkpoint_final.pth."""
    proven_iterations: int | None = None
    """Training iterations of the epoch that had the fewest, as its trainer counted them into the final checkpoint."""
    proven_learning_rate: float | None = None
    """Highest learning rate of an epoch, by the history in the final checkpoint."""
    network_weights: int | None = None
    """Numbers that the network in the final checkpoint consists of: few where it was planned to be tiny."""

    _of_several: bool = PrivateAttr(default=False)
    """See `FoldKey`. The status as a whole tells (see `NnunetTrainingStatus`)."""

    @model_validator(mode="before")
    @classmethod
    def _in_parts(cls, value: Any) -> Any:
        """Take apart what former operators stored as one name, such as 0-r2."""
        if not isinstance(value, dict) or value.get("replicate") is not None:
            return value
        try:
            key = FoldKey.parse(value["fold"], "")
        except (KeyError, TypeError, ValueError):
            return value
        return value if key.replicate is None else {**value, "fold": key.fold, "replicate": key.replicate}

    @property
    def key(self) -> FoldKey:
        """Which fold run it is."""
        return FoldKey(self.configuration or "", self.fold, self.replicate, of_several=self._of_several)

    def one_of_several(self, several: bool) -> "FoldStatus":
        """Return it as that of a training that has several configurations, or has not."""
        if self._of_several == several:
            return self
        copy = self.model_copy()
        copy._of_several = several
        return copy

    @property
    def name(self) -> str:
        """How people, logs and reports call the fold run (see `FoldKey`): 0, 0-r2, 2d-0 or 2d-0-r2."""
        return self.key.name

    @classmethod
    def of(cls, key: FoldKey, **known: Any) -> "FoldStatus":
        """Return the state of a fold run of which no more than this is known."""
        status = cls(configuration=key.configuration, fold=key.fold, replicate=key.replicate, **known)
        return status.one_of_several(key.of_several)

    @property
    def planned_end(self) -> int:
        """Finished epochs at which its training ends, early stopping included."""
        end = self.early_stopping.end_epoch if self.early_stopping else None
        return self.epochs_target if end is None else min(end, self.epochs_target)
