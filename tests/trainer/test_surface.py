"""Surface distances of shapes whose distance is known, and of every kind of image."""

import json
import math
import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO
from skimage import io

from nnunet_trainer.process.memory import MemoryBudget
from nnunet_trainer.scoring.surface import Files, Measurement, Surface, measure, measure_case, surfaces_of

Spacing = tuple[float, ...]


def ball(radius_mm: float, spacing: Spacing, size: int = 44) -> Any:
    """A ball in the middle of a cube of voxels."""
    axes = [(np.arange(size) - (size - 1) / 2) * step for step in spacing]
    grid = np.meshgrid(*axes, indexing="ij")
    return sum(axis**2 for axis in grid) <= radius_mm**2


def cuboid(begin: Sequence[int], end: Sequence[int], size: int = 48) -> Any:
    """A cuboid of voxels in a cube of voxels."""
    mask: np.ndarray = np.zeros((size,) * len(begin), bool)
    mask[tuple(slice(*ends) for ends in zip(begin, end, strict=True))] = True
    return mask


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (3.0, 0.8, 0.8)])
def test_concentric_balls_are_as_far_apart_as_their_radii_differ(spacing: Spacing) -> None:
    inner, outer = ball(10, spacing), ball(14, spacing)
    voxel = max(spacing)
    assert surfaces_of(inner, outer, spacing, 1.0).hd95 == pytest.approx(4, abs=voxel)
    assert surfaces_of(inner, outer, spacing, 4 - voxel).nsd < 0.5
    assert surfaces_of(inner, outer, spacing, 4 + voxel).nsd == pytest.approx(1, abs=0.01)
    same = surfaces_of(inner, inner, spacing, 0.5)
    assert (same.nsd, same.hd95) == (1.0, 0.0)


@pytest.mark.parametrize(("axis", "distance"), [(0, 6.0), (1, 3.0), (2, 3.0)])
def test_a_shift_is_measured_in_mm_along_its_own_axis(axis: int, distance: float) -> None:
    cube = cuboid((10, 10, 10), (30, 30, 30))
    assert surfaces_of(cube, np.roll(cube, 3, axis), (2.0, 1.0, 1.0), 1.0).hd95 == pytest.approx(distance)


def test_the_surface_dice_is_a_share_of_area() -> None:
    """A block of 10 x 10 x 10 mm, and one that reaches 4 mm further along the axis with the thick slices.

    Beyond 1 mm of the other one's surface are: of the longer one its far end (100 mm²) and 3 mm of its sides (120 mm²);
    of the shorter one its end, but for a rim of 1 mm (64 mm²). Both have 600 + 760 mm² in all.
    """
    spacing = (1.0, 0.25, 0.25)
    short, long = (cuboid((4, 4, 4), (4 + depth, 44, 44)) for depth in (10, 14))
    found = surfaces_of(short, long, spacing, 1.0)
    assert found.nsd == pytest.approx(1 - (100 + 120 + 64) / (600 + 760), abs=0.02)
    assert found.hd95 == pytest.approx(4.0, abs=0.5)
    turned = surfaces_of(long, short, spacing, 1.0)
    assert (turned.nsd, turned.hd95) == pytest.approx((found.nsd, found.hd95))


def test_as_monai_measures_the_whole_image() -> None:
    random = np.random.default_rng(3)
    spacing = (2.5, 1.0, 0.7)
    masks = [ball(9, spacing, 30) & (random.random((30, 30, 30)) > 0.1) for _ in range(2)]
    masks[1] = np.roll(masks[1], 2, 1)
    tensors = [torch.from_numpy(mask)[None, None] for mask in masks]
    options: dict[str, Any] = {"include_background": True, "spacing": list(spacing)}
    found = surfaces_of(masks[1], masks[0], spacing, 1.0)
    assert found.hd95 == pytest.approx(compute_hausdorff_distance(*tensors, percentile=95, **options).item())
    assert found.nsd == pytest.approx(compute_surface_dice(*tensors, [1.0], use_subvoxels=True, **options).item())


@pytest.mark.parametrize(
    ("reference", "prediction", "missing"), [(0, 0, None), (1, 0, "prediction"), (0, 1, "reference")]
)
def test_a_class_that_one_or_both_lack(reference: int, prediction: int, missing: str | None) -> None:
    there, nothing = cuboid((4, 4, 4), (9, 9, 9), 12), cuboid((0, 0, 0), (0, 0, 0), 12)
    found = surfaces_of(there if reference else nothing, there if prediction else nothing, (1, 1, 1), 1.0)
    assert math.isnan(found.hd95)
    assert found.missing == missing
    assert math.isnan(found.nsd) if missing is None else found.nsd == 0


def test_regions_ignored_voxels_and_the_edge_of_the_image() -> None:
    reference: np.ndarray = np.zeros((20, 20, 20), np.float32)
    reference[:10, :10, :10] = 1
    reference[:5, :5, :5] = 2
    reference[15:] = 9
    prediction = np.where(reference == 9, 0, reference)
    prediction[15:] = 1  # where nobody said what is right
    what = Measurement(reader=None, regions=((1, 2), 2), ignore_label=9, tolerance=1.0)
    budget = MemoryBudget(multiprocessing.get_context("spawn"), 1 << 30)
    found = measure_case(reference, prediction, (1, 1, 1), what, budget)
    assert found == {"(1, 2)": Surface(1.0, 0.0), "2": Surface(1.0, 0.0)}


def test_outlines_of_images_without_spacing_by_several_workers(tmp_path: Path) -> None:
    square, moved = (cuboid(begin, (30, 30), 40).astype(np.uint8) for begin in ((10, 10), (13, 10)))
    for name, image in (("reference.png", square), ("prediction.png", moved)):
        io.imsave(tmp_path / name, image, check_contrast=False)
    same = Files(*[tmp_path / "reference.png"] * 3)
    cases = {"a": replace(same, prediction=tmp_path / "prediction.png"), "b": same}
    found = measure(cases, Measurement(NaturalImage2DIO(), (1,), None, 1.0), 2)
    assert found["a"]["1"].hd95 == pytest.approx(3.0)
    assert found["b"]["1"] == Surface(1.0, 0.0)


def test_the_spacing_beside_a_tif_image(tmp_path: Path) -> None:
    cube = cuboid((4, 4, 4), (12, 12, 12), 20).astype(np.uint8)
    for name, image in (("reference.tif", cube), ("prediction.tif", np.roll(cube, 2, 0)), ("c_0000.tif", cube)):
        io.imsave(tmp_path / name, image, check_contrast=False)
    (tmp_path / "c.json").write_text(json.dumps({"spacing": [3.0, 1.0, 1.0]}))
    files = Files(*(tmp_path / name for name in ("c_0000.tif", "reference.tif", "prediction.tif")))
    found = measure({"c": files}, Measurement(Tiff3DIO(), (1,), None, 1.0), 1)
    assert found["c"]["1"].hd95 == pytest.approx(6.0)
