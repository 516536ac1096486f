"""A folder that is read slowly, as over a network that others use as well: a read-only file system mounted upon it.

`python -m hack.localcluster.slow_volume FOLDER --kilobytes 100` lies over the folder until it is ended or unmounted.
What processes have opened before, and volumes of pods that run already, are read as fast as before. The kernel keeps no
file longer than it is open, so what is read again is as slow again. Needs root, FUSE and Debian's package fuse3.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hack.localcluster.console import Console
from hack.localcluster.packages import ensure_packages

_PROGRAMS = {"fusermount3": "fuse3"}
_MOUNT_SECONDS = 20


@contextlib.contextmanager
def slow_volume(folder: Path, kilobytes: int) -> Iterator[None]:
    """Let a folder be read no faster than so many kilobytes (of 1000 bytes) a second, by all its readers together.

    Raises:
        ClusterError: the package for it is missing and can't be installed.
        RuntimeError: it can't be mounted; with what the process said.
    """
    ensure_packages(Console(), _PROGRAMS)
    command = [sys.executable, "-m", __name__, str(folder), f"--kilobytes={kilobytes}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + _MOUNT_SECONDS
            while not folder.is_mount():
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    said = process.communicate()[0]
                    raise RuntimeError(f"{folder} is not slow after {_MOUNT_SECONDS} s: {said}")
                time.sleep(0.05)
            yield
        finally:
            # Lazily: what pods still hold open ends with them.
            subprocess.run(["umount", "--lazy", str(folder)], check=False, capture_output=True)
            process.terminate()


def main(argv: Sequence[str] | None = None) -> int:
    """Mount, and serve until the end."""
    parser = argparse.ArgumentParser(prog="python -m hack.localcluster.slow_volume", description=__doc__)
    parser.add_argument("folder", type=Path, help="is read slowly meanwhile; it is not changed")
    parser.add_argument("--kilobytes", type=int, default=100, help="a second, of all readers (default: %(default)s)")
    options = parser.parse_args(argv)
    _serve(options.folder, options.kilobytes)
    return 0


def _serve(folder: Path, kilobytes: int) -> None:
    """Serve the folder's files over itself."""
    # Not at the top: it looks for its library at once, which the package may have to bring first.
    import mfusepy

    # What lies under the mount stays in reach by a folder that was opened before.
    root = Path(f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}")
    turn = threading.Lock()

    def below(path: str) -> Path:
        return root / path.lstrip("/")

    class Slow(mfusepy.Operations):  # type: ignore[misc]
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            found = os.fstat(fh) if fh is not None else os.lstat(f"{root}{path}")
            names = ("mode", "ino", "nlink", "uid", "gid", "size", "blocks", "blksize")
            times = {f"st_{name}": getattr(found, f"st_{name}_ns") for name in ("atime", "mtime", "ctime")}
            return {f"st_{name}": getattr(found, f"st_{name}") for name in names} | times

        def readdir(self, path: str, fh: int) -> list[str]:
            return [".", "..", *(entry.name for entry in below(path).iterdir())]

        def readlink(self, path: str) -> str:
            return str(below(path).readlink())

        def open(self, path: str, flags: int) -> int:
            return os.open(below(path), flags)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            data = os.pread(fh, size, offset)
            with turn:
                time.sleep(len(data) / (1000 * kilobytes))
            return data

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

        def statfs(self, path: str) -> dict[str, int]:
            found = os.statvfs(root)
            return {name: getattr(found, name) for name in dir(found) if name.startswith("f_") and name != "f_fsid"}

    mfusepy.FUSE(Slow(), str(folder), foreground=True, allow_other=True, ro=True, fsname="slow-volume")


if __name__ == "__main__":
    sys.exit(main())
