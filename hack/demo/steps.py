"""Prints the steps of the demo with the time that each takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from hack.demo.view import duration


class Steps:
    """Numbered steps; the clock starts with the object."""

    def __init__(self, console: Console, total: int) -> None:
        """Print to `console`; there will be `total` steps."""
        self._console = console
        self._total = total
        self._number = 0
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, and say how long it took when it has succeeded."""
        self._number += 1
        self._console.print(f"[bold]\\[{self._number}/{self._total}] {title}[/]", highlight=False)
        began = time.monotonic()
        yield
        took = duration(time.monotonic() - began)
        self._console.print(f"      [dim]{took}; {self.elapsed} since the start[/]", highlight=False)

    @property
    def elapsed(self) -> str:
        """Time since the start."""
        return duration(time.monotonic() - self._began)
