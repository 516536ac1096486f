"""Workers: take a key, look at the training, decide when to look again. They never end by themselves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.lasting import is_cancelled
from nnunet_operator.runtime.logs import about
from nnunet_operator.runtime.queue import WorkQueue
from nnunet_operator.runtime.reconciler import Outcome

log = logging.getLogger(__name__)

CONFLICT_DELAY_SECONDS = 0.1

Reconcile = Callable[[Key], Awaitable[Outcome]]


async def work(queue: WorkQueue, reconcile: Reconcile, metrics: Metrics) -> None:
    """Work until the queue is stopped. No error of a single training ends a worker."""
    while (key := await queue.get()) is not None:
        try:
            with about(key), metrics.reconcile_seconds.time():
                result = await _look(queue, reconcile, key)
            metrics.reconciles.labels(result).inc()
        finally:
            queue.done(key)


async def _look(queue: WorkQueue, reconcile: Reconcile, key: Key) -> str:
    """Look at one training; return how it went."""
    try:
        outcome = await reconcile(key)
    except Conflict as conflict:
        log.debug("looking again: %s", conflict)
        queue.add(key, CONFLICT_DELAY_SECONDS)
        return "conflict"
    except (ApiError, Unreachable) as error:
        log.warning("%s; trying again in %.1f s", error, queue.retry(key, error.retry_after))
        return "error"
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        log.warning("this look was broken off and will be repeated in %.1f s", queue.retry(key))
        return "error"
    except Exception:
        log.exception("this look failed and will be repeated in %.1f s", queue.retry(key))
        return "error"
    queue.forget_errors(key)
    if outcome.requeue_after is not None:
        again = queue.rest if outcome.rest else queue.add
        again(key, max(0.01, outcome.requeue_after))
    return "ok"
