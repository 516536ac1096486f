"""What the commands print: each line with the seconds since the command began."""

import sys
import time


class Console:
    """Prints progress to stderr, so that stdout stays free for what a command answers."""

    def __init__(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def say(self, message: str) -> None:
        """Print one line with the time in seconds."""
        print(f"{time.monotonic() - self._began:6.1f} s  {message}", file=sys.stderr, flush=True)
