"""One file, read by one of nnU-Net's readers: where its voxels lie, and what was wrong, in words."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from nnunet_api.dataset.geometry import Grid
from nnunet_api.dataset.nifti import FLOATS, Header, is_nifti
from nnunet_api.dataset.truncation import head_of
from nnunet_trainer.process.failures import is_missing_or_damaged, one_line, when_reading

_ORIENTATION = 274
"""EXIF's number for it; 1 is as stored."""
_SLAB = 1 << 24
"""Bytes of a file that are looked at together: whole numbers, of any size."""
PRINTED = 300
"""Characters of what a reader says that a finding takes along."""


def grid_of(array: Any, properties: Mapping[str, Any]) -> Grid:
    """Return where the voxels lie that a reader has read, by what its properties say."""
    shape = tuple(array.shape[1:])[::-1]
    if itk := properties.get("sitk_stuff"):
        return Grid.of_itk(shape[: len(itk["spacing"])], itk["spacing"], itk["origin"], itk["direction"])
    spacing = tuple(float(length) for length in properties["spacing"])[::-1]
    if nibabel := properties.get("nibabel_stuff"):
        affine = nibabel.get("reoriented_affine", nibabel["original_affine"])
        return Grid.of_affine(shape, spacing, affine.tolist())
    return Grid(shape, spacing)


def forms_of(path: Path, properties: Mapping[str, Any]) -> tuple[Grid, ...]:
    """Return the grids that the header of a NIfTI file gives, in the unit of its reader; none for other formats."""
    if not is_nifti(path.name):
        return ()
    import nibabel

    return Grid.of_nifti(nibabel.load(path), by_itk="sitk_stuff" in properties).forms


def read_image(reader: Any, path: Path) -> Any:
    """Return the voxels of an image and its properties, as nnU-Net hands images over: several files, which may be one.

    Half of a complex number is none: it is raised as an error, and not dropped.
    """
    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        return reader().read_images((str(path),))


def read_label(reader: Any, path: Path) -> Any:
    """Return the voxels of a label image and its properties."""
    return reader().read_seg(str(path))


def numbers_in_a_voxel(array: Any, properties: Mapping[str, Any]) -> int:
    """Return how many numbers ITK has read of each voxel: it gives colours and vectors as if they were an axis."""
    axes = len(properties.get("sitk_stuff", {}).get("spacing", ()))
    if not 2 <= axes <= 3 or tuple(array.shape[: 4 - axes]) == (1,) * (4 - axes):
        return 1
    return int(array.shape[-1])


def in_several_files(path: Path) -> bool:
    """Tell whether tifffile puts an image together from several files, which no hash of this one covers."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    import tifffile

    with tifffile.TiffFile(path) as file:
        return bool(file.series and file.series[0].is_multifile)


def is_turned(path: Path) -> bool:
    """Tell whether a picture has to be turned or mirrored to be seen as it was taken: labels may be drawn on that."""
    if path.suffix.lower() not in (".png", ".tif", ".tiff"):
        return False
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return bool(picture.getexif().get(_ORIENTATION, 1) != 1)
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
        # nnU-Net has read it: by tifffile, which takes slides of any size, and Pillow no more than 179 million pixels.
        return False


def two_spacings(path: Path) -> str:
    """Return the two spacings of a NIfTI header that says one by its voxels and another by its place; "" otherwise."""
    header = Header.of(head_of(path)) if is_nifti(path.name) else None
    return header.two_spacings if header else ""


def hidden_not_finite(path: Path, array: Any, properties: Mapping[str, Any]) -> int:
    """Return how many voxels of a NIfTI file are not finite, by the file itself: ITK reads them as 0.

    The file is read once more, a slab after the other, where it can hold some: a file of floating-point numbers, read
    by another reader than nibabel, which keeps them, with a 0 in it.
    """
    header = Header.of(head_of(path)) if is_nifti(path.name) else None
    if header is None or header.kind not in FLOATS or "nibabel_stuff" in properties or array.all():
        return 0
    import nibabel
    import numpy as np
    from nibabel.openers import ImageOpener

    # Its slices of a compressed file would each be unpacked from the beginning.
    stored = nibabel.load(path).dataobj
    left, found = math.prod(stored.shape) * stored.dtype.itemsize, 0
    with ImageOpener(path) as stream:
        stream.seek(stored.offset)
        while left and (slab := stream.read(min(left, _SLAB))):
            numbers = np.frombuffer(slab, stored.dtype, len(slab) // stored.dtype.itemsize)
            found += len(numbers) - int(np.count_nonzero(np.isfinite(numbers)))
            left -= len(slab)
    return found


def attempt(work: Callable[[], Any], files: Iterable[Path] = ()) -> tuple[Any, str | None]:
    """Return what the work on some files gives, and in words what it raised.

    What says nothing about the files is raised. Libraries tell what the storage or the node had to say in words of
    their own, or as a file that is damaged: so an error counts only when it comes back with files that can be read.
    """
    files = list(files)
    try:
        return work(), None
    except Exception as error:
        if not is_missing_or_damaged(error):
            told = when_reading(error, [file.name for file in files])
            if told is error:
                raise  # from itself it would hide what it was raised from
            raise told from error
    for file in files:
        _require_readable(file)
    try:
        return work(), None
    except Exception as error:
        if not is_missing_or_damaged(error):
            raise
        text = one_line(str(error))
        if "ITK ERROR:" in text:
            text = text.split("ITK ERROR:")[-1].strip()
        return None, text or type(error).__name__


def _require_readable(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            while stream.read(1 << 20):
                pass
    except OSError as error:
        if not is_missing_or_damaged(error):
            error.filename = error.filename or str(file)
            raise


def errors_in(printed: str) -> str:
    """Return what a reader printed before it raised an error without words."""
    at = printed.find("ERROR")
    return one_line(printed[at:])[:PRINTED] if at >= 0 else ""
