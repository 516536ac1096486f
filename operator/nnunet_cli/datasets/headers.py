"""Do the files of each case lie on one grid, and are they whole images? With nibabel, NIfTI files are looked into."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import detached_problem, voxels_elsewhere
from nnunet_api.dataset.geometry import (
    GRID_REMEDY,
    ODD_REMEDY,
    Grid,
    grid_problems,
    is_sheared,
    mixed_readers,
    odd_grids,
)
from nnunet_api.dataset.layout import named
from nnunet_api.dataset.nifti import header_problem, headers_problem, is_nifti, is_nifti2
from nnunet_api.dataset.stand_ins import stand_ins_problem, stands_for
from nnunet_api.dataset.truncation import cut_short, head_of
from nnunet_api.words import counted
from nnunet_cli.datasets.layout import Case, Layout


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
    problems = list(_damage(layout))
    if not is_nifti(str(ending)):
        problems += _detached_problems(layout)
        return Headers(tuple(problems), unread=f"the headers were not read: files {ending} are not NIfTI")
    try:
        import nibabel
    except ImportError:
        how = "install nibabel beside this program (pipx inject nnunet-operator nibabel)"
        return Headers(tuple(problems), f"shapes and spacings were not compared: {how} to have that done")
    # It tells on the standard error what it makes of a header.
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)
    reader = _Reader(nibabel, layout)
    for cases in (layout.training.values(), layout.test.values()):
        firsts = dict[str, Grid]()
        for case in cases:
            of_case, unreadable = reader.grids(_images(case))
            problems += unreadable
            if of_case:
                problems += (f"{problem}. {GRID_REMEDY}" for problem in grid_problems(of_case))
            if of_case and case.label:
                # Planning looks at a test set only where it has labels to score it by, and by itself.
                firsts |= [*of_case.items()][:1]
        problems += (f"{problem}. {ODD_REMEDY}" for problem in odd_grids(firsts))
    return Headers((*reader.mixture(), *problems))


def _files(case: Case) -> list[Path]:
    """Return the files of a case that are there; what is missing is said already."""
    return [path for path in (*case.images, case.label) if path and path.is_file()]


def _images(case: Case) -> list[Path]:
    """Return those of them that are images; what is none is said already."""
    return [path for path in _files(case) if not stands_for(path)]


def _damage(layout: Layout) -> Iterator[str]:
    """Yield which files are not whole, and which have headers that can't be relied on."""
    every = [path for case in (*layout.training.values(), *layout.test.values()) for path in _files(case)]
    if stand_ins := {path: kind for path in every if (kind := stands_for(path))}:
        yield stand_ins_problem((_name(layout.folder, path), kind) for path, kind in stand_ins.items())
        every = [path for path in every if path not in stand_ins]
    if damaged := [_name(layout.folder, path) for path in cut_short(every)]:
        words = counted(len(damaged), "file is", "files are")
        yield f"{words} cut short or damaged: {named(damaged)}. Copy them again"
    if problem := headers_problem(((_name(layout.folder, path), path) for path in every), head_of):
        yield problem


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
        self._chosen = named == "None" and str(layout.description.get("file_ending")).lower() == ".nii.gz"
        """Whether nnU-Net chooses ITK, if it can read the first case."""
        self._by_itk = self._chosen or named == "SimpleITKIO"
        self._not_for_itk: dict[str, str] = {}
        self._plain: set[str] = set()

    def grids(self, paths: list[Path]) -> tuple[dict[str, Grid], list[str]]:
        """Return the grids of a case's files, and what is wrong with those that have none."""
        grids, problems = dict[str, Grid](), list[str]()
        for path in paths:
            name = _name(self._layout.folder, path)
            head = head_of(path)
            if header_problem(head):
                continue  # told already, and nibabel might read what fills the memory
            try:
                image = self._nibabel.load(path)
                grid = Grid.of_nifti(image, self._by_itk)
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
            turned = replace(Grid.of_affine(shape, spacing, affine.tolist()), forms=grid.forms)
            grids[name] = grid if self._by_itk else turned
            if is_nifti2(head):
                self._not_for_itk[name] = "is NIfTI-2"
            elif is_sheared(grids[name]) and not has_qform:
                self._not_for_itk[name] = "has sheared axes"
            else:
                self._plain.add(name)
        return grids, problems

    def mixture(self) -> Iterator[str]:
        """Yield which files ITK can't read, where it can read others: all of one kind are no question.

        nnU-Net asks the first image of a training case.
        """
        asked = {_name(self._layout.folder, case.images[0]) for case in self._layout.training.values() if case.images}
        if self._chosen and self._not_for_itk and asked & self._plain:
            names = ", ".join(f"{name} {why}" for name, why in self._not_for_itk.items())
            yield mixed_readers(names, len(self._not_for_itk), "SimpleITKIO", "NibabelIO")

    def _reoriented(self, shape: Any, spacing: Any, affine: Any) -> tuple[Any, Any, Any]:
        """Return them as nnU-Net's readers of that name do before anything is compared."""
        turned = self._nibabel.io_orientation(affine)
        order = [int(axis) for axis in turned[:, 0].argsort()]
        affine = affine @ self._nibabel.orientations.inv_ornt_aff(turned, shape)
        return [shape[axis] for axis in order], [spacing[axis] for axis in order], affine
