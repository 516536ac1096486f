"""The rules: what a training breaks, in the words that admission uses, too."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnunet_api.policy.model import ComparisonTerms, PolicyException, Rule, Rules
from nnunet_api.policy.names import CLAIM_TEMPLATES, is_allowed, is_allowed_image, named
from nnunet_api.schedule import LearningRatePolicy
from nnunet_api.slipped_in import image_in, is_variable
from nnunet_api.standard import number_text
from nnunet_api.training import NnunetTrainingSpec

DIGEST = re.compile(r"[^@]+@sha256:[0-9a-f]{64}")
VERIFIER = "the operator's own trainer image"
"""The field of a violation that no change of the training mends. Admission does not know of it."""
SLIPPED_IN = "what others have put into its pods"
OTHER_IMAGE = "the image that others have given to its pods"
"""The same of what somebody else did, such as a webhook."""
SHOWN_CHARACTERS = 200
"""Characters of a list that a message shows."""
TOLD_BYTES, TOLD_CHARACTERS = 4096, 1000
"""A longer line on what is broken is cut to so many characters, of at most four bytes each."""
COMPARABLE = frozenset(
    {
        Rule.MIN_EPOCHS,
        Rule.MIN_ITERATIONS,
        Rule.EARLY_STOPPING_MODES,
        Rule.EARLY_STOPPING_MIN_EPOCHS,
        Rule.TRAINER_CLASSES,
    }
)
"""Rules in whose place the verdict of a comparison may stand: on how long is trained, and by which class."""
_NAMES_HAVE_TO_MEAN = "(so that an allowed name means what nnU-Net plans under it)"

_PLANS_COME_WITH_WEIGHTS = (
    "where a rule says what may be planned and none which weights (allowedInitialWeights): the plans come with them"
)
_CLAIMS_COUNT = (
    "where maxGpus counts and allowedGpuResources names no resourceclaimtemplates/...: its claim may ask for more GPUs"
)


@dataclass(frozen=True)
class Violation:
    """A rule that a training breaks."""

    rule: Rule
    field: str
    """Path of the field, from spec on."""
    value: str | int | Sequence[str] | None
    """What it is; the names of what it sets, where it is a list or a map; None where it is not set."""
    wanted: str
    """What is asked for, after the value: must be at least 1000."""

    @property
    def message(self) -> str:
        """Field, value, and what is asked for; admission says the same, word for word."""
        return f"{self.field} {self._has}, {self.wanted}"

    @property
    def _has(self) -> str:
        if self.value is None:
            return "is not set"
        if isinstance(self.value, str | int):
            return f"is {self.value}"
        more = f" and {len(self.value) - 1} more" if len(self.value) > 1 else ""
        return f"sets {self.value[0]}{more}"


@dataclass(frozen=True)
class Standing:
    """What is left of a policy's rules for one training, after its exception."""

    rules: Rules
    exception: PolicyException | None = None

    @property
    def min_epochs(self) -> int | None:
        """Least epochs of the schedule."""
        return self._floor(self.rules.min_epochs)

    @property
    def early_stopping_min_epochs(self) -> int | None:
        """Least spec.earlyStopping.minEpochs."""
        return self._floor(self.rules.early_stopping.min_epochs)

    @property
    def terms(self) -> ComparisonTerms | None:
        """What a comparison has to come to in the place of rules; None where none may stand there."""
        own = self.exception.require_comparison if self.exception else None
        return own or self.rules.require_comparison

    @property
    def max_test_looks(self) -> int | None:
        """How often a test set may have been looked at for a verdict on it to count; None for as often as it may."""
        lifted = self.exception is not None and "maxTestLooks" in self.exception.lifted_rules
        return None if lifted else self.rules.max_test_looks

    @property
    def proven_epochs(self) -> int:
        """Epochs that each fold has to be trained for, and before which no early stop acts; 0 for none."""
        return max(self.min_epochs or 0, self.early_stopping_min_epochs or 0)

    def holds(self, rule: Rule) -> bool:
        """Say whether no exception lifts a rule."""
        return self.exception is None or rule.value not in self.exception.lifted_rules

    def _floor(self, asked: int | None) -> int | None:
        floor = self.exception.min_epochs if self.exception else None
        return asked if asked is None or floor is None else min(asked, floor)


def gpus_at_once(spec: NnunetTrainingSpec) -> int:
    """Return the GPUs that a training may hold at the same time."""
    return spec.resources.gpus * min(spec.max_parallel_folds, len(spec.fold_keys))


def violations(
    spec: NnunetTrainingSpec,
    standing: Standing,
    verifier: str = "",
    weights_claim: str = "",
    slipped_in: Sequence[str] = (),
) -> list[Violation]:
    """Return what a training breaks.

    `verifier` is the image that is yet to verify it, `weights_claim` the claim from which another training's weights
    are yet to be copied, `slipped_in` what others have put into its pods; admission knows of none.
    """
    found = [
        *_all(spec, standing, verifier),
        *_claim_of_weights(spec, standing.rules, weights_claim),
        *_slipped_in(standing.rules, slipped_in),
    ]
    return [one for one in found if standing.holds(one.rule)]


def told(broken: Sequence[Violation]) -> str:
    """Return what is broken in one line, cut as admission has to, which shows none of over 5120 bytes."""
    text = "; ".join(violation.message for violation in broken)
    return text[:TOLD_CHARACTERS] + "..." if len(text.encode()) > TOLD_BYTES else text


def _all(spec: NnunetTrainingSpec, standing: Standing, verifier: str) -> Iterator[Violation]:
    rules, stopping = standing.rules, spec.early_stopping
    if standing.min_epochs is not None and spec.schedule.epochs < standing.min_epochs:
        yield _too_few(Rule.MIN_EPOCHS, "spec.schedule.epochs", spec.schedule.epochs, standing.min_epochs)
    iterations, least_iterations = spec.schedule.iterations_per_epoch, rules.min_iterations_per_epoch
    if least_iterations is not None and iterations < least_iterations:
        yield _too_few(Rule.MIN_ITERATIONS, "spec.schedule.iterationsPerEpoch", iterations, least_iterations)
    yield from _learning_rate(spec, rules)
    if rules.early_stopping.allowed_modes and stopping.mode not in rules.early_stopping.allowed_modes:
        modes = rules.early_stopping.allowed_modes
        yield _not_among(Rule.EARLY_STOPPING_MODES, "spec.earlyStopping.mode", stopping.mode, modes)
    least = standing.early_stopping_min_epochs
    if least is not None and stopping.can_end_early and stopping.min_epochs < least:
        yield _too_few(Rule.EARLY_STOPPING_MIN_EPOCHS, "spec.earlyStopping.minEpochs", stopping.min_epochs, least)
    image = spec.trainer.image
    if rules.require_image_digest and not DIGEST.fullmatch(image):
        yield Violation(Rule.IMAGE_DIGEST, "spec.trainer.image", image or None, "must have a digest (NAME@sha256:...)")
    if rules.require_image_digest and verifier and not DIGEST.fullmatch(verifier):
        yield Violation(Rule.IMAGE_DIGEST, VERIFIER, verifier, "must have a digest: it verifies what was trained")
    if rules.require_seed and spec.trainer.seed is None:
        yield Violation(Rule.SEED, "spec.trainer.seed", None, "must be a number")
    if rules.require_test_set and spec.test_set is None:
        yield Violation(Rule.TEST_SET, "spec.testSet", None, "must name the folders of the test cases")
    if rules.min_replicates is not None and spec.replicates < rules.min_replicates:
        yield _too_few(Rule.MIN_REPLICATES, "spec.replicates", spec.replicates, rules.min_replicates)
    if rules.allowed_trainer_classes and spec.trainer.class_name not in rules.allowed_trainer_classes:
        name, classes = spec.trainer.class_name, rules.allowed_trainer_classes
        yield _not_among(Rule.TRAINER_CLASSES, "spec.trainer.className", name, classes)
    yield from _configurations(spec, rules)
    yield from _planning(spec, rules)
    yield from _environment(spec, rules)
    gpus = gpus_at_once(spec)
    if rules.max_gpus is not None and gpus > rules.max_gpus:
        value = f"{spec.resources.gpus} ({gpus} in all folds at once)"
        wanted = f"must be at most {rules.max_gpus} in all (lower spec.maxParallelFolds)"
        yield Violation(Rule.MAX_GPUS, "spec.resources.gpus", value, wanted)
    yield from _pod(spec, rules)
    yield from _plans_of_weights(spec, standing)
    yield from _devices_of_claims(spec, standing)


def _learning_rate(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Violation]:
    """Epochs whose learning rate is next to nothing, or that are a warm-up, train next to nothing."""
    rate, least = spec.schedule.initial_learning_rate, rules.min_initial_learning_rate
    if least is not None and rate is not None and rate < least:
        yield _too_little(Rule.MIN_LEARNING_RATE, "spec.schedule.initialLearningRate", rate, least)
    warmup, most = spec.schedule.warmup_epochs, rules.max_warmup_epochs
    warms_up = spec.schedule.learning_rate_policy is LearningRatePolicy.POLY_WITH_WARMUP
    if most is not None and warms_up and warmup > most:
        yield Violation(Rule.MAX_WARMUP, "spec.schedule.warmupEpochs", warmup, f"must be at most {most}")


def _planning(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Violation]:
    """Epochs of a network that was planned to be tiny cost and train next to nothing."""
    planner, memory = spec.planning.planner, spec.planning.gpu_memory_target_gb
    if rules.allowed_planners and planner not in rules.allowed_planners:
        yield _not_among(Rule.PLANNERS, "spec.planning.planner", planner, rules.allowed_planners)
    least = rules.min_gpu_memory_target_gb
    if least is not None and memory is not None and memory < least:
        yield _too_little(Rule.MIN_GPU_MEMORY, "spec.planning.gpuMemoryTargetGB", memory, least)


def _configurations(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Violation]:
    """A name says nothing where the training itself may define what it stands for, or what that inherits from."""
    allowed, own = rules.allowed_configurations, spec.planning.configurations
    strange = [name for name in spec.configuration_names if name not in allowed]
    if allowed and strange:
        yield Violation(Rule.CONFIGURATIONS, "spec.configurations", strange, _may_set(allowed))
    if allowed and own:
        wanted = f"must be empty {_NAMES_HAVE_TO_MEAN}"
        yield Violation(Rule.CONFIGURATIONS, "spec.planning.configurations", sorted(own), wanted)


def _plans_of_weights(spec: NnunetTrainingSpec, standing: Standing) -> Iterator[Violation]:
    """The plans come out of the checkpoint: a name in it means what whoever wrote that file says."""
    rules, begins = standing.rules, spec.initial_weights
    asked = {
        Rule.CONFIGURATIONS: bool(rules.allowed_configurations),
        Rule.PLANNERS: bool(rules.allowed_planners),
        Rule.MIN_GPU_MEMORY: rules.min_gpu_memory_target_gb is not None,
    }
    held = any(given and standing.holds(rule) for rule, given in asked.items())
    if begins and held and rules.allowed_initial_weights is None:
        wanted = f"must not be set {_PLANS_COME_WITH_WEIGHTS}"
        yield Violation(Rule.INITIAL_WEIGHTS, "spec.initialWeights", begins.named, wanted)


def _devices_of_claims(spec: NnunetTrainingSpec, standing: Standing) -> Iterator[Violation]:
    """How many devices a claim asks for stands in its template, not in spec.resources.gpus, which is counted."""
    template, rules = spec.resources.gpu_claim_template_name, standing.rules
    counted = rules.max_gpus is not None and standing.holds(Rule.MAX_GPUS)
    known = any(one.startswith(CLAIM_TEMPLATES) for one in rules.allowed_gpu_resources or ())
    if template and spec.resources.gpus and counted and not known:
        yield Violation(
            Rule.GPU_RESOURCES, "spec.resources.gpuClaimTemplateName", template, f"must not be set {_CLAIMS_COUNT}"
        )


def _claim_of_weights(spec: NnunetTrainingSpec, rules: Rules, claim: str) -> Iterator[Violation]:
    """What is read of another training lies on the claim that it names."""
    source = spec.initial_weights.training if spec.initial_weights else None
    allowed = rules.allowed_claims
    if source and claim and allowed is not None and not is_allowed(claim, allowed):
        wanted = f"must have its results on one of {_shown(allowed)}, has them on {claim}"
        yield Violation(Rule.CLAIMS, "spec.initialWeights.training.name", source.name, wanted)


def _environment(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Violation]:
    allowed = rules.allowed_env
    if allowed is None:
        return
    strange = [variable.name for variable in spec.trainer.env if not is_allowed(variable.name, allowed)]
    if strange:
        yield Violation(Rule.ENV, "spec.trainer.env", strange, _may_set(allowed))


def _slipped_in(rules: Rules, found: Sequence[str]) -> Iterator[Violation]:
    """What the rules forbid the training they forbid however it has come into its pods."""
    images = [image for one in found if (image := image_in(one))]
    others = [one for one in found if not image_in(one)]
    if (allowed := rules.allowed_env) is not None:
        strange = [one for one in others if not (is_variable(one) and is_allowed(one, allowed))]
        if strange:
            yield Violation(Rule.ENV, SLIPPED_IN, strange, _may_set(allowed))
    if images and rules.require_image_digest:
        yield Violation(Rule.IMAGE_DIGEST, OTHER_IMAGE, images[0], "must have the digest of spec.trainer.image")
    if (allowed := rules.allowed_images) is not None:
        strange = [image for image in images if not is_allowed_image(image, allowed)]
        if strange:
            yield Violation(Rule.IMAGES, OTHER_IMAGE, strange[0], _must_be(allowed))


def _pod(spec: NnunetTrainingSpec, rules: Rules) -> Iterator[Violation]:
    """What a pod is: its image, claims, accounts, what selects it and where it may run."""
    image, images = spec.trainer.image, rules.allowed_images
    if image and images is not None and not is_allowed_image(image, images):
        yield Violation(Rule.IMAGES, "spec.trainer.image", image, _must_be(images))
    for each in named(spec, rules):
        strange, allowed = each.strange, each.allowed or ()
        if strange and each.single:
            yield Violation(each.rule, each.field, strange[0], _must_be(allowed))
        elif strange:
            yield Violation(each.rule, each.field, strange, _may_set(allowed))


def _too_few(rule: Rule, field: str, value: int, least: int) -> Violation:
    return Violation(rule, field, value, f"must be at least {least}")


def _too_little(rule: Rule, field: str, value: float, least: float) -> Violation:
    return Violation(rule, field, number_text(value), f"must be at least {number_text(least)}")


def _not_among(rule: Rule, field: str, value: str, allowed: Sequence[str]) -> Violation:
    return Violation(rule, field, value, _must_be(allowed))


def _must_be(allowed: Sequence[str]) -> str:
    return f"must be one of {_shown(allowed)}" if allowed else "must not be set"


def _may_set(allowed: Sequence[str]) -> str:
    return f"may set only {_shown(allowed)}" if allowed else "may set none"


def _shown(allowed: Sequence[str]) -> str:
    names = ", ".join(allowed)
    return names if len(names) <= SHOWN_CHARACTERS else names[:SHOWN_CHARACTERS] + "..."
