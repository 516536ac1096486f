"""Compressed NIfTI files that were cut short: an interrupted copy, which ITK would read as if it were whole."""

import gzip
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

_HEADER_BYTES = 348
_DIMENSIONS_AT = 40
_BITS_PER_VOXEL_AT = 72
_DATA_OFFSET_AT = 108


def cut_short(paths: Iterable[Path]) -> list[Path]:
    """Return the .nii.gz files whose compressed stream ends early or is damaged."""
    return [path for path in paths if path.name.endswith(".nii.gz") and not _is_whole(path)]


def _is_whole(path: Path) -> bool:
    """Compare the size that ends a gzip file with the one that its header asks for; unpack only if they differ."""
    if path.stat().st_size == 0:
        # To Python's gzip an empty file is a whole one.
        return False
    try:
        with gzip.open(path) as stream:
            expected = _expected_size(stream.read(_HEADER_BYTES))
        if expected is not None and _recorded_size(path) == expected % 2**32:
            return True
        # Another kind of header, or a file of several gzip members: the checksums tell.
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    return True


def _recorded_size(path: Path) -> int:
    """Return the uncompressed size modulo 2^32 in the last four bytes (RFC 1952)."""
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int(struct.unpack("<I", file.read(4))[0])


def _expected_size(header: bytes) -> int | None:
    """Return the size of the uncompressed file by its NIfTI-1 header; None for any other."""
    if len(header) < _HEADER_BYTES:
        return None
    for order in "<>":
        if struct.unpack_from(f"{order}i", header)[0] == _HEADER_BYTES:
            rank, *shape = struct.unpack_from(f"{order}8h", header, _DIMENSIONS_AT)
            (bits,) = struct.unpack_from(f"{order}h", header, _BITS_PER_VOXEL_AT)
            (offset,) = struct.unpack_from(f"{order}f", header, _DATA_OFFSET_AT)
            voxels: int = 1
            for size in shape[: max(rank, 0)]:
                voxels *= size
            return int(offset + voxels * bits // 8)
    return None
