"""A zip of a model, made of files on a claim: whole and checked, or not there at all."""

import hashlib
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nnunet_api.model_export import CHECKPOINT, INSTRUCTIONS_FILE, POSTPROCESSING, ModelExport, instructions
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.checkpoint import Strange, require_plain
from nnunet_cli.export.contents import Contents
from nnunet_cli.text.progress import Progress, size
from nnunet_cli.text.words import listed
from nnunet_cli.volumes.access import Volume
from nnunet_cli.volumes.hashes import hashes_of

BLOCK = 1 << 20
MOST_MIB = 256
"""A file beside the checkpoints that is larger is not fetched: it is read into memory, and some MB are usual."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of all entries: the same model gives the same zip."""


def files_of(export: ModelExport, there: Mapping[str, int], where: str) -> dict[str, int]:
    """Return the files to export with their sizes; `there` has those on the claim, seen from nnUNet_results.

    Raises CliError where some are missing without which the zip would be another model.
    """
    found = {path: there[path] for path in export.files if path in there}
    missing = [path for path in export.required if path not in found]
    if export.postprocessing is not None and not any(path.endswith(POSTPROCESSING) for path in found):
        missing.append(f"{export.folders_of_choice[0]}/{POSTPROCESSING}")
    if missing:
        words = f"the run of {where} lacks {listed(missing[:5])}"
        raise CliError(f"{words}: restore the folder of the run, or train anew", ExitCode.FOUND)
    for path, count in found.items():
        if not path.endswith(CHECKPOINT) and count > MOST_MIB << 20:
            raise CliError(f"{path} has {size(count)}: nnU-Net does not write so much. Look at it", ExitCode.FOUND)
    return found


def write_archive(
    target: Path, volume: Volume, folder: str, export: ModelExport, files: Mapping[str, int], progress: Progress
) -> str:
    """Write the zip and return its SHA-256. `folder` is nnUNet_results on the claim. Raises CliError.

    Checkpoints must be those that were verified; all else must be what the claim says of it in a second reading.
    """
    small = [path for path in files if path not in export.hashes]
    expected = dict(export.hashes)
    for path, value in zip(small, hashes_of(volume, folder, small), strict=True):
        expected[path] = value or ""
    guide, contents = f"{export.dataset}/{INSTRUCTIONS_FILE}", Contents(export)
    try:
        with _partial(target, sum(files.values())) as part:
            with zipfile.ZipFile(part, "w") as archive:
                for path in files:
                    small_ones = None if path in export.hashes else contents
                    _add(archive, path, volume, f"{folder}/{path}", small_ones, progress)
                text = instructions(export, list(files)).encode()
                archive.writestr(_entry(guide), text)
            expected[guide] = hashlib.sha256(text).hexdigest()
            _check(part, expected, export)
            with part.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        words = f"{target} can't be written: {error.strerror or error}. Give another place or make room"
        raise CliError(words, ExitCode.USAGE) from None


@contextmanager
def _partial(target: Path, needed: int) -> Iterator[Path]:
    """Give a path beside the target that becomes it in the end, and is removed where something goes wrong."""
    free = shutil.disk_usage(target.parent).free
    if needed > free:
        words = f"the model takes {size(needed)}, and {target.parent.absolute()} has {size(free)} left"
        raise CliError(f"{words}: make room, or give another place with --output", ExitCode.USAGE)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.external_attr = 0o644 << 16
    # Weights don't get smaller, and take minutes to find that out.
    entry.compress_type = zipfile.ZIP_STORED if path.endswith(CHECKPOINT) else zipfile.ZIP_DEFLATED
    return entry


def _add(
    archive: zipfile.ZipFile, path: str, volume: Volume, source: str, contents: Contents | None, progress: Progress
) -> None:
    """Take a file from the claim; `contents` looks at it unless it is a checkpoint."""
    with volume.run("send", source) as remote, archive.open(_entry(path), "w", force_zip64=True) as file:
        head = remote.message()
        if "missing" in head:
            raise CliError(f"{path} is no longer on the claim: is the run being removed?", ExitCode.FOUND)
        left = int(head["size"])
        if contents and left > MOST_MIB << 20:
            raise CliError(f"{path} became larger while it was read: call it again", ExitCode.FOUND)
        content = bytearray()
        while left:
            block = remote.read(min(BLOCK, left))
            left -= len(block)
            file.write(block)
            content += block if contents else b""
            progress(len(block))
        if contents:
            contents.require_harmless(path, bytes(content))


def _check(part: Path, expected: Mapping[str, str], export: ModelExport) -> None:
    """Read the zip once more, and hold what is in it against the hashes."""
    with zipfile.ZipFile(part) as archive:
        if set(archive.namelist()) != set(expected):
            raise CliError("the zip lacks files: call it again", ExitCode.FOUND)
        for path, sha256 in expected.items():
            with archive.open(path) as file:
                found = _sha256(file)
            if found == sha256:
                if path in export.hashes:
                    _require_plain(path, archive)
                continue
            if path in export.hashes:
                words = f"{path} is not the checkpoint that was verified: its SHA-256 is {found}, the status has"
                raise CliError(f"{words} {sha256}. Restore the file, or train anew", ExitCode.FOUND)
            raise CliError(f"{path} was damaged on its way, or changed meanwhile: call it again", ExitCode.FOUND)


def _require_plain(path: str, archive: zipfile.ZipFile) -> None:
    try:
        with archive.open(path) as file:
            require_plain(path, file)
    except Strange as error:
        raise CliError(str(error), ExitCode.FOUND) from None


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()
