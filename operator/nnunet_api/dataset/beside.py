"""What nnU-Net's readers read beside the file that they are given.

What is read decides the result, so it has to be part of a dataset's hash. A spacing beside a tif is; voxels that lie in
another file than their header are not taken at all: headers name any file by any path, also lists and patterns of them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from nnunet_api.dataset.layout import named, shown
from nnunet_api.dataset.strict_json import parse_json, read_text
from nnunet_api.words import counted

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


def spacing_problem(text: str) -> str:
    """Return why a text gives Tiff3DIO no spacing; nothing where it does."""
    try:
        content = parse_json(text)
    except ValueError as error:
        return f"is not valid JSON ({error})"
    if not isinstance(content, dict) or "spacing" not in content:
        return "does not say spacing"
    spacing = content["spacing"]
    numbers = spacing if isinstance(spacing, list) else []
    if len(numbers) != 3 or not all(type(each) in (int, float) and 0 < each < float("inf") for each in numbers):
        return f"has spacing {shown(spacing)}"
    return ""


def sidecar_problems(cases: Sequence[tuple[Sequence[Path], Path | None]], folder: Path) -> Iterator[str]:
    """Yield what is wrong with the spacings beside images as Tiff3DIO reads them; it passes over most of it itself.

    The only thing here that asks the file system.
    """
    wrong, absent, astray = [], [], []
    present = 0
    for images, label in cases:
        beside = spacing_files(images, label)
        wrong += [f"{_name(path, folder)} {why}" for path in beside if path.is_file() and (why := _read(path))]
        if beside:
            present += beside[0].is_file()
            absent += [] if beside[0].is_file() else [_name(beside[0], folder)]
        others = [image.with_suffix(".json") for image in images]
        astray += [_name(path, folder) for path in others if path not in beside and path.is_file()]
    form = 'Write the distances of voxels as {"spacing": [z, y, x]}'
    if wrong:
        words = counted(len(wrong), "file gives", "files give")
        yield f"{words} no spacing: {named(wrong)}. {form}, three numbers above 0"
    if astray:
        words = counted(len(astray), "spacing is", "spacings are")
        yield f"{words} where no reader looks: {named(astray)}. Name it by the case, without the channel's number"
    if present and absent:
        words = counted(len(absent), "case has", "cases have")
        yield (
            f"{words} no spacing beside the image, where others have one: {named(absent)} missing. {form}, also "
            "[1, 1, 1]"
        )


def _read(path: Path) -> str:
    try:
        return spacing_problem(read_text(path))
    except UnicodeDecodeError:
        return "is not text in UTF-8"
    except ValueError as error:
        return f"can't be read: {error}"


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


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
        f"{counted(len(names), 'file is a header', 'files are headers')} whose voxels are in another file, which could "
        "change unnoticed: "
        f"{told}. Save each image as one file, header and voxels together, such as .nii.gz or .mha"
    )
