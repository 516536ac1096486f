"""Closed sets of condition types, reasons and phases of comparisons."""

from enum import StrEnum


class ComparisonConditionType(StrEnum):
    """Types of the conditions in the status of a comparison."""

    COMPARABLE = "Comparable"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    COMPLETE = "Complete"
    FAILED = "Failed"


class ComparisonReason(StrEnum):
    """Reasons of conditions and Events of a comparison. Those of its Job are a training's (`reasons.Reason`)."""

    # Comparable.
    NOT_YET_COMPARED = "NotYetCompared"
    CONDITIONS_EQUAL = "ConditionsEqual"
    CONDITIONS_DIFFER = "ConditionsDiffer"

    # Progressing.
    WAITING_FOR_ARMS = "WaitingForArms"
    """Trainings are not there, or not complete."""
    ARM_FAILED = "ArmFailed"
    """A training has failed: it has to be put right, or tried again."""
    COMPARING = "Comparing"
    TRAINING_REFUSED = "TrainingRefused"
    """A training of the template can't be created: the API server refuses it, or its name is taken."""

    # Complete.
    VERDICT_FOUND = "VerdictFound"

    # Failed=True.
    NOT_COMPARABLE = "NotComparable"
    ARM_CHANGED = "ArmChanged"
    """A training that was registered is gone, or another one has its name."""
    INVALID_TEMPLATE = "InvalidTemplate"
    """Template and patch of an arm make no training."""

    # Events.
    REGISTERED = "Registered"
    """All trainings are known, and what is compared has its digest."""
    RESUMED = "Resumed"
    POWER_EXPECTED = "PowerExpected"
    """How many cases, and replicates, the margin needs."""


class ComparisonPhase(StrEnum):
    """One word for display, computed from the conditions. Never decide anything by it."""

    PENDING = "Pending"
    WAITING_FOR_ARMS = "WaitingForArms"
    ARM_FAILED = "ArmFailed"
    BLOCKED = "Blocked"
    COMPARING = "Comparing"
    STOPPING = "Stopping"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    NOT_COMPARABLE = "NotComparable"
    FAILED = "Failed"


FINAL = (ComparisonReason.NOT_COMPARABLE, ComparisonReason.ARM_CHANGED, ComparisonReason.INVALID_TEMPLATE)
"""Reasons of failures that trying again can't mend."""
