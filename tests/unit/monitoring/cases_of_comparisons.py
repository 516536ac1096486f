"""Alerts on comparisons, from what the operator tells."""

from tests.unit.monitoring.cases import DAY, INFO, WARNING, Case, Series, fires, phase, quiet, series

IT = {"namespace": "clinic", "comparison": "shorter"}
WAITS = "Comparison clinic/shorter has waited for more than a day, and none of its trainings runs"


def state(values: str, word: str) -> Series:
    """Return the series of a phase of the comparison shorter."""
    return series("nnunet_comparison_phase", values, **IT, phase=word)


def arm(values: str) -> Series:
    """Return that hippo is a training of its first arm."""
    return series("nnunet_comparison_arm", values, **IT, arm="standard", training="hippo")


CASES: list[Case] = [
    *(
        fires(
            "ComparisonFailed",
            word,
            16,
            [state("1x20", word)],
            {**IT, **WARNING, "phase": word},
            f"Comparison clinic/shorter does not come to a verdict, {word}",
        )
        for word in ("ArmFailed", "Blocked", "Failed", "NotComparable")
    ),
    fires(
        "ComparisonFailed",
        "an arm is put right after days only",
        2 * DAY,
        [state(f"1x{3 * DAY}", "ArmFailed")],
        {**IT, **WARNING, "phase": "ArmFailed"},
        "Comparison clinic/shorter does not come to a verdict, ArmFailed",
    ),
    quiet("ComparisonFailed", "what can't be mended, after a day", 2 * DAY, state(f"1x{3 * DAY}", "NotComparable")),
    quiet("ComparisonFailed", "an arm that is tried again at once", 12, state("1x8 stale", "ArmFailed")),
    quiet("ComparisonFailed", "waits", 16, state("1x20", "WaitingForArms")),
    quiet("ComparisonFailed", "has a verdict", 16, state("1x20", "Completed")),
    fires(
        "ComparisonWaitLong",
        "its trainings are not there",
        DAY + 20,
        [state(f"1x{2 * DAY}", "WaitingForArms"), arm(f"1x{2 * DAY}")],
        {**IT, **INFO},
        WAITS,
    ),
    fires(
        "ComparisonWaitLong",
        "its training is suspended, another one trains",
        DAY + 20,
        [
            state(f"1x{2 * DAY}", "WaitingForArms"),
            arm(f"1x{2 * DAY}"),
            phase(f"1x{2 * DAY}", "Suspended"),
            series("nnunet_training_phase", f"1x{2 * DAY}", namespace="clinic", training="other", phase="Training"),
        ],
        {**IT, **INFO},
        WAITS,
    ),
    quiet(
        "ComparisonWaitLong",
        "its training trains for days",
        2 * DAY,
        state(f"1x{3 * DAY}", "WaitingForArms"),
        arm(f"1x{3 * DAY}"),
        phase(f"1x{3 * DAY}", "Training"),
    ),
    quiet("ComparisonWaitLong", "not that long", DAY - 10, state(f"1x{2 * DAY}", "WaitingForArms")),
    quiet("ComparisonWaitLong", "suspended", 2 * DAY, state(f"1x{3 * DAY}", "Suspended")),
]
