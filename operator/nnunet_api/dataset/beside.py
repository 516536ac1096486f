"""What nnU-Net's readers read beside the file that they are given. Pure.

What is read decides the result, so it has to be part of a dataset's hash. A spacing beside a tif is; voxels that lie in
another file than their header are not taken at all: headers name any file by any path, also lists and patterns of them.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from nnunet_api.dataset.layout import named

_HEADER_BYTES = 1 << 20
"""Headers are shorter."""
_NRRD = b"NRRD"
_TIF = (".tif", ".tiff")
_CHANNEL = len("_0000")
_NRRD_DATA = re.compile(rb"^data ?file:[ \t]*(.*)$", re.MULTILINE)
_META_DATA = re.compile(rb"^ElementDataFile[ \t]*=[ \t]*(.*)$", re.MULTILINE)
HALVES = (".mhd", ".nhdr", ".hdr", ".img", ".img.gz", ".head", ".brik", ".par", ".rec")
"""Endings of formats that keep header and voxels in two files."""


def spacing_files(images: Sequence[Path], label: Path | None) -> list[Path]:
    """Return where Tiff3DIO looks for the spacing of a case, whether there is one or not; nothing for other formats.

    It cuts ending and channel off the first image by their length, and the ending off the label.
    """
    found = []
    for path, channel in ((images[0] if images else None, _CHANNEL), (label, 0)):
        if path is not None and path.suffix.lower() in _TIF:
            found.append(path.with_name(path.name[: len(path.name) - len(path.suffix) - channel] + ".json"))
    return found


def voxels_elsewhere(name: str, read: Callable[[int], bytes]) -> str:
    """Return the file that a header names for its voxels; nothing where they are in the file itself.

    `read` gives the next so many bytes of the file. ITK goes by the contents: what is called .mha may be a .mhd.
    """
    meta = name.lower().endswith((".mha", ".mhd"))
    head = read(len(_NRRD))
    if not meta and head != _NRRD:
        return ""
    head += read(_HEADER_BYTES)
    if meta:
        match = _META_DATA.search(head)
        if match and match[1].strip().upper() == b"LOCAL":
            return ""
    else:
        match = _NRRD_DATA.search(re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0])
    return (match[1].strip().decode(errors="replace") or "another file")[:200] if match else ""


def detached_problem(names: Sequence[tuple[str, str]]) -> str:
    """Return what is wrong with headers whose voxels are elsewhere; `names` has each with the file that it names."""
    told = named(f"{name} ({elsewhere})" for name, elsewhere in names)
    return (
        f"{len(names)} files are headers whose voxels are in another file, which could change unnoticed: "
        f"{told}. Save each image as one file, header and voxels together, such as .nii.gz or .mha"
    )
