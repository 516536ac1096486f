"""SIGTERM ends the process with exit code 75, at a moment that leaves the disk consistent.

Everything that the trainer writes appears by a rename, so the process may leave at any moment; nothing has to
be unwound. Only while a finished epoch is being written is it worth waiting: `shield` puts the end off.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Preemption:
    """Handler of SIGTERM and SIGINT for this process; its forked children keep the default action."""

    def __init__(self, leave: Callable[[], None]) -> None:
        """`leave` ends the process and ignores further signals. It runs in the handler: no logging, no return."""
        self._owner = os.getpid()
        self._leave = leave
        self._shields = 0
        self._requested = False

    def install(self) -> None:
        """Take over the signals. As PID 1 a process without a handler ignores SIGTERM: call this first of all."""
        for number in SIGNALS:
            signal.signal(number, self._handle)
        # Pools end their forked workers by SIGTERM and wait for them. A handler in Python runs between bytecodes, so
        # a worker that gets the signal right before it waits for a lock would miss it; and Python forgets what
        # arrives while it forks. So workers have no handler, and the signal waits until that is so.
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_default_actions)

    def on_leave(self, leave: Callable[[], None]) -> None:
        """Replace what ends the process."""
        self._leave = leave

    @property
    def busy(self) -> bool:
        """True while the end is put off, and from a stop request on: then the process is about to end by itself."""
        return self._requested or self._shields > 0

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Put the end off until the block is left without an exception."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self._requested and self._shields == 0:
            self._leave()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            # A forked worker: die of the signal, as it would without this handler.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._requested = True
        if self._shields == 0:
            self._leave()
        else:
            os.write(2, b"nnunet-trainer: stop requested, finishing the checkpoint that is being written\n")


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _default_actions() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _unblock()
