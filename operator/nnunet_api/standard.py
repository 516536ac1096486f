"""How a training differs from nnU-Net's standard: its schedule, learning rate, network and trainer class.

Epochs alone say little: a thousand of one iteration, with a rate of 1e-12, in a warm-up that does not end, or of a
network that was planned for half a gigabyte, train next to nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nnunet_api.reasons import Reason
from nnunet_api.schedule import LearningRatePolicy, Schedule, judge
from nnunet_api.training import NnunetTrainingSpec

LEARNING_RATE = 0.01
"""nnUNetTrainer.initial_lr."""
LEAST_LEARNING_RATE = 0.0002
"""The least rate that one of nnU-Net's own trainer classes begins with (nnUNet_Primus)."""
VALIDATION_ITERATIONS = 50
"""nnUNetTrainer.num_val_iterations_per_epoch."""
WARMUP_SHARE = 10
"""A warm-up of more than one part in so many of the schedule leaves little of it; nnUNetTrainer_warmup has 1 in 20."""
PLANNERS = ("ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL")
"""nnU-Net's planners that it recommends."""
GPU_MEMORY_GB = 8
"""The least that these planners aim at by themselves."""
TRAINER_CLASS = "nnUNetTrainer"


@dataclass(frozen=True)
class Difference:
    """Something that is otherwise than in nnU-Net's standard."""

    field: str
    """Path of the field, from spec on."""
    value: str
    standard: str
    hollow: str = ""
    """Why epochs train little because of it; empty where nobody knows that they do."""

    def __str__(self) -> str:
        return f"{self.field} is {self.value}, nnU-Net's is {self.standard}"

    @property
    def message(self) -> str:
        """Both values, and why it matters, word for word as admission warns."""
        return f"{self}: {self.hollow}" if self.hollow else str(self)


def differences(spec: NnunetTrainingSpec) -> list[Difference]:
    """Return how a training differs from nnU-Net's standard, but for its length, in the order of the fields."""
    return [*_of_network(spec), *_of_schedule(spec.schedule), *_of_trainer(spec)]


def judge_training(spec: NnunetTrainingSpec) -> tuple[bool, Reason, str]:
    """Return whether a training is nnU-Net's standard or more, the reason of StandardSchedule, and its message."""
    long_enough, reason, length = judge(spec.schedule)
    found = differences(spec)
    if not found:
        return long_enough, reason, length
    hollow = [each.message for each in found if each.hollow]
    others = [str(each) for each in found if not each.hollow]
    told = f"{length}. It differs from the standard: {'; '.join([*hollow, *others])}"
    if not long_enough:
        return False, reason, told
    return False, Reason.HOLLOW_EPOCHS if hollow else Reason.CHANGED_STANDARD, told


def number_text(value: float) -> str:
    """Return a number in the fewest digits that mean it, as CEL writes it."""
    return repr(float(value)).removesuffix(".0")


def _of_network(spec: NnunetTrainingSpec) -> Iterator[Difference]:
    planning = spec.planning
    if planning.planner not in PLANNERS:
        yield Difference("spec.planning.planner", planning.planner, f"one of {', '.join(PLANNERS)}")
    memory = planning.gpu_memory_target_gb
    if memory is not None and memory < GPU_MEMORY_GB:
        why = "it plans a smaller network and smaller patches, and epochs train less"
        yield Difference("spec.planning.gpuMemoryTargetGB", number_text(memory), f"at least {GPU_MEMORY_GB}", why)
    own = planning.configurations.get(spec.configuration)
    if own is not None:
        sets = f"its own (it sets {', '.join(sorted(own)) or 'nothing'})"
        yield Difference(f"spec.planning.configurations.{spec.configuration}", sets, "what the planner plans")


def _of_schedule(schedule: Schedule) -> Iterator[Difference]:
    validations = schedule.validation_iterations_per_epoch
    if validations < VALIDATION_ITERATIONS:
        field = "spec.schedule.validationIterationsPerEpoch"
        yield Difference(field, str(validations), str(VALIDATION_ITERATIONS))
    rate, policy = schedule.initial_learning_rate, schedule.learning_rate_policy
    if rate is not None and rate != LEARNING_RATE:
        least = number_text(LEAST_LEARNING_RATE)
        why = f"below {least}, the least that one of its trainer classes begins with, epochs train little"
        field, standard = "spec.schedule.initialLearningRate", number_text(LEARNING_RATE)
        yield Difference(field, number_text(rate), standard, why if rate < LEAST_LEARNING_RATE else "")
    if policy is not None and policy is not LearningRatePolicy.POLY:
        yield Difference("spec.schedule.learningRatePolicy", policy.value, LearningRatePolicy.POLY.value)
    warmup, epochs = schedule.warmup_epochs, schedule.epochs
    if policy is LearningRatePolicy.POLY_WITH_WARMUP and warmup * WARMUP_SHARE > epochs:
        why = "a warm-up of more than a tenth of the schedule leaves little of it"
        yield Difference("spec.schedule.warmupEpochs", f"{warmup} of {epochs}", "50 of 1000 where there is one", why)


def _of_trainer(spec: NnunetTrainingSpec) -> Iterator[Difference]:
    if spec.early_stopping.can_end_early:
        yield Difference("spec.earlyStopping.mode", spec.early_stopping.mode.value, "Disabled")
    if spec.trainer.class_name != TRAINER_CLASS:
        yield Difference("spec.trainer.className", spec.trainer.class_name, TRAINER_CLASS)
