"""Ends the process when one of its workers was killed: a multiprocessing.Pool would wait for its answer for ever.

The same when one of the processes has failed that train together with this one.

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

from nnunet_trainer.process.failures import UNEXPECTED, Failure, dead_worker_message
from nnunet_trainer.process.followers import Follower
from nnunet_trainer.process.pools import SERVER_IS_GONE, ForkedProcess
from nnunet_trainer.process.preemption import SIGNALS

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 0.25
"""A worker that lives for less is not seen; loading numpy alone takes longer."""
FOLLOWERS_SECONDS = 2.0
"""How long the failure of another process may take to be seen, once its connections have ended."""


class Watchdog:
    """A thread that looks at the worker processes of this process."""

    def __init__(
        self, end: Callable[[Failure], None], busy: Callable[[], bool], interval_seconds: float = INTERVAL_SECONDS
    ) -> None:
        """`end` ends the process, given what happened. It is put off while `busy` is true."""
        self._end = end
        self._busy = busy
        self._interval = interval_seconds
        # Our own references: a pool forgets a worker as soon as it has replaced it.
        self._workers: set[BaseProcess] = set()
        self._leads = False
        self._found: Failure | None = None
        self._noticed = threading.Event()

    def start(self) -> None:
        """Look at the workers every interval, until the process ends."""
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()

    def behind(self, failure: Failure, seconds: float = FOLLOWERS_SECONDS) -> Failure:
        """Return what is behind a failure of this process.

        Where it trains with others, one that fails takes this one with it: by an error that says nothing but that a
        connection has ended.
        """
        if failure.code == UNEXPECTED and self._leads:
            self._noticed.wait(seconds)
        return self._found if self._found and failure.code == UNEXPECTED else failure

    def _watch(self) -> None:
        while True:
            time.sleep(self._interval)
            self._found = self._found or self._failure()
            if self._found:
                self._noticed.set()
                if not self._busy():
                    self._end(self._found)

    def _failure(self) -> Failure | None:
        """Return which worker was killed or which follower has failed since the last look, if any."""
        found: list[Failure] = []
        self._workers.update(multiprocessing.active_children())
        for worker in list(self._workers):
            self._leads = self._leads or isinstance(worker, Follower)
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
                found.append(Failure(UNEXPECTED, dead_worker_message(f"{worker.name} was ended by {_name(-code)}")))
            if code == SERVER_IS_GONE and isinstance(worker, ForkedProcess):
                # Nobody else ends it, and its workers are nobody's any more.
                found.append(Failure(UNEXPECTED, dead_worker_message(f"the parent of {worker.name} was killed")))
            if code is not None and code > 0 and isinstance(worker, Follower):
                # The others would wait for it in their next exchange of gradients.
                found.append(worker.failure())
        # Of several that end at once one says why; the others miss it.
        return min(found, key=lambda failure: failure.code == UNEXPECTED, default=None)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
