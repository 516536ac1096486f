"""Where the time of the epochs of an attempt went: waiting for data, checkpoints, the rest. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_api.facts import OF_ATTEMPT

WINDOW = 5
"""Last epochs that are told of together: a volume that is slow for a minute does not move their median."""
LEAST = 3
"""Fewer epochs tell nothing yet."""


@dataclass(frozen=True)
class EpochTime:
    """One epoch. All in seconds."""

    seconds: float
    """Duration, with its checkpoint."""
    waiting: float = 0.0
    """Part of it in which the network had nothing to compute, for want of a batch."""
    checkpoints: float = 0.0
    """Part of it in which checkpoints were written."""
    training: float = 0.0
    """Duration of its training iterations, waiting included."""
    workers: int | None = None
    """Processes that augment training batches, 0 where the trainer does so itself; None where that is not known."""
    computing: float = 0.0
    """CPU time of those processes during the training iterations, all together; of the trainer while it waits, where it
    augments itself."""

    compiling: float | None = None
    """What torch.compile has taken up to its end, in this attempt; None where nothing was compiled."""

    @property
    def share(self) -> float:
        """Share (0 to 1) of it spent on waiting for data."""
        return self.waiting / self.seconds if self.seconds > 0 else 0.0

    @property
    def use(self) -> float | None:
        """Share (0 to 1) of the training iterations' time in which a worker computed; where the trainer augments
        itself, of the time that it waits for its own batches. None where that is not known."""
        time = self.waiting if self.workers == 0 else self.training
        if self.workers is None or time <= 0:
            return None
        return min(1.0, self.computing / time / max(1, self.workers))


def stated(times: Sequence[EpochTime]) -> dict[str, float | None]:
    """Return what the epochs of an attempt come to, by the names in `FoldNumbers`.

    The first epoch is left out where several are told of: it compiles the network, chooses kernels and finds the
    preprocessed data in no cache.
    """
    told = dict[str, float | None](dict.fromkeys((*OF_ATTEMPT, "epoch_seconds", "median_epoch_seconds")))
    if not times:
        return told
    told |= {
        "epoch_seconds": round(statistics.fmean(one.seconds for one in times), 3),
        "median_epoch_seconds": round(statistics.median(one.seconds for one in times), 3),
        "data_wait_seconds": round(times[-1].waiting, 3),
        "checkpoint_seconds": round(times[-1].checkpoints, 3),
        "compile_seconds": times[-1].compiling,
        "data_workers": times[-1].workers,
    }
    last = times[1:][-WINDOW:]
    if len(last) < LEAST:
        return told
    uses = [one.use for one in last if one.use is not None]
    return told | {
        # Digits enough that an epoch's seconds follow from it where nearly all of it is waiting.
        "data_wait_share": round(statistics.median(one.share for one in last), 4),
        "fed_epoch_seconds": round(statistics.median(one.seconds - one.waiting for one in last), 3),
        "data_worker_use": round(statistics.median(uses), 2) if uses else None,
    }
