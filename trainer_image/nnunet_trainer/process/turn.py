"""Who makes a result that several want: one, while the others wait; but nobody waits for ever.

The lock saves work. That a result is whole is for its rename to ensure, so who passes a lock by spoils nothing.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from nnunet_trainer.process.failures import one_line
from nnunet_trainer.process.files import Locked, lock

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
"""How often the holder of a lock shows that it is alive."""
PATIENCE_SECONDS = 300.0
"""How long the holder may show nothing before it is passed by: its node may be gone, with its lock kept by a server."""
_NAME_LIMIT = 400


@contextlib.contextmanager
def turn(path: Path, purpose: str, holder: str, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[bool]:
    """Wait for one's turn at a lock file, in which the holder is named; yield whether one has the lock.

    It is False where the holder has shown no sign of life for `patience_seconds`. Raises TrainerError with
    STORAGE_FAILED on a file system without locks.
    """
    watch = _Watch(path, patience_seconds)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock(path, purpose, give_up=watch.silent))
        except Locked as error:
            log.warning("%s: %s; going on without the lock", purpose, error)
            yield False
            return
        held.enter_context(_beating(path, holder))
        yield True


class _Watch:
    """Looks for signs of life of a lock's holder: changes of the file's time, whatever the clocks say."""

    def __init__(self, path: Path, patience_seconds: float) -> None:
        self._path = path
        self._patience_seconds = patience_seconds
        self._seen = self._sign()
        self._since = time.monotonic()

    def holder(self) -> str:
        """Return who holds the lock, by what the holder wrote."""
        try:
            with self._path.open("rb") as file:
                return one_line(file.read(_NAME_LIMIT).decode(errors="replace")) or "somebody"
        except OSError:
            return "somebody"

    def silent(self) -> str:
        """Return why not to wait any longer, or an empty string."""
        if (sign := self._sign()) != self._seen:
            self._seen, self._since = sign, time.monotonic()
        if time.monotonic() - self._since <= self._patience_seconds:
            return ""
        return (
            f"{self._path.name} is held by {self.holder()}, which has shown no sign of life for "
            f"{self._patience_seconds:.0f} s"
        )

    def _sign(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


@contextlib.contextmanager
def _beating(path: Path, holder: str) -> Iterator[None]:
    """Write into the lock file who holds it, and touch it as long as the block lasts."""
    # Opened once: to close any descriptor of a locked file gives the lock back.
    fd = os.open(path, os.O_WRONLY)
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(fd)

    thread = threading.Thread(target=beat, daemon=True, name="turn")
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, holder.encode()[:_NAME_LIMIT], 0)
        thread.start()
        yield
    finally:
        over.set()
        if thread.ident is not None:
            thread.join()
        os.close(fd)
