"""Is the header of a NIfTI file one that all readers understand in the same way? Pure, and without nibabel.

ITK takes a spacing of 0 or NaN for 1, and reads the first half of a complex number; nibabel reads other things of the
same header, or refuses it. Fields are at their places in NIfTI-1 (nifti1.h).
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nnunet_api.dataset.layout import named
from nnunet_api.words import counted

HEADER_BYTES = 348
BEGIN_BYTES = 544
"""The header, of NIfTI-1 or the longer one of NIfTI-2, and whether notes follow."""
NIFTI = (".nii", ".nii.gz")
_TWINS = (".nii", ".nii.gz", ".img", ".img.gz", ".hdr", ".hdr.gz")
_NIFTI2 = 540
_FIRST_VOXEL = 352
_FARTHEST_VOXEL = 16 << 20
"""What is before is read as a whole, and all of it kept: notes of scanners and programs, some 100 KB."""
_SHORTEST_NOTE = 16
_SPACING_TOLERANCE = 0.01
"""Numbers in headers are rounded."""
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 64: 64, 256: 8, 512: 16, 768: 32, 1024: 64, 1280: 64, 1536: 128}
"""Bits of a voxel by the number of its type."""
FLOATS = (16, 64, 1536)
"""Types that hold NaN and infinity."""
_ODD_TYPES = {1: "single bits", 32: "complex numbers", 1792: "complex numbers", 2048: "complex numbers"} | {
    128: "colours",
    2304: "colours",
}


def is_nifti(name: str) -> bool:
    """Tell whether a file is NIfTI by its name."""
    return name.lower().endswith(NIFTI)


@dataclass(frozen=True)
class Header:
    """What a NIfTI-1 header says."""

    shape: tuple[int, ...]
    kind: int
    bits: int
    spacing: tuple[float, ...]
    offset: float
    """Place of the first voxel, in bytes."""
    slope: float
    intercept: float
    qform: tuple[float, ...]
    """Rotation and place; empty where the header says that there is none."""
    sform: tuple[float, ...]
    magic: bytes

    @classmethod
    def of(cls, head: bytes) -> "Header | None":
        """Return the header that a file begins with; None where that is none of NIfTI-1 or Analyze."""
        if len(head) < HEADER_BYTES:
            return None
        order = next((order for order in "<>" if struct.unpack_from(f"{order}i", head)[0] == HEADER_BYTES), None)
        if order is None:
            return None

        def read(kind: str, at: int) -> tuple[float, ...]:
            return struct.unpack_from(f"{order}{kind}", head, at)

        rank, *shape = (int(size) for size in read("8h", 40))
        forms = read("2h", 252)
        return cls(
            shape=tuple(shape[:rank]) if 1 <= rank <= len(shape) else (),
            kind=int(read("h", 70)[0]),
            bits=int(read("h", 72)[0]),
            spacing=read("3f", 80),
            offset=read("f", 108)[0],
            slope=read("f", 112)[0],
            intercept=read("f", 116)[0],
            qform=read("6f", 256) if forms[0] > 0 else (),
            sform=read("12f", 280) if forms[1] > 0 else (),
            magic=head[344:348],
        )

    @property
    def file_bytes(self) -> int | None:
        """Size that the file has to have, without compression; None where the header makes no sense."""
        if not self.shape or min(self.shape) < 1 or not math.isfinite(self.offset) or self.bits < 1:
            return None
        return int(max(self.offset, 0)) + math.prod(self.shape) * self.bits // 8

    @property
    def two_spacings(self) -> str:
        """The spacing of its voxels and that of its sform, in words, where they differ; else an empty text.

        Readers take the one or the other. One that leads into the space of an atlas may well differ.
        """
        spacing = tuple(abs(length) for length in self.spacing[: min(3, len(self.shape))])
        columns = [self.sform[axis::4] for axis in range(3)] if self.sform else []
        by_place = tuple(math.hypot(*column) for column in columns[: len(spacing)])
        pairs = zip(spacing, by_place, self.shape, strict=False)
        if all(size == 1 or math.isclose(one, two, rel_tol=_SPACING_TOLERANCE) for one, two, size in pairs):
            return ""
        one, two = (" x ".join(f"{length:g}" for length in lengths) for lengths in (spacing, by_place))
        return f"has the spacing {one}, and {two} by its place (sform)"


def is_nifti2(head: bytes) -> bool:
    """Tell whether a file begins as NIfTI-2, which ITK, as nnU-Net has it, can't read."""
    return len(head) >= 4 and any(struct.unpack_from(f"{order}i", head)[0] == _NIFTI2 for order in "<>")


def header_problem(head: bytes) -> str:
    """Return what is wrong with the header that a file begins with; nothing where it is in order, or is none."""
    header = Header.of(head)
    offset, size = _extent(head, header)
    problems = _problems(header) if header else _offset_problems(offset)
    return next(chain(problems, _note_problems(offset, head, size)), "") if size else ""


def bytes_before_voxels(head: bytes) -> int:
    """Return how much of a file, which begins so, tells what is wrong before its voxels: with notes, all that there is.

    No more than is read at all.
    """
    offset, size = _extent(head, Header.of(head))
    is_read = size and _has_notes(head, size) and math.isfinite(offset) and offset <= _FARTHEST_VOXEL
    return max(BEGIN_BYTES, int(offset)) if is_read else BEGIN_BYTES


def _extent(head: bytes, header: Header | None) -> tuple[float, int]:
    """Return the place of the first voxel, and the bytes of the header; 0 for both where it is none of NIfTI's."""
    if header:
        return header.offset, HEADER_BYTES
    return (_first_voxel2(head), _NIFTI2) if is_nifti2(head) else (0, 0)


def _has_notes(head: bytes, after: int) -> bool:
    return head[after : after + 1] not in (b"", b"\0")


def _order(head: bytes, size: int) -> str:
    return "<" if struct.unpack_from("<i", head)[0] == size else ">"


def _first_voxel2(head: bytes) -> float:
    """Return the place of the first voxel of a NIfTI-2 file."""
    return float(struct.unpack_from(f"{_order(head, _NIFTI2)}q", head, 168)[0]) if len(head) >= HEADER_BYTES else 0


def _offset_problems(offset: float) -> Iterator[str]:
    if not math.isfinite(offset) or 0 < offset < _FIRST_VOXEL or offset > _FARTHEST_VOXEL:
        yield f"has vox_offset {offset:g}"


def _note_problems(offset: float, head: bytes, after: int) -> Iterator[str]:
    """Yield what is wrong with the notes that follow a header: nibabel believes how long each says that it is."""
    if not _has_notes(head, after):
        return
    if offset == 0:
        yield "has notes behind its header, and vox_offset 0 in place of where they end"
        return
    at = after + 4
    while at + _SHORTEST_NOTE <= min(offset, len(head)):
        (size,) = struct.unpack_from(f"{_order(head, after)}i", head, at)
        if size < _SHORTEST_NOTE or at + size > offset:
            yield f"has a note of {size} bytes behind its header, and voxels {offset - at:g} bytes behind its beginning"
            return
        at += size


def _problems(header: Header) -> Iterator[str]:
    if header.magic[:3] != b"n+1":
        yield "is no NIfTI file but one of Analyze or half of a pair"
    if not header.shape or min(header.shape) < 1:
        yield f"has {' x '.join(map(str, header.shape)) or 'no'} voxels"
    if words := _ODD_TYPES.get(header.kind):
        yield f"holds {words}, not one number a voxel"
    if header.kind in _BITS and header.bits != _BITS[header.kind]:
        yield f"says {header.bits} bits a voxel for numbers of {_BITS[header.kind]}"
    spacing = header.spacing[: len(header.shape)]
    thick = [length for length, size in zip(spacing, header.shape, strict=False) if size > 1]
    if not all(map(math.isfinite, spacing)) or 0 in thick:
        yield f"has the spacing {' x '.join(f'{length:g}' for length in spacing)}"
    if math.isfinite(header.slope) and header.slope != 0 and not math.isfinite(header.intercept):
        yield f"has scl_slope {header.slope:g} with scl_inter {header.intercept:g}"
    yield from _offset_problems(header.offset)
    for name, form in (("qform", header.qform), ("sform", header.sform)):
        if not all(map(math.isfinite, form)):
            yield f"has a place that is no number ({name})"


def _twin_problem(path: Path) -> str:
    """Return the file of the same name whose voxels ITK would read in the place of this one: it looks there first."""
    end = 7 if path.name.lower().endswith(".gz") else 4
    stem = path.name[:-end]
    others = (path.with_name(f"{stem}{ending}") for ending in _TWINS if f"{stem}{ending}" != path.name)
    twin = next((other.name for other in others if other.exists()), "")
    return f"has {twin} beside it, the voxels of which ITK would read" if twin else ""


def headers_problem(files: Iterable[tuple[str, Path]], head_of: Callable[[Path], bytes]) -> str:
    """Return which NIfTI files have headers that can't be relied on; nothing where none has. `files` by their names."""
    told = [
        f"{name} {problem}"
        for name, path in files
        if is_nifti(name) and (problem := header_problem(head_of(path)) or _twin_problem(path))
    ]
    if not told:
        return ""
    return (
        f"{counted(len(told), 'NIfTI file has a header', 'NIfTI files have headers')} that no two readers take in the "
        f"same way: {named(told)}. Save the images anew, each in one file, with a header that is right"
    )
