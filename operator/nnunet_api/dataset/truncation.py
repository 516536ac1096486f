"""Files that were cut short or damaged: ITK reads some of them as if they were whole.

Of a .nii.gz that ends early it makes zeros, of a compressed .mha or .nrrd with a wrong byte whatever is in the memory.
"""

import gzip
import os
import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from nnunet_api.dataset.nifti import BEGIN_BYTES, Header, bytes_before_voxels, is_nifti

_HEADER_LIMIT = 1 << 20
_UNPACKED_LIMIT = 1 << 22
"""Bytes that are unpacked at once: a block may hold a thousand times its size."""
_STREAMS = {
    ".mha": (
        re.compile(rb"^CompressedData *= *T", re.M | re.I),
        re.compile(rb"^ElementDataFile *= *LOCAL\r?\n", re.M),
        15,
    ),
    ".nrrd": (re.compile(rb"^encoding: *gz", re.M | re.I), re.compile(rb"\r?\n\r?\n"), 31),
}
"""What tells that voxels are compressed, what the header ends with, and zlib's number for the form of the stream."""
_NO_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)


def cut_short(paths: Iterable[Path]) -> list[Path]:
    """Return the NIfTI files with fewer voxels than their headers say, and others whose compressed part is damaged."""
    return [path for path in paths if is_cut_short(path)]


def is_cut_short(path: Path) -> bool:
    """Tell whether a file is one of these. Takes no more than some tens of MB, also where it unpacks to gigabytes."""
    if is_nifti(path.name):
        return not _is_whole(path)
    ending = path.suffix.lower()
    return ending in _STREAMS and not _ends_well(path, *_STREAMS[ending])


def is_damaged(path: Path) -> bool:
    """Tell by its checksums whether a compressed file (.nii.gz) is other than it was written. Reads all of it."""
    return _is_compressed(path) and _unpacked_bytes(path) is None


def head_of(path: Path) -> bytes:
    """Return what a NIfTI file begins with, its header and the notes behind it; nothing where that can't be read."""
    try:
        with gzip.open(path) if _is_compressed(path) else path.open("rb") as stream:
            head = stream.read(BEGIN_BYTES)
            return head + stream.read(bytes_before_voxels(head) - len(head)) if len(head) == BEGIN_BYTES else head
    except _NO_GZIP:
        return b""


def _is_whole(path: Path) -> bool:
    """Compare the size with the one that the header asks for; unpack a compressed file only if they differ."""
    size = path.stat().st_size
    if size == 0:
        # To Python's gzip an empty file is a whole one.
        return False
    header = Header.of(head_of(path))
    expected = header.file_bytes if header else None
    if not _is_compressed(path):
        return expected is None or size >= expected
    if expected is not None and _recorded_size(path) == expected % 2**32:
        return True
    # Another kind of header, a file of several gzip members, or one that has more or less in it than its header says.
    unpacked = _unpacked_bytes(path)
    return unpacked is not None and unpacked >= (expected or 0)


def _ends_well(path: Path, compressed: re.Pattern[bytes], end: re.Pattern[bytes], form: int) -> bool:
    """Unpack the compressed part of a file, where it has one."""
    with path.open("rb") as stream:
        head = stream.read(_HEADER_LIMIT)
        found = end.search(head)
        if found is None or not compressed.search(head[: found.end()]):
            return True
        unpacking, block = zlib.decompressobj(form), head[found.end() :]
        try:
            while not unpacking.eof:
                unpacked = unpacking.decompress(block, _UNPACKED_LIMIT)
                block = unpacking.unconsumed_tail
                # As much as it may have: there may be more of it, also where nothing is left of the block.
                if len(unpacked) == _UNPACKED_LIMIT or block:
                    continue
                if not (block := stream.read(_HEADER_LIMIT)):
                    break
        except zlib.error:
            return False
        return unpacking.eof


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _unpacked_bytes(path: Path) -> int | None:
    """Return the size of what a file unpacks to; None where its checksums say that it is damaged."""
    unpacked = 0
    try:
        with gzip.open(path) as stream:
            while block := stream.read(1 << 20):
                unpacked += len(block)
    except _NO_GZIP:
        return None
    return unpacked


def _recorded_size(path: Path) -> int:
    """Return the uncompressed size modulo 2^32 in the last four bytes (RFC 1952)."""
    with path.open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int(struct.unpack("<I", file.read(4))[0])
