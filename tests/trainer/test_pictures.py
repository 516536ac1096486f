"""Pictures of cases by each of nnU-Net's readers: 2D, colours, tif with its spacing beside, anisotropic volumes."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO
from PIL import Image

from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.report import cases
from nnunet_trainer.report.cases import Sources
from nnunet_trainer.report.overlays import Chosen
from nnunet_trainer.run.paths import RunPaths

Save = Callable[[Any, Path], None]
RED = np.stack([np.full((60, 80), 250), np.zeros((60, 80)), np.zeros((60, 80))], axis=-1).astype(np.uint8)


def by_nibabel(values: Any, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values.T, np.diag([1.0, 1.0, 6.0, 1.0])), path)


def by_itk(values: Any, path: Path) -> None:
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing([1.0, 1.0, 6.0][: values.ndim])
    SimpleITK.WriteImage(image, str(path))


def by_tifffile(values: Any, path: Path) -> None:
    tifffile.imwrite(path, values)
    name = path.name.removesuffix(".tif").removesuffix("_0000")
    (path.parent / f"{name}.json").write_text(json.dumps({"spacing": [6.0, 1.0, 1.0]}))


def by_pillow(values: Any, path: Path) -> None:
    Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ("reader", "save", "ending", "shape"),
    [
        (SimpleITKIO, by_itk, ".nii.gz", (8, 60, 80)),
        (SimpleITKIO, by_itk, ".mha", (60, 80)),
        (NibabelIO, by_nibabel, ".nii.gz", (8, 60, 80)),
        (NibabelIOWithReorient, by_nibabel, ".nii.gz", (8, 60, 80)),
        (Tiff3DIO, by_tifffile, ".tif", (8, 60, 80)),
        (NaturalImage2DIO, by_pillow, ".png", (60, 80)),
        (NaturalImage2DIO, by_pillow, ".png", RED.shape),
    ],
    ids=["volume", "2D of ITK", "nibabel", "reoriented", "tif", "grey png", "colours"],
)
def test_a_case_is_shown_by_nnunets_reader(
    tmp_path: Path, reader: Any, save: Save, ending: str, shape: tuple[int, ...]
) -> None:
    colours = shape == RED.shape
    label: Any = np.zeros(shape[:2] if colours else shape, np.uint8)
    label[..., 20:40, 30:50] = 1
    moved = np.roll(label, 4, axis=-1)
    image = RED if colours else (label * 100).astype(np.uint8)
    paths = RunPaths(tmp_path / "raw", tmp_path / "pre", tmp_path / "results", tmp_path / "results/run")
    paths.run.mkdir(parents=True)
    (tmp_path / "raw").mkdir()
    files = [tmp_path / f"raw/a_0000{ending}", tmp_path / f"raw/a_label{ending}", paths.run / f"a{ending}"]
    for values, path in zip((image, label, moved), files, strict=True):
        save(values, path)
    sources = Sources(reader(), {"a": Case((files[0],), files[1])}, {"a": files[2]}, None, paths)
    (picture,) = cases._drawn([Chosen("1", "only", "a", 0.8)], sources, {"1": "box"}, 1_000_000)
    assert picture.source, picture.missing
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))).astype(int)
    assert max(pixels.shape) == 300 and min(pixels.shape[:2]) > 200, "voxels are as wide as long in this plane"
    red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(axis=-1) < 60)
    assert bool(red.mean() > 0.5) is colours
