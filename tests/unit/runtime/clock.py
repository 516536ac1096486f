"""An event loop whose time passes only when nothing else is to be done: an hour takes no time."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Returns at once, having moved the clock by the time that it should have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never happens"
            self.now += timeout
        return ready


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own that starts at 0."""

    def __init__(self) -> None:
        self._fake = _Selector()
        super().__init__(self._fake)

    def time(self) -> float:
        """Return the fake time in seconds."""
        return self._fake.now


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in fake time."""
    loop = FakeTimeLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()
