"""Voxels that are not finite, which ITK reads as 0, are looked for in the file itself, and only where it can matter.

That planning tells of them, tests/trainer/test_odd_datasets.py shows.
"""

import errno
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from nnunet_trainer.dataset import readers
from nnunet_trainer.dataset.readers import attempt, hidden_not_finite, is_turned
from nnunet_trainer.process.failures import classify, is_missing_or_damaged, may_pass

VALUES = np.arange(1, 61).reshape(3, 4, 5)
HOLES = np.where(VALUES % 7 == 0, np.nan, np.where(VALUES == 60, np.inf, VALUES))
ITK: dict[str, Any] = {"sitk_stuff": {}}


def save(path: Path, values: Any) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


def as_itk_reads(values: Any) -> Any:
    return np.nan_to_num(values, nan=0, posinf=0)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("slab", [16, 1 << 20])
def test_they_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, dtype: str, slab: int) -> None:
    monkeypatch.setattr(readers, "_SLAB", slab)
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(dtype)
    path = tmp_path / f"a{ending}"
    nibabel.save(nibabel.Nifti1Image(HOLES.astype(dtype), np.eye(4), header), path)
    assert hidden_not_finite(path, as_itk_reads(HOLES), ITK) == 9


@pytest.mark.parametrize(
    ("values", "read", "properties"),
    [
        pytest.param(HOLES.astype("f4"), VALUES, ITK, id="no voxel was read as 0"),
        pytest.param(HOLES.astype("f4"), as_itk_reads(HOLES), {"nibabel_stuff": {}}, id="nibabel keeps them"),
        pytest.param(VALUES.astype("i2"), VALUES * 0, ITK, id="whole numbers"),
    ],
)
def test_a_file_that_can_have_none_is_not_read_again(tmp_path: Path, values: Any, read: Any, properties: Any) -> None:
    path = save(tmp_path / "a.nii.gz", values)
    if values.dtype.kind == "i":
        path.write_bytes(path.read_bytes()[:-20])
    assert hidden_not_finite(path, read, properties) == 0


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    values: Any = np.zeros((256, 256, 384), np.float32)
    values[0, 0, ::100] = np.nan
    path = save(tmp_path / "a.nii", values)
    read = np.zeros(1)
    tracemalloc.start()
    try:
        assert hidden_not_finite(path, read, ITK) == 4
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < values.nbytes / 2, f"{peak >> 20} MiB"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("itkImportImageContainer.hxx:179: Failed to allocate memory for image.")]
)
def test_an_image_for_which_there_is_no_memory_is_named_and_not_taken_for_damaged(
    tmp_path: Path, error: Exception
) -> None:
    """What unpacks to a thousand times its size is no reason to copy it again, and which image it is tells why."""

    def read() -> None:
        raise error

    with pytest.raises(MemoryError) as caught:
        attempt(read, [tmp_path / "c3_0000.nii.gz"])
    assert classify(caught.value, []).message == (
        "out of memory while c3_0000.nii.gz was read, which may be larger than it looks: raise resources.memory "
        "(resources.preprocessing.memory for planning)"
    )


def test_what_the_storage_said_stays_where_a_library_tells_it_in_its_own_words(tmp_path: Path) -> None:
    def read() -> None:
        try:
            raise OSError(errno.EIO, "Input/output error")
        except OSError as error:
            raise ValueError("could not read the header") from error

    with pytest.raises(ValueError, match="could not read the header") as caught:
        attempt(read, [tmp_path / "c3_0000.nii.gz"])
    assert may_pass(caught.value) and not is_missing_or_damaged(caught.value)


def picture(path: Path, length: int, turned: int) -> Path:
    """Write the head of a .tif with grey voxels, which end before they have begun."""
    entries = {256: length, 257: length, 258: 8, 259: 1, 262: 1, 273: 0, 274: turned, 277: 1, 278: length, 279: 0}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + listed + bytes(4))
    return path


@pytest.mark.parametrize("length", [100, 14_000])
def test_a_slide_of_any_size_is_no_reason_to_refuse_it(tmp_path: Path, length: int) -> None:
    """Pillow, which is asked for the orientation alone, opens none of more than 179 million pixels."""
    assert not is_turned(picture(tmp_path / "a.tif", length, turned=1))
    assert is_turned(picture(tmp_path / "b.tif", length, turned=6)) is (length == 100)


def test_storage_that_fails_is_no_picture_as_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match="Input/output"):
        is_turned(picture(tmp_path / "a.tif", 100, turned=1))
