"""Do the files of each case lie on one grid, and are they whole images? With nibabel, NIfTI files are looked into."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_cli.datasets.layout import Layout
from nnunet_operator.api.dataset_beside import detached_problem, voxels_elsewhere

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
    """Compare shape and affine of all files of each case; name headers whose voxels are in another file."""
    ending = layout.description.get("file_ending")
    if ending is None:
        return Headers(unread="the headers were not read: dataset.json does not say what the files are")
    if ending not in NIFTI:
        return Headers(
            tuple(_detached_problems(layout)), unread=f"the headers were not read: files {ending} are not NIfTI"
        )
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


def _detached_problems(layout: Layout) -> Iterator[str]:
    found = []
    for case in (*layout.training.values(), *layout.test.values()):
        for path in (*case.images, case.label):
            if path is None or not path.is_file():
                continue
            with path.open("rb") as file:
                if where := voxels_elsewhere(path.name, file.read):
                    found.append((_name(layout.folder, path), where))
    if found:
        yield detached_problem(found)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _compare(nibabel: Any, folder: Path, paths: list[Path]) -> Iterator[str]:
    first: tuple[str, Any] | None = None
    for path in paths:
        name = _name(folder, path)
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
