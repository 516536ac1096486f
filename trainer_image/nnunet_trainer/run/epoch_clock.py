"""A clock that adds up where the time of an epoch goes. It costs about a microsecond a look."""

import contextlib
import time
from collections.abc import Callable, Iterator

from nnunet_trainer.run.epoch_times import EpochTime


class EpochClock:
    """Adds up one epoch after the other."""

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, cpu: Callable[[], float] = time.process_time
    ) -> None:
        self._now, self._cpu = now, cpu
        self._began = self._free_since = self._cpu_since = self._writes_since = 0.0
        self._trains_since: float | None = None
        self._waits = False
        self._writers = 0
        self._waiting = self._working = self._checkpoints = self._training = 0.0

    def begin(self) -> None:
        """An epoch begins."""
        self._began, self._trains_since, self._waits = self._now(), None, False
        self._waiting = self._working = self._checkpoints = self._training = 0.0

    def free(self, *, busy: bool = False) -> None:
        """From now on there is nothing to compute until a batch is there, unless the device still is `busy`."""
        self._free_since, self._cpu_since, self._waits = self._now(), self._cpu(), not busy

    def fed(self) -> None:
        """A batch is there."""
        if self._waits:
            self._waiting += self._now() - self._free_since
            self._working += self._cpu() - self._cpu_since
        self._waits = False

    def trains(self, begins: bool) -> None:
        """The training iterations begin, or have ended."""
        now = self._now()
        if not begins and self._trains_since is not None:
            self._training += now - self._trains_since
        self._trains_since = now if begins else None

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """A checkpoint is written, perhaps as part of writing one."""
        if self._writers == 0:
            self._writes_since = self._now()
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1
            if self._writers == 0:
                self._checkpoints += self._now() - self._writes_since

    def end(self, workers: int | None, computing: float) -> EpochTime:
        """Return the epoch that ends now."""
        seconds = self._now() - self._began
        own = self._working if workers == 0 else computing
        return EpochTime(seconds, self._waiting, self._checkpoints, self._training, workers, own)
