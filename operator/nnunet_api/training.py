"""`NnunetTraining`: the specification that users write. The CRD's schema is generated from here."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from nnunet_api.base import INTEGER, ApiModel, ClaimName, ObjectName, SubPath, cel
from nnunet_api.cascade import CASCADE_MESSAGE, CONFIGURATION_RULE, CONFIGURATIONS_RULE, previous_stage
from nnunet_api.env_var import EnvVar
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS, FoldKey, fold_keys
from nnunet_api.initial_weights import InitialWeights
from nnunet_api.kueue import NAME_PATTERN
from nnunet_api.local_copy import LocalCopy
from nnunet_api.plan_rules import PlanConfiguration
from nnunet_api.pod_template import PodTemplate
from nnunet_api.resources import ConfigurationName, Resources
from nnunet_api.schedule import EarlyStopping, Schedule
from nnunet_api.splits import MAX_FOLDS, MAX_SUBGROUPS, ColumnName, Splits

KIND = "NnunetTraining"
PLURAL = "nnunettrainings"

FoldIndex = Annotated[int, Field(ge=0, le=MAX_FOLDS - 1, json_schema_extra=INTEGER)]
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
TrainedConfiguration = Annotated[
    str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_]*[A-Za-z0-9])?$")
]
"""Name of a configuration to train: part of labels and of the names of Jobs where there are several."""
DEFAULT_CONFIGURATION = "3d_fullres"
DEFAULT_PLANNER = "ExperimentPlanner"
MAX_FOLD_RUNS = 40
"""Fold runs of a training with several configurations: what the verification proves of each has to fit into one
termination message, whose limit is Kubernetes'."""
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

    planner: Identifier = DEFAULT_PLANNER
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


class PreprocessedClaim(ApiModel):
    """Where planning and preprocessing results are kept and shared."""

    claim_name: ClaimName = "nnunet-preprocessed"
    """PersistentVolumeClaim for nnU-Net's preprocessed data (ReadWriteMany where folds run on several nodes)."""
    sub_path: SubPath = ""
    """Folder in the claim. Default: its root."""
    local_copy: LocalCopy | None = None
    """A copy on the node, from which folds read their data in place of the claim. May change, like resources. Default:
    none, they read from the claim."""


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
    mirroring: bool = True
    """Predict the test set from mirrored copies, too, and average (nnU-Net's test-time augmentation): up to eight times
    the time. The folds' own validation always does. Comparisons do not let it differ."""
    step_size: Annotated[float, Field(ge=0.1, le=1)] = 0.5
    """Distance between the windows in which the test set is predicted, as a part of the patch size. 1 is fastest, and
    has no overlap. Comparisons do not let it differ."""
    processes: Annotated[int | None, Field(ge=1, le=64, json_schema_extra=INTEGER)] = None
    """Most processes that prepare test cases, and most that write predictions. Where resources.memory has no room for
    as many there are fewer, down to one case after the other; it changes no result. Default: 3, at most
    resources.cpu."""
    subgroups: Annotated[
        list[ColumnName],
        Field(
            max_length=MAX_SUBGROUPS,
            json_schema_extra=cel(("self.all(x, self.exists_one(y, x == y))", "subgroups must differ")),
        ),
    ] = []
    """Columns of cases.csv, such as site or scanner, by whose values the Dice is told apart, with 95 % confidence
    intervals: in the report, in summary.json and in subgroups.csv."""
    pictures: bool = False
    """Show in the report the worst, median and best case of each class, with reference and prediction. These are images
    of patients: whoever gets the report sees them. The evaluation then reads the dataset without a test set, too."""


class Selection(ApiModel):
    """What is chosen by cross-validation among the configurations, as nnUNetv2_find_best_configuration chooses."""

    ensembles: bool = True
    """Consider pairs of configurations, too: the mean of their probabilities. The folds then keep the probabilities of
    their validation cases until the choice is made, which takes room on the results claim."""
    postprocessing: bool = True
    """Find out by cross-validation for which classes all but the largest component is to be removed, and do so in the
    predictions of the test set."""


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
MUTABLE_PARTS = ("storage.preprocessed.localCopy",)
"""Fields inside others, which may not change, of which the same holds."""
ONE_FORM = ("configuration", "configurations")
"""Two forms of one field: what they come to can't change."""


class NnunetTrainingSpec(ApiModel):
    """What to train, how long, on what, and where the results go."""

    dataset: Dataset
    """The dataset to train on."""
    planning: Planning = Planning()
    """Planning and preprocessing."""
    configurations: Annotated[
        list[TrainedConfiguration] | None,
        Field(
            min_length=1,
            max_length=MAX_TRAINED_CONFIGURATIONS,
            json_schema_extra=cel(
                (
                    "self.all(x, self.exists_one(y, x.lowerAscii() == y.lowerAscii()))",
                    "configurations must differ, and in more than capital letters",
                ),
                (CONFIGURATIONS_RULE, CASCADE_MESSAGE),
            ),
        ),
    ] = None
    """nnU-Net configurations to train: 2d, 3d_fullres, 3d_lowres, 3d_cascade_fullres, or those defined under
    planning.configurations. All are planned and preprocessed once, then trained on the same folds. A cascade needs its
    previous stage (3d_lowres) among them and all folds of the split: its folds begin when all of the previous stage are
    trained, on whose predictions it learns. Default: [3d_fullres]."""
    configuration: Annotated[
        ConfigurationName | None, Field(json_schema_extra=cel((CONFIGURATION_RULE, CASCADE_MESSAGE)))
    ] = None
    """Former way to give a single configuration, still read: configuration: 2d is configurations: [2d]. Use
    configurations."""
    skip_unavailable_configurations: bool = False
    """Leave configurations out that nnU-Net does not plan for this dataset (no 3d_lowres where images are small, no
    3d_* for 2D images), and say so in the status and the report. Default: such a training fails at planning."""
    folds: Annotated[
        list[FoldIndex],
        Field(
            max_length=MAX_FOLDS,
            json_schema_extra=cel(("self.all(x, self.exists_one(y, x == y))", "folds must differ")),
        ),
    ] = [0, 1, 2, 3, 4]
    """Folds to train, counted from 0: of nnU-Net's five-fold cross-validation, of a splits_final.json in the dataset's
    folder, or of splits. In all replicates together at most 50."""
    splits: Splits = Splits()
    """Splits of this training's own: more or fewer folds, patients kept together, sites spread or left out. Where
    nothing is set here, those of the dataset's splits_final.json count, or else nnU-Net's five folds."""
    train_on_all_cases: bool = False
    """Train one model on all cases instead (nnU-Net's fold "all"). It has no validation cases, so its
    pseudo-Dice is computed on training cases and says nothing about generalisation. Set folds to []."""
    schedule: Schedule = Schedule()
    """Length and learning rate of the training."""
    early_stopping: EarlyStopping = EarlyStopping()
    """What happens on a plateau of the validation metric. Default: nothing, the whole schedule is trained."""
    initial_weights: InitialWeights | None = None
    """Weights to begin with (fine-tuning). The plans come with them: planning may add configurations, and name neither
    planner nor gpuMemoryTargetGB. Default: random ones, nnU-Net's standard. A fold that goes on from its checkpoint
    never takes them again."""
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
    selection: Selection | None = None
    """Choose the best configuration, or pair of them, by the cross-validation Dice. A test set is scored once, after
    the choice, by what was chosen. Default: nothing is chosen."""
    comparison: ObjectName | None = None
    """NnunetComparison of this namespace that has this training in an arm and decides on it. Under a policy with
    requireComparison it may then train with less than the policy asks for: it complies once that comparison allows
    it, and no other one counts."""
    max_parallel_folds: Annotated[int, Field(ge=1, le=50, json_schema_extra=INTEGER)] = 5
    """How many folds may train at the same time. There are up to 50, replicates included."""
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
        """Folds in nnU-Net's spelling: a number from "0" on, or "all"."""
        return ["all"] if self.train_on_all_cases else [str(fold) for fold in self.folds]

    @property
    def configuration_names(self) -> list[str]:
        """The configurations to train, in the order in which their folds begin."""
        return self.configurations or [self.configuration or DEFAULT_CONFIGURATION]

    @property
    def fold_keys(self) -> list[FoldKey]:
        """All fold runs: configuration by configuration, and of each replicate by replicate."""
        return self.fold_keys_without(())

    def fold_keys_before(self, key: FoldKey) -> list[FoldKey]:
        """Return the fold runs on whose predictions one learns: all of its replicate of its previous stage, if any."""
        stage = previous_stage(key.configuration, self.planning.configurations)
        return [one for one in self.fold_keys if one.configuration == stage and one.replicate == key.replicate]

    def fold_keys_without(self, left_out: Sequence[str]) -> list[FoldKey]:
        """Return the fold runs but for those of configurations that are left out."""
        return fold_keys(self.configuration_names, self.fold_names, self.replicates, left_out)


def configurations_of(spec: Mapping[str, Any]) -> list[Any]:
    """Return the configurations of a spec as it is written or stored, in either form of the field."""
    return list(spec.get("configurations") or [spec.get("configuration") or DEFAULT_CONFIGURATION])
