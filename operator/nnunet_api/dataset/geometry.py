"""Do the files of a case lie on one grid? One rule for planning and command line. Pure.

nnU-Net takes voxel for voxel and looks at origin and direction no further than for a warning, so a label that was made
on another grid, mirrored or shifted, would be trained on and scored in the wrong place.
"""

import itertools
import math
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nnunet_api.words import counted

SPACING_TOLERANCE = 1e-5
"""Relative, as numpy.allclose has it by default, by which nnU-Net refuses a label of another spacing."""
SHIFT_TOLERANCE = 0.75
"""How far the same voxel of two files may lie apart, in voxels, at any corner. A label that is shifted by a voxel is
above. Rounding is below: NIfTI's qform is a quaternion in single precision, which near half a turn, as in axial images,
turns directions by up to 7e-4, measured as 0.58 voxels of a CT. ITK's own default, a millionth of the spacing, and
numpy.allclose refuse such headers."""
SHEAR_TOLERANCE = 1e-4
"""How far the products of a NIfTI header's directions may be from those of orthonormal ones for ITK to read it."""
ODD_SPACING = 100
"""By how many times a spacing differs from the median that can be no more than a mistake, such as in the unit."""
SMALLEST_MM, LARGEST_MM = 0.01, 50.0
"""Between which the longest side of most images' voxels lies where it is in millimetres."""
ODD_REMEDY = "Correct their headers, or leave these cases out"
_IN_MM = {1: 1e3, 3: 1e-3}
"""By NIfTI's code of a unit of length, the lowest three bits of xyzt_units: metre and micrometre. ITK takes all others,
also those that NIfTI does not know, for millimetres."""
GRID_REMEDY = (
    "Resample one to the grid of the other; where the voxels belong together and only the header is wrong, copy the "
    "header (SimpleITK: label.CopyInformation(image))"
)

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a file lie. All in the order of the file's axes, x first."""

    shape: tuple[int, ...]
    spacing: Vector
    origin: Vector | None = None
    """Place of the first voxel; None in formats that hold none."""
    steps: tuple[Vector, ...] = ()
    """For each axis the way from a voxel to the next, with its length."""
    forms: tuple["Grid", ...] = ()
    """NIfTI: the same grid by each form that the header gives (sform, qform); one without a place where it gives none.
    Readers choose one of them, and not all the same."""

    @classmethod
    def of_nifti(cls, image: Any, by_itk: bool = False) -> "Grid":
        """Return the grid of a NIfTI image of nibabel's, with all its forms.

        Axes of length 1 behind the third count for nothing, as in ITK. `by_itk`: in mm, into which ITK converts what
        the header gives in another unit; other readers take the numbers as they are.
        """
        factor = _IN_MM.get(int(image.header["xyzt_units"]) & 7, 1) if by_itk else 1
        shape = tuple(image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        spacing = tuple(length * factor for length in image.header.get_zooms()[: len(shape)])
        coded = [image.get_sform(coded=True)[0], image.get_qform(coded=True)[0]]
        forms = [cls.of_affine(shape, spacing, (affine * factor).tolist()) for affine in coded if affine is not None]
        placed = cls.of_affine(shape, spacing, (image.affine * factor).tolist())
        return replace(placed, forms=tuple(forms) or (cls(shape, spacing),))

    @classmethod
    def of_affine(cls, shape: Sequence[int], spacing: Sequence[float], affine: Sequence[Sequence[float]]) -> "Grid":
        """Return the grid of a NIfTI header: an affine matrix of 4 x 4, rows first."""
        rows = [[float(number) for number in row] for row in affine][:3]
        return cls(
            tuple(map(int, shape)),
            tuple(map(float, spacing)),
            tuple(row[3] for row in rows),
            tuple(tuple(row[axis] for row in rows) for axis in range(3)),
        )

    @classmethod
    def of_itk(
        cls, shape: Sequence[int], spacing: Sequence[float], origin: Sequence[float], direction: Sequence[float]
    ) -> "Grid":
        """Return the grid of an ITK image: its direction is a matrix of unit vectors in columns, rows first."""
        size = len(spacing)
        steps = tuple(
            tuple(direction[row * size + axis] * spacing[axis] for row in range(size)) for axis in range(size)
        )
        return cls(tuple(map(int, shape)), tuple(map(float, spacing)), tuple(map(float, origin)), steps)


def is_sheared(grid: Grid) -> bool:
    """Tell whether ITK refuses to read a NIfTI file with such an affine matrix, unless it has a qform as well."""
    units = [tuple(number / (math.hypot(*step) or 1) for number in step) for step in grid.steps]
    return any(
        abs(sum(one * two for one, two in zip(units[a], units[b], strict=True)) - (a == b)) > SHEAR_TOLERANCE
        for a, b in itertools.combinations_with_replacement(range(len(units)), 2)
    )


def mixed_readers(names: str, count: int, reader: str, other: str) -> str:
    """Return what is wrong where nnU-Net's first reader can read some files and not these, which another one can."""
    return (
        f"{counted(count, 'file')} can't be read by {reader}, others can, so the reader of the whole dataset depends "
        f"on which case comes first: {names}. Mend them, or let {other} read the whole dataset: "
        f'"overwrite_image_reader_writer": "{other}" in dataset.json'
    )


def grid_problems(grids: Mapping[str, Grid]) -> Iterator[str]:
    """Yield what is wrong with the grids of a case's files, by their names: first the images, the label last.

    Each is compared with the first.
    """
    first_name, first = next(iter(grids.items()))
    for name, grid in grids.items():
        if not all(math.isfinite(length) and length > 0 for length in grid.spacing):
            yield f"{name} has the spacing {_times(grid.spacing)}"
        elif grid.shape != first.shape:
            yield f"{name} has {_times(grid.shape)} voxels, {first_name} has {_times(first.shape)}"
        elif not _close(grid.spacing, first.spacing):
            yield f"{name} has the spacing {_times(grid.spacing)}, {first_name} has {_times(first.spacing)}"
        elif (shift := _shift(first, grid)) > SHIFT_TOLERANCE and not _agree(first, grid):
            apart = f"up to {shift:.3g} voxels away" if math.isfinite(shift) else "nowhere, or infinitely far away"
            difference = _difference(grid, first)
            yield f"{name} lies {apart} from {first_name}{': ' * bool(difference)}{difference}"


def odd_grids(grids: Mapping[str, Grid]) -> Iterator[str]:
    """Yield which images are of another kind than most: slices among volumes, metres among millimetres.

    nnU-Net brings all to one spacing, and would blow these up or shrink them to nothing. `grids` by the files' names.
    Where most are one voxel thick, it plans slices and changes no spacing along that axis: what stands there is what
    whoever made them filled in, such as 1, or 999 (nnU-Net v1).
    """
    if not grids:
        return
    axes = round(statistics.median(len(grid.shape) for grid in grids.values()))
    alike = [grid for grid in grids.values() if len(grid.shape) == axes]
    usual = tuple(statistics.median(lengths) for lengths in zip(*(grid.spacing for grid in alike), strict=False))
    sizes = [statistics.median(lengths) for lengths in zip(*(grid.shape for grid in alike), strict=True)]
    for name, grid in grids.items():
        if len(grid.shape) != axes:
            yield f"{name} has {counted(len(grid.shape), 'axis', 'axes')}, most have {axes}"
        elif any(
            size > 1 and not one / ODD_SPACING < two < one * ODD_SPACING
            for size, one, two in zip(sizes, usual, grid.spacing, strict=False)
        ):
            yield f"{name} has the spacing {_times(grid.spacing)}, the median is {_times(usual)}"


def odd_unit(grids: Collection[Grid]) -> str:
    """Return a note where images have spacings that hardly are millimetres: nnU-Net asks for no unit, scores do."""
    # Pictures have no spacing, and a reader fills in 999 across them.
    sides = [
        [length for size, length in zip(grid.shape, grid.spacing, strict=False) if size > 1]
        for grid in grids
        if grid.origin is not None
    ]
    longest = [max(lengths) for lengths in sides if lengths]
    if not longest or SMALLEST_MM <= (median := statistics.median(longest)) <= LARGEST_MM:
        return ""
    return (
        f"the voxels of most images are {median:g} long: surface distances are told as mm, whatever the unit. Where it "
        "is another, save the images in mm"
    )


def _close(spacing: Vector, other: Vector) -> bool:
    return len(spacing) == len(other) and all(
        math.isclose(one, two, rel_tol=SPACING_TOLERANCE, abs_tol=1e-8) for one, two in zip(spacing, other, strict=True)
    )


def _agree(first: Grid, other: Grid) -> bool:
    """Tell whether some form of one header is a form of the other: whoever made the files had one grid in mind."""
    return any(_shift(one, two) <= SHIFT_TOLERANCE for one in first.forms for two in other.forms)


def _shift(first: Grid, other: Grid) -> float:
    """Return how far a voxel of one grid lies from the same voxel of the other at most, along an axis, in voxels."""
    if first.origin is None or other.origin is None or not first.steps or not other.steps:
        return 0.0
    if first == other:
        return 0.0
    farthest = 0.0
    # The difference is linear in the voxel's numbers, so it is largest at a corner.
    for corner in itertools.product(*((0, max(0, size - 1)) for size in first.shape)):
        away = [there - here for there, here in zip(_place(other, corner), _place(first, corner), strict=True)]
        numbers = _solve(first.steps, away)
        if numbers is None or not all(map(math.isfinite, numbers)):
            return math.inf
        farthest = max(farthest, *map(abs, numbers))
    return farthest


def _place(grid: Grid, voxel: Sequence[int]) -> list[float]:
    assert grid.origin is not None
    return [
        # A slice has fewer axes than its affine matrix, an image with several channels in it more.
        start + sum(number * step[row] for number, step in zip(voxel, grid.steps, strict=False))
        for row, start in enumerate(grid.origin)
    ]


def _solve(columns: Sequence[Vector], right: Sequence[float]) -> list[float] | None:
    """Return the x with sum of x[i] * columns[i] = right, by elimination with pivots; None where there is none."""
    size = len(columns)
    rows = [[columns[column][row] for column in range(size)] + [right[row]] for row in range(size)]
    for pivot in range(size):
        best = max(range(pivot, size), key=lambda row: abs(rows[row][pivot]))
        if not abs(rows[best][pivot]) > 1e-12:
            return None
        rows[pivot], rows[best] = rows[best], rows[pivot]
        for row in range(size):
            if row != pivot:
                factor = rows[row][pivot] / rows[pivot][pivot]
                rows[row] = [one - factor * two for one, two in zip(rows[row], rows[pivot], strict=True)]
    return [rows[row][size] / rows[row][row] for row in range(size)]


def _difference(grid: Grid, first: Grid) -> str:
    assert grid.origin is not None and first.origin is not None
    parts = []
    if _vector(grid.origin) != _vector(first.origin):
        parts.append(f"origin {_vector(grid.origin)}, not {_vector(first.origin)}")
    if _directions(grid) != _directions(first):
        parts.append(f"direction {_directions(grid)}, not {_directions(first)}")
    return ", ".join(parts)


def _directions(grid: Grid) -> str:
    units = (tuple(number / (math.hypot(*step) or 1) for number in step) for step in grid.steps)
    return " ".join(map(_vector, units))


def _vector(numbers: Sequence[float]) -> str:
    return f"({', '.join(f'{round(number, 4) + 0:g}' for number in numbers)})"


def _times(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.8g}" for number in numbers)
