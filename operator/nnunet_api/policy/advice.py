"""Advice that everybody gets, whatever the policies say; admission gives it as warnings."""

from dataclasses import dataclass

from nnunet_api.schedule import EarlyStoppingMode, judge
from nnunet_api.standard import Asked, differences
from nnunet_api.training import NnunetTrainingSpec

STOP_ADVICE = (
    "spec.earlyStopping.mode is Stop: a plateau of the validation metric is not convergence. Anneal takes the learning "
    "rate to 0 before it stops, Observe only records what stopping would have cost"
)


WEIGHTS_ADVICE = (
    "spec.initialWeights: from the learning rate of a trainer class, 0.01 in nnUNetTrainer, the first epochs may undo "
    "what the weights know. Set spec.schedule.initialLearningRate, and compare with random weights on the test set"
)


@dataclass(frozen=True)
class Advice:
    """Something to think about."""

    field: str
    """Path of the field that it is about, from spec on."""
    message: str
    """Field, value and what to think about, word for word as admission warns."""


def advice(spec: NnunetTrainingSpec) -> list[Advice]:
    """Return what to think about before the training is applied: a short schedule, a hard stop, hollow epochs."""
    standard, _, message = judge(spec.schedule)
    found = [] if standard else [Advice("spec.schedule", f"spec.schedule: {message}")]
    if spec.early_stopping.mode is EarlyStoppingMode.STOP:
        found.append(Advice("spec.earlyStopping.mode", STOP_ADVICE))
    if spec.initial_weights and spec.schedule.initial_learning_rate is None:
        found.append(Advice("spec.initialWeights", WEIGHTS_ADVICE))
    found += [Advice(each.field, each.message) for each in differences(Asked.by(spec)) if each.hollow]
    return found
