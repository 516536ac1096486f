"""`NnunetTraining`: the specification that users write. The CRD's schema is generated from here."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from nnunet_operator.api.base import INTEGER, ApiModel, ClaimName, Quantity, SubPath, cel

KIND = "NnunetTraining"
PLURAL = "nnunettrainings"
STANDARD_EPOCHS = 1000
"""nnU-Net's own schedule (nnUNetTrainer.num_epochs)."""
STANDARD_ITERATIONS = 250
"""Training iterations of an epoch in it (nnUNetTrainer.num_iterations_per_epoch)."""

FoldIndex = Annotated[int, Field(ge=0, le=4, json_schema_extra=INTEGER)]
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
ConfigurationName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]
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
    configurations: Annotated[
        dict[ConfigurationName, dict[str, Any]],
        Field(max_length=16),
    ] = {}
    """Configurations to add to the plans, by name, in the form of nnU-Net's plans file. A new one usually
    starts with inherits_from: 3d_fullres and changes what differs (patch_size, batch_size, architecture)."""


class Schedule(ApiModel):
    """How long and how the network is trained."""

    epochs: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)] = STANDARD_EPOCHS
    """Number of epochs. nnU-Net's standard is 1000; fewer usually cost 1-3 % Dice, more on hard tasks, and
    generalise worse."""
    iterations_per_epoch: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)] = STANDARD_ITERATIONS
    """Training iterations (batches) in one epoch."""
    validation_iterations_per_epoch: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)] = 50
    """Validation iterations (batches) in one epoch, for the pseudo-Dice."""
    initial_learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    """Learning rate of the first epoch; it falls to 0 over the schedule as (1 - epoch/epochs)^0.9. Default: the
    trainer class's own (0.01 for nnUNetTrainer and most variants, another for those with another optimizer)."""


class EnvVar(ApiModel):
    """An environment variable of the trainer."""

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            json_schema_extra=cel(
                (
                    "!(self in ['nnUNet_raw', 'nnUNet_preprocessed', 'nnUNet_results'])"
                    " && !self.startsWith('NNUNET_RUN_')",
                    "is set by the operator: use dataset and storage instead",
                )
            ),
        ),
    ]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Value of the variable."""


class Trainer(ApiModel):
    """Which trainer runs, in which image."""

    class_name: Identifier = "nnUNetTrainer"
    """Trainer class: nnUNetTrainer, one of nnU-Net's variants, or a class in the image of your own."""
    image: Annotated[str, Field(max_length=512, pattern=r"^(\S+)?$")] = ""
    """Trainer image. Default: the one that the operator was installed with. Give a digest for runs that
    have to be reproduced."""
    image_pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When the node pulls the image."""
    device: Device = Device.CUDA
    """cuda, or cpu for tests of the machinery (far too slow for real training)."""
    env: Annotated[
        list[EnvVar],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Further environment variables, for example nnUNet_n_proc_DA or nnUNet_compile."""


class PreprocessingResources(ApiModel):
    """Resources of the planning and preprocessing pod. It never asks for a GPU."""

    cpu: Quantity = "8"
    """CPU cores, requested; also the number of worker processes, rounded down."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited."""


class Resources(ApiModel):
    """Resources of one fold's pod, and of the evaluation's."""

    gpus: Annotated[int, Field(ge=0, le=1, json_schema_extra=INTEGER)] = 1
    """GPUs of one fold. Folds are the unit of parallelism; several GPUs for one fold are not supported yet."""
    gpu_resource_name: Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")] = (
        "nvidia.com/gpu"
    )
    """Name of the extended resource, for example nvidia.com/gpu, amd.com/gpu or nvidia.com/mig-3g.40gb."""
    cpu: Quantity = "8"
    """CPU cores, requested; the number of data augmentation workers follows it."""
    memory: Quantity = "32Gi"
    """Memory, requested and limited, including shared memory."""
    shared_memory: Quantity = "8Gi"
    """Upper limit of /dev/shm, through which the data augmentation workers hand over batches."""
    preprocessing: PreprocessingResources = PreprocessingResources()
    """Resources of the planning and preprocessing pod."""


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


class TestSet(ApiModel):
    """Held-out cases of the dataset on which the ensemble of the folds is scored."""

    __test__ = False  # pytest: not a test class

    images: FolderName = "imagesTs"
    """Folder of the test images inside the dataset."""
    labels: FolderName = "labelsTs"
    """Folder of the test labels inside the dataset."""


def _opaque(kind: Literal["object", "array"]) -> dict[str, Any]:
    """Schema of a part that Kubernetes itself validates when the pod is created."""
    if kind == "object":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "type": "array",
        "maxItems": 32,
        "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }


StringMap = Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64)]


class LocalObjectReference(ApiModel):
    """Name of an object in the same namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the object."""


class PodTemplate(ApiModel):
    """What the cluster's administrators ask of pods: placement, priority, pull secrets, extra metadata."""

    labels: StringMap = {}
    """Extra labels of the pods. Labels under nnunet.dev/ are the operator's and win."""
    annotations: StringMap = {}
    """Extra annotations of the pods."""
    node_selector: StringMap = {}
    """Node labels that a pod needs."""
    tolerations: Annotated[list[dict[str, Any]], Field(json_schema_extra=_opaque("array"))] = []
    """Taints that the pods tolerate."""
    affinity: Annotated[dict[str, Any] | None, Field(json_schema_extra=_opaque("object"))] = None
    """Node and pod affinity."""
    priority_class_name: Annotated[str | None, Field(max_length=253)] = None
    """PriorityClass of the pods."""
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Secrets with which the node pulls the image."""
    runtime_class_name: Annotated[str | None, Field(max_length=253)] = None
    """RuntimeClass of the pods, for example nvidia."""
    service_account_name: Annotated[str | None, Field(max_length=253)] = None
    """ServiceAccount of the pods. Its token is never mounted."""
    topology_spread_constraints: Annotated[list[dict[str, Any]], Field(json_schema_extra=_opaque("array"))] = []
    """How the folds spread over nodes or zones."""


MUTABLE_FIELDS = (
    "suspend",
    "ttlSecondsAfterFinished",
    "maxParallelFolds",
    "retryLimit",
    "resources",
    "podTemplate",
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
    trainer: Trainer = Trainer()
    """Trainer class and image."""
    resources: Resources = Resources()
    """GPU, CPU and memory. May change: pods that start later get it; suspend and resume to apply it at once."""
    storage: Storage = Storage()
    """Claims for what the training writes."""
    test_set: TestSet | None = None
    """Test set on which the ensemble of the folds is scored. Without one the cross-validation Dice is all
    that is reported."""
    max_parallel_folds: Annotated[int, Field(ge=1, le=5, json_schema_extra=INTEGER)] = 5
    """How many folds may train at the same time."""
    retry_limit: Annotated[int, Field(ge=0, le=100, json_schema_extra=INTEGER)] = 3
    """Failed attempts of a fold (or of planning, or evaluation) that are forgiven. Preemption, eviction and
    node loss do not count."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=2**31 - 1, json_schema_extra=INTEGER)] = None
    """Seconds after which a completed or failed training is deleted, with its Jobs but not its results.
    Default: never."""
    queue_name: Annotated[str | None, Field(min_length=1, max_length=63)] = None
    """Kueue LocalQueue that admits the Jobs."""
    suspend: bool = False
    """Stop at the last finished epoch and release the GPUs; false goes on from there. Suspending a failed
    training and resuming it tries again from the last checkpoint."""
    pod_template: PodTemplate = PodTemplate()
    """Placement, priority and metadata of the pods. May change, like resources."""

    @property
    def fold_names(self) -> list[str]:
        """Folds in nnU-Net's spelling: "0" to "4", or "all"."""
        return ["all"] if self.train_on_all_cases else [str(fold) for fold in self.folds]


def _immutable(field: str) -> tuple[str, str]:
    optional = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || "
    return (
        f"{optional}self.{field} == oldSelf.{field})",
        f"{field} can't change after creation: the conditions of a run are fixed. Delete the training and "
        "create a new one, under a new name to keep both results",
    )


def spec_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec: (rule, message)."""
    names = [info.alias or name for name, info in NnunetTrainingSpec.model_fields.items()]
    immutable = [_immutable(name) for name in names if name not in MUTABLE_FIELDS]
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
        *immutable,
    ]
