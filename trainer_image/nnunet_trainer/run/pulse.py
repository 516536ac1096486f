"""A sign of life in the run folder: how long an attempt ran that was killed without a word."""

import contextlib
import os
import threading
import time
from pathlib import Path

PULSE_FILE = ".alive"
INTERVAL_SECONDS = 10.0


class Pulse:
    """Sets the time of a file every interval, until the process ends."""

    def __init__(self, folder: Path, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._path = folder / PULSE_FILE
        self._interval = interval_seconds

    def last(self) -> float | None:
        """Return the last sign of life of the attempt before, Unix time of its clock; None without any."""
        try:
            return self._path.stat().st_mtime
        except OSError:
            return None

    def start(self) -> None:
        """Begin. To be called once the last sign of the attempt before is read."""
        with contextlib.suppress(OSError):
            self._path.touch()
        self.beat()
        threading.Thread(target=self._run, daemon=True, name="pulse").start()

    def beat(self) -> None:
        """Give a sign now. Never fails: the time is an account, not a part of the training."""
        # Our own clock, not that of a file server: it is compared with our own times.
        now = time.time()
        with contextlib.suppress(OSError):
            os.utime(self._path, (now, now))

    def _run(self) -> None:
        while True:
            time.sleep(self._interval)
            self.beat()
