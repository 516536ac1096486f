"""The probabilities that nnU-Net keeps beside segmentations (.npz and .pkl): whether they are whole, and their end.

Nothing here reads more of them than the header. The .pkl beside each is never opened: whoever may write to the folder
could have it run anything.
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from nnunet_trainer.process.files import TEMPORARY

PROBABILITIES = ".npz"
PROPERTIES = ".pkl"
_MEMBER = "probabilities.npy"
_KINDS = ("float16", "float32")
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, RuntimeError, ValueError, struct.error)
"""What reading a damaged archive raises; RuntimeError where it looks encrypted, or compressed in an unknown way."""


def shape_of(path: Path) -> tuple[int, ...]:
    """Return the shape of the probabilities in a file: classes or regions first, then the axes of the image.

    Raises OSError, or ValueError for what nnU-Net has not written.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
            stated, size = int(np.prod(shape)) * dtype.itemsize, archive.getinfo(_MEMBER).file_size
    except DAMAGED as error:
        raise ValueError(f"{path.name} is not whole, or holds no probabilities: {error!r}") from error
    # A file that was cut short has no directory at its end.
    if dtype.name not in _KINDS or not stated <= size < stated + 4096:
        raise ValueError(f"{path.name} holds no probabilities of nnU-Net: {dtype}, {size} bytes for shape {shape}")
    return tuple(int(size) for size in shape)


def is_readable(path: Path) -> bool:
    """Tell whether all of the probabilities can be read, which takes as long as that. Raises OSError."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except DAMAGED:
        return False


def whole_probabilities(folder: Path) -> set[str]:
    """Return the cases whose probabilities are in the folder and whole."""
    found = [path for path in folder.glob(f"*{PROBABILITIES}") if not path.name.startswith(TEMPORARY)]
    return {path.name.removesuffix(PROBABILITIES) for path in found if _is_whole(path)}


def _is_whole(path: Path) -> bool:
    try:
        shape_of(path)
    except (OSError, ValueError):
        return False
    return True


def remove_probabilities(folders: Iterable[Path]) -> int:
    """Remove all probabilities in these folders; return how many bytes that freed."""
    freed = 0
    for folder in folders:
        for path in [*folder.glob(f"*{PROBABILITIES}"), *folder.glob(f"*{PROPERTIES}")]:
            freed += path.lstat().st_size
            path.unlink(missing_ok=True)
    return freed
