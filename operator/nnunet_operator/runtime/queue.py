"""The work queue: which training to look at next. A key waits in it once, and one worker at a time has it."""

import asyncio
import itertools
import random
from collections.abc import Callable

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.lasting import delay_after

BACKOFF_SECONDS = 0.5
"""Delay after the first error; it doubles with each further one."""
BACKOFF_LIMIT_SECONDS = 15.0
"""Longest delay after an error. Bounds how late an operator is when an API server comes back."""
_URGENT, _PATIENT = 0, 1


class WorkQueue:
    """De-duplicating queue with delays. All methods must be called in the event loop that it was made in."""

    def __init__(self, metrics: Metrics, jitter: Callable[[], float] = random.random) -> None:
        """`jitter` returns a number from 0 to 1 that spreads the delays after errors."""
        self._loop = asyncio.get_running_loop()
        self._metrics = metrics
        self._jitter = jitter
        # What was asked for without a delay comes first: a new training waits for its Job, others for a status.
        self._ready: asyncio.PriorityQueue[tuple[int, int, Key | None]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._since: dict[Key, tuple[int, float]] = {}  # keys in _ready: their rank, and since when
        self._active: set[Key] = set()  # keys that a worker has
        self._again: set[Key] = set()  # active keys that became due meanwhile
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._resting: dict[Key, float] = {}  # loop time before which a key is not due by a delay
        self._errors: dict[Key, int] = {}
        self._stopped = False

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Make a key due in `delay` seconds. Of several calls before it is taken, the earliest time counts."""
        if delay <= 0:
            self._due(key, _URGENT)
            return
        when = max(self._loop.time() + delay, self._resting.get(key, 0.0))
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = self._loop.call_at(when, self._fire, key)

    def rest(self, key: Key, seconds: float) -> None:
        """Make a key due in `seconds`, and not before that by any other delay; without a delay it still is."""
        self._resting[key] = self._loop.time() + seconds
        self.add(key, seconds)

    def retry(self, key: Key, at_least: float | None = None) -> float:
        """Make a key due after an error, later with each error in a row. Return the delay in seconds.

        `at_least` are the seconds that the API server asked to be left alone: no other delay makes it due before.
        """
        self._errors[key] = errors = self._errors.get(key, 0) + 1
        delay = max(delay_after(errors, BACKOFF_SECONDS, BACKOFF_LIMIT_SECONDS, self._jitter), at_least or 0.0)
        if at_least:
            self.rest(key, delay)
        else:
            self.add(key, delay)
        return delay

    def forget_errors(self, key: Key) -> None:
        """Start over with the delays after errors."""
        self._errors.pop(key, None)

    async def get(self) -> Key | None:
        """Wait for the next key that is due and hand it out; None when the queue has been stopped.

        The caller must call `done` afterwards; until then nobody else gets the same key.
        """
        while True:
            _, _, key = await self._ready.get()
            if key is None or self._stopped:
                self._put(_URGENT, None)  # for the other workers
                return None
            if key in self._since:
                break  # otherwise it was taken already, by a more urgent entry
        self._metrics.queue_wait_seconds.observe(self._loop.time() - self._since.pop(key)[1])
        self._metrics.queue_depth.set(len(self._since))
        self._active.add(key)
        self._resting.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()  # the look that comes now decides when the next one is
        return key

    def done(self, key: Key) -> None:
        """Give a key back."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._due(key, _PATIENT)

    def stop(self) -> None:
        """Hand out nothing any more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._put(_URGENT, None)

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._due(key, _PATIENT)

    def _due(self, key: Key, rank: int) -> None:
        if self._stopped or self._since.get(key, (_PATIENT + 1, 0.0))[0] <= rank:
            return
        if key in self._active:
            self._again.add(key)
            return
        _, since = self._since.get(key, (rank, self._loop.time()))
        self._since[key] = (rank, since)
        self._metrics.queue_depth.set(len(self._since))
        self._put(rank, key)

    def _put(self, rank: int, key: Key | None) -> None:
        self._ready.put_nowait((rank, next(self._order), key))
