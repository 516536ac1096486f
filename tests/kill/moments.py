"""The instants at which an attempt is killed: some by the clock, some by what it is seen to do."""

import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.trainer.world import Command, World

TRAIN = ("train", "--fold", "0")
VERIFY = ("verify",)
EVALUATE = ("evaluate",)

PATIENCE_SECONDS = 900.0
"""Within that time every attempt reaches its moment or ends, however busy the machine is."""


Stamps = frozenset[tuple[Path, int]]
"""Files with the times at which they were last written."""


def stamps(folder: Path, pattern: str) -> Stamps:
    """Return the files of that name below a folder as they are now."""
    found = set()
    for path in folder.rglob(pattern):
        # It may be renamed any moment.
        with contextlib.suppress(FileNotFoundError):
            found.add((path, path.stat().st_mtime_ns))
    return frozenset(found)


@dataclass(frozen=True)
class Attempt:
    """A running command, and how far the fold was when it was started."""

    world: World
    command: Command
    begun: int
    """Epochs that were begun by the attempts before."""
    found: Stamps
    """What the attempts before left in the run folder."""
    random: random.Random
    epoch_seconds: float
    """What an epoch takes about."""

    def wait(self, reached: Callable[[], bool], pause_seconds: float = 0.005) -> bool:
        """Wait for something to be true; return False when the command ended before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            if self.command.has_ended():
                return False
            assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s:\n{self.command.log()}"
            time.sleep(pause_seconds)
        return True

    def sleep(self, seconds: float) -> bool:
        """Wait for a time; return False when the command ended before."""
        end = time.monotonic() + seconds
        return self.wait(lambda: time.monotonic() >= end)

    def sees(self, folder: Path, pattern: str) -> bool:
        """Wait until the command writes a file of that name; return False when it ended before."""
        # A tiny checkpoint is written in milliseconds. Who sleeps is woken at once; who spins loses the core.
        return self.wait(lambda: bool(stamps(folder, pattern) - self.found), pause_seconds=0.0005)


@dataclass(frozen=True)
class Moment:
    """An instant in the life of a command of the trainer."""

    name: str
    arguments: tuple[str, ...]
    """The command in which it comes."""
    come: Callable[[Attempt], bool]
    """Waits for it; returns False when the command ended before."""


def _while_loading(attempt: Attempt) -> bool:
    return attempt.sleep(attempt.random.uniform(0, 5))


def _in_an_epoch(attempt: Attempt) -> bool:
    more = attempt.random.randint(1, 2)
    seconds = attempt.random.uniform(0, attempt.epoch_seconds)
    return attempt.wait(attempt.world.begun(attempt.begun + more)) and attempt.sleep(seconds)


def _in_a_checkpoint(attempt: Attempt) -> bool:
    begun = attempt.wait(attempt.world.begun(attempt.begun + 1))
    return begun and attempt.sees(attempt.world.fold(), ".tmp-*checkpoint_*.pth")


def _in_the_final_checkpoint(attempt: Attempt) -> bool:
    # Or right after it: the rest of the attempt is for the moments that follow.
    return attempt.sees(attempt.world.fold(), "*checkpoint_final.pth")


def _in_the_validation(attempt: Attempt) -> bool:
    seconds = attempt.random.uniform(0, 4)
    return attempt.wait(lambda: "full-volume validation" in attempt.command.log()) and attempt.sleep(seconds)


def _in_an_export(attempt: Attempt) -> bool:
    return attempt.sees(attempt.world.fold() / "validation", ".tmp-*.nii.gz")


def _in_the_evaluation(attempt: Attempt) -> bool:
    return attempt.sleep(attempt.random.uniform(0, 12))


def _in_a_prediction(attempt: Attempt) -> bool:
    return attempt.sees(attempt.world.run / "predictions_test", ".tmp-*.nii.gz")


WHILE_TRAINING = (
    Moment("while libraries are loaded", TRAIN, _while_loading),
    Moment("in an epoch", TRAIN, _in_an_epoch),
    Moment("in the write of a checkpoint", TRAIN, _in_a_checkpoint),
)
FINAL_CHECKPOINT = Moment("in the write of the final checkpoint", TRAIN, _in_the_final_checkpoint)
WHILE_VALIDATING = (
    Moment("in the validation", TRAIN, _in_the_validation),
    Moment("in the export of a validation case", TRAIN, _in_an_export),
)
WHILE_EVALUATING = (
    Moment("in the evaluation", EVALUATE, _in_the_evaluation),
    Moment("in the export of a test case", EVALUATE, _in_a_prediction),
)

MOST_EPOCHS = 2
"""Epochs that an attempt finishes at most before a moment of `WHILE_TRAINING`."""
