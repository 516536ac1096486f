"""The work queue: which object to reconcile next. A request waits in it once, and one worker at a time has it.

Kinds do not wait for each other. Each has a lane of its own, and a share of the workers: the most of its requests that
are in work at the same time. There are as many workers as all shares together, so that however many requests of one
kind are due, and however long each takes, those of another find a worker. Where several kinds have something due, they
take turns.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import Callable

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.keys import Request
from nnunet_operator.runtime.lasting import delay_after
from nnunet_operator.runtime.patience import USUAL, Patience

BACKOFF_SECONDS = 0.5
"""Delay after the first error; it doubles with each further one."""


class _Lane:
    """The requests of one kind that are due, each with the loop time since when."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.active = 0
        # What was asked for without a delay comes first: a new training waits for its Job, others for a status.
        self._urgent: OrderedDict[Request, float] = OrderedDict()
        self._patient: OrderedDict[Request, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._patient)

    @property
    def ready(self) -> bool:
        """Something is due that may be taken now."""
        return len(self) > 0 and self.active < self.share

    def put(self, request: Request, urgent: bool, now: float) -> bool:
        """Make a request due; return whether it was not due already, or not as urgently."""
        if request in self._urgent or (request in self._patient and not urgent):
            return False
        since = self._patient.pop(request, now)
        (self._urgent if urgent else self._patient)[request] = since
        return True

    def take(self) -> tuple[Request, float]:
        """Hand out the next request, with the loop time since when it was due."""
        self.active += 1
        return (self._urgent or self._patient).popitem(last=False)


class WorkQueue:
    """De-duplicating queue with delays. All methods must be called in the event loop that it was made in."""

    def __init__(
        self, metrics: Metrics, patience: Patience = USUAL, jitter: Callable[[], float] = random.random
    ) -> None:
        """`jitter` returns a number from 0 to 1 that spreads the delays after errors."""
        self._loop = asyncio.get_running_loop()
        self._metrics = metrics
        self._longest_delay = patience.errors
        self._jitter = jitter
        self._lanes: OrderedDict[str, _Lane] = OrderedDict()  # by kind; the one whose turn it is comes first
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._active: set[Request] = set()  # requests that a worker has
        self._dirty: set[Request] = set()  # active requests that became due meanwhile
        self._timers: dict[Request, asyncio.TimerHandle] = {}
        self._quiet: dict[Request, float] = {}  # loop time before which a request is not due by a delay
        self._errors: dict[Request, int] = {}
        self._stopped = False

    def share(self, kind: str, workers: int) -> None:
        """Have at most so many requests of a kind in work at the same time; without this call there is no limit."""
        self._lane(kind).share = workers

    def add(self, request: Request, delay: float = 0.0) -> None:
        """Make a request due in `delay` seconds. Of several calls before it is taken, the earliest time counts."""
        if delay <= 0:
            self._due(request, urgent=True)
            return
        when = max(self._loop.time() + delay, self._quiet.get(request, 0.0))
        timer = self._timers.get(request)
        if timer is None or timer.when() > when:
            self._set_timer(request, when)

    def add_after_quiet(self, request: Request, seconds: float) -> None:
        """Make a request due in `seconds`, and not before that by any other delay; without a delay it still is."""
        self._quiet[request] = when = self._loop.time() + seconds
        self._set_timer(request, when)

    def retry(self, request: Request, at_least: float | None = None) -> float:
        """Make a request due after an error, later with each error in a row. Return the delay in seconds.

        `at_least` are the seconds that the API server asked to be left alone: no other delay makes it due before.
        """
        self._errors[request] = errors = self._errors.get(request, 0) + 1
        delay = max(delay_after(errors, BACKOFF_SECONDS, self._longest_delay, self._jitter), at_least or 0.0)
        if at_least:
            self.add_after_quiet(request, delay)
        else:
            self.add(request, delay)
        return delay

    def forget(self, request: Request) -> None:
        """Start over with the delays after errors."""
        self._errors.pop(request, None)

    async def get(self) -> Request | None:
        """Wait for the next request that is due and hand it out; None when the queue has been stopped.

        The caller must call `done` afterwards; until then nobody else gets the same request.
        """
        while not self._stopped:
            lane = self._next_lane()
            if lane is not None:
                return self._take(lane)
            await self._wait()
        return None

    def done(self, request: Request) -> None:
        """Give a request back."""
        if request in self._active:
            self._active.discard(request)
            self._lane(request.kind).active -= 1
        if request in self._dirty:
            self._dirty.discard(request)
            self._due(request, urgent=False)
        self._wake()  # what waited for its kind's share may be taken now

    def stop(self) -> None:
        """Hand out nothing any more."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _lane(self, kind: str) -> _Lane:
        if kind not in self._lanes:
            self._lanes[kind] = _Lane(float("inf"))
        return self._lanes[kind]

    def _next_lane(self) -> _Lane | None:
        kind = next((kind for kind, lane in self._lanes.items() if lane.ready), None)
        if kind is None:
            return None
        self._lanes.move_to_end(kind)
        return self._lanes[kind]

    def _take(self, lane: _Lane) -> Request:
        request, since = lane.take()
        self._metrics.queue_wait_seconds.labels(request.kind).observe(self._loop.time() - since)
        self._tell_depth(request.kind)
        self._active.add(request)
        self._quiet.pop(request, None)
        timer = self._timers.pop(request, None)
        if timer is not None:
            timer.cancel()  # the reconcile that comes now decides when the next one is
        return request

    def _set_timer(self, request: Request, when: float) -> None:
        timer = self._timers.pop(request, None)
        if timer is not None:
            timer.cancel()
        if not self._stopped:
            self._timers[request] = self._loop.call_at(when, self._fire, request)

    def _fire(self, request: Request) -> None:
        self._timers.pop(request, None)
        self._due(request, urgent=False)

    def _due(self, request: Request, urgent: bool) -> None:
        if self._stopped:
            return
        if request in self._active:
            self._dirty.add(request)
        elif self._lane(request.kind).put(request, urgent, self._loop.time()):
            self._tell_depth(request.kind)
            self._wake()

    def _tell_depth(self, kind: str) -> None:
        self._metrics.queue_depth.labels(kind).set(len(self._lanes[kind]))

    async def _wait(self) -> None:
        """Wait until something may be taken, or the queue is stopped."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            waiter.cancel()
            if any(lane.ready for lane in self._lanes.values()):
                self._wake()  # another has to take what this one was woken for
            raise
        finally:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        waiter = next((waiter for waiter in self._waiters if not waiter.done()), None)
        if waiter is not None:
            waiter.set_result(None)
