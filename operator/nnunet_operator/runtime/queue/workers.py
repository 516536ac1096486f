"""Workers: take a request, reconcile its object, decide when to do so again. They never end by themselves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.keys import Key, Request
from nnunet_operator.runtime.lasting import Backoff, is_cancelled, persistently
from nnunet_operator.runtime.logs import about
from nnunet_operator.runtime.queue.workqueue import WorkQueue

log = logging.getLogger(__name__)

CONFLICT_DELAY_SECONDS = 0.1
RESTART_SECONDS = 1.0
"""Time until a worker goes on after an error that no reconcile raised; it doubles with each further one."""
LONGEST_RESTART_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """What a reconcile came to."""

    requeue_after: float | None = None
    """Seconds until the next one without an event; None for never."""
    rest: bool = False
    """What other objects do meanwhile is no reason to reconcile earlier."""


Reconcile = Callable[[Key], Awaitable[Outcome]]


async def work(queue: WorkQueue, reconciles: Mapping[str, Reconcile], metrics: Metrics) -> None:
    """Work until the queue is stopped. `reconciles` are by kind. No error ends a worker."""

    async def go_on() -> None:
        while (request := await queue.get()) is not None:
            try:
                with about(request), metrics.reconcile_seconds.labels(request.kind).time():
                    result = await _reconcile(queue, reconciles, request)
                metrics.reconciles.labels(request.kind, result).inc()
            finally:
                queue.done(request)

    await persistently("a worker's turn", go_on, Backoff(RESTART_SECONDS, LONGEST_RESTART_SECONDS))


async def _reconcile(queue: WorkQueue, reconciles: Mapping[str, Reconcile], request: Request) -> str:
    """Reconcile one object; return how it went."""
    try:
        outcome = await reconciles[request.kind](request.key)
    except Conflict as conflict:
        log.debug("reconciling again: %s", conflict)
        queue.add(request, CONFLICT_DELAY_SECONDS)
        return "conflict"
    except (ApiError, Unreachable) as error:
        log.warning("%s; trying again in %.1f s", error, queue.retry(request, error.retry_after))
        return "error"
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        log.warning("this reconcile was broken off and will be repeated in %.1f s", queue.retry(request))
        return "error"
    except Exception:
        log.exception("this reconcile failed and will be repeated in %.1f s", queue.retry(request))
        return "error"
    queue.forget(request)
    if outcome.requeue_after is not None:
        again = queue.add_after_quiet if outcome.rest else queue.add
        again(request, max(0.01, outcome.requeue_after))
    return "ok"
