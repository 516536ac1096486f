"""Which exception ends the process with which code and words."""

import errno
import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import (
    UNEXPECTED,
    classify,
    is_missing_or_damaged,
    may_be_damage,
    one_line,
    wrong_data,
)


class OutOfMemoryError(RuntimeError):
    """Stands for torch.cuda.OutOfMemoryError, which is recognised by its name."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


NO_SPACE = OSError(errno.ENOSPC, "No space left on device", "/nnunet/results/x")
SHM = "</torch_123_456_0>"
STREAM = "PytorchStreamWriter failed writing file data/3: file write failed"
ENFORCE = "[enforce fail at inline_container.cc:603] . unexpected pos 3200 vs 3094"

CASES = [
    (NO_SPACE, ExitCode.STORAGE_FAILED, ["No space left on device", "/nnunet/results/x", "free of", "Enlarge"]),
    (OSError(errno.EDQUOT, "quota", "/x"), ExitCode.STORAGE_FAILED, ["quota"]),
    (OSError(errno.EROFS, "ro", "/x"), ExitCode.STORAGE_FAILED, ["Read-only file system"]),
    (OSError(errno.EIO, "io", "/x"), UNEXPECTED, ["Input/output error: /x", "who runs the storage", "retryLimit"]),
    (OSError(errno.ESTALE, "stale", "/nnunet/raw/x"), UNEXPECTED, ["Stale file handle: /nnunet/raw/x", "storage"]),
    (OSError(errno.ETIMEDOUT, "no answer", "/elsewhere"), UNEXPECTED, ["TimeoutError", "/elsewhere"]),
    (OSError(errno.EMFILE, "Too many open files", "/x"), UNEXPECTED, ["too many open files: lower resources.cpu"]),
    (RuntimeError("Reason: Too many open files"), UNEXPECTED, ["too many open files: lower resources.cpu"]),
    (RuntimeError("worker: [Errno 5] Input/output error: '/x'"), UNEXPECTED, ["who runs the storage", "'/x'"]),
    (OSError(errno.ENOENT, "missing", "/x"), UNEXPECTED, ["FileNotFoundError", "/x"]),
    (caused(RuntimeError("save failed"), NO_SPACE), ExitCode.STORAGE_FAILED, ["/nnunet/results/x"]),
    (RuntimeError("worker: [Errno 28] No space left on device"), ExitCode.STORAGE_FAILED, ["No space left"]),
    (OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), ExitCode.GPU_OUT_OF_MEMORY, ["gpuMemoryTargetGB", "2 GiB"]),
    (RuntimeError("CUDA error: out of memory"), ExitCode.GPU_OUT_OF_MEMORY, ["larger GPU"]),
    (MemoryError(), UNEXPECTED, ["resources.memory"]),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), UNEXPECTED, ["resources.memory"]),
    (RuntimeError(f"unable to write to file {SHM}: No space left on device (28)"), UNEXPECTED, ["sharedMemory", SHM]),
    (
        RuntimeError(f"unable to allocate shared memory(shm) for file {SHM}: No space left on device (28)"),
        UNEXPECTED,
        ["Raise resources.sharedMemory", "/dev/shm", "free of"],
    ),
    (OSError(errno.ENOSPC, "No space left on device", "/dev/shm/sem.x"), UNEXPECTED, ["sharedMemory"]),
    (caused(RuntimeError("x"), OSError(errno.ENOSPC, "No space left on device", "/psm_1")), UNEXPECTED, ["shared"]),
    (
        OSError(errno.EACCES, "Permission denied", "/nnunet/results/a"),
        ExitCode.STORAGE_FAILED,
        ["Permission denied: /nnunet/results/a", f"UID {os.getuid()}, GID {os.getgid()}", "mounted at /nnunet/results"],
    ),
    (OSError(errno.EPERM, "no", "/nnunet/raw/a"), ExitCode.STORAGE_FAILED, ["/nnunet/raw/a", "chown"]),
    (OSError(errno.EACCES, "Permission denied", "/opt/trainers/x"), UNEXPECTED, ["/opt/trainers/x"]),
    (OSError(errno.EPERM, "Operation not permitted"), UNEXPECTED, ["PermissionError"]),
    (
        RuntimeError("One or more background workers are no longer alive. Exiting."),
        UNEXPECTED,
        ["sharedMemory", "resources.memory"],
    ),
    (wrong_data("labels are\nmissing"), ExitCode.WRONG_DATA, ["labels are missing"]),
    (caused(RuntimeError("x"), wrong_data("labels")), ExitCode.WRONG_DATA, ["labels"]),
    (ValueError("strange\nthing."), UNEXPECTED, ["ValueError: strange thing"]),
]


@pytest.mark.parametrize(("error", "code", "words"), CASES, ids=lambda value: type(value).__name__)
def test_classify(error: BaseException, code: int, words: list[str]) -> None:
    failure = classify(error, [Path("/nnunet/results"), Path("/tmp")], [Path("/nnunet/raw")])
    assert failure.code == code
    assert "\n" not in failure.message
    for word in words:
        assert word in failure.message


def volumes_of(monkeypatch: pytest.MonkeyPatch, free: Callable[[str], int]) -> None:
    """Let each volume have so many free bytes."""

    class Volume:
        f_blocks, f_frsize = 1 << 40, 1

        def __init__(self, path: Path) -> None:
            self.f_bavail = free(str(path))

    monkeypatch.setattr("os.statvfs", Volume)


@pytest.mark.parametrize("text", [STREAM, ENFORCE])
@pytest.mark.parametrize(
    ("free", "code", "words"),
    [
        (500 << 20, ExitCode.STORAGE_FAILED, ["cut short", "is full", "/results (500 MiB free", "Enlarge the claim"]),
        (100 << 30, UNEXPECTED, ["cut short", "/results (100 GiB free", "who runs the storage"]),
    ],
    ids=["little room", "much room"],
)
def test_a_checkpoint_that_was_cut_short(
    monkeypatch: pytest.MonkeyPatch, text: str, free: int, code: int, words: list[str]
) -> None:
    """torch has no errno for it. What was written of the checkpoint is gone again when the room is looked at."""
    volumes_of(monkeypatch, lambda path: free)
    failure = classify(RuntimeError(text), [Path("/results")])
    assert failure.code == code
    assert [word for word in [*words, text[:20]] if word not in failure.message] == [], failure.message


def test_a_volume_that_is_full_explains_an_input_output_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems say no more than that."""
    volumes_of(monkeypatch, lambda path: 0)
    failure = classify(OSError(errno.EIO, "Input/output error", "/results/x"), [Path("/results")])
    assert failure.code == ExitCode.STORAGE_FAILED and "the volume is full" in failure.message


def test_no_space_and_no_name_while_only_shared_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a pool makes its semaphores."""

    class Volume:
        f_blocks, f_frsize = 1024, 4096

        def __init__(self, path: Path) -> None:
            self.f_bavail = 0 if str(path) == "/dev/shm" else 1024

    monkeypatch.setattr("os.statvfs", Volume)
    failure = classify(OSError(errno.ENOSPC, "No space left on device"), [Path("/")])
    assert failure.code == UNEXPECTED
    assert "/dev/shm: 0 B free of 4 MiB" in failure.message and "resources.sharedMemory" in failure.message


def test_any_error_on_a_full_volume_is_the_volumes_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_blocks, f_frsize = 0, 1024, 4096

    statvfs: Callable[[Path], Full] = lambda path: Full()  # noqa: E731
    monkeypatch.setattr("os.statvfs", statvfs)
    failure = classify(RuntimeError("Could not write the b2nd file"), [Path("/nnunet/preprocessed")])
    assert failure.code == ExitCode.STORAGE_FAILED
    assert "/nnunet/preprocessed (0 B free of 4 MiB)" in failure.message
    assert "Could not write the b2nd file" in failure.message


DAMAGE = [
    EOFError("Ran out of input"),
    pickle.UnpicklingError("invalid load key, 'n'."),
    RuntimeError("PytorchStreamReader failed reading zip archive: failed finding central directory"),
    RuntimeError("Error(s) in loading state_dict for PlainConvUNet: Missing key(s)"),
    KeyError("current_epoch"),
    OSError(errno.EINVAL, "Invalid argument"),
    gzip.BadGzipFile("Not a gzipped file"),
]
SOMETHING_ELSE = [
    OSError(errno.ESTALE, "Stale file handle", "/x"),
    OSError(errno.ETIMEDOUT, "Connection timed out", "/x"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.EACCES, "Permission denied", "/x"),
    OSError(errno.EIO, "Input/output error", "/x"),
    OSError(errno.ENOENT, "No such file or directory", "/x"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    OutOfMemoryError("CUDA out of memory. Tried 2 GiB"),
    caused(RuntimeError("loading failed"), OSError(errno.ESTALE, "Stale file handle")),
    wrong_data("labels"),
    RuntimeError("ITK ERROR: The file couldn't be opened for reading. Filename: /x Reason: Too many open files"),
    RuntimeError("can't start new thread"),
    RuntimeError("itkImportImageContainer.hxx:179: Failed to allocate memory for image."),
]


@pytest.mark.parametrize("error", DAMAGE, ids=repr)
def test_errors_of_a_damaged_file(error: Exception) -> None:
    assert may_be_damage(error)


@pytest.mark.parametrize("error", SOMETHING_ELSE, ids=repr)
def test_errors_that_another_file_would_give_too(error: Exception) -> None:
    assert not may_be_damage(error)


def test_missing_is_no_damage_but_as_good_as() -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")
    on_cuda = FileNotFoundError(errno.ENOENT, "No such file or directory", "/data/CUDA/x")
    stale = caused(FileNotFoundError(errno.ENOENT, "x", "/x"), OSError(errno.ESTALE, "Stale file handle"))
    found = [is_missing_or_damaged(error) for error in (missing, on_cuda, EOFError(), MemoryError(), stale)]
    assert found == [True, True, True, False, False]


def test_one_line() -> None:
    assert one_line(" a\n\tb  c ") == "a b c"
