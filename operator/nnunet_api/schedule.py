"""How long a network is trained: the schedule, early stopping, and whether that is nnU-Net's standard, in words."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from nnunet_api import words
from nnunet_api.base import INTEGER, ApiModel
from nnunet_api.reasons import Reason

STANDARD_EPOCHS = 1000
"""nnU-Net's own schedule (nnUNetTrainer.num_epochs)."""
STANDARD_ITERATIONS = 250
"""Training iterations of an epoch in it (nnUNetTrainer.num_iterations_per_epoch)."""
SHORTEST_SHARE = 0.25
"""Share of the standard schedule (250 of 1000 epochs) below which a result tells little about the method."""


class LearningRatePolicy(StrEnum):
    """How the learning rate falls over the schedule."""

    POLY = "Poly"
    COSINE = "Cosine"
    POLY_WITH_WARMUP = "PolyWithWarmup"


class EarlyStoppingMode(StrEnum):
    """What becomes of a plateau of the validation metric."""

    DISABLED = "Disabled"
    OBSERVE = "Observe"
    ANNEAL = "Anneal"
    STOP = "Stop"


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
    """Learning rate of the first epoch (after the warmup, where there is one); it falls to 0 over the schedule.
    Default: the trainer class's own (0.01 for nnUNetTrainer and most variants, another for those with another
    optimizer)."""
    learning_rate_policy: LearningRatePolicy | None = None
    """Poly: rate * (1 - epoch/epochs)^0.9, nnU-Net's standard. Cosine: rate * (1 + cos(pi * epoch/epochs)) / 2.
    PolyWithWarmup: linear from 0 over warmupEpochs, then Poly over the rest. Default: the trainer class's own
    (Poly for nnUNetTrainer and most variants)."""
    warmup_epochs: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=INTEGER)] = 50
    """Epochs of linear warmup with PolyWithWarmup. Ignored by the other policies."""


class EarlyStopping(ApiModel):
    """What happens when the EMA of the pseudo-Dice of the validation cases no longer improves. A plateau is not
    convergence: under a high learning rate it says little, and runs differ by their random initialisation alone."""

    mode: EarlyStoppingMode = EarlyStoppingMode.DISABLED
    """Disabled: train the whole schedule. Observe: train it, and record when the rule would have stopped and what that
    would have cost or saved. Anneal: take the learning rate from where it is to 0 over annealEpochs, then stop. Stop:
    cut the training off at the plateau, with the learning rate still high."""
    patience_epochs: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)] = 100
    """Epochs in a row without an improvement that make a plateau. Epochs whose pseudo-Dice is not a number (no
    foreground in any validation patch) count neither way."""
    min_delta: Annotated[float, Field(ge=0, le=1)] = 0.001
    """By how much the EMA of the pseudo-Dice (0 to 1) has to exceed the best before to be an improvement."""
    min_epochs: Annotated[int, Field(ge=1, le=100_000, json_schema_extra=INTEGER)] = 250
    """Finished epochs before which the rule never acts."""
    anneal_epochs: Annotated[int, Field(ge=1, le=10_000, json_schema_extra=INTEGER)] = 50
    """Length of the tail with mode Anneal, in epochs; shorter where the schedule ends before."""

    @property
    def can_end_early(self) -> bool:
        """Whether the rule may end a training before its schedule does."""
        return self.mode in (EarlyStoppingMode.ANNEAL, EarlyStoppingMode.STOP)

    def end_of(self, fired: int, epochs: int) -> int:
        """Return the finished epochs at which a training of `epochs` ends whose rule fired at `fired`.

        Stop ends at once, Anneal after its tail, both at the end of the schedule at the latest.
        """
        tail = self.anneal_epochs if self.mode is EarlyStoppingMode.ANNEAL else 0
        return min(epochs, fired + tail)


def short_of_iterations(counted: int | None, schedule: Schedule) -> str:
    """Return that an epoch had fewer iterations than were asked for; nothing where none had, or none were counted.

    An epoch of fewer iterations is none of those that the schedule asks for, whoever had the idea.
    """
    if counted is None or counted >= schedule.iterations_per_epoch:
        return ""
    had = words.counted(counted, "iteration")
    return f"an epoch had {had}, and schedule.iterationsPerEpoch is {schedule.iterations_per_epoch}"


def judge(schedule: Schedule) -> tuple[bool, Reason, str]:
    """Return whether the schedule is the standard or longer, the reason of the condition, and its message.

    What counts is the number of iterations in all: 1000 epochs of 25 iterations are a tenth of the standard. The
    figures on Dice are what nnU-Net's maintainers and users report (MIC-DKFZ/nnUNet, issues 604, 2465).
    """
    iterations = schedule.epochs * schedule.iterations_per_epoch
    share = iterations / (STANDARD_EPOCHS * STANDARD_ITERATIONS)
    asked = f"{schedule.epochs} epochs of {schedule.iterations_per_epoch} iterations"
    if share >= 1 and schedule.epochs >= STANDARD_EPOCHS:
        return True, Reason.STANDARD_EPOCHS, f"{schedule.epochs} epochs: nnU-Net's standard schedule or longer"
    if share >= 1:
        standard = f"nnU-Net's standard schedule ({STANDARD_EPOCHS} of {STANDARD_ITERATIONS}) or more"
        return True, Reason.STANDARD_EPOCHS, f"{asked}: as many iterations as {standard}, in fewer and longer epochs"
    # Rounded down to tenths of a percent, in whole numbers: admission says the same in CEL, which has no other format
    # in common with Python.
    tenths = 1000 * iterations // (STANDARD_EPOCHS * STANDARD_ITERATIONS)
    percent = f"{tenths / 10:g}" if tenths else "less than 0.1"
    standard = f"{percent} % of nnU-Net's standard schedule ({STANDARD_EPOCHS} of {STANDARD_ITERATIONS})"
    cost = "Shorter schedules usually lose 1-3 % Dice, more on hard tasks, and generalise worse"
    if share < SHORTEST_SHARE:
        advice = "So few show that the machinery works and nothing else: do not rely on the model, nor compare it"
        return False, Reason.VERY_SHORT_SCHEDULE, f"{asked} are {standard}. {cost}. {advice}"
    advice = (
        "Compare it with the standard under the same conditions, on the test set, before anyone relies on the model"
    )
    return False, Reason.SHORT_SCHEDULE, f"{asked} are {standard}. {cost}. {advice}"
