"""What runs in the helper pod. Its source is sent there: only Python's standard library, in the image's version.

A command writes lines of JSON to its standard output. One with the key "error" is the last: words for the user. Bytes
that follow a line were announced in it. {"alive": true} says nothing else, so that nobody takes work for silence.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 1 << 20
ALIVE_SECONDS = 5.0
GRACE_SECONDS = 3.0
TRAINER = "nnunet-trainer"
"""The program in this project's trainer image."""
USAGE = 2
"""Its exit code for a command that it does not have."""
PART = ".part"
"""Ending of a file that is being written."""
DESCRIPTION_BYTES = 8 << 20
"""A dataset.json that is larger is not read: thousands of cases that are named one by one take 1 MB."""
STALE_SECONDS = 900.0
"""After so long without a byte nobody writes a part any more: a connection is given up sooner."""
SEGMENTED = "nnunet_prediction.json"
"""Beside segmentations when all are there."""
_MEND = "put what it leads to in its place, or give that folder"
_PREDICTIONS = re.compile(r"predictions_.+-[0-9a-f]{8}|\.nnunet-predict-[0-9a-f]{8}")
"""Names of the folders in which predictions work: no training may be called so, as no name has a _ in it."""
_OURS = re.compile(r"\..+\.[0-9a-f]{8}" + re.escape(PART))


class Refusal(Exception):
    """Ends a command with words for the user."""


def say(**content: Any) -> None:
    """Write a message."""
    sys.stdout.buffer.write(json.dumps(content).encode() + b"\n")
    sys.stdout.buffer.flush()


def wait(idle_seconds: float) -> None:
    """Be the first process of the pod: end when no other one has been there for so long, or the pod is deleted."""
    end = time.monotonic() + idle_seconds
    deleted = False

    def on_deletion(*_: Any) -> None:
        # A command whose connection is gone gets a moment to take away what it has half written.
        nonlocal end, deleted
        end, deleted = time.monotonic() + GRACE_SECONDS, True

    signal.signal(signal.SIGTERM, on_deletion)
    while time.monotonic() < end:
        time.sleep(0.2)
        with contextlib.suppress(ChildProcessError):  # processes whose parent is gone are the first one's to bury
            os.waitpid(-1, os.WNOHANG)
        alone = all(entry.name == str(os.getpid()) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        if deleted and alone:
            return
        if not deleted and not alone:
            end = time.monotonic() + idle_seconds


def on_claim(root: Path, name: str) -> Path:
    """Return a path on the claim that no link is part of.

    Whoever can write one folder of a claim could otherwise put a link there and have another one read or written.
    Raises Refusal.
    """
    path = root
    for part in Path(name).parts:
        path /= part
        if part in ("..", "/"):
            raise Refusal(f"{name} leads out of the claim: give a path inside it")
        if path.is_symlink():
            where = path.relative_to(root).as_posix()
            raise Refusal(f"{where} on the claim is a link to {path.readlink()}, and links are not followed: {_MEND}")
    return path


def send(root: Path, name: str) -> None:
    """Write the size of a file, then the file."""
    try:
        with _opened(on_claim(root, name)) as file:
            size = os.fstat(file.fileno()).st_size
            say(size=size)
            # A file that grows meanwhile is cut where it was announced to end.
            while size and (block := file.read(min(BLOCK, size))):
                size -= len(block)
                sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        say(missing=name)


def sizes(root: Path, folder: str) -> None:
    """Name each file in a folder with its size."""
    base = on_claim(root, folder)
    for path in _files(base):
        say(path=path.relative_to(base).as_posix(), size=path.lstat().st_size)
    say(done=True)


def datasets(root: Path, folder: str) -> None:
    """Name each folder in a folder, with its number of files, their bytes, and its dataset.json."""
    base = on_claim(root, folder)
    if not base.is_dir():
        raise Refusal(f"{folder or '/'} is no folder on the claim")
    for entry in sorted(base.iterdir()):
        if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            alive, count, size = time.monotonic(), 0, 0
            for path in _files(entry):
                count, size = count + 1, size + path.lstat().st_size
                alive = _alive(alive)
            say(name=entry.name, files=count, bytes=size, description=_description(entry / "dataset.json"))
    say(done=True)


def hashes(root: Path, folder: str) -> None:
    """Read names of files, each in a line of JSON (path), until an empty line, and write the SHA-256 of each."""
    while (line := sys.stdin.buffer.readline()) not in (b"", b"\n"):
        name = json.loads(line)["path"]
        say(path=name, sha256=_hash(on_claim(root, f"{folder}/{name}")))
    say(done=True)


def receive(root: Path, folder: str) -> None:
    """Read files until an empty line, and confirm each: a line of JSON (path, size), its bytes, another one (sha256).

    A file gets its name when it is whole and on disk.
    """
    _sweep(on_claim(root, folder))
    while (line := sys.stdin.buffer.readline()) not in (b"", b"\n"):
        head = json.loads(line)
        *parents, last = Path(head["path"]).parts
        # A link in the file's own place is replaced by the file.
        _receive_one(on_claim(root, "/".join([folder, *parents])) / last, head["size"], sys.stdin.buffer)
        say(path=head["path"])
    if line:
        say(done=True)


def _receive_one(target: Path, size: int, source: BinaryIO) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name for this push alone: another one may write the same file, or hang on a connection that is half gone.
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PART}")
    digest = hashlib.sha256()
    try:
        with part.open("wb") as file:
            left = size
            while left:
                if not (block := source.read(min(BLOCK, left))):
                    raise Refusal(f"{target.name}: the connection ended {left} bytes before its end")
                digest.update(block)
                file.write(block)
                left -= len(block)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != json.loads(source.readline() or b"{}").get("sha256"):
            raise Refusal(f"{target.name} was damaged on its way: push again")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _sweep(folder: Path) -> None:
    """Remove the parts that killed pods have left."""
    for path in folder.rglob(f".*{PART}"):
        with contextlib.suppress(FileNotFoundError):  # whoever wrote it was done
            if _OURS.fullmatch(path.name) and time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()


def make(root: Path, folder: str) -> None:
    """Make a folder, where there is none yet."""
    path = on_claim(root, folder)
    if path.exists() and not path.is_dir():
        raise Refusal(f"{folder} on the claim is no folder: give another one")
    path.mkdir(parents=True, exist_ok=True)
    say(done=True)


def predictions(root: Path, folder: str) -> None:
    """Name the folders in a folder through which predictions send and fetch, with what is in them."""
    base = on_claim(root, folder)
    alive = time.monotonic()
    for entry in sorted(base.iterdir()) if base.is_dir() else ():
        if not _PREDICTIONS.fullmatch(entry.name) or entry.is_symlink() or not entry.is_dir():
            continue
        images, size, last = 0, 0, 0.0
        for folder_, _, names in os.walk(entry):  # it follows no link
            for path in (Path(folder_), *(Path(folder_, name) for name in names)):
                with contextlib.suppress(FileNotFoundError):  # its Job goes on
                    found = path.lstat()
                    last = max(last, found.st_mtime)
                    if stat.S_ISREG(found.st_mode):
                        size += found.st_size
                        images += path.parent == entry / "images" and not path.name.endswith(PART)
                alive = _alive(alive)
        segmented = (entry / "segmentations" / SEGMENTED).is_file()
        say(name=entry.name, images=images, segmented=segmented, bytes=size, seconds=max(0.0, time.time() - last))
    say(done=True)


def remove(root: Path, folder: str) -> None:
    """Remove a folder in which a prediction works, and nothing else."""
    path = on_claim(root, folder)
    if not _PREDICTIONS.fullmatch(path.name):
        raise Refusal(f"{folder} is no folder of a prediction, and not removed")
    if path.is_dir():
        shutil.rmtree(path)  # it follows no link
    say(done=True)


def histories(root: Path, run: str) -> None:
    """Have the image's trainer write, for each fold in a run folder, what its newest checkpoint has logged."""
    folder = on_claim(root, run)
    if not folder.is_dir():
        raise Refusal(f"the results claim has no folder {run}: nothing has been trained yet, or it was removed")
    remedy = "give a trainer image of this release with --image"
    try:
        ended = subprocess.run(
            [TRAINER, "history", str(folder)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
    except FileNotFoundError:
        raise Refusal(f"the image holds no trainer that can read checkpoints: {remedy}") from None
    if ended.returncode == USAGE:
        raise Refusal(f"the image's trainer is older than this program and has no command history: {remedy}")
    if ended.returncode:
        words = ended.stderr.decode(errors="replace").split("\n")
        last = next((line for line in reversed(words) if line.strip()), f"exit code {ended.returncode}")
        raise Refusal(f"the checkpoints can't be read: {last.strip()[:500]}")
    say(done=True)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder; not those that are being written, and no links."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and not (path.name.startswith(".") and path.name.endswith(PART)):
            yield path


def _hash(path: Path) -> str | None:
    digest, alive = hashlib.sha256(), time.monotonic()
    try:
        with _opened(path) as file:
            while block := file.read(BLOCK):
                digest.update(block)
                alive = _alive(alive)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _alive(last: float) -> float:
    if time.monotonic() - last < ALIVE_SECONDS:
        return last
    say(alive=True)
    return time.monotonic()


def _opened(path: Path) -> BinaryIO:
    """Open a file that is no link and in no folder that is one, also where it became one since it was looked at.

    To open a pipe would mean to wait until somebody writes to it. Raises Refusal for what is no file.
    """
    folder = os.open(path.parts[0], os.O_PATH)
    try:
        for part in path.parts[1:-1]:
            inside = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inside
        opened = os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    file = os.fdopen(opened, "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise Refusal(f"{path.name} on the claim is no file: remove it")


def _description(path: Path) -> Any:
    try:
        with _opened(path) as file:
            return json.loads(file.read(DESCRIPTION_BYTES))  # one that is larger is cut off, and so no JSON
    except (OSError, ValueError, RecursionError, Refusal):
        return None


COMMANDS = {
    "send": send,
    "sizes": sizes,
    "datasets": datasets,
    "hashes": hashes,
    "receive": receive,
    "histories": histories,
    "make": make,
    "predictions": predictions,
    "remove": remove,
}


def main(command: str, *arguments: str) -> None:
    """Run a command."""
    if command == "wait":
        wait(float(arguments[0]))
        return
    root, name = arguments
    try:
        COMMANDS[command](Path(root), name)
    except Refusal as error:
        say(error=str(error))
    except OSError as error:
        full = " (the volume is full: enlarge the claim, or make room)" if error.errno == errno.ENOSPC else ""
        say(error=f"{error.filename or name}: {error.strerror}{full}")


if __name__ == "__main__":
    main(*sys.argv[1:])
