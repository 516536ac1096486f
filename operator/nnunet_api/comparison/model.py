"""`NnunetComparison`: what is compared with what, and which loss is acceptable. The CRD's schema is made from here."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from nnunet_api.base import INTEGER, ApiModel, Quantity, cel
from nnunet_api.comparison.conditions import ALWAYS_EQUAL
from nnunet_api.pod_template import AnnotationMap, LabelMap
from nnunet_api.resources import CPU_LIMIT
from nnunet_api.training import NnunetTrainingSpec, QueueName
from nnunet_api.training_rules import spec_rules

KIND = "NnunetComparison"
PLURAL = "nnunetcomparisons"

MAX_ARMS = 10
MAX_TRAININGS = 10
"""Trainings of one arm."""
MAX_CLASSES = 64
MAX_PATCHED = 32
"""Fields at the top of a patch: a training's spec has fewer. How large a spec may be in all, admission measures."""

ArmName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
TrainingName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ComparisonName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
ClassName = Annotated[str, Field(min_length=1, max_length=128)]
VariedPath = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$")]
_SET = {"x-kubernetes-list-type": "set"}


class Metric(StrEnum):
    """What the verdict rests on."""

    DICE = "Dice"


class TemplateMetadata(ApiModel):
    """Labels and annotations of the trainings that are made."""

    labels: LabelMap = {}
    """Labels. What the operator labels them with wins."""
    annotations: AnnotationMap = {}
    """Annotations."""


_ON_ITS_OWN = (
    ("!self.suspend", "is not for the template to give: set spec.suspend of the comparison"),
    (
        "!has(self.ttlSecondsAfterFinished)",
        "ttlSecondsAfterFinished is not for the template to give: a training may not be gone before the comparison is "
        "over",
    ),
)


class TrainingTemplate(ApiModel):
    """What the trainings of the arms have in common."""

    metadata: TemplateMetadata = TemplateMetadata()
    """Their labels and annotations."""
    spec: Annotated[
        NnunetTrainingSpec,
        Field(json_schema_extra=cel(*(rule for rule in spec_rules() if "oldSelf" not in rule[0]), *_ON_ITS_OWN)),
    ]
    """The spec of a NnunetTraining, as each arm has it but for its patch. Its replicates are those of each arm, with
    the same seeds in all arms. It can't name Secrets and ConfigMaps: they are for those alone to use who may read
    them, and trainings that use them are created by hand, and named in an arm's trainings."""


class Arm(ApiModel):
    """One way of training: what was trained so, as often as it was."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(self.trainings.size() > 0) != has(self.patch)",
                "give trainings that there are, or patch (patch: {} for the template as it is) to have one made",
            )
        )
    )

    name: ArmName
    """Name of the arm, as verdicts call it: 250-epochs."""
    trainings: Annotated[list[TrainingName], Field(max_length=MAX_TRAININGS, json_schema_extra=_SET)] = []
    """Names of NnunetTrainings of this namespace. Each counts as its replicates; several are further replicates."""
    patch: Annotated[dict[str, Any] | None, Field(max_length=MAX_PATCHED)] = None
    """In place of trainings: what of template.spec is different in this arm, as a JSON merge patch (RFC 7386):
    schedule: {epochs: 250}. Lists are replaced as a whole. The comparison makes the arm's training from it."""


class ComparisonResources(ApiModel):
    """Resources of the pod that computes the verdict. It never asks for a GPU."""

    model_config = ConfigDict(json_schema_extra=CPU_LIMIT)

    cpu: Quantity = "1"
    """CPU cores, requested."""
    cpu_limit: Quantity | None = None
    """Limit of CPU cores, at least cpu. Default: none. Give it where a quota or a LimitRange of the namespace asks for
    one."""
    memory: Quantity = "4Gi"
    """Memory, requested and limited."""
    ephemeral_storage: Quantity | None = None
    """Storage on the node for logs and temporary files, requested and limited. Default: none, or that of a
    LimitRange."""


class NnunetComparisonSpec(ApiModel):
    """What is compared, by which metric, and what loss is acceptable: said before the result is known."""

    arms: Annotated[
        list[Arm],
        Field(
            min_length=2,
            max_length=MAX_ARMS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ]
    """The ways of training. Claims on methods, and not on single models, need three replicates in each."""
    template: TrainingTemplate | None = None
    """What the trainings of those arms are made from that have a patch. They are made together, once it is known that
    they can be compared, are named COMPARISON-ARM, and stay when the comparison is deleted."""
    baseline: ArmName | None = None
    """Name of the arm that the others are compared with. Default: the first."""
    metric: Metric = Metric.DICE
    """What the verdict rests on: Dice. The normalized surface Dice (NSD) and HD95 are reported besides."""
    classes: Annotated[list[ClassName], Field(max_length=MAX_CLASSES, json_schema_extra=_SET)] = []
    """Names of the classes, or regions, that count. Default: all."""
    max_dice_loss: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Loss of Dice (0 to 1) that is acceptable: the margin of non-inferiority. 0.01 is one point."""
    alpha: Annotated[float, Field(ge=0.001, le=0.2)] = 0.05
    """Error that is accepted, two-sided: intervals have the level 1 - alpha."""
    varies: Annotated[
        list[VariedPath],
        Field(
            max_length=32,
            json_schema_extra=_SET
            | cel(
                (
                    f"self.all(v, !({sorted(ALWAYS_EQUAL)}.exists(p, v == p || v.startsWith(p + '.'))))",
                    "data, splits, folds, test set, patients, labels, metric, inference must be the same in all arms",
                )
            ),
        ),
    ] = []
    """What is to differ between the arms, by its path in the training's spec or in provenance.json: schedule.epochs,
    or schedule for all of it. All else has to be the same in all arms, and what is named has to differ."""
    expected_difference_sd: Annotated[float | None, Field(alias="expectedDifferenceSD", gt=0, le=1)] = None
    """Standard deviation (in Dice, 0 to 1) over the test cases that the difference of two arms is expected to have, for
    example 0.03: from it is said, before anything trains, how many cases maxDiceLoss needs. No part of the verdict."""
    pilot: ComparisonName | None = None
    """Name of an earlier comparison of this namespace whose spread is expected again, where expectedDifferenceSD is not
    given."""
    resources: ComparisonResources = ComparisonResources()
    """Resources of the pod that computes the verdict. May change."""
    queue_name: QueueName | None = None
    """LocalQueue of Kueue that admits the Job of the verdict. Default: that of the baseline's first training, whose
    priorities it has in any case. May change, and counts for a Job that is made after that."""
    retry_limit: Annotated[int, Field(ge=0, le=100, json_schema_extra=INTEGER)] = 3
    """Failed attempts at the verdict that are forgiven. Preemption, eviction and node loss do not count. May change."""
    suspend: bool = False
    """Do nothing for now, and suspend the trainings that were made from the template; false resumes them. Suspending a
    failed comparison and resuming it tries again."""
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=2**31 - 1, json_schema_extra=INTEGER)] = None
    """Seconds after which a comparison that is complete or failed is deleted. Its trainings stay. Default: never."""

    @property
    def baseline_arm(self) -> Arm:
        """The arm that the others are compared with."""
        return next((arm for arm in self.arms if arm.name == self.baseline), self.arms[0])

    @property
    def candidates(self) -> list[Arm]:
        """The other arms."""
        return [arm for arm in self.arms if arm is not self.baseline_arm]

    @property
    def ordered_arms(self) -> list[Arm]:
        """All arms, the baseline first."""
        return [self.baseline_arm, *self.candidates]

    @property
    def training_names(self) -> list[str]:
        """Names of the trainings of all arms."""
        return [name for arm in self.ordered_arms for name in arm.trainings]


MUTABLE_FIELDS = ("suspend", "ttlSecondsAfterFinished", "resources", "retryLimit", "queueName")
"""Fields of the spec that may change after creation: none that the verdict depends on."""


def _fixed(field: str) -> str:
    return (
        f"{field} can't change after creation: a comparison is registered before its result is known. Create a new "
        "one, which says by its own time when it was registered"
    )


def fixed_fields() -> dict[str, tuple[str, str]]:
    """Return the CEL rule, and its message, of each field of the spec that can't change after creation."""
    names = [info.alias or name for name, info in NnunetComparisonSpec.model_fields.items()]
    return {name: ("self == oldSelf", _fixed(name)) for name in names if name not in MUTABLE_FIELDS}


def comparison_rules() -> list[tuple[str, str]]:
    """CEL rules over the whole spec: (rule, message)."""
    return [
        (
            "!has(self.baseline) || self.arms.exists(a, a.name == self.baseline)",
            "baseline must be the name of one of the arms",
        ),
        (
            "self.arms.all(a, a.trainings.all(t, self.arms.exists_one(b, t in b.trainings)))",
            "a training may be in one arm only",
        ),
        (
            "has(self.template) == self.arms.exists(a, has(a.patch))",
            "template and patch go together: give template and at least one arm with a patch, or neither",
        ),
        ("!has(self.pilot) || !has(self.expectedDifferenceSD)", "give expectedDifferenceSD or pilot, not both"),
        *(
            (f"has(self.{name}) == has(oldSelf.{name})", _fixed(name))
            for name in ("baseline", "template", "expectedDifferenceSD", "pilot")
        ),
        # == goes by their names, as the list is a map to the API server; and the first arm is the baseline.
        ("self.arms.map(a, a.name) == oldSelf.arms.map(a, a.name)", _fixed("arms")),
    ]
