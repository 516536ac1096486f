"""What the operator tells the trainer and what the trainer answers: paths, the run contract, the report, metrics."""

from typing import Annotated

from pydantic import Field

from nnunet_operator.api.base import ApiModel, StatusModel
from nnunet_operator.api.status import MAX_CLASSES
from nnunet_operator.api.training import Device, NnunetTrainingSpec, Planning, Schedule, TestSet

CONTRACT_ENV = "NNUNET_RUN_CONTRACT"
"""Environment variable that carries `RunContract` as JSON."""

RAW_PATH = "/nnunet/raw"
PREPROCESSED_PATH = "/nnunet/preprocessed"
RESULTS_PATH = "/nnunet/results"
SCRATCH_PATH = "/tmp"

METRICS_PORT = 8080
METRICS_PORT_NAME = "metrics"
CONTAINER_NAME = "trainer"
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_LIMIT = 4096
"""Bytes of a termination message that Kubernetes keeps."""

PLAN_RESULT_FILE = "plan.json"
"""In the run folder: `PlanFacts`, by which fold and evaluation pods find the preprocessed data."""
SUMMARY_FILE = "summary.json"
"""In the run folder: `EvaluationFacts` with all classes and cases."""


class RunContract(ApiModel):
    """Everything that a trainer pod needs to know about its run. Fixed for the life of the training."""

    namespace: str
    """Namespace of the training."""
    name: str
    """Name of the training."""
    uid: str
    """UID of the training."""
    dataset: str
    """nnU-Net's name of the dataset, for example Dataset004_Hippocampus."""
    planning: Planning
    """Planning and preprocessing."""
    configuration: str
    """nnU-Net configuration."""
    folds: list[str]
    """Folds in nnU-Net's spelling: "0" to "4", or "all"."""
    schedule: Schedule
    """Length and learning rate."""
    trainer_class: str
    """Trainer class by name."""
    device: Device
    """cuda or cpu."""
    processes: Annotated[int, Field(ge=1)]
    """Worker processes that fit the pod's CPU request."""
    test_set: TestSet | None = None
    """Test set, if any."""

    @property
    def run_folder(self) -> str:
        """Folder of the run inside the results claim: NAMESPACE/NAME-UID8."""
        return run_folder(self.namespace, self.name, self.uid)


def run_folder(namespace: str, name: str, uid: str) -> str:
    """Return the run's folder inside the results claim. The UID keeps a new training off an old one's run."""
    return f"{namespace}/{name}-{uid[:8]}"


def contract_for(spec: NnunetTrainingSpec, namespace: str, name: str, uid: str, processes: int) -> RunContract:
    """Return the contract of a training for a pod with `processes` CPU cores."""
    return RunContract(
        namespace=namespace,
        name=name,
        uid=uid,
        dataset=spec.dataset.name,
        planning=spec.planning,
        configuration=spec.configuration,
        folds=spec.fold_names,
        schedule=spec.schedule,
        trainer_class=spec.trainer.class_name,
        device=spec.trainer.device,
        processes=processes,
        test_set=spec.test_set,
    )


class PlanFacts(StatusModel):
    """Outcome of planning and preprocessing."""

    preprocessed_key: str
    """Folder under the preprocessed claim that plays the part of nnUNet_preprocessed for this run."""
    plans_name: str
    """nnU-Net's plans identifier, for example nnUNetPlans."""
    reused: bool
    """True where the result existed already."""
    dataset_hash: str
    """SHA-256 over the names and contents of the dataset's files."""
    plans_hash: str
    """SHA-256 of the plans file."""
    splits_hash: str
    """SHA-256 of splits_final.json."""
    nnunet_version: str
    """Version of nnunetv2."""
    torch_version: str
    """Version of torch."""


class FoldFacts(StatusModel):
    """State of one fold at the end of an attempt."""

    fold: str
    """nnU-Net's name of the fold."""
    epoch: int
    """Finished epochs."""
    epochs_target: int
    """Epochs to train."""
    checkpoint_epoch: int | None = None
    """Finished epochs in the newest durable checkpoint."""
    attempts: int = 0
    """Times the trainer of this fold was started."""
    lost_epochs: int = 0
    """Epochs that were begun and had to be trained again."""
    training_loss: float | None = None
    """Training loss of the last finished epoch."""
    validation_loss: float | None = None
    """Validation loss of the last finished epoch."""
    ema_pseudo_dice: float | None = None
    """EMA of the pseudo-Dice at the end."""
    best_ema_pseudo_dice: float | None = None
    """Best EMA pseudo-Dice."""
    learning_rate: float | None = None
    """Learning rate of the last epoch."""
    mean_validation_dice: float | None = None
    """Mean foreground Dice of the full-volume validation; set when the fold is complete."""


class EvaluationFacts(StatusModel):
    """Outcome of the evaluation."""

    mean_validation_dice: float | None = None
    """Cross-validation Dice over all validation cases of the trained folds."""
    fold_dice: dict[str, float] = {}
    """Mean validation Dice of each fold."""
    test_mean: float | None = None
    """Mean foreground Dice of the ensemble on the test set."""
    test_cases: int | None = None
    """Number of test cases."""
    test_per_class: Annotated[dict[str, float], Field(max_length=MAX_CLASSES)] = {}
    """Mean test Dice of each class, by label name."""
    model_path: str | None = None
    """Model folder inside the results claim."""


class TerminationReport(StatusModel):
    """The termination message of a trainer pod: one line of JSON, at most 4096 bytes."""

    message: str
    """What happened, in one line; for a failure also what to do about it."""
    plan: PlanFacts | None = None
    """Set by `plan`."""
    fold: FoldFacts | None = None
    """Set by `train`."""
    evaluation: EvaluationFacts | None = None
    """Set by `evaluate`."""


class Metric:
    """Names of the trainer's metrics. All carry the labels of `METRIC_LABELS`."""

    EPOCH = "nnunet_epoch"
    EPOCHS_TARGET = "nnunet_epochs_target"
    LOSS = "nnunet_loss"  # + split: train | validation
    PSEUDO_DICE = "nnunet_pseudo_dice"  # + label: name of the class
    EMA_PSEUDO_DICE = "nnunet_ema_pseudo_dice"
    BEST_EMA_PSEUDO_DICE = "nnunet_best_ema_pseudo_dice"
    LEARNING_RATE = "nnunet_learning_rate"
    EPOCH_DURATION = "nnunet_epoch_duration_seconds"  # histogram
    LAST_EPOCH_TIMESTAMP = "nnunet_last_epoch_timestamp_seconds"
    CHECKPOINT_TIMESTAMP = "nnunet_checkpoint_timestamp_seconds"
    CHECKPOINT_EPOCH = "nnunet_checkpoint_epoch"
    EPOCHS_SINCE_IMPROVEMENT = "nnunet_epochs_since_improvement"
    ATTEMPTS = "nnunet_attempts"
    LOST_EPOCHS = "nnunet_lost_epochs"
    RUN_INFO = "nnunet_run_info"  # + dataset, configuration, trainer_class, plans


METRIC_LABELS = ("namespace", "training", "fold")
