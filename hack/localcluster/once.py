"""What is built or fetched once and then kept in the cache."""

import fcntl
from collections.abc import Callable
from pathlib import Path


def made_once(target: Path, make: Callable[[], None]) -> Path:
    """Return a file or folder, after letting `make` make it where it is missing.

    A second process waits for the first one. `make` puts the target in place when it is whole.
    """
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.with_name(f"{target.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.exists():
                make()
    return target
