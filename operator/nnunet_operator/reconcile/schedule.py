"""Whether a schedule is nnU-Net's standard, and what a shorter one usually costs, in words."""

from nnunet_operator.api.reasons import Reason
from nnunet_operator.api.training import STANDARD_EPOCHS, STANDARD_ITERATIONS, Schedule

SHORTEST_SHARE = 0.25
"""Share of the standard schedule (250 of 1000 epochs) below which a result tells little about the method."""


def judge(schedule: Schedule) -> tuple[bool, Reason, str]:
    """Return whether the schedule is the standard or longer, the reason of the condition, and its message.

    What counts is the number of iterations in all: 1000 epochs of 25 iterations are a tenth of the standard. The
    figures on Dice are what nnU-Net's maintainers and users report (MIC-DKFZ/nnUNet, issues 604, 2465).
    """
    share = schedule.epochs * schedule.iterations_per_epoch / (STANDARD_EPOCHS * STANDARD_ITERATIONS)
    if share >= 1:
        return True, Reason.STANDARD_EPOCHS, f"{schedule.epochs} epochs: nnU-Net's standard schedule or longer"
    asked = f"{schedule.epochs} epochs of {schedule.iterations_per_epoch} iterations"
    standard = f"{100 * share:.3g} % of nnU-Net's standard schedule ({STANDARD_EPOCHS} of {STANDARD_ITERATIONS})"
    cost = "Shorter schedules usually lose 1-3 % Dice, more on hard tasks, and generalise worse"
    if share < SHORTEST_SHARE:
        advice = "So few show that the machinery works and nothing else: do not rely on the model, nor compare it"
        return False, Reason.VERY_SHORT_SCHEDULE, f"{asked} are {standard}. {cost}. {advice}"
    advice = (
        "Compare it with the standard under the same conditions, on the test set, before anyone relies on the model"
    )
    return False, Reason.SHORT_SCHEDULE, f"{asked} are {standard}. {cost}. {advice}"
