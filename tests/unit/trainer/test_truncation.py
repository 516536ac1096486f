"""Files that were cut short are found, whole ones never suspected."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_api.dataset.truncation import cut_short


def save(path: Path, dtype: str = "float32") -> Path:
    values = np.random.default_rng(0).integers(0, 100, (20, 21, 22)).astype(dtype)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_whole_files(tmp_path: Path, dtype: str) -> None:
    assert cut_short([save(tmp_path / "a.nii.gz", dtype)]) == []


def test_several_gzip_members_and_foreign_headers_are_whole_too(tmp_path: Path) -> None:
    content = gzip.decompress(save(tmp_path / "a.nii.gz").read_bytes())
    members = tmp_path / "members.nii.gz"
    members.write_bytes(gzip.compress(content[:1000]) + gzip.compress(content[1000:]))
    foreign = tmp_path / "foreign.nii.gz"
    foreign.write_bytes(gzip.compress(b"not a header"))
    assert cut_short([members, foreign]) == []


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.01, 0])
def test_cut_short(tmp_path: Path, keep: float) -> None:
    path = save(tmp_path / "a.nii.gz")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert cut_short([path]) == [path]


def test_no_gzip_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(b"<html>404</html>" * 100)
    assert cut_short([path, tmp_path / "b.mha"]) == [path]
