"""Ends the process when one of its workers was killed: a multiprocessing.Pool would wait for its answer for ever.

A Pool replaces a worker that died (the kernel ran out of memory, a library crashed), but the task that it had is lost,
and starmap() and get() never return.
"""

import contextlib
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess

from nnunet_trainer.preemption import SIGNALS

log = logging.getLogger(__name__)

RANK_NAME = "rank "
"""What the names of processes start with that train a fold together with this one."""
INTERVAL_SECONDS = 0.25
"""A worker that lives for less is not seen; loading numpy alone takes longer."""


class Watchdog:
    """A thread that looks at the worker processes of this process."""

    def __init__(
        self, end: Callable[[str], None], busy: Callable[[], bool], interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        """`end` ends the process, given what happened. It is put off while `busy` is true."""
        self._end = end
        self._busy = busy
        self._interval = interval_seconds
        # Our own references: a pool forgets a worker as soon as it has replaced it.
        self._workers: set[BaseProcess] = set()

    def start(self) -> None:
        """Look at the workers every interval, until the process ends."""
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def _watch(self) -> None:
        killed = None
        while True:
            time.sleep(self._interval)
            killed = killed or self._killed_worker()
            if killed and not self._busy():
                self._end(killed)

    def _killed_worker(self) -> str | None:
        """Return which worker was killed since the last look, if any."""
        self._workers.update(multiprocessing.active_children())
        for worker in list(self._workers):
            code = None
            # A ValueError says that the process object was closed: whoever did that knew of the end.
            with contextlib.suppress(ValueError):
                code = worker.exitcode
                if code is None:
                    # It runs, or another thread has taken its exit status and is about to note it.
                    continue
            self._workers.discard(worker)
            # Pools end their workers by SIGTERM; everything else is no ordinary end.
            if code is not None and code < 0 and -code not in SIGNALS:
                return f"{worker.name} was ended by {_name(-code)}"
            if code is not None and code > 0 and worker.name.startswith(RANK_NAME):
                # The others would wait for it in their next exchange of gradients.
                return f"{worker.name} of those that train together ended with exit code {code}, see above"
        return None


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
