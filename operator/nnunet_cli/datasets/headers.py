"""Do the files of each case lie on one grid? Reads the headers of NIfTI files alone, with nibabel if it is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cli.datasets.layout import Layout

NIFTI = (".nii", ".nii.gz")
TOLERANCE = 1e-3
"""How far two affine matrices may be apart, in mm: rounding, and no other grid."""


@dataclass(frozen=True)
class Headers:
    """What the headers say."""

    problems: tuple[str, ...] = ()
    unread: str = ""
    """Why they were not read."""


def read_headers(layout: Layout) -> Headers:
    """Compare shape and affine of all files of each case."""
    ending = layout.description.get("file_ending")
    if ending is None:
        return Headers(unread="the headers were not read: dataset.json does not say what the files are")
    if ending not in NIFTI:
        return Headers(unread=f"the headers were not read: files {ending} are not NIfTI")
    try:
        import nibabel
    except ImportError:
        return Headers(unread="the headers were not read: pip install nibabel to have shapes and spacings compared")
    problems = [
        problem
        for cases in (layout.training, layout.test)
        for case in cases.values()
        for problem in _compare(nibabel, layout.folder, [path for path in (*case.images, case.label) if path])
    ]
    return Headers(tuple(problems))


def _compare(nibabel: Any, folder: Path, paths: list[Path]) -> Iterator[str]:
    first: tuple[str, Any] | None = None
    for path in paths:
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
        if not path.is_file():
            continue  # it is missing, which is said already
        try:
            image = nibabel.load(path)
        except Exception as error:  # nibabel's own, gzip's, zlib's, the operating system's
            yield f"{name} can't be read: {' '.join(str(error).split())}. Make it again"
            continue
        if first is None:
            first = name, image
        elif image.shape != first[1].shape:
            yield f"{name} has the shape {image.shape}, {first[0]} has {first[1].shape}: resample one to the other"
        elif abs(image.affine - first[1].affine).max() > TOLERANCE:
            yield f"{name} and {first[0]} differ in spacing, origin or direction: resample one to the other"
