"""Files that are whole or not there, and locks that end with their holder."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_trainer.process import files
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import Locked, lock, read_json, read_text, write_atomically, write_json

HOLDER = """
import sys, time
from pathlib import Path
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import lock
with lock(Path(sys.argv[1]), "test"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_failed_write_leaves_the_old_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"old": True})

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as caught:
        write_json(path, {"old": False})
    assert caught.value.filename == str(path)
    assert read_json(path) == {"old": True}
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "file.json", {"dice": float("nan")})


def test_write_in_a_folder_that_is_missing_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "file", "x")


def test_nothing_is_written_through_a_link_or_a_pipe(tmp_path: Path) -> None:
    """The image of a training can put either in the place of what its verification writes."""
    other, path = tmp_path / "other", tmp_path / "evidence.json"
    other.write_text("of others")
    for make in (lambda at: at.symlink_to(other), os.mkfifo):
        make(tmp_path / ".tmp-evidence.json")
        write_json(path, {"proven": True})
        assert read_json(path) == {"proven": True} and not path.is_symlink()
        assert other.read_text() == "of others"
        path.unlink()
    (tmp_path / "lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="symbolic links"), lock(tmp_path / "lock", "test"):
        pass
    assert not (tmp_path / "made").exists()


@pytest.mark.timeout(30)
def test_nobody_waits_for_a_pipe_or_reads_what_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    for name, said in (("pipe", "is no file"), ("large", "and at most 1073741824 are read")):
        with pytest.raises(ValueError, match=said):
            read_text(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)
    (tmp_path / "grows").write_text("123456")
    monkeypatch.setattr(files, "LONGEST_TEXT", 6)
    assert read_text(tmp_path / "grows") == "123456"


def test_volume_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lockf(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", lockf)
    with pytest.raises(TrainerError, match="has no locks"), lock(tmp_path / "lock", "test"):
        pass


def test_lock_waits_and_gives_up(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    try:
        start = time.monotonic()
        with pytest.raises(Locked), lock(path, "test", timeout_seconds=0.3):
            pass
        assert 0.3 < time.monotonic() - start < 60
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with lock(path, "test", timeout_seconds=0):
        pass
