"""Closed sets of condition types, their reasons, event reasons and phases."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of the conditions in status.conditions; the truth about a training."""

    STANDARD_SCHEDULE = "StandardSchedule"
    SUSPENDED = "Suspended"
    DATASET_READY = "DatasetReady"
    PROGRESSING = "Progressing"
    EVALUATED = "Evaluated"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Reason(StrEnum):
    """Reasons of conditions, and of the Events that announce their transitions."""

    # Progressing=True: work is being done.
    PLANNING = "Planning"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    STARTING = "Starting"
    """Pods are being created or their containers started; nothing is wrong yet."""
    STOPPING = "Stopping"
    """Pods of this training are being stopped after a suspension or a failure."""

    # Progressing=False: something outside has to change first.
    WAITING_FOR_GPU = "WaitingForGPU"
    WAITING_FOR_RESOURCES = "WaitingForResources"
    WAITING_FOR_QUEUE = "WaitingForQueue"
    CLAIM_NOT_BOUND = "ClaimNotBound"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    """A volume is bound but can't be attached to the node or mounted there."""
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    POD_REJECTED = "PodRejected"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    CHILD_NOT_OWNED = "ChildNotOwned"
    """A Job with a name that this training needs exists and belongs to somebody else."""

    # StandardSchedule.
    STANDARD_EPOCHS = "StandardEpochs"
    SHORT_SCHEDULE = "ShortSchedule"
    VERY_SHORT_SCHEDULE = "VeryShortSchedule"

    # Suspended.
    SUSPENDED_BY_USER = "SuspendedByUser"
    NOT_SUSPENDED = "NotSuspended"

    # DatasetReady.
    PREPROCESSED = "Preprocessed"
    NOT_YET_PLANNED = "NotYetPlanned"

    # Evaluated.
    TEST_SET_SCORED = "TestSetScored"
    CROSS_VALIDATION_SCORED = "CrossValidationScored"
    NOT_YET_EVALUATED = "NotYetEvaluated"

    # Complete, and Progressing=False once it is over.
    TRAINING_COMPLETE = "TrainingComplete"
    NOT_COMPLETE = "NotComplete"

    # Failed=False.
    NOT_FAILED = "NotFailed"

    # Failed=True: one for each exit code, then those that only the operator can see.
    WRONG_CONFIGURATION = "WrongConfiguration"
    WRONG_DATA = "WrongData"
    CHECKPOINT_UNUSABLE = "CheckpointUnusable"
    STORAGE_FAILED = "StorageFailed"
    GPU_OUT_OF_MEMORY = "GPUOutOfMemory"
    OUT_OF_MEMORY = "OutOfMemory"
    """The kernel killed the trainer because the container reached its memory limit."""
    RETRIES_EXHAUSTED = "RetriesExhausted"
    INVALID_SPEC = "InvalidSpec"
    """The stored object does not parse: it was written before a stricter version of the API."""


class EventReason(StrEnum):
    """Reasons of Events that are not transitions of a condition."""

    FOLD_STARTED = "FoldStarted"
    FOLD_COMPLETED = "FoldCompleted"
    FOLD_RESTARTED = "FoldRestarted"
    """A new attempt goes on from the checkpoint after a pod was lost."""
    RESUMED = "Resumed"
    """A suspension has ended."""


class Phase(StrEnum):
    """One word for display, computed from the conditions. Never decide anything by it."""

    PENDING = "Pending"
    PLANNING = "Planning"
    TRAINING = "Training"
    EVALUATING = "Evaluating"
    STOPPING = "Stopping"
    SUSPENDED = "Suspended"
    COMPLETED = "Completed"
    FAILED = "Failed"
    WAITING_FOR_GPU = "WaitingForGPU"
    WAITING_FOR_RESOURCES = "WaitingForResources"
    WAITING_FOR_QUEUE = "WaitingForQueue"
    CLAIM_NOT_BOUND = "ClaimNotBound"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    POD_REJECTED = "PodRejected"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    CHILD_NOT_OWNED = "ChildNotOwned"


class FoldPhase(StrEnum):
    """State of one fold."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
