"""Files that are either there and whole or not there: atomic writes, locks."""

import contextlib
import errno
import fcntl
import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError

log = logging.getLogger(__name__)

LONGEST_TEXT = 1 << 30
"""Bytes of a text that is read: a result of preprocessing a million files is described in a quarter of it."""
_LOOK_SECONDS = 0.2
"""How often who waits for a lock looks whether it is free."""


def fsync_folder(folder: Path) -> None:
    """Make renames in the folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network file systems know no fsync of folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def fsync_file(path: Path) -> None:
    """Make the contents of a file durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


TEMPORARY = ".tmp-"
"""How the name of a file or folder begins while it is written."""


def temporary_path(path: Path, owner: str = "") -> Path:
    """Return where a file is written before it is renamed to `path`: hidden, in the same folder, same ending.

    `owner` keeps it apart from what another process writes for the same path at the same time.
    """
    return path.with_name(f"{TEMPORARY}{owner}-{path.name}" if owner else f"{TEMPORARY}{path.name}")


def remove_temporary_files(folder: Path) -> None:
    """Remove what was being written in a folder, whoever wrote it."""
    for path in folder.glob(f"{TEMPORARY}*"):
        log.info("removing what is left of an interrupted write: %s", path.name)
        path.unlink(missing_ok=True)


def write_atomically(
    path: Path, text: str, durable: bool = True, owner: str = "", admit: Callable[[], None] | None = None
) -> None:
    """Write a small file so that readers see the old or the new contents, never a part.

    `durable=False` leaves out the flush to disk: safe against the death of the process, not of the node. `admit` is
    called right before the rename and raises TrainerError where it must not be.
    """
    temporary = temporary_path(path, owner)
    try:
        with _opened_anew(temporary) as file:
            file.write(text)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if admit is not None:
            admit()
        temporary.replace(path)
    except (OSError, TrainerError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)
        raise
    if durable:
        fsync_folder(path.parent)


def _opened_anew(path: Path) -> TextIO:
    """Open a file for writing, its contents gone; a link or a pipe in its place is removed and not written through."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    return open(path, "w", encoding="utf-8", opener=_not_through_links)


def _not_through_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def read_text(path: Path) -> str:
    """Return the contents of a text file as `read_bytes` does. Raises ValueError also for what is no UTF-8."""
    return read_bytes(path).decode("utf-8")


def read_bytes(path: Path) -> bytes:
    """Return the contents of a file, whoever made it.

    Raises OSError, or ValueError for what is no file (to open a pipe may last for ever) or too large.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path} is no file")
        if found.st_size > LONGEST_TEXT:
            raise ValueError(f"{path} has {found.st_size} bytes, and at most {LONGEST_TEXT} are read")
        # Room is made for as much as is asked for. One byte more tells whether it grows meanwhile.
        content = file.read(found.st_size + 1)
        return content + file.read(LONGEST_TEXT) if len(content) > found.st_size else content


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically and durably."""
    write_atomically(path, to_json(content))


def to_json(content: Any) -> str:
    """Return the text of a JSON file. Raises ValueError for a number that is not finite."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Return the contents of a JSON file. Raises OSError or ValueError."""
    return json.loads(read_text(path))


class Locked(Exception):
    """The lock was not free in time."""


@contextlib.contextmanager
def lock(
    path: Path,
    purpose: str,
    timeout_seconds: float | None = None,
    give_up: Callable[[], str] = lambda: "",
) -> Iterator[None]:
    """Hold a lock file for the time of the block; wait for it, with a line in the log every 10 seconds.

    POSIX record locks, not flock: child processes don't inherit them, so a worker that outlives its killed
    parent does not hold the lock. Raises `Locked` after `timeout_seconds`, or once `give_up` gives a reason, and
    TrainerError with STORAGE_FAILED on a file system without locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", opener=_not_through_links) as file:
        start = time.monotonic()
        told = start - 10
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
                    raise TrainerError(
                        ExitCode.STORAGE_FAILED,
                        f"the file system of {path.parent} has no locks (fcntl); use a claim on one that has them, "
                        "such as NFSv4 or CephFS",
                    ) from error
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
            now = time.monotonic()
            if timeout_seconds is not None and now - start > timeout_seconds:
                raise Locked(f"{path} is held by another process")
            if reason := give_up():
                raise Locked(reason)
            if now - told >= 10:
                log.info("%s: waiting for another process that holds %s (%.0f s)", purpose, path, now - start)
                told = now
            time.sleep(_LOOK_SECONDS)
        yield
