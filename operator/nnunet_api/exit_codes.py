"""Exit codes of the trainer. The Job's pod failure policy and the operator's conditions rest on them."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a trainer process says by its exit code (numbers from BSD's sysexits.h where one fits)."""

    DONE = 0
    WRONG_CONFIGURATION = 64
    """The training asks for something that does not exist: configuration, trainer class, planner."""
    WRONG_DATA = 65
    """The dataset is missing, incomplete or inconsistent."""
    CHECKPOINT_UNUSABLE = 69
    """Checkpoints exist, and none can be gone on from."""
    EPOCHS_NOT_REACHED = 70
    """A final checkpoint does not prove the epochs that the training asks for."""
    STORAGE_FAILED = 74
    """A volume is full, over its quota or read-only, or the trainer may not use it. Input/output errors may pass: 1."""
    PREEMPTED = 75
    """Stopped by SIGTERM; the last finished epoch is in the checkpoint. Never counts as a failure."""
    GPU_OUT_OF_MEMORY = 76
    """The network does not fit into the memory of the GPU."""
    LOSS_NOT_FINITE = 77
    """An epoch left weights that are no numbers. Another attempt goes on from the epoch before and may do better."""


TERMINAL_EXIT_CODES = frozenset(
    {
        ExitCode.WRONG_CONFIGURATION,
        ExitCode.WRONG_DATA,
        ExitCode.CHECKPOINT_UNUSABLE,
        ExitCode.EPOCHS_NOT_REACHED,
        ExitCode.STORAGE_FAILED,
        ExitCode.GPU_OUT_OF_MEMORY,
    }
)
"""Codes that another attempt can't mend without a change by a person: the Job fails at once."""
