"""`NnunetTraining.status`: what the operator reports. Bounded: it never grows with the length of a run."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from nnunet_api.base import StatusModel
from nnunet_api.conditions import Condition, Time, find_condition
from nnunet_api.fold_key import FoldKey
from nnunet_api.policy.model import Rule
from nnunet_api.reasons import EarlyStoppingState, FoldPhase, Phase

MAX_CLASSES = 64
"""Classes whose Dice the status lists; summary.json in the run folder has all."""


def _known_phase(value: Any) -> Any:
    """Read a word of another version as none: it is computed anew at the next look."""
    return value if value in list(Phase) else None


def _known_fold_phase(value: Any) -> Any:
    """Read a word of another version as Pending, for the same reason."""
    return value if value in list(FoldPhase) else FoldPhase.PENDING


def _known_state(value: Any) -> Any:
    """Read a word of another version as Watching, for the same reason."""
    return value if value in list(EarlyStoppingState) else EarlyStoppingState.WATCHING


class Progress(StatusModel):
    """Progress over all folds."""

    epoch: int = 0
    """Finished epochs, summed over the folds."""
    epochs_target: int = 0
    """Epochs to train, summed over the folds; for a fold that stops early, those until its stop."""
    percent: int = 0
    """Finished share of the epochs, rounded down: 100 means all of them."""
    summary: str = "0/0"
    """epoch/epochsTarget, for display."""
    estimated_seconds_left: int | None = None
    """Estimated seconds until the last fold's last epoch, at the mean speed so far and at the present
    parallelism. Final validation and evaluation come on top."""
    last_epoch_time: Time | None = None
    """When an epoch was last finished in any fold."""


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


class FoldStatus(StatusModel):
    """State of one fold run."""

    configuration: str | None = None
    """nnU-Net's name of the configuration."""
    fold: str
    """nnU-Net's name of the fold, 0 to 4 or all."""
    replicate: int | None = None
    """1 = first; absent where everything is trained once."""
    phase: Annotated[FoldPhase, BeforeValidator(_known_fold_phase)] = FoldPhase.PENDING
    """Pending, Starting, Running, Completed or Failed."""
    epoch: int = 0
    """Finished epochs."""
    epochs_target: int = 0
    """Epochs to train."""
    training_loss: float | None = None
    """Training loss of the last finished epoch. By itself it says little. Absent while it is NaN or infinite."""
    nonfinite_loss_epochs: int | None = None
    """Epochs in a row, up to the last one, whose training loss was NaN or infinite. Absent while it is a number."""
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
    early_stopping: FoldEarlyStopping | None = None
    """What the early-stopping rule came to; absent with mode Disabled."""
    median_epoch_seconds: float | None = None
    """Median duration of an epoch in the present attempt, seconds."""
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
        return FoldKey(self.configuration or "", self.fold, self.replicate)

    @property
    def name(self) -> str:
        """How people, logs and reports call the fold run: 0, or 0-r2 for the second of several replicates."""
        return self.key.name

    @classmethod
    def of(cls, key: FoldKey, **known: Any) -> "FoldStatus":
        """Return the state of a fold run of which no more than this is known."""
        return cls(configuration=key.configuration, fold=key.fold, replicate=key.replicate, **known)

    @property
    def planned_end(self) -> int:
        """Finished epochs at which its training ends, early stopping included."""
        end = self.early_stopping.end_epoch if self.early_stopping else None
        return self.epochs_target if end is None else min(end, self.epochs_target)


class TestDice(StatusModel):
    """Dice on the test set."""

    __test__ = False  # pytest: not a test class

    mean: float | None = None
    """Mean foreground Dice (0 to 1)."""
    cases: int | None = None
    """Number of test cases."""
    per_class: Annotated[dict[str, float], Field(max_length=MAX_CLASSES)] = {}
    """Mean Dice of each class by the name of its label; at most 64, all are in summary.json."""


class TestSurface(StatusModel):
    """Surface distances on the test set."""

    __test__ = False  # pytest: not a test class

    nsd: float | None = None
    """Mean normalized surface Dice (0 to 1) at spec.evaluation.surfaceToleranceMm."""
    hd95_mm: float | None = None
    """Mean 95th percentile of the Hausdorff distance, mm."""


class ReplicateResult(StatusModel):
    """Scores of one replicate."""

    replicate: int
    """1 = first."""
    seed: int | None = None
    """Its seed."""
    mean_validation_dice: float | None = None
    """Its cross-validation Dice."""
    test_dice: float | None = None
    """Its test Dice."""


class Spread(StatusModel):
    """How far the replicates are apart: a difference that is smaller means nothing."""

    validation_dice: float | None = None
    """Sample standard deviation of the cross-validation Dice over the replicates."""
    test_dice: float | None = None
    """Sample standard deviation of the test Dice over the replicates."""


class Usage(StatusModel):
    """What the training cost."""

    gpu_seconds: int = 0
    """GPU-seconds that its trainers held, lost ones included. Planning, preprocessing and queueing hold none."""
    lost_gpu_seconds: int = 0
    """GPU-seconds whose work was lost to interruptions."""


class Results(StatusModel):
    """The outcome."""

    mean_validation_dice: float | None = None
    """Cross-validation Dice: the mean over all validation cases of the trained folds (0 to 1)."""
    test_dice: TestDice | None = None
    """Dice of the ensemble on the test set. The final word on a model."""
    model_path: str | None = None
    """Model folder inside the results claim; usable with plain nnUNetv2_predict."""
    test_surface: TestSurface | None = None
    """Surface distances of the ensemble on the test set."""
    best_checkpoint_test_dice: float | None = None
    """Test Dice with the best checkpoints, where spec.evaluation.bestCheckpoint asks for it. Not the result."""
    replicates: Annotated[list[ReplicateResult], Field(max_length=10)] = []
    """Scores of each replicate, where there are several; the scores above are means over them."""
    spread: Spread | None = None
    """How far the replicates are apart."""
    report_path: str | None = None
    """HTML report inside the results claim, with curves and per-case plots."""
    summary: str | None = None
    """Test Dice, or else cross-validation Dice, for display."""


class GrantedException(StatusModel):
    """An exception of a policy under which the training ran."""

    policy: Annotated[str, Field(max_length=253)]
    """Policy that it is in."""
    min_epochs: int | None = None
    """Least number of epochs that it left standing; none where it did not lower it."""
    lifted_rules: Annotated[list[str], Field(max_length=8)] = []
    """Rules that did not hold because of it."""
    reason: Annotated[str, Field(max_length=512)]
    """Why it was granted."""
    ticket: Annotated[str, Field(max_length=128)]
    """Where the request is kept."""
    approved_by: Annotated[str, Field(max_length=253)]
    """Who answers for it."""
    expires_at: Time
    """From when on it counts no more."""


class PolicyDecision(StatusModel):
    """What one policy came to."""

    policy: Annotated[str, Field(max_length=253)]
    """Name of the policy."""
    generation: int
    """Generation of the policy."""
    mode: str
    """Its mode: Enforce, Warn or Audit."""
    outcome: str
    """Allowed, Excepted, Denied, Warned or Audited."""
    broken_rules: Annotated[list[str], Field(max_length=len(Rule))] = []
    """Rules that the training does not keep, by their fields under spec.rules."""
    ticket: Annotated[str | None, Field(max_length=128)] = None
    """Ticket of the exception that was applied, if any."""

    def says_the_same(self, other: "PolicyDecision") -> bool:
        """Say whether only the generation differs: an edit of the policy that changes nothing for this training."""
        return self == other.model_copy(update={"generation": self.generation})


MAX_DECISIONS = 32
"""Policies that the status lists."""
MAX_EXCEPTIONS = 16
"""Exceptions that the status keeps."""


class AppliedPolicies(StatusModel):
    """What the policies came to when they were last applied."""

    decided_at: Time
    """When the decision last changed."""
    min_epochs: int | None = None
    """Epochs that each fold has to be trained for, by the strictest policy: no early stop acts before them, and the
    final checkpoints have to prove them. None where no policy asks for any."""
    decisions: Annotated[list[PolicyDecision], Field(max_length=MAX_DECISIONS)] = []
    """What each policy that is for the training came to, those that stand in its way first; at most 32."""
    exceptions: Annotated[list[GrantedException], Field(max_length=MAX_EXCEPTIONS)] = []
    """Exceptions under which the training ran at any time. What is listed once stays, for ever."""


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
    cuda_version: str | None = None
    """Version of CUDA that torch was built for."""
    device: str | None = None
    """Name of the GPU (or of the processor's architecture) of the fold that reported last."""
    seed: int | None = None
    """Seed of the first replicate."""
    configuration_hash: str | None = None
    """SHA-256 over the full effective configuration of the first fold."""
    evidence_path: str | None = None
    """evidence.json inside the results claim: what the checkpoints prove."""

    @property
    def pinned_image(self) -> str | None:
        """The image for all Jobs of the run: the one that a node has pulled. One that none could pull binds nobody."""
        return self.image if self.image_digest else None


MAX_MATTER = 4096
"""Characters of a problem's matter; the message of the condition has all."""


class Problem(StatusModel):
    """What stands in the way, in parts, for programs. The condition of the same reason says it in one sentence."""

    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Reason of the condition that says most."""
    matter: Annotated[str, Field(max_length=MAX_MATTER)] = ""
    """What is the matter, without what to do about it."""
    case: Annotated[str, Field(max_length=64)] = ""
    """Which of the reason's remedies holds, where there are several."""


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
    """StandardSchedule, PolicyCompliant, Suspended, DatasetReady, Progressing, Stalled, EarlyStopped, EpochsProven,
    Evaluated, Complete, Failed."""
    problem: Problem | None = None
    """What stands in the way, in parts; absent where nothing does."""
    progress: Progress | None = None
    """Progress over all folds."""
    folds: Annotated[
        list[FoldStatus],
        Field(max_length=50),  # atomic: the operator alone writes it, and managedFields stay small
    ] = []
    """State of each fold run."""
    usage: Usage | None = None
    """What the training cost."""
    results: Results | None = None
    """The outcome."""
    provenance: Provenance | None = None
    """What the run was made from."""
    policy: AppliedPolicies | None = None
    """What the policies came to; absent where none was ever for the training."""
    run_path: str | None = None
    """Folder of the run inside the results claim."""
    start_time: Time | None = None
    """When the operator first created a Job for it."""
    completion_time: Time | None = None
    """When it completed or failed."""

    def of_configuration(self, configuration: str) -> "NnunetTrainingStatus":
        """Return it with the configuration in each fold run, where a former operator stored none."""
        if all(fold.configuration for fold in self.folds):
            return self
        folds = [fold.model_copy(update={"configuration": fold.configuration or configuration}) for fold in self.folds]
        return self.model_copy(update={"folds": folds})

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return find_condition(self.conditions, type_)

    def holds(self, type_: str) -> bool:
        """Say whether the condition of this type is there and True."""
        condition = self.condition(type_)
        return condition is not None and condition.status == "True"

    @property
    def min_epochs(self) -> int:
        """Epochs that the policies ask of each fold; 0 where none asks for any."""
        return (self.policy.min_epochs if self.policy else None) or 0


class PolicyUse(StatusModel):
    """`NnunetTrainingPolicy.status`: how the policy is used."""

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    trainings: int = 0
    """Trainings in the cluster that it decided on."""
    denied: int = 0
    """Trainings of them that it stands in the way of now."""
    warned: int = 0
    """Trainings of them that break a rule while the mode is Warn or Audit."""
    excepted: int = 0
    """Trainings of them that it applied an exception to."""
    next_exception_expiry: Time | None = None
    """When the next of its exceptions ends that has not ended yet."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """ExceptionsExpiring: an exception ends within two weeks."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return find_condition(self.conditions, type_)
