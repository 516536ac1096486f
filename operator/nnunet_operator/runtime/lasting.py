"""Loops that live as long as the operator, and how long they wait after a failure."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from nnunet_operator.runtime.errors import ApiError, Unreachable

log = logging.getLogger(__name__)

T = TypeVar("T")

_DOUBLINGS = 20
"""Errors in a row after which a delay grows no more, whatever its limit."""


def delay_after(errors: int, first: float, longest: float, jitter: Callable[[], float] = random.random) -> float:
    """Return the seconds to wait after so many errors in a row: from `first` doubling to `longest`, half by chance.

    `jitter` returns a number from 0 to 1.
    """
    return min(longest, first * 2.0 ** min(max(errors - 1, 0), _DOUBLINGS)) * (0.5 + 0.5 * jitter())


class Backoff:
    """Delays after failures in a row."""

    def __init__(self, first: float, longest: float, jitter: Callable[[], float] = random.random) -> None:
        """`first` and `longest` are in seconds, see `delay_after`."""
        self._first, self._longest, self._jitter = first, longest, jitter
        self._errors = 0

    def failed(self, at_least: float | None = None) -> float:
        """Take note of a failure; return the seconds to wait, not less than the server asked for."""
        self._errors += 1
        return max(delay_after(self._errors, self._first, self._longest, self._jitter), at_least or 0.0)

    def succeeded(self) -> None:
        """Start over."""
        self._errors = 0


def is_cancelled() -> bool:
    """Say whether a CancelledError ends the task that caught it. Otherwise something that it waited for was cancelled.

    kopf, when it ends, cancels tasks that it did not start: that of a request of ours, for example.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def persistently(what: str, attempt: Callable[[], Awaitable[T]], backoff: Backoff) -> T:
    """Try until it succeeds, and return the outcome. Each failure is logged, and each in a row waited for longer.

    Ends otherwise only when its task is cancelled.
    """
    while True:
        try:
            outcome = await attempt()
        except (ApiError, Unreachable) as error:
            delay = backoff.failed(error.retry_after)
            log.warning("%s failed and will be tried again in %.1f s: %s", what, delay, error)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            delay = backoff.failed()
            log.warning("%s was broken off and will be tried again in %.1f s", what, delay)
        except Exception:
            delay = backoff.failed()
            log.exception("%s failed, which it should not, and will be tried again in %.1f s", what, delay)
        else:
            backoff.succeeded()
            return outcome
        await asyncio.sleep(delay)


async def forever(what: str, turn: Callable[[], Awaitable[None]], backoff: Backoff) -> NoReturn:
    """Take one turn after the other, each until it succeeds. Ends only when its task is cancelled."""
    while True:
        await persistently(what, turn, backoff)
