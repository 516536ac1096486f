"""`NnunetTraining.status`: what the operator reports. Bounded: it never grows with the length of a run."""

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from nnunet_api.base import StatusModel
from nnunet_api.conditions import Condition, Time, find_condition
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS
from nnunet_api.fold_status import FoldStatus
from nnunet_api.initial_weights import InitialWeightsFacts
from nnunet_api.job_status import JobStatus
from nnunet_api.policy.status import AppliedPolicies
from nnunet_api.reasons import Phase
from nnunet_api.results import Results


def _known_phase(value: Any) -> Any:
    """Read a word of another version as none: it is computed anew at the next look."""
    return value if value in list(Phase) else None


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


class Usage(StatusModel):
    """What the training cost."""

    gpu_seconds: int = 0
    """GPU-seconds that its trainers held, lost ones included. Planning, preprocessing and queueing hold none."""
    lost_gpu_seconds: int = 0
    """GPU-seconds whose work was lost to interruptions."""


MAX_SLIPPED_IN = 16
"""Things that others put into pods, of which the status tells."""
MAX_SLIPPED_INTO = 8
"""Children of a training of which it tells for each of them."""


class SlippedIn(StatusModel):
    """What somebody else, such as a webhook, has put into pods of the run."""

    what: Annotated[str, Field(max_length=1024)]
    """Name of a variable, the command, a hook, a volume's path, or another image; the last one is "and more" where
    there is no room for all."""
    where: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=MAX_SLIPPED_INTO)]
    """Whose pods: planning, fold 0, ...; the first ones."""


class Provenance(StatusModel):
    """What the run was made from."""

    dataset_hash: str | None = None
    """SHA-256 over the names and contents of the dataset's files."""
    plans_name: str | None = None
    """nnU-Net's name of the plans, for example nnUNetPlans."""
    plans_hash: str | None = None
    """SHA-256 of the plans file."""
    splits_hash: str | None = None
    """SHA-256 of splits_final.json."""
    dataset_notes: str | None = None
    """What planning found odd in the dataset and what may be meant so, such as an image that has one value only."""
    preprocessed_path: str | None = None
    """Folder of the preprocessed data inside its claim."""
    preprocessing_reused: bool | None = None
    """True where another training had preprocessed the same data in the same way."""
    initial_weights: InitialWeightsFacts | None = None
    """What the folds began with: origin and SHA-256; absent for random weights."""
    image: str | None = None
    """Trainer image as asked for."""
    image_digest: str | None = None
    """Trainer image as the node resolved it."""
    other_image_digests: Annotated[list[Annotated[str, Field(max_length=1024)]] | None, Field(max_length=8)] = None
    """The same image as nodes resolved it for other pods of the run: its tag was moved while the training ran."""
    slipped_in: Annotated[list[SlippedIn] | None, Field(max_length=MAX_SLIPPED_IN)] = None
    """What pods of the run had that the operator has not given to them, and by which they can run other code than their
    image's. Images come first. What is listed once stays, be it as "and more"; absent where nothing is known of."""
    verifier_image: str | None = None
    """The operator's own image, which makes the folders and verifies the checkpoints, as asked for."""
    verifier_image_digest: str | None = None
    """The same as a node resolved it: when the training was planned, and in the end that which has proven it."""
    nnunet_version: str | None = None
    """Version of nnunetv2."""
    torch_version: str | None = None
    """Version of torch."""
    cuda_version: str | None = None
    """Version of CUDA that torch was built for."""
    torch_compile: str | None = None
    """Whether torch.compile makes the network faster, as the fold says that reported last: on, or off and why."""
    data_read_from: str | None = None
    """Where the fold that reported last reads its preprocessed data, where a local copy is asked for."""
    device: str | None = None
    """Name of the GPU (or of the processor's architecture) of the fold that reported last."""
    seed: int | None = None
    """Seed of the first replicate."""
    configuration_hash: str | None = None
    """SHA-256 over the full effective configuration of the first fold."""
    evidence_path: str | None = None
    """evidence.json inside the results claim: what the checkpoints prove."""
    evidence_hash: str | None = None
    """SHA-256 of evidence.json. Of many fold runs it alone has all digits of the checkpoints' hashes."""

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


class RenewedJob(StatusModel):
    """Jobs under one name that failed by what was not the trainer's doing, and are made anew after a pause."""

    name: str
    """Name of the Job."""
    uid: str
    """UID of the one that failed last."""
    count: int
    """How many have failed so since the last suspension, and since its fold last finished an epoch."""
    epoch: int = 0
    """Finished epochs of its fold when the last one failed."""
    failed_attempts: int = 0
    """Attempts of the trainer that failed in them: the Jobs that follow forgive so many less."""
    again_time: Time
    """When the next one may be made."""


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
    """StandardSchedule, PolicyCompliant, Suspended, DatasetReady, Progressing, Stalled, DataStarved, EarlyStopped,
    EpochsProven, Evaluated, Complete, Failed."""
    problem: Problem | None = None
    """What stands in the way, in parts; absent where nothing does."""
    progress: Progress | None = None
    """Progress over all folds."""
    folds: Annotated[
        list[FoldStatus],
        Field(max_length=50),  # atomic: the operator alone writes it, and managedFields stay small
    ] = []
    """State of each fold run."""
    left_out_configurations: Annotated[
        list[Annotated[str, Field(max_length=64)]] | None, Field(max_length=MAX_TRAINED_CONFIGURATIONS)
    ] = None
    """Configurations of the spec that nnU-Net does not plan for this dataset, and that are therefore not trained; see
    spec.skipUnavailableConfigurations."""
    renewed_jobs: Annotated[list[RenewedJob] | None, Field(max_length=64)] = None
    """Jobs that failed by what was not the trainer's doing; absent where there are none."""
    jobs: Annotated[list[JobStatus], Field(max_length=64)] = []
    """The Jobs that are needed at present, or were lost, and are not done."""
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

    @model_validator(mode="after")
    def _with_names(self) -> Self:
        """Let the fold runs be called by their configuration where there are several."""
        known = {fold.configuration for fold in self.folds} | set(self.left_out_configurations or ())
        if len(known) > 1:
            folds = [fold.one_of_several(True) for fold in self.folds]
            object.__setattr__(self, "folds", folds)  # of a frozen model
        return self

    def of_configurations(self, configurations: Sequence[str]) -> "NnunetTrainingStatus":
        """Return it as that of a training with these configurations.

        A former operator stored none in its fold runs: it knew of one only.
        """
        first, several = configurations[0], len(configurations) > 1
        folds = [
            (fold if fold.configuration else fold.model_copy(update={"configuration": first})).one_of_several(several)
            for fold in self.folds
        ]
        return self.model_copy(update={"folds": folds})

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return find_condition(self.conditions, type_)

    def holds(self, type_: str) -> bool:
        """Say whether the condition of this type is there and True."""
        condition = self.condition(type_)
        return condition is not None and condition.status == "True"

    def renewed_job(self, name: str) -> RenewedJob | None:
        """Return what is known of lost Jobs of this name, or None."""
        return next((lost for lost in self.renewed_jobs or () if lost.name == name), None)

    def failed_attempts(self, name: str) -> int:
        """Return the attempts of the trainer that failed in lost Jobs of this name."""
        lost = self.renewed_job(name)
        return lost.failed_attempts if lost else 0

    @property
    def min_epochs(self) -> int:
        """Epochs that the policies ask of each fold; 0 where none asks for any."""
        return (self.policy.min_epochs if self.policy else None) or 0
