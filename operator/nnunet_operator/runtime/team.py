"""The tasks that run as long as the process does."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Team:
    """The tasks that run for ever. Held here, because the event loop itself would let them vanish."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(coroutine, name=name))

    def problem(self) -> str | None:
        """Return which task has ended, or None."""
        ended = next((task for task in self._tasks if task.done()), None)
        return f"{ended.get_name()} has ended" if ended else None

    async def watch(self, stop: asyncio.Event) -> str | None:
        """Wait until `stop` is set (None), or a task ends (what happened)."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            return None
        task = next(task for task in done if task is not stopping)
        error = None if task.cancelled() else task.exception()
        log.critical("%s has ended, which it never should", task.get_name(), exc_info=error)
        return f"{task.get_name()} has ended: {error or 'without an error'}"

    async def finish(self, name: str, seconds: float) -> None:
        """Wait for tasks to end by themselves, at most `seconds`."""
        tasks = [task for task in self._tasks if task.get_name().startswith(name)]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            log.warning("%s did not end within %g s and is cancelled", task.get_name(), seconds)

    async def cancel(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
