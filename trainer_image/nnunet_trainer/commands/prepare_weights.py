"""Copy the checkpoint that a training begins with into its run's folder, before its own image is started.

In the operator's own image, which sees the claims as a whole: neither end may lead through a link, which whoever wrote
the folder may have put there, and what is copied is a checkpoint of torch and nothing else that lies on a claim.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nnunet_api.folders import RESULTS, WEIGHTS, owned_part
from nnunet_api.initial_weights import CASES_FILE, WEIGHTS_FILE, WEIGHTS_FOLDER
from nnunet_api.torch_file import require_torch_file
from nnunet_trainer.process.failures import TrainerError, one_line, wrong_configuration, wrong_data
from nnunet_trainer.process.files import TEMPORARY

_ENDING = ".pth"
_LARGEST_CASES_BYTES = 64 << 20
"""A list of a million cases has as much."""
_LINKS = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
_RETRY = "Suspend and resume the training to begin with what is there now"


@dataclass(frozen=True)
class Weights:
    """The checkpoint, from the root of its claim."""

    path: str
    hash: str = ""
    """SHA-256 as the verification of its training found it; empty where that is not known."""
    cases: str = ""
    """List of the cases that its training has seen; empty for a file that is of no training."""


def copy_weights(claims: Path, run: str, weights: Weights) -> None:
    """Copy checkpoint and cases into `WEIGHTS_FOLDER` of the run's folder, which is there.

    Raises TrainerError with WRONG_DATA where there is no such checkpoint, or another one; with WRONG_CONFIGURATION for
    a path that must not be read.
    """
    if not weights.hash and (part := owned_part(weights.path)):
        raise wrong_configuration(
            f"spec.initialWeights.claim.path leads through {part}, which is, or may be taken for, the folder of a "
            "training: name that training in spec.initialWeights.training, or copy the model to another folder"
        )
    target = _folder(claims / RESULTS, run)
    try:
        with _opened(claims / WEIGHTS, weights.path) as source:
            _require_checkpoint(source, weights.path)
            found = _copy(source, target, WEIGHTS_FILE)
        if weights.hash and found != weights.hash:
            os.unlink(WEIGHTS_FILE, dir_fd=target)
            raise wrong_data(
                f"spec.initialWeights: {weights.path} was changed since its training was verified: its SHA-256 is "
                f"{found}, that of the verification {weights.hash}. {_RETRY}"
            )
        with contextlib.suppress(FileNotFoundError):
            os.unlink(CASES_FILE, dir_fd=target)
        if weights.cases:
            # A training of an older version has none: then it is not known what it has seen.
            with contextlib.suppress(_Absent), _opened(claims / WEIGHTS, weights.cases) as source:
                if os.fstat(source.fileno()).st_size <= _LARGEST_CASES_BYTES:
                    _copy(source, target, CASES_FILE)
    except _Absent as error:
        raise wrong_data(
            f"spec.initialWeights: {weights.path} is not on the claim. Was its training deleted? {_RETRY}"
        ) from error
    finally:
        os.close(target)


class _Absent(Exception):
    """There is no such file."""


@contextlib.contextmanager
def _opened(root: Path, path: str) -> Iterator[BinaryIO]:
    """Open a regular file below a root, through no link. Raises _Absent, or TrainerError for a link."""
    *folders, name = [part for part in path.split("/") if part not in ("", ".")]
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in folders:
            folder = _enter(folder, part)
        # A pipe would wait for a writer.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError as error:
        raise _Absent(path) from error
    except OSError as error:
        if error.errno not in _LINKS:
            raise
        raise _through_a_link(path) from error
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise wrong_configuration(f"spec.initialWeights: {path} is no file")
    with os.fdopen(file, "rb") as opened:
        yield opened


def _through_a_link(path: str) -> TrainerError:
    return wrong_configuration(
        f"spec.initialWeights: {path} leads through a link, which may lead anywhere. Give the file itself, or copy it"
    )


def _enter(folder: int, name: str) -> int:
    """Return a folder inside another one, which is closed."""
    if name == "..":
        raise wrong_configuration("spec.initialWeights: a path must not contain '..'")
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    os.close(folder)
    return inner


def _folder(claim: Path, run: str) -> int:
    """Return the folder of the copies, made where it is not there; an earlier attempt may have put anything there."""
    folder = os.open(claim, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in run.split("/"):
            folder = _enter(folder, part)
        with contextlib.suppress(FileExistsError):
            os.mkdir(WEIGHTS_FOLDER, dir_fd=folder)
        return os.open(WEIGHTS_FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno not in _LINKS:
            raise
        raise wrong_configuration(f"{run}/{WEIGHTS_FOLDER} is no folder: remove what is there") from error
    finally:
        os.close(folder)


def _require_checkpoint(source: BinaryIO, path: str) -> None:
    """What a training may have copied to its own folder is a checkpoint: nothing else of a claim."""
    no_checkpoint = f"spec.initialWeights: {path[-200:]} is no checkpoint (a {_ENDING} file of torch):"
    if not path.endswith(_ENDING):
        raise wrong_configuration(f"{no_checkpoint} its name does not end with {_ENDING}")
    try:
        require_torch_file(source)
    except ValueError as error:
        raise wrong_configuration(
            f"{no_checkpoint} {one_line(str(error))[:150]}. If it is whole, in the form of torch before 1.6 or packed "
            "anew, and you trust it, save it anew: torch.save(torch.load(FILE, weights_only=False), OTHER)"
        ) from error
    source.seek(0)


def _copy(source: BinaryIO, folder: int, name: str) -> str:
    """Write a copy into a folder and return its SHA-256; whole when it has its name."""
    temporary = f"{TEMPORARY}{name}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(temporary, flags, 0o640, dir_fd=folder), "w+b") as target:
        shutil.copyfileobj(source, target, 1 << 22)
        target.flush()
        os.fsync(target.fileno())
        target.seek(0)
        digest = hashlib.file_digest(target, "sha256").hexdigest()
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return digest
