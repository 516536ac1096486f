"""The trainer, held at a file: `python -m tests.trainer.held ARGUMENTS` stands still where it is told to.

The environment variable HOLD_AT names a place: KIND:PATTERN, or KIND:PATTERN#N for the nth time that a process comes to
it. KIND is `read` or `write` for what Python opens, or `rename` for what gets its name. Python's own audit events tell
of it, before it is done and in worker processes, too: they import the main module of their parent.
"""

import fnmatch
import os
import sys
import time
from pathlib import Path
from typing import Any

HOLD_AT = "HOLD_AT"
HELD_FILE = "HELD_FILE"
"""A file that is there as soon as a process stands still. Renamed to its name with `LET_GO`, all go on."""
LET_GO = ".let-go"


class Hold:
    """Looks at audit events, and comes back from the one that it waits for when it is let go."""

    def __init__(self, place: str) -> None:
        self._kind, _, rest = place.partition(":")
        self._pattern, _, number = rest.partition("#")
        self._left = int(number or 1)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an event."""
        kind, path = touched(event, arguments)
        if kind != self._kind or not fnmatch.fnmatch(path, self._pattern):
            return
        self._left -= 1
        here, let_go = os.environ[HELD_FILE], Path(os.environ[HELD_FILE] + LET_GO)
        if not self._left and not let_go.exists():
            os.close(os.open(here, os.O_CREAT | os.O_WRONLY))
            while not let_go.exists():
                time.sleep(0.1)


def touched(event: str, arguments: tuple[Any, ...]) -> tuple[str, str]:
    """Return what an event does and with which path; "" where it opens and renames nothing."""
    if event == "os.rename":
        return "rename", os.fsdecode(arguments[1])
    if event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR) if mode is None else set(mode) & set("wax+")
        return "write" if writes else "read", os.fsdecode(path)
    return "", ""


if HOLD_AT in os.environ:
    sys.addaudithook(Hold(os.environ[HOLD_AT]))

if __name__ == "__main__":
    from nnunet_trainer.__main__ import main

    main()
