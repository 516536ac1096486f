"""Do the files of each case lie on one grid, and are they whole images? With nibabel, NIfTI files are looked into."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import detached_problem, voxels_elsewhere
from nnunet_api.dataset.geometry import GRID_REMEDY, Grid, grid_problems, is_sheared, mixed_readers
from nnunet_api.dataset.layout import named
from nnunet_api.dataset.truncation import cut_short
from nnunet_cli.datasets.layout import Case, Layout

NIFTI = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Headers:
    """What the headers say."""

    problems: tuple[str, ...] = ()
    unread: str = ""
    """Why they were not read."""


def read_headers(layout: Layout) -> Headers:
    """Compare the grids of all files of each case; name headers whose voxels are in another file."""
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
        how = "install nibabel beside this program (pipx inject nnunet-operator nibabel)"
        return Headers(unread=f"the headers were not read: {how} to have shapes and spacings compared")
    reader, problems = _Reader(nibabel, layout), list(_cut_short_problems(layout))
    for case in (*layout.training.values(), *layout.test.values()):
        of_case, unreadable = reader.grids(_files(case))
        problems += unreadable
        if of_case:
            problems += (f"{problem}. {GRID_REMEDY}" for problem in grid_problems(of_case))
    return Headers((*reader.mixture(), *problems))


def _files(case: Case) -> list[Path]:
    """Return the files of a case that are there; what is missing is said already."""
    return [path for path in (*case.images, case.label) if path and path.is_file()]


def _cut_short_problems(layout: Layout) -> Iterator[str]:
    every = [path for case in (*layout.training.values(), *layout.test.values()) for path in _files(case)]
    if damaged := [_name(layout.folder, path) for path in cut_short(every)]:
        yield f"{len(damaged)} files are cut short or damaged: {named(damaged)}. Copy them again"


def _detached_problems(layout: Layout) -> Iterator[str]:
    found = []
    for case in (*layout.training.values(), *layout.test.values()):
        for path in _files(case):
            with path.open("rb") as file:
                if where := voxels_elsewhere(path.name, file.read):
                    found.append((_name(layout.folder, path), where))
    if found:
        yield detached_problem(found)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


class _Reader:
    """Reads headers of NIfTI files as the reader does that nnU-Net takes."""

    def __init__(self, nibabel: Any, layout: Layout) -> None:
        self._nibabel = nibabel
        self._layout = layout
        named = layout.description.get("overwrite_image_reader_writer", "None")
        self._reorients = str(named).endswith("WithReorient")
        self._by_itk = named == "None" and layout.description.get("file_ending") == ".nii.gz"
        self._sheared: list[str] = []
        self._plain: set[str] = set()

    def grids(self, paths: list[Path]) -> tuple[dict[str, Grid], list[str]]:
        """Return the grids of a case's files, and what is wrong with those that have none."""
        grids, problems = dict[str, Grid](), list[str]()
        for path in paths:
            name = _name(self._layout.folder, path)
            try:
                image = self._nibabel.load(path)
                grid = Grid.of_nifti(image)
                # ITK reads no axes of length 1 behind the third.
                shape = grid.shape if self._by_itk else image.shape
                spacing, affine = image.header.get_zooms()[: len(shape)], image.affine
                has_qform = image.get_qform(coded=True)[0] is not None
            except Exception as error:  # nibabel's own, gzip's, zlib's, the operating system's
                problems.append(f"{name} can't be read: {' '.join(str(error).split())}. Make it again")
                continue
            if len(shape) > 3:
                words = f"has {len(shape)} axes: give each channel a file of its own, _0000, _0001 and so on"
                problems.append(f"{name} {words}")
                continue
            if self._reorients and len(shape) == 3:
                shape, spacing, affine = self._reoriented(shape, spacing, affine)
            # The forms as they stand, compared with each other: readers turn all in the same way.
            grids[name] = replace(Grid.of_affine(shape, spacing, affine.tolist()), forms=grid.forms)
            if is_sheared(grids[name]) and not has_qform:
                self._sheared.append(name)
            else:
                self._plain.add(name)
        return grids, problems

    def mixture(self) -> Iterator[str]:
        """Yield which files ITK can't read, where it can read others: all of one kind are no question.

        nnU-Net asks the first image of a training case.
        """
        asked = {_name(self._layout.folder, case.images[0]) for case in self._layout.training.values() if case.images}
        if self._by_itk and self._sheared and asked & self._plain:
            names = ", ".join(f"{name} has sheared axes" for name in self._sheared)
            yield mixed_readers(names, len(self._sheared), "SimpleITKIO", "NibabelIO")

    def _reoriented(self, shape: Any, spacing: Any, affine: Any) -> tuple[Any, Any, Any]:
        """Return them as nnU-Net's readers of that name do before anything is compared."""
        turned = self._nibabel.io_orientation(affine)
        order = [int(axis) for axis in turned[:, 0].argsort()]
        affine = affine @ self._nibabel.orientations.inv_ornt_aff(turned, shape)
        return [shape[axis] for axis in order], [spacing[axis] for axis in order], affine
