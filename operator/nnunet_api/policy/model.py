"""`NnunetTrainingPolicy`: what a cluster's owners ask of trainings. The CRD's schema is generated from here."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from nnunet_api.base import GROUP, INTEGER, ApiModel
from nnunet_api.policy.namespace_selector import NamespaceSelector
from nnunet_api.resources import ConfigurationName
from nnunet_api.schedule import EarlyStoppingMode
from nnunet_api.training import Identifier

KIND = "NnunetTrainingPolicy"
PLURAL = "nnunettrainingpolicies"
CLINICAL_LABEL = f"{GROUP}/clinical"
"""Label of namespaces, with the value "true", in which no training runs that no policy is for."""
LONGEST_EXCEPTION_DAYS = 366
"""An exception that ends later than that from now counts for nothing: at most a year, leap years included."""

Count = Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)]
# The API server reads a policy as a whole, several times, whenever a training is written: its size is what admission
# costs. With these bounds 30 policies that are as large as can be cost 2 to 3 seconds (test_cost.py).
MAX_NAMESPACES = 64
MAX_NAMES = 16
MAX_LIFTED = 9
MAX_EXCEPTIONS = 64
MAX_REASON = 256
MAX_WORD = 64
Namespace = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
# A list of many long names costs as much as a policy of many exceptions.
NamePattern = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._/-]*\*?$")]
"""A name, or the beginning of names with * at the end; * alone means all."""
ImagePattern = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        # HOST[:PORT]/.../* | HOST[:PORT]/.../NAME[@DIGEST] | NAME[@DIGEST]
        pattern=r"^[A-Za-z0-9._-]+((:[0-9]+)?(/[a-z0-9._-]+)*/\*"
        r"|(:[0-9]+/[a-z0-9._-]+)?(/[a-z0-9._-]+)*(@sha256:[0-9a-f]{64})?)$",
    ),
]
"""A repository, all repositories of a registry or a folder of it (ending with /*), or one image by its digest."""
EnvPattern = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*\*?$")]
_SET = {"x-kubernetes-list-type": "set"}
# No sets: the API server would keep each name a second time in metadata.managedFields, and read it each time.
Names = Annotated[list[NamePattern], Field(max_length=MAX_NAMES)]
SomeNames = Annotated[list[NamePattern], Field(min_length=1, max_length=MAX_NAMES)]


class PolicyMode(StrEnum):
    """What comes of a training that breaks the rules."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    AUDIT = "Audit"


class AcceptedVerdict(StrEnum):
    """Verdicts of a comparison that a policy may accept. What rests on a cross-validation is none of them."""

    SUPERIOR = "Superior"
    EQUIVALENT = "Equivalent"
    NON_INFERIOR = "NonInferior"


class Outcome(StrEnum):
    """What a policy came to for a training."""

    ALLOWED = "Allowed"
    COMPARED = "Compared"
    """It breaks rules in whose place a comparison may stand, and trains as its arm; PolicyCompliant has the verdict."""
    EXCEPTED = "Excepted"
    """It keeps what an exception has left of the rules."""
    DENIED = "Denied"
    WARNED = "Warned"
    AUDITED = "Audited"


class Rule(StrEnum):
    """The rules, by their fields under spec.rules."""

    MIN_EPOCHS = "minEpochs"
    MIN_ITERATIONS = "minIterationsPerEpoch"
    MIN_LEARNING_RATE = "minInitialLearningRate"
    MAX_WARMUP = "maxWarmupEpochs"
    EARLY_STOPPING_MODES = "earlyStopping.allowedModes"
    EARLY_STOPPING_MIN_EPOCHS = "earlyStopping.minEpochs"
    IMAGE_DIGEST = "requireImageDigest"
    SEED = "requireSeed"
    TEST_SET = "requireTestSet"
    MIN_REPLICATES = "minReplicates"
    TRAINER_CLASSES = "allowedTrainerClasses"
    CONFIGURATIONS = "allowedConfigurations"
    PLANNERS = "allowedPlanners"
    MIN_GPU_MEMORY = "minGpuMemoryTargetGB"
    ENV = "allowedEnv"
    MAX_GPUS = "maxGpus"
    IMAGES = "allowedImages"
    CLAIMS = "allowedClaims"
    GPU_RESOURCES = "allowedGpuResources"
    SERVICE_ACCOUNTS = "allowedServiceAccounts"
    PRIORITY_CLASSES = "allowedPriorityClasses"
    RUNTIME_CLASSES = "allowedRuntimeClasses"
    PULL_SECRETS = "allowedImagePullSecrets"
    POD_LABELS = "allowedPodLabels"
    POD_ANNOTATIONS = "allowedPodAnnotations"
    NODE_SELECTORS = "allowedNodeSelectors"
    TOLERATIONS = "allowedTolerations"
    AFFINITY = "allowedAffinity"
    SECURITY_CONTEXT = "allowedSecurityContext"
    SECRETS = "allowedSecrets"
    CONFIG_MAPS = "allowedConfigMaps"
    JOB_ANNOTATIONS = "allowedJobAnnotations"
    INITIAL_WEIGHTS = "allowedInitialWeights"


LiftableRule = Literal[
    "minIterationsPerEpoch",
    "minInitialLearningRate",
    "maxWarmupEpochs",
    "earlyStopping.allowedModes",
    "requireImageDigest",
    "requireSeed",
    "requireTestSet",
    "minReplicates",
    "maxTestLooks",
    "allowedTrainerClasses",
    "allowedConfigurations",
    "allowedPlanners",
    "minGpuMemoryTargetGB",
    "allowedEnv",
    "maxGpus",
    "allowedImages",
    "allowedClaims",
    "allowedGpuResources",
    "allowedServiceAccounts",
    "allowedPriorityClasses",
    "allowedRuntimeClasses",
    "allowedImagePullSecrets",
    "allowedPodLabels",
    "allowedPodAnnotations",
    "allowedNodeSelectors",
    "allowedTolerations",
    "allowedAffinity",
    "allowedSecurityContext",
    "allowedSecrets",
    "allowedConfigMaps",
    "allowedJobAnnotations",
    "allowedInitialWeights",
]
"""Rules that an exception lifts by name. Epochs are never lifted, only lowered to a floor."""


class EarlyStoppingRules(ApiModel):
    """What is asked of early stopping."""

    allowed_modes: Annotated[list[EarlyStoppingMode], Field(max_length=4, json_schema_extra=_SET)] = []
    """Modes that spec.earlyStopping.mode may have. Default: all."""
    min_epochs: Count | None = None
    """Least spec.earlyStopping.minEpochs with the modes Anneal and Stop. No early stop acts before it, either."""


class ComparisonTerms(ApiModel):
    """What a comparison has to come to, so that it stands in the place of rules that one of its arms breaks."""

    max_dice_loss: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Largest maxDiceLoss (0 to 1) that the comparison may be registered with."""
    verdicts: Annotated[list[AcceptedVerdict], Field(min_length=1, max_length=3, json_schema_extra=_SET)] = [
        AcceptedVerdict.SUPERIOR,
        AcceptedVerdict.EQUIVALENT,
        AcceptedVerdict.NON_INFERIOR,
    ]
    """Verdicts that it may come to. One without a test set never counts."""
    min_replicates: Annotated[int, Field(ge=1, le=10, json_schema_extra=INTEGER)] = 3
    """Least replicates of both the arm and the baseline. With fewer, models are compared and not ways of training."""


class Rules(ApiModel):
    """What is asked of a training. A rule that is not given asks nothing."""

    min_epochs: Count | None = None
    """Epochs that each fold has to be trained for, at least: of the schedule, and at the end proven from the
    checkpoints. No early stop acts before them."""
    min_iterations_per_epoch: Count | None = None
    """Least spec.schedule.iterationsPerEpoch; nnU-Net's standard is 250. Without it 1000 epochs may be of one each."""
    min_initial_learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    """Least spec.schedule.initialLearningRate, where that is given; the trainer class's own is the class's business.
    nnU-Net's standard is 0.01, and the least of its own classes 0.0002."""
    max_warmup_epochs: Annotated[int | None, Field(ge=0, le=10_000, json_schema_extra=INTEGER)] = None
    """Most spec.schedule.warmupEpochs with the policy PolyWithWarmup; 0 allows no warm-up."""
    early_stopping: EarlyStoppingRules = EarlyStoppingRules()
    """What is asked of early stopping."""
    require_image_digest: bool = False
    """spec.trainer.image must be given with a digest: a tag can be moved to another image. So must the operator's own
    trainer image (the chart's trainer.image.digest), which verifies: until it is, the operator starts nothing."""
    require_seed: bool = False
    """spec.trainer.seed must be given."""
    require_test_set: bool = False
    """spec.testSet must be given: nothing else tells how good the model is on cases that it has not seen."""
    min_replicates: Annotated[int | None, Field(ge=1, le=10, json_schema_extra=INTEGER)] = None
    """Least spec.replicates: one training tells little of what its seed did."""
    require_comparison: ComparisonTerms | None = None
    """A training that names its comparison (spec.comparison) may break minEpochs, minIterationsPerEpoch, the rules on
    early stopping and allowedTrainerClasses. It complies only once that comparison has come to one of these verdicts,
    against a baseline that keeps all rules of this policy. Default: who breaks a rule does not train."""
    max_test_looks: Count | None = None
    """How often a test set may have been looked at, all namespaces together, for a verdict on it to count under
    requireComparison; trainings and comparisons that were scored on it are looks. An alert tells of more."""
    allowed_trainer_classes: Annotated[list[Identifier], Field(max_length=MAX_NAMES, json_schema_extra=_SET)] = []
    """Classes that spec.trainer.className may name. Default: all."""
    allowed_configurations: Annotated[list[ConfigurationName], Field(max_length=MAX_NAMES, json_schema_extra=_SET)] = []
    """Configurations that spec.configurations may name. spec.planning.configurations must then be empty: a training
    could define anything under an allowed name. Default: all."""
    allowed_planners: Annotated[list[Identifier], Field(max_length=MAX_NAMES, json_schema_extra=_SET)] = []
    """Planners that spec.planning.planner may name: they decide on the size of network and patch. Default: all."""
    min_gpu_memory_target_gb: Annotated[float | None, Field(alias="minGpuMemoryTargetGB", gt=0, le=1000)] = None
    """Least spec.planning.gpuMemoryTargetGB, where that is given: what is planned for little memory is a small network.
    nnU-Net's planners aim at 8 or more by themselves."""
    allowed_env: Annotated[list[EnvPattern] | None, Field(max_length=MAX_NAMES)] = None
    """Variables that spec.trainer.env may set: names, or beginnings of names with * at the end. An empty list allows
    none. Default: all that the schema takes."""
    max_gpus: Annotated[int | None, Field(ge=0, le=1000, json_schema_extra=INTEGER)] = None
    """GPUs that a training may hold at the same time: spec.resources.gpus times the folds that train at once."""
    # What a pod is. Without these, who may create a training may create nearly any pod in its namespace. In each list
    # are names, or beginnings of names with * at the end; an empty list allows none. Default: all.
    allowed_images: Annotated[list[ImagePattern] | None, Field(max_length=MAX_NAMES)] = None
    """Images that spec.trainer.image may name: repositories (registry.example/team/trainer: any tag and digest of it),
    all below a folder (registry.example/team/*), or one image by its digest (registry.example/team/trainer@sha256:...).
    They are compared as they are written: docker.io is added to neither. A training that names no image gets the
    operator's, and keeps the rule."""
    allowed_claims: SomeNames | None = None
    """Claims that spec.dataset.claimName, spec.storage.preprocessed.claimName, spec.storage.results.claimName and
    spec.initialWeights.claim.claimName may name, and as storageclasses/NAME what
    spec.storage.preprocessed.localCopy.claim.storageClassName may: pods get claims of that class, which may bind any
    free volume of it."""
    allowed_gpu_resources: Names | None = None
    """Extended resources that spec.resources.gpuResourceName may name where GPUs are asked for, and as
    resourceclaimtemplates/NAME what spec.resources.gpuClaimTemplateName may. Both bring other devices of a node, too,
    and a claim more than spec.resources.gpus says."""
    allowed_service_accounts: SomeNames | None = None
    """ServiceAccounts that spec.podTemplate.serviceAccountName may name; not set means default."""
    allowed_priority_classes: Names | None = None
    """PriorityClasses that spec.podTemplate.priorityClassName may name, and WorkloadPriorityClasses of Kueue that
    spec.queuePriorityClassName may."""
    allowed_runtime_classes: Names | None = None
    """RuntimeClasses that spec.podTemplate.runtimeClassName may name."""
    allowed_image_pull_secrets: Names | None = None
    """Secrets that spec.podTemplate.imagePullSecrets may name, besides those of the operator's settings."""
    allowed_pod_labels: Names | None = None
    """Keys that spec.podTemplate.labels may have: Services and NetworkPolicies select pods by them."""
    allowed_pod_annotations: Names | None = None
    """Keys that spec.podTemplate.annotations may have: networks, security profiles and sidecars come by them."""
    allowed_node_selectors: Names | None = None
    """Labels of nodes that spec.podTemplate.nodeSelector may ask for."""
    allowed_tolerations: Names | None = None
    """Keys of taints that spec.podTemplate.tolerations may have. One without a key tolerates all; * allows it."""
    allowed_affinity: Annotated[
        list[Literal["nodeAffinity", "podAffinity", "podAntiAffinity"]] | None, Field(max_length=3)
    ] = None
    """Kinds of affinity that spec.podTemplate.affinity may have. By podAntiAffinity a pod can keep others away."""
    allowed_security_context: Names | None = None
    """What spec.podTemplate.securityContext may say, as FIELD/VALUE: runAsUser/1500, runAsGroup/1500, fsGroup/1500,
    supplementalGroups/5000, runAsUser/unset and runAsGroup/unset (the image's, or the cluster's), seLinuxOptions/level,
    seLinuxOptions/type, supplementalGroupsPolicy/Strict, seccompProfile/RuntimeDefault,
    seccompProfile/Localhost/PROFILE, appArmorProfile/Localhost/PROFILE; runAsUser/* and so on for any value. An
    identity decides on what the storage gives away."""
    allowed_secrets: Names | None = None
    """Secrets that spec.trainer.env and spec.podTemplate.volumes may name. Without the rule a training may read every
    Secret of its namespace."""
    allowed_config_maps: Names | None = None
    """ConfigMaps that spec.trainer.env and spec.podTemplate.volumes may name. They may hold code, such as a trainer
    class, which no digest of an image covers."""
    allowed_job_annotations: Names | None = None
    """Keys that spec.podTemplate.jobAnnotations may have."""
    allowed_initial_weights: Names | None = None
    """What spec.initialWeights may begin with, as training/NAME or claim/NAME; claim/* for any claim. Epochs of a
    fine-tuned network say less: nobody knows here what it has seen before. The plans come with the weights: beside
    allowedConfigurations, allowedPlanners or minGpuMemoryTargetGB none may be set unless this rule names them."""


class PolicyException(ApiModel):
    """Lets one training off some rules of this policy, for a time. Whoever may write the policy grants it."""

    namespace: Namespace
    """Namespace of the training."""
    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the training."""
    min_epochs: Count | None = None
    """The least number of epochs that still holds, for both rules on epochs. Default: the rules' own."""
    lifted_rules: Annotated[
        list[LiftableRule],
        Field(max_length=MAX_LIFTED, json_schema_extra=_SET),
    ] = []
    """Rules that do not hold for the training. Epochs are never lifted: give minEpochs. Default: none."""
    require_comparison: ComparisonTerms | None = None
    """Terms for this training, in the place of the rule requireComparison. Default: the rule's own."""
    reason: Annotated[str, Field(min_length=10, max_length=MAX_REASON)]
    """Why, in a sentence that an auditor understands."""
    ticket: Annotated[str, Field(min_length=1, max_length=MAX_WORD)]
    """Where the request and its discussion are kept."""
    approved_by: Annotated[str, Field(min_length=1, max_length=MAX_WORD)]
    """Who answers for it: somebody else than who asked."""
    # The pattern is what date-time, CEL's timestamp() and Python all read alike. date-time alone lets in what CEL fails
    # on, and then one bad exception would deny every training.
    expires_at: Annotated[
        AwareDatetime,
        Field(
            json_schema_extra={
                "format": "date-time",
                "maxLength": 25,
                "pattern": r"^20[0-9]{2}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
                r"(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$",
            }
        ),
    ]
    """From when on it counts no more, for example 2027-02-20T00:00:00Z; at most a year from now. A training that is not
    complete by then is suspended."""


class NnunetTrainingPolicySpec(ApiModel):
    """Rules for the trainings of some namespaces. Where several policies are for one, each of them has to be kept."""

    mode: PolicyMode
    """Enforce: what breaks a rule is refused, or suspended. Warn: the user is warned. Audit: it is only recorded."""
    namespaces: Annotated[list[Namespace] | None, Field(max_length=MAX_NAMESPACES, json_schema_extra=_SET)] = None
    """Names of namespaces that it is for, besides those that namespaceSelector selects."""
    namespace_selector: NamespaceSelector | None = None
    """Selects namespaces that it is for; {} selects all."""
    rules: Rules
    """What it asks of a training."""
    exceptions: Annotated[
        list[PolicyException],
        Field(
            max_length=MAX_EXCEPTIONS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["namespace", "name"]},
        ),
    ] = []
    """Trainings that are let off some of the rules."""


def policy_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec: (rule, message)."""
    return [
        (
            "has(self.namespaceSelector) || has(self.namespaces)",
            "give namespaces or namespaceSelector ({} selects every namespace)",
        ),
    ]
