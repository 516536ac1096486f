"""What readers read beside the file that they are given, by the names and headers that nnU-Net's readers go by."""

import io
from pathlib import Path

import pytest

from nnunet_api.dataset.beside import spacing_files, voxels_elsewhere


@pytest.mark.parametrize(
    ("image", "label", "found"),
    [
        ("i/a_0000.tif", "l/a.tif", ["i/a.json", "l/a.json"]),
        ("i/a.b_0000.tiff", "l/a.b.tiff", ["i/a.b.json", "l/a.b.json"]),
        ("i/a_0000.TIF", None, ["i/a.json"]),
        ("i/a_0000.nii.gz", "l/a.nii.gz", []),
        ("i/a_0000.png", "l/a.png", []),
        ("i/listed-by-name.tif", "l/x.tif", ["i/listed-by.json", "l/x.json"]),
    ],
)
def test_spacing_of_a_tif(image: str, label: str | None, found: list[str]) -> None:
    paths = spacing_files([Path(image), Path("i/a_0001.tif")], None if label is None else Path(label))
    assert [str(path) for path in paths] == found


META = b"ObjectType = Image\nNDims = 3\nElementType = MET_FLOAT\n"
NRRD = b"NRRD0004\n# a comment\ntype: float\nsizes: 5 4 3\nencoding: raw\n"


@pytest.mark.parametrize(
    ("name", "head", "elsewhere"),
    [
        pytest.param("a.mha", META + b"ElementDataFile = LOCAL\n\0\1", "", id="MetaImage in one file"),
        pytest.param("a.mha", META + b"ElementDataFile = a.raw\n", "a.raw", id="MetaImage in two, called .mha"),
        pytest.param("a.mhd", META + b"ElementDataFile = LIST\na.raw\n", "LIST", id="MetaImage of a list"),
        pytest.param("a.nrrd", NRRD + b"\n\0\1data file: no", "", id="NRRD in one file"),
        pytest.param("a.nrrd", NRRD + b"\n\ndata file: voxels that look like it\n", "", id="voxels that look like it"),
        pytest.param("a.nrrd", NRRD + b"data file: ../b/a.raw.gz\n", "../b/a.raw.gz", id="NRRD in two"),
        pytest.param("a.nrrd", NRRD + b"datafile: LIST 2\na.raw\n", "LIST 2", id="NRRD of a list"),
        pytest.param("a.nrrd", (NRRD + b"data file: a.raw\n").replace(b"\n", b"\r\n"), "a.raw", id="line ends"),
        pytest.param("a.nrrd", NRRD + b"k:=" + b"v" * 70000 + b"\ndata file: a.raw", "a.raw", id="a long header"),
        pytest.param("a.nii", b"\x5c\1\0\0data file: a.raw", "", id="NIfTI"),
        pytest.param("a.mha", b"", "", id="empty"),
    ],
)
def test_voxels_in_another_file(name: str, head: bytes, elsewhere: str) -> None:
    assert voxels_elsewhere(name, io.BytesIO(head).read) == elsewhere
