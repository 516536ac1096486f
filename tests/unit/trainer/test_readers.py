"""Voxels that are not finite, which ITK reads as 0, are looked for in the file itself, and only where it can matter.

That planning tells of them, tests/trainer/test_odd_datasets.py shows.
"""

import tracemalloc
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_trainer.dataset import readers
from nnunet_trainer.dataset.readers import hidden_not_finite

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
