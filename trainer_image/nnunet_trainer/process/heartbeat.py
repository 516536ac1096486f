"""A line in the log every ten seconds for work that says nothing by itself."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0


@contextlib.contextmanager
def heartbeat(
    what: str, progress: Callable[[], str] = lambda: "", interval_seconds: float = INTERVAL_SECONDS
) -> Iterator[None]:
    """Log `what`, the progress so far and the elapsed time every interval, and the total at the end."""
    start = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(interval_seconds):
            with contextlib.suppress(OSError):
                log.info("%s: %s%.0f s", what, _comma(progress()), time.monotonic() - start)

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    log.info("%s: done in %.1f s", what, time.monotonic() - start)


def _comma(text: str) -> str:
    return f"{text}, " if text else ""
