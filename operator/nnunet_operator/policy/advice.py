"""Advice that everybody gets, whatever the policies say; admission gives it as warnings."""

from nnunet_operator.api.schedule import EarlyStoppingMode, judge
from nnunet_operator.api.training import NnunetTrainingSpec

STOP_ADVICE = (
    "spec.earlyStopping.mode is Stop: a plateau of the validation metric is not convergence. Anneal takes the learning "
    "rate to 0 before it stops, Observe only records what stopping would have cost"
)


def advice(spec: NnunetTrainingSpec) -> list[str]:
    """Return what to think about before the training is applied: a short schedule, a hard stop."""
    standard, _, message = judge(spec.schedule)
    found = [] if standard else [f"spec.schedule: {message}"]
    if spec.early_stopping.mode is EarlyStoppingMode.STOP:
        found.append(STOP_ADVICE)
    return found
