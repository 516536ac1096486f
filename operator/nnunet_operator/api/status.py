"""`NnunetTraining.status`: what the operator reports. Bounded: it never grows with the length of a run."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from nnunet_operator.api.base import StatusModel
from nnunet_operator.api.reasons import FoldPhase, Phase


def _rfc3339(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(_rfc3339, return_type=str, when_used="json")]
"""A point in time, UTC, to the second, as Kubernetes writes it."""

MAX_CLASSES = 64
"""Classes whose Dice the status lists; summary.json in the run folder has all."""


def _known_phase(value: Any) -> Any:
    """Read a word of another version as none: it is computed anew at the next look."""
    return value if value in list(Phase) else None


def _known_fold_phase(value: Any) -> Any:
    """Read a word of another version as Pending, for the same reason."""
    return value if value in list(FoldPhase) else FoldPhase.PENDING


class Condition(StatusModel):
    """A condition in Kubernetes' standard form."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Reason in one CamelCase word, out of a closed set for each type."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """What happened and what to do, for a human."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the condition speaks of."""


class Progress(StatusModel):
    """Progress over all folds."""

    epoch: int = 0
    """Finished epochs, summed over the folds."""
    epochs_target: int = 0
    """Epochs to train, summed over the folds."""
    percent: int = 0
    """Finished share of the epochs, rounded down: 100 means all of them."""
    summary: str = "0/0"
    """epoch/epochsTarget, for display."""
    estimated_seconds_left: int | None = None
    """Estimated seconds until the last fold's last epoch, at the mean speed so far and at the present
    parallelism. Final validation and evaluation come on top."""
    last_epoch_time: Time | None = None
    """When an epoch was last finished in any fold."""


class FoldStatus(StatusModel):
    """State of one fold."""

    fold: str
    """nnU-Net's name of the fold: 0 to 4, or all."""
    phase: Annotated[FoldPhase, BeforeValidator(_known_fold_phase)] = FoldPhase.PENDING
    """Pending, Starting, Running, Completed or Failed."""
    epoch: int = 0
    """Finished epochs."""
    epochs_target: int = 0
    """Epochs to train."""
    training_loss: float | None = None
    """Training loss of the last finished epoch. By itself it says little."""
    validation_loss: float | None = None
    """Validation loss of the last finished epoch."""
    ema_pseudo_dice: float | None = None
    """Exponential moving average of the pseudo-Dice (0 to 1): a trend on patches, not a result."""
    best_ema_pseudo_dice: float | None = None
    """Best value of emaPseudoDice so far."""
    learning_rate: float | None = None
    """Learning rate of the last finished epoch."""
    epoch_seconds: float | None = None
    """Mean duration of an epoch in the present attempt, seconds."""
    checkpoint_epoch: int | None = None
    """Finished epochs that the newest durable checkpoint holds."""
    attempts: int = 0
    """Times the trainer of this fold was started."""
    lost_epochs: int = 0
    """Epochs that were begun and had to be trained again after an interruption."""
    mean_validation_dice: float | None = None
    """Mean foreground Dice (0 to 1) of full-volume predictions of the fold's validation cases, final checkpoint."""


class TestDice(StatusModel):
    """Dice on the test set."""

    __test__ = False  # pytest: not a test class

    mean: float | None = None
    """Mean foreground Dice (0 to 1)."""
    cases: int | None = None
    """Number of test cases."""
    per_class: Annotated[dict[str, float], Field(max_length=MAX_CLASSES)] = {}
    """Mean Dice of each class by the name of its label; at most 64, all are in summary.json."""


class Results(StatusModel):
    """The outcome."""

    mean_validation_dice: float | None = None
    """Cross-validation Dice: the mean over all validation cases of the trained folds (0 to 1)."""
    test_dice: TestDice | None = None
    """Dice of the ensemble on the test set. The final word on a model."""
    model_path: str | None = None
    """Model folder inside the results claim; usable with plain nnUNetv2_predict."""
    summary: str | None = None
    """Test Dice, or else cross-validation Dice, for display."""


class Provenance(StatusModel):
    """What the run was made from."""

    dataset_hash: str | None = None
    """SHA-256 over the names and contents of the dataset's files."""
    plans_hash: str | None = None
    """SHA-256 of the plans file."""
    splits_hash: str | None = None
    """SHA-256 of splits_final.json."""
    preprocessed_path: str | None = None
    """Folder of the preprocessed data inside its claim."""
    preprocessing_reused: bool | None = None
    """True where another training had preprocessed the same data in the same way."""
    image: str | None = None
    """Trainer image as asked for."""
    image_digest: str | None = None
    """Trainer image as the node resolved it."""
    nnunet_version: str | None = None
    """Version of nnunetv2."""
    torch_version: str | None = None
    """Version of torch."""

    @property
    def pinned_image(self) -> str | None:
        """The image for all Jobs of the run: the one that a node has pulled. One that none could pull binds nobody."""
        return self.image if self.image_digest else None


class NnunetTrainingStatus(StatusModel):
    """What the operator observed."""

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    phase: Annotated[Phase | None, BeforeValidator(_known_phase)] = None
    """One word for display. The conditions are the truth."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=16,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """StandardSchedule, Suspended, DatasetReady, Progressing, Evaluated, Complete, Failed."""
    progress: Progress | None = None
    """Progress over all folds."""
    folds: Annotated[
        list[FoldStatus],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["fold"]},
        ),
    ] = []
    """State of each fold."""
    results: Results | None = None
    """The outcome."""
    provenance: Provenance | None = None
    """What the run was made from."""
    run_path: str | None = None
    """Folder of the run inside the results claim."""
    start_time: Time | None = None
    """When the operator first created a Job for it."""
    completion_time: Time | None = None
    """When it completed or failed."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return next((c for c in self.conditions if c.type == type_), None)
