"""`NnunetTraining`: the specification that users write. The CRD's schema is generated from here."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from nnunet_api.base import INTEGER, ApiModel, ClaimName, Quantity, SubPath, cel
from nnunet_api.env_var import EnvVar
from nnunet_api.fold_key import FoldKey, fold_keys
from nnunet_api.kueue import NAME_PATTERN
from nnunet_api.plan_rules import PlanConfiguration
from nnunet_api.pod_template import PodTemplate
from nnunet_api.schedule import EarlyStopping, Schedule

KIND = "NnunetTraining"
PLURAL = "nnunettrainings"

FoldIndex = Annotated[int, Field(ge=0, le=4, json_schema_extra=INTEGER)]
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ConfigurationName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]
QueueName = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]
FolderName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class Device(StrEnum):
    """Where the network computes."""

    CUDA = "cuda"
    CPU = "cpu"


class PullPolicy(StrEnum):
    """Kubernetes' image pull policies."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Dataset(ApiModel):
    """A dataset in nnU-Net's raw format on a claim. It is mounted read-only."""

    name: Annotated[str, Field(max_length=128, pattern=r"^Dataset[0-9]{3}_[A-Za-z0-9_-]+$")]
    """Folder of the dataset in nnU-Net's naming, for example Dataset004_Hippocampus."""
    claim_name: ClaimName = "nnunet-raw"
    """PersistentVolumeClaim that holds the dataset; its root (or subPath) is nnU-Net's nnUNet_raw."""
    sub_path: SubPath = ""
    """Folder in the claim that plays the part of nnUNet_raw. Default: the root of the claim."""


class Planning(ApiModel):
    """How nnU-Net plans the network and preprocesses the data. Trainings that agree on it share the result."""

    planner: Identifier = "ExperimentPlanner"
    """Experiment planner class: ExperimentPlanner, nnUNetPlannerResEncM, nnUNetPlannerResEncL, ..."""
    gpu_memory_target_gb: Annotated[float | None, Field(alias="gpuMemoryTargetGB", gt=0, le=1000)] = None
    """GPU memory in GB that the planner aims at. Default: the planner's own (8 for ExperimentPlanner)."""
    configurations: Annotated[dict[ConfigurationName, PlanConfiguration], Field(max_length=16)] = {}
    """Configurations to add to the plans, by name, in the form of nnU-Net's plans file. A new one usually
    starts with inherits_from: 3d_fullres and changes what differs (patch_size, batch_size, architecture). They are
    data: classes come from torch.nn and dynamic_network_architectures, and data_identifier is not theirs to give."""


class Trainer(ApiModel):
    """Which trainer runs, in which image."""

    class_name: Identifier = "nnUNetTrainer"
    """Trainer class: nnUNetTrainer, one of nnU-Net's variants, or a class in the image of your own."""
    image: Annotated[str, Field(max_length=512, pattern=r"^[!-~]*$")] = ""
    """Trainer image. Default: the one that the operator was installed with. Give a digest for runs that
    have to be reproduced."""
    image_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When the node pulls the image."""
    device: Device = Device.CUDA
    """cuda, or cpu for tests of the machinery (far too slow for real training)."""
    seed: Annotated[int | None, Field(ge=0, le=2**31 - 1, json_schema_extra=INTEGER)] = None
    """Seed of initialisation, augmentation and sampling. On the CPU two runs with one seed give the same losses and
    weights; on a GPU they are close, because some CUDA kernels are not deterministic. Costs speed on a GPU (cuDNN
    may not pick its fastest algorithms). Default: none, every run differs."""
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Further environment variables, for example nnUNet_n_proc_DA or nnUNet_compile. A value may come from a Secret or
    a ConfigMap."""


_CPU_LIMIT = cel(
    (
        "!has(self.cpuLimit) || quantity(string(self.cpuLimit)).compareTo(quantity(string(self.cpu))) >= 0",
        "cpuLimit must be at least cpu",
    )
)


class PreprocessingResources(ApiModel):
    """Resources of the pods that need no GPU: of planning and preprocessing, of the verification, and of the
    evaluation where there is no test set."""

    model_config = ConfigDict(json_schema_extra=_CPU_LIMIT)

    cpu: Quantity = "8"
    """CPU cores, requested; also the number of worker processes, rounded down."""
    cpu_limit: Quantity | None = None
    """As resources.cpuLimit, for these pods."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited."""
    ephemeral_storage: Quantity | None = None
    """As resources.ephemeralStorage, for these pods."""


class Resources(ApiModel):
    """Resources of one fold's pod, and of the evaluation's."""

    model_config = ConfigDict(json_schema_extra=_CPU_LIMIT)

    gpus: Annotated[int, Field(ge=0, le=16, json_schema_extra=INTEGER)] = 1
    """GPUs of one fold, all on one node (nnU-Net's DDP). The batch is shared out among them: batch_size of the plans
    must be at least as large. Folds in parallel use GPUs better than several GPUs for one fold. Can't change."""
    gpu_resource_name: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    """Name of the extended resource, for example nvidia.com/gpu, amd.com/gpu or nvidia.com/mig-3g.40gb."""
    cpu: Quantity = "8"
    """CPU cores, requested; the number of data augmentation workers follows it."""
    cpu_limit: Quantity | None = None
    """Limit of CPU cores, at least cpu. Default: none, as a limit slows augmentation down while cores idle. Give it
    where a quota or a LimitRange of the namespace asks for one."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited, including shared memory."""
    ephemeral_storage: Quantity | None = None
    """Storage on the node for logs and temporary files, requested and limited; a pod that needs more is evicted.
    Default: none, or that of a LimitRange, which may be too low."""
    shared_memory: Quantity = "8Gi"
    """Upper limit of /dev/shm, through which the data augmentation workers hand over batches."""
    preprocessing: PreprocessingResources = PreprocessingResources()
    """Resources of the pods that need no GPU."""


class PreprocessedClaim(ApiModel):
    """Where planning and preprocessing results are kept and shared."""

    claim_name: ClaimName = "nnunet-preprocessed"
    """PersistentVolumeClaim for nnU-Net's preprocessed data (ReadWriteMany where folds run on several nodes)."""
    sub_path: SubPath = ""
    """Folder in the claim. Default: its root."""


class ResultsClaim(ApiModel):
    """Where the models are kept."""

    claim_name: ClaimName = "nnunet-results"
    """PersistentVolumeClaim for checkpoints, models and reports (ReadWriteMany where folds run on several
    nodes)."""
    sub_path: SubPath = ""
    """Folder in the claim. Default: its root."""


class Storage(ApiModel):
    """Claims for what the training writes."""

    preprocessed: PreprocessedClaim = PreprocessedClaim()
    """Claim for preprocessed data."""
    results: ResultsClaim = ResultsClaim()
    """Claim for results. A run writes to NAMESPACE/NAME-UID8 in it, so that no run resumes another's."""


class Evaluation(ApiModel):
    """What is measured once the folds are trained."""

    best_checkpoint: bool = False
    """Predict the test set with checkpoint_best.pth, too, and report it beside the final checkpoint. It is never
    the reported result: it was chosen by the validation cases."""
    surface_tolerance_mm: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Tolerance in mm of the normalized surface Dice (NSD): surfaces that are no further apart count as equal."""


class TestSet(ApiModel):
    """Held-out cases of the dataset on which the ensemble of the folds is scored."""

    __test__ = False  # pytest: not a test class

    images: FolderName = "imagesTs"
    """Folder of the test images inside the dataset."""
    labels: FolderName = "labelsTs"
    """Folder of the test labels inside the dataset."""


MUTABLE_FIELDS = (
    "suspend",
    "ttlSecondsAfterFinished",
    "maxParallelFolds",
    "retryLimit",
    "resources",
    "podTemplate",
    "queueName",
    "queuePriorityClassName",
    "stallTimeoutSeconds",
    "restartOnStall",
)
"""Fields of the spec that may change after creation: where and with how much a training runs, not what it computes.
A run that ran out of memory at epoch 900 must not be lost because its memory can't be raised."""


class NnunetTrainingSpec(ApiModel):
    """What to train, how long, on what, and where the results go."""

    dataset: Dataset
    """The dataset to train on."""
    planning: Planning = Planning()
    """Planning and preprocessing."""
    configuration: ConfigurationName = "3d_fullres"
    """nnU-Net configuration: 2d, 3d_fullres, 3d_lowres, or one defined under planning.configurations."""
    folds: Annotated[
        list[FoldIndex],
        Field(
            max_length=5,
            json_schema_extra=cel(("self.all(x, self.exists_one(y, x == y))", "folds must differ")),
        ),
    ] = [0, 1, 2, 3, 4]
    """Folds of nnU-Net's five-fold cross-validation to train."""
    train_on_all_cases: bool = False
    """Train one model on all cases instead (nnU-Net's fold "all"). It has no validation cases, so its
    pseudo-Dice is computed on training cases and says nothing about generalisation. Set folds to []."""
    schedule: Schedule = Schedule()
    """Length and learning rate of the training."""
    early_stopping: EarlyStopping = EarlyStopping()
    """What happens on a plateau of the validation metric. Default: nothing, the whole schedule is trained."""
    replicates: Annotated[int, Field(ge=1, le=10, json_schema_extra=INTEGER)] = 1
    """How many times everything is trained, with the seeds trainer.seed, trainer.seed + 1, ... The results then have a
    mean and a spread: a difference between two methods that is smaller than the spread means nothing. Costs as many
    times the GPU time."""
    trainer: Trainer = Trainer()
    """Trainer class and image."""
    resources: Resources = Resources()
    """GPU, CPU and memory. May change: what does not run yet is made anew with it at once, at no cost; what runs keeps
    what it has until the training is suspended and resumed."""
    storage: Storage = Storage()
    """Claims for what the training writes."""
    test_set: TestSet | None = None
    """Test set on which the ensemble of the folds is scored. Without one the cross-validation Dice is all
    that is reported."""
    evaluation: Evaluation = Evaluation()
    """What is measured once the folds are trained."""
    max_parallel_folds: Annotated[int, Field(ge=1, le=50, json_schema_extra=INTEGER)] = 5
    """How many folds may train at the same time. With replicates there are up to 50: five folds, ten times."""
    retry_limit: Annotated[int, Field(ge=0, le=100, json_schema_extra=INTEGER)] = 3
    """Failed attempts of a fold (or of planning, or evaluation) that are forgiven. Preemption, eviction,
    node loss and pods that a node turns away do not count."""
    stall_timeout_seconds: Annotated[int, Field(ge=10, le=7 * 86400, json_schema_extra=INTEGER)] = 1800
    """Seconds without a finished epoch after which a fold counts as stalled, or five times its median epoch where that
    is longer."""
    restart_on_stall: bool = False
    """Restart a stalled fold from its checkpoint. retryLimit bounds how often."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=2**31 - 1, json_schema_extra=INTEGER)] = None
    """Seconds after which a completed or failed training is deleted, with its Jobs but not its results.
    Default: never."""
    queue_name: QueueName | None = None
    """LocalQueue of Kueue that admits the Jobs, all of them: its ClusterQueue has to cover cpu and memory, too. Without
    Kueue they wait for ever. May change: what does not run yet is made anew in that queue, at its end."""
    queue_priority_class_name: QueueName | None = None
    """WorkloadPriorityClass of Kueue: the place of the Jobs in their queue, and whom they may drive out. May change,
    like queueName. Default: the priority of podTemplate.priorityClassName."""
    suspend: bool = False
    """Stop at the last finished epoch and release the GPUs; false goes on from there. Suspending a failed
    training and resuming it tries again from the last checkpoint."""
    pod_template: PodTemplate = PodTemplate()
    """Placement, priority, user, volumes and metadata of the pods. May change, like resources."""

    @property
    def fold_names(self) -> list[str]:
        """Folds in nnU-Net's spelling: "0" to "4", or "all"."""
        return ["all"] if self.train_on_all_cases else [str(fold) for fold in self.folds]

    @property
    def fold_keys(self) -> list[FoldKey]:
        """All fold runs, replicate by replicate."""
        return fold_keys(self.configuration, self.fold_names, self.replicates)


def _fixed(field: str) -> str:
    return (
        f"{field} can't change after creation: the conditions of a run are fixed. Delete the training and "
        "create a new one, under a new name to keep both results"
    )


def fixed_fields() -> dict[str, tuple[str, str]]:
    """Return the CEL rule, and its message, of each field of the spec that can't change after creation.

    They stand on the fields. Each look of a rule into the spec as a whole costs the API server a table of all its
    fields, and rules are evaluated at each write, those of the status included.
    """
    names = [info.alias or name for name, info in NnunetTrainingSpec.model_fields.items()]
    return {name: ("self == oldSelf", _fixed(name)) for name in names if name not in MUTABLE_FIELDS}


def spec_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec: (rule, message)."""
    # A field without a default may be absent before or after a change, and then no rule on it is asked.
    absent = [
        info.alias or name
        for name, info in NnunetTrainingSpec.model_fields.items()
        if info.default is None and (info.alias or name) not in MUTABLE_FIELDS
    ]
    return [
        (
            "self.trainOnAllCases ? self.folds.size() == 0 : self.folds.size() > 0",
            "give folds, or trainOnAllCases: true with folds: []",
        ),
        (
            "self.configuration != '3d_cascade_fullres'",
            "3d_cascade_fullres needs the predictions of a 3d_lowres run and is not supported yet: use 3d_fullres "
            "or 3d_lowres",
        ),
        (
            "self.trainer.device == 'cpu' || self.resources.gpus >= 1",
            "resources.gpus must be at least 1 for trainer.device cuda",
        ),
        (
            "self.resources.gpus == oldSelf.resources.gpus",
            "resources.gpus can't change after creation: it decides how the batch is shared out. Delete the training "
            "and create a new one",
        ),
        (
            "self.replicates == 1 || has(self.trainer.seed)",
            "replicates need trainer.seed: replicate k is trained with seed + k - 1",
        ),
        (
            "!has(self.schedule.learningRatePolicy) || self.schedule.learningRatePolicy != 'PolyWithWarmup' || "
            "self.schedule.warmupEpochs < self.schedule.epochs",
            "schedule.warmupEpochs must be less than schedule.epochs",
        ),
        *((f"has(self.{name}) == has(oldSelf.{name})", _fixed(name)) for name in absent),
    ]
