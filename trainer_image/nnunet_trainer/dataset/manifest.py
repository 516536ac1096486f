"""What a result of preprocessing consists of: all its files, so that a part of it never passes for the whole."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from nnunet_api.base import StatusModel
from nnunet_trainer.dataset.identity import file_hashes
from nnunet_trainer.process.files import read_bytes, write_json

MANIFEST_FILE = "manifest.json"


class FileEntry(StatusModel):
    """A file of the result."""

    size: int
    """Bytes."""
    sha256: str
    """SHA-256 of its contents, in hex."""


class Manifest(StatusModel):
    """The files of a result, and who made it."""

    files: dict[str, FileEntry]
    """By path from the result's folder; all but the manifest itself."""
    made_by: dict[str, str] = {}
    """Training, image and digest that made it, as far as they were known."""


def write_manifest(folder: Path, made_by: Mapping[str, str], workers: int) -> None:
    """Write down all files of a finished result."""
    names = list(_files(folder))
    hashes = file_hashes("hashing what was preprocessed", {name: folder / name for name in names}, workers)
    files = {name: FileEntry(size=(folder / name).stat().st_size, sha256=hashes[name]) for name in names}
    write_json(folder / MANIFEST_FILE, Manifest(files=files, made_by=dict(made_by)).to_json_dict())


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a result; None where there is none or it can't be read as one."""
    try:
        return Manifest.model_validate_json(read_bytes(folder / MANIFEST_FILE))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def missing(folder: Path, manifest: Manifest) -> str:
    """Return what is wrong with the files by names and sizes, or an empty string. Reads no contents."""
    for name, entry in manifest.files.items():
        path = folder / name
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return f"{name} is missing"
        if not path.is_file() or path.is_symlink():
            return f"{name} is no file"
        if found.st_size != entry.size:
            return f"{name} has {found.st_size} bytes in place of {entry.size}"
    return ""


def differing(folder: Path, manifest: Manifest, workers: int) -> str:
    """Return what differs from the manifest, or an empty string. Reads all files: a second for 250 MB or so."""
    if wrong := missing(folder, manifest):
        return wrong
    if strange := sorted(set(_files(folder)) - set(manifest.files)):
        return f"{strange[0]} does not belong to it"
    files = {name: folder / name for name in manifest.files}
    hashes = file_hashes("checking preprocessed data that is there", files, workers)
    changed = next((name for name, entry in manifest.files.items() if hashes[name] != entry.sha256), "")
    return f"{changed} was changed" if changed else ""


def _files(folder: Path) -> Iterable[str]:
    """Yield all that is no folder, links included: none belongs to a result. File systems hide files of their own."""
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        for name in (*files, *links):
            relative = str((Path(path) / name).relative_to(folder))
            if relative != MANIFEST_FILE and not name.startswith("."):
                yield relative
