"""Checkpoints of torch that are the same file to every reader, and no larger than they look. Nothing is unpickled.

A checkpoint is a zip file with a pickle, data.pkl, in it. Readers of zip files differ in what they make of one that
nobody has written by accident: in which of two directories they believe, in whether Data.PKL is data.pkl, in what of a
name counts. torch has a reader of its own, and would then load another network than the one whose numbers Python has
read. So only what leaves no choice is taken. And torch compresses nothing: what is, is larger than it says.
"""

import contextlib
import io
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from nnunet_api.words import counted

RECORD = "data.pkl"
LONGEST_BYTES = 512 << 20
"""Of data.pkl. That of 100,000 epochs has some 10 MB."""
_BEGIN = b"PK\x03\x04"
_LONGEST_END = 56 + 20 + 22
"""What may be behind the directory: its place and size in long numbers, where these are, and in short ones."""
_TWO_DIRECTORIES = "it says in two ways where its records are"
_LONGEST_DIRECTORY = 16 << 20
"""Of a network with 1000 layers it has 0.4 MB. Whoever opens the file reads all of it."""
_HEADER_BYTES = 30
"""Before each record, at least."""


@dataclass(frozen=True)
class TorchFile:
    """What of a checkpoint is no tensor."""

    data: bytes
    """The pickle."""
    records: Mapping[str, int]
    """The bytes of each record, by its name without that of the folder that all are in."""


def read_torch_file(file: IO[bytes], longest_bytes: int | None = None) -> TorchFile:
    """Return what of a checkpoint is no tensor.

    Raises ValueError for what torch has not written, and where the pickle has more than `longest_bytes`.
    """
    longest_bytes = longest_bytes or LONGEST_BYTES
    with _opened(file) as (archive, folder):
        if archive.getinfo(folder + RECORD).file_size > longest_bytes:
            raise ValueError(f"its {RECORD} has more than {longest_bytes >> 20} MiB")
        sizes = {one.filename.removeprefix(folder): one.file_size for one in archive.infolist()}
        return TorchFile(archive.read(folder + RECORD), sizes)


def require_torch_file(file: IO[bytes]) -> None:
    """Raise ValueError for what torch has not written, as far as that can be told without reading the pickle."""
    with _opened(file):
        pass


@contextlib.contextmanager
def _opened(file: IO[bytes]) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """Give the archive, and the folder of its records."""
    directory = _require_one_directory(file)
    file.seek(0)
    if file.read(len(_BEGIN)) != _BEGIN:
        raise ValueError("it is no zip file to torch, which looks at its beginning")
    try:
        with zipfile.ZipFile(file) as archive:
            folder = _only_folder(archive)
            _require_plain_records(archive.infolist(), directory)
            yield archive, folder
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is damaged: {error}") from error


def _only_folder(archive: zipfile.ZipFile) -> str:
    """Return the folder, with its slash, in which the only pickle of this name is."""
    names = archive.namelist()
    found = [name for name in names if name.rpartition("/")[2].lower() == RECORD]
    # torch does not tell capital letters from small ones.
    if len(found) != 1 or len({name.lower() for name in names}) != len(names):
        raise ValueError(
            f"it has {counted(len(found), 'record')} {RECORD}, or some other twice: it is no checkpoint of torch's"
        )
    if not found[0].endswith(RECORD) or any(one.orig_filename != one.filename for one in archive.infolist()):
        raise ValueError("its records have two names, or names that torch does not give")
    return found[0].removesuffix(RECORD)


def _require_plain_records(records: Sequence[zipfile.ZipInfo], directory: int) -> None:
    """Raise ValueError unless each record lies in bytes of its own, as they are."""
    end = 0
    for one in sorted(records, key=lambda record: record.header_offset):
        if (one.header_offset < end) or (not end and one.header_offset):
            raise ValueError("it begins with something else than a checkpoint of torch's does, or its records overlap")
        if one.compress_type != zipfile.ZIP_STORED or one.compress_size != one.file_size:
            raise ValueError(f"its {one.filename[:100]} is compressed, and torch compresses nothing")
        end = one.header_offset + _HEADER_BYTES + one.file_size
    if end > directory:
        raise ValueError("its records overlap")


def _require_one_directory(file: IO[bytes]) -> int:
    """Return where the directory begins. Raises ValueError unless it is the only one that any reader could find.

    It has to end where the end of the file begins to say where it is, and all that say it have to say the same.
    """
    size = file.seek(0, io.SEEK_END)
    # At once: to seek in a file inside an archive is to read it.
    file.seek(max(0, size - _LONGEST_END))
    tail = file.read(_LONGEST_END).rjust(_LONGEST_END, b"\0")
    large_end, large_end_at, end = tail[:-42], tail[-42:-22], tail[-22:]
    at = size - len(end)
    *_, here, there, length, begin, comment = struct.unpack("<4s4H2LH", end)
    if not end.startswith(b"PK\x05\x06") or comment:
        raise ValueError("it is not a zip file to its end: was it cut short?")
    if large_end_at.startswith(b"PK\x06\x07"):
        at -= len(large_end_at) + len(large_end)
        exact = struct.unpack("<4sQ2H2L4Q", large_end)
        limits = zip((here, there, length, begin), exact[6:], (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF), strict=True)
        agree = all(small in (large, most) for small, large, most in limits)
        if exact[0] != b"PK\x06\x06" or struct.unpack("<4sLQL", large_end_at)[2] != at or not agree:
            raise ValueError(_TWO_DIRECTORIES)
        length, begin = exact[8:]
    if begin + length != at:
        raise ValueError(_TWO_DIRECTORIES)
    if length > _LONGEST_DIRECTORY:
        raise ValueError(f"its list of records has more than {_LONGEST_DIRECTORY >> 20} MiB")
    return int(begin)
