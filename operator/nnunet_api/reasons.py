"""Closed sets of condition types, their reasons, event reasons and phases."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Types of the conditions in status.conditions; the truth about a training."""

    STANDARD_SCHEDULE = "StandardSchedule"
    POLICY_COMPLIANT = "PolicyCompliant"
    SUSPENDED = "Suspended"
    DATASET_READY = "DatasetReady"
    PROGRESSING = "Progressing"
    STALLED = "Stalled"
    DATA_STARVED = "DataStarved"
    EARLY_STOPPED = "EarlyStopped"
    EPOCHS_PROVEN = "EpochsProven"
    EVALUATED = "Evaluated"
    COMPLETE = "Complete"
    FAILED = "Failed"


class PolicyConditionType(StrEnum):
    """Types of the conditions in the status of a policy."""

    EXCEPTIONS_EXPIRING = "ExceptionsExpiring"


class Reason(StrEnum):
    """Reasons of conditions, and of the Events that announce their transitions."""

    # Progressing=True: work is being done.
    PLANNING = "Planning"
    TRAINING = "Training"
    VERIFYING = "Verifying"
    """The final checkpoints are read to prove the epochs."""
    EVALUATING = "Evaluating"
    STARTING = "Starting"
    """Pods are being created or their containers started; nothing is wrong yet."""
    STOPPING = "Stopping"
    """Pods of this training are being stopped after a suspension or a failure."""

    # Progressing=False: something outside has to change first.
    WAITING_FOR_GPU = "WaitingForGPU"
    WAITING_FOR_RESOURCES = "WaitingForResources"
    WAITING_FOR_QUEUE = "WaitingForQueue"
    WAITING_FOR_WEIGHTS = "WaitingForWeights"
    """The training whose weights it begins with is not there, or not complete."""
    CLAIM_NOT_BOUND = "ClaimNotBound"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    """A volume is bound but can't be attached to the node or mounted there."""
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    POD_REJECTED = "PodRejected"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    SIDECAR_RUNNING = "SidecarRunning"
    """The trainer has ended, and another container keeps its pod running."""
    CHILD_NOT_OWNED = "ChildNotOwned"
    """A Job with a name that this training needs exists and belongs to somebody else, or somebody else makes its pods.
    """

    # StandardSchedule.
    STANDARD_EPOCHS = "StandardEpochs"
    SHORT_SCHEDULE = "ShortSchedule"
    VERY_SHORT_SCHEDULE = "VeryShortSchedule"
    HOLLOW_EPOCHS = "HollowEpochs"
    """As long as the standard, of epochs that train little: by their learning rate, warm-up or network."""
    CHANGED_STANDARD = "ChangedStandard"
    """As long as the standard, and trained in another way."""

    # PolicyCompliant=True.
    POLICIES_KEPT = "PoliciesKept"
    NO_POLICY = "NoPolicy"
    """No policy is for the training, and its namespace is not clinical."""
    POLICY_EXCEPTED = "PolicyExcepted"
    """The training keeps what an exception has left of the rules."""
    COMPARISON_ACCEPTED = "ComparisonAccepted"
    """The verdict of a comparison stands in the place of rules that the training breaks."""

    # PolicyCompliant=False; the last three also of Suspended=True and Progressing=False.
    COMPARISON_REQUIRED = "ComparisonRequired"
    """It breaks rules in whose place a comparison may stand, and that has not come to a verdict yet."""
    COMPARISON_FAILED = "ComparisonFailed"
    """That comparison does not count: for its verdict, its baseline, or what was registered."""
    POLICY_NOT_ENFORCED = "PolicyNotEnforced"
    """The training breaks rules of policies that only warn or record."""
    POLICY_DENIED = "PolicyDenied"
    """A policy forbids the training, and it has not begun."""
    POLICY_CHANGED = "PolicyChanged"
    """A policy, an exception or a label has changed, and the training that had begun is no longer allowed."""
    POLICY_MISSING = "PolicyMissing"
    """The namespace is clinical and no policy is for it."""

    # ExceptionsExpiring, of a policy.
    EXCEPTION_ENDS_SOON = "ExceptionEndsSoon"
    NO_EXCEPTION_ENDS_SOON = "NoExceptionEndsSoon"

    # Suspended.
    SUSPENDED_BY_USER = "SuspendedByUser"
    NOT_SUSPENDED = "NotSuspended"

    # DatasetReady.
    PREPROCESSED = "Preprocessed"
    NOT_YET_PLANNED = "NotYetPlanned"

    # Stalled.
    NO_EPOCH_FINISHED = "NoEpochFinished"
    """A fold has not finished an epoch for too long."""
    NOT_STALLED = "NotStalled"

    # DataStarved.
    DATA_TOO_SLOW = "DataTooSlow"
    """A fold waits for data for too much of its time."""
    NOT_DATA_STARVED = "NotDataStarved"

    # EarlyStopped.
    PLATEAU_STOPPED = "PlateauStopped"
    PLATEAU_ANNEALED = "PlateauAnnealed"
    PLATEAU_OBSERVED = "PlateauObserved"
    """The rule fired and only that is recorded (False)."""
    PLATEAU_ANNEALING = "PlateauAnnealing"
    """The rule fired and the learning rate is on its way to 0 (False until it is there)."""
    RULE_NOT_FIRED = "RuleNotFired"
    EARLY_STOPPING_DISABLED = "EarlyStoppingDisabled"

    # EpochsProven.
    CHECKPOINTS_VERIFIED = "CheckpointsVerified"
    NOT_YET_VERIFIED = "NotYetVerified"

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
    LOSS_NOT_FINITE = "LossNotFinite"
    """The last of too many attempts ended with weights that are no numbers."""
    RETRIES_EXHAUSTED = "RetriesExhausted"
    PODS_LOST = "PodsLost"
    """Nodes, containers of others or evictions ended its pods again and again: not the trainer's doing."""
    OUTCOME_LOST = "OutcomeLost"
    """Again and again a Job, or the pod with its evidence, was gone before it was known how it ended."""
    EPOCHS_NOT_REACHED = "EpochsNotReached"
    """A fold ended without the epochs that the spec asks for, or without evidence of them."""
    POLICY_EPOCHS_NOT_PROVEN = "PolicyEpochsNotProven"
    """The checkpoints do not prove the epochs that a policy asks for."""
    STALLED = "Stalled"
    """A fold stalled again and again."""
    INVALID_SPEC = "InvalidSpec"
    """The stored object does not parse: it was written before a stricter version of the API."""


HELD_BY_POLICY = (Reason.POLICY_DENIED, Reason.POLICY_CHANGED, Reason.POLICY_MISSING)
"""Reasons for which the policies keep a training from running."""


class EventReason(StrEnum):
    """Reasons of Events that are not transitions of a condition."""

    FOLD_STARTED = "FoldStarted"
    FOLD_COMPLETED = "FoldCompleted"
    FOLD_RESTARTED = "FoldRestarted"
    """A new attempt goes on from the checkpoint after a pod was lost."""
    RESUMED = "Resumed"
    """A suspension has ended."""
    FORMER_RUN_FORGOTTEN = "FormerRunForgotten"
    """The status was that of a former object of this name, as after a restore: the training begins anew."""
    CHECKPOINT_PASSED_OVER = "CheckpointPassedOver"
    """A checkpoint was damaged; an older one that loads was taken."""
    LOCAL_COPY_READY = "LocalCopyReady"
    LOCAL_COPY_SKIPPED = "LocalCopySkipped"
    """A fold has no copy of the preprocessed data on its node, and reads from the claim."""
    RESTARTED_AFTER_STALL = "RestartedAfterStall"
    PLATEAU_FOUND = "PlateauFound"
    """The early-stopping rule of a fold has fired."""
    EARLY_STOP_SUPPRESSED = "EarlyStopSuppressed"
    """The early-stopping rule of a fold would have acted before the epochs that a policy asks for."""
    STATUS_REFUSED = "StatusRefused"
    """The API server, or a webhook, does not let the operator write the status, which is older than this."""
    POLICY_DECISION = "PolicyDecision"
    """The policies were applied to the training, with this outcome."""
    EXCEPTION_EXPIRING = "ExceptionExpiring"
    """An exception of the policy ends soon, or has ended (on the policy)."""
    PLANNER_ADVICE = "PlannerAdvice"
    """nnU-Net recommends other planners than its old default, by which the training is planned."""
    SLIPPED_IN = "SlippedIn"
    """Somebody else, such as a webhook, put into its pods what can run other code than their image's."""
    LOOK_NOT_COUNTED = "LookNotCounted"
    """The namespace has as many NnunetTestSets as it may: a look at another test set is not counted."""


class Phase(StrEnum):
    """One word for display, computed from the conditions. Never decide anything by it."""

    PENDING = "Pending"
    PLANNING = "Planning"
    TRAINING = "Training"
    VERIFYING = "Verifying"
    EVALUATING = "Evaluating"
    STOPPING = "Stopping"
    SUSPENDED = "Suspended"
    POLICY_DENIED = "PolicyDenied"
    POLICY_CHANGED = "PolicyChanged"
    POLICY_MISSING = "PolicyMissing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    WAITING_FOR_GPU = "WaitingForGPU"
    WAITING_FOR_RESOURCES = "WaitingForResources"
    WAITING_FOR_QUEUE = "WaitingForQueue"
    WAITING_FOR_WEIGHTS = "WaitingForWeights"
    CLAIM_NOT_BOUND = "ClaimNotBound"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    POD_REJECTED = "PodRejected"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    SIDECAR_RUNNING = "SidecarRunning"
    CHILD_NOT_OWNED = "ChildNotOwned"


class FoldPhase(StrEnum):
    """State of one fold."""

    PENDING = "Pending"
    STARTING = "Starting"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"


class EarlyStoppingState(StrEnum):
    """Where the early-stopping rule of a fold stands."""

    DISABLED = "Disabled"
    WATCHING = "Watching"
    OBSERVED = "Observed"
    """It fired; the training goes on as if it had not (mode Observe)."""
    ANNEALING = "Annealing"
    STOPPED = "Stopped"
    """It fired and the training has ended because of it."""
