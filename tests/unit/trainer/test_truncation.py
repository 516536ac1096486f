"""Files that were cut short are found, whole ones never suspected."""

import gzip
import tracemalloc
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_api.dataset.truncation import cut_short, is_damaged


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
    (tmp_path / "b.mha").write_bytes(b"no header")
    assert cut_short([path, tmp_path / "b.mha"]) == [path]


VOXELS = np.random.default_rng(0).normal(size=2000).astype("<f4").tobytes()
META = b"ObjectType = Image\nCompressedData = %s\nDimSize = 20 100\nElementDataFile = LOCAL\n"
NRRD = b"NRRD0004\ntype: float\nencoding: %s\nsizes: 20 100\n\n"


@pytest.mark.parametrize(
    ("name", "header", "body"),
    [
        ("a.mha", META % b"True", zlib.compress(VOXELS)),
        ("a.MHA", META % b"True", zlib.compress(VOXELS)),
        ("a.nrrd", NRRD % b"gzip", gzip.compress(VOXELS)),
    ],
)
def test_damaged_streams_of_other_formats(tmp_path: Path, name: str, header: bytes, body: bytes) -> None:
    """ITK makes images of whatever is in its memory of them, and says nothing."""
    path, middle = tmp_path / name, len(body) // 2
    path.write_bytes(header + body)
    assert cut_short([path]) == []
    flipped = body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
    for damaged in (flipped, body[:middle], body[:-1], b""):
        path.write_bytes(header + damaged)
        assert cut_short([path]) == [path]


@pytest.mark.parametrize("size", [12 << 22, (12 << 22) + 1, (1 << 22) - 1])
def test_what_unpacks_to_much_takes_little_memory(tmp_path: Path, size: int) -> None:
    """Also where a block of the file ends with as much as is unpacked at once."""
    path = tmp_path / "a.mha"
    content = META % b"True" + zlib.compress(bytes(size))
    path.write_bytes(content)
    tracemalloc.start()
    try:
        assert cut_short([path]) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20, f"{peak >> 20} MiB"
    path.write_bytes(content[:-1])
    assert cut_short([path]) == [path]


@pytest.mark.parametrize(("name", "header"), [("a.mha", META % b"False"), ("a.nrrd", NRRD % b"raw"), ("a.mha", b"x")])
def test_what_is_not_compressed_is_left_to_the_reader(tmp_path: Path, name: str, header: bytes) -> None:
    (tmp_path / name).write_bytes(header + VOXELS[:100])
    assert cut_short([tmp_path / name]) == []


def test_checksums_are_read_where_another_reader_would_take_the_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz")
    assert not is_damaged(path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    assert cut_short([path]) == [] and is_damaged(path), "the size is right"
