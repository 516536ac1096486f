"""How a training differs from nnU-Net's standard: its schedule, learning rate, network and trainer class.

Epochs alone say little: a thousand of one iteration, with a rate of 1e-12, in a warm-up that does not end, or of a
network that was planned for half a gigabyte, train next to nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnunet_api.initial_weights import InitialWeights
from nnunet_api.reasons import Reason
from nnunet_api.schedule import EarlyStopping, LearningRatePolicy, Schedule, judge
from nnunet_api.training import NnunetTrainingSpec, Planning

LEARNING_RATE = 0.01
"""nnUNetTrainer.initial_lr."""
LEAST_LEARNING_RATE = 0.0002
"""The least rate that one of nnU-Net's own trainer classes begins with (nnUNet_Primus)."""
LEAST_SHARE_OF_RATE = 0.5
"""Of a learning rate that was asked for: less was not trained with it."""
VALIDATION_ITERATIONS = 50
"""nnUNetTrainer.num_val_iterations_per_epoch."""
WARMUP_SHARE = 10
"""A warm-up of more than one part in so many of the schedule leaves little of it; nnUNetTrainer_warmup has 1 in 20."""
PLANNERS = ("ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL")
"""nnU-Net's planners that it recommends."""
OLD_PLANNER = "ExperimentPlanner"
"""nnU-Net's default as long as nothing else is asked for, against which it advises itself."""
PLANNER_ADVICE = (
    f"spec.planning.planner is {OLD_PLANNER}, nnU-Net's old default: it recommends the residual encoder presets, "
    "nnUNetPlannerResEncL in the first place. By its figures a fold of 1000 epochs takes on an A100 9 h and 7.7 GB of "
    "GPU memory now, 12 h and 9.1 GB by nnUNetPlannerResEncM, 35 h and 22.7 GB by nnUNetPlannerResEncL, 66 h and "
    "36.6 GB by nnUNetPlannerResEncXL"
)
"""Source: documentation/resenc_presets.md of nnU-Net 2.8.1."""
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


@dataclass(frozen=True)
class Asked:
    """What a training asks for that nnU-Net's standard fixes."""

    planning: Planning
    configurations: Sequence[str]
    schedule: Schedule
    early_stopping: EarlyStopping
    trainer_class: str
    initial_weights: InitialWeights | None = None

    @classmethod
    def by(cls, spec: NnunetTrainingSpec) -> "Asked":
        """Return what a spec asks for."""
        return cls(
            spec.planning,
            spec.configuration_names,
            spec.schedule,
            spec.early_stopping,
            spec.trainer.class_name,
            spec.initial_weights,
        )


@dataclass(frozen=True)
class Trained:
    """What the final checkpoints say was trained, as far as they do."""

    iterations: Sequence[int] = ()
    """Training iterations of an epoch, of each fold the fewest."""
    learning_rates: Sequence[float] = ()
    """Highest learning rate of each fold."""


def differences(asked: Asked) -> list[Difference]:
    """Return how a training differs from nnU-Net's standard, but for its length, in the order of the fields."""
    return [*_of_network(asked), *_of_schedule(asked.schedule), *_of_trainer(asked)]


def judge_training(asked: Asked, trained: Trained | None = None) -> tuple[bool, Reason, str]:
    """Return whether a training is nnU-Net's standard or more, the reason of StandardSchedule, and its message.

    What was trained counts beside what is asked for: a trainer class may have an idea of its own.
    """
    long_enough, reason, length = judge(asked.schedule)
    found = [*differences(asked), *_of_trained(asked.schedule, trained or Trained())]
    if not found:
        return long_enough, reason, length
    hollow = [each.message for each in found if each.hollow]
    others = [str(each) for each in found if not each.hollow]
    told = f"{length}. It differs from the standard: {'; '.join([*hollow, *others])}"
    if not long_enough:
        return False, reason, told
    return False, Reason.HOLLOW_EPOCHS if hollow else Reason.CHANGED_STANDARD, told


def planner_advice(planning: Planning) -> str:
    """Return what nnU-Net recommends in the place of its old default, and what that costs; empty for other planners.

    Said once and never a difference from the standard: it is nnU-Net's default to this day.
    """
    return PLANNER_ADVICE if planning.planner == OLD_PLANNER else ""


def number_text(value: float) -> str:
    """Return a number in the fewest digits that mean it, as CEL writes it."""
    return repr(float(value)).removesuffix(".0")


def _of_network(asked: Asked) -> Iterator[Difference]:
    planning = asked.planning
    if planning.planner not in PLANNERS:
        yield Difference("spec.planning.planner", planning.planner, f"one of {', '.join(PLANNERS)}")
    memory = planning.gpu_memory_target_gb
    if memory is not None and memory < GPU_MEMORY_GB:
        why = "it plans a smaller network and smaller patches, and epochs train less"
        yield Difference("spec.planning.gpuMemoryTargetGB", number_text(memory), f"at least {GPU_MEMORY_GB}", why)
    for name in asked.configurations:
        own = planning.configurations.get(name)
        if own is not None:
            sets = f"its own (it sets {', '.join(sorted(own)) or 'nothing'})"
            yield Difference(f"spec.planning.configurations.{name}", sets, "what the planner plans")


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


def _of_trainer(asked: Asked) -> Iterator[Difference]:
    if asked.initial_weights:
        yield Difference("spec.initialWeights", asked.initial_weights.words, "random weights")
    if asked.early_stopping.can_end_early:
        yield Difference("spec.earlyStopping.mode", asked.early_stopping.mode.value, "Disabled")
    if asked.trainer_class != TRAINER_CLASS:
        yield Difference("spec.trainer.className", asked.trainer_class, TRAINER_CLASS)


def _of_trained(schedule: Schedule, trained: Trained) -> Iterator[Difference]:
    """Yield what was trained and says something else than what was asked for."""
    wanted = schedule.iterations_per_epoch
    least = min(trained.iterations, default=wanted)
    if least < wanted:
        why = f"{wanted} were asked for"
        yield Difference("the fewest iterations of an epoch, by the checkpoints,", str(least), "250", why)
    rate = min(trained.learning_rates, default=LEARNING_RATE)
    field, wish = "the highest learning rate, by the checkpoints,", schedule.initial_learning_rate
    if wish is not None:
        # Far below: the last step of a warm-up is a little less than what it leads to. One that never ends is told of.
        if trained.learning_rates and rate < wish * LEAST_SHARE_OF_RATE and schedule.warmup_epochs < schedule.epochs:
            why = f"{number_text(wish)} was asked for"
            yield Difference(field, number_text(rate), number_text(LEARNING_RATE), why)
    elif rate < LEAST_LEARNING_RATE:
        yield Difference(field, number_text(rate), number_text(LEARNING_RATE), "with it epochs train little")
