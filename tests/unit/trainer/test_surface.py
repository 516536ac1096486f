"""What surrounds the measurement of surfaces; the measures themselves are tested where there is MONAI."""

import numpy as np
import pytest

from nnunet_trainer.scoring.surface import box_around, mask_of, unit_of, without_single_slices


@pytest.mark.parametrize(
    ("voxels", "box"),
    [
        ([(2, 3, 4)], ((1, 4), (2, 5), (3, 6))),
        ([(0, 0, 0), (1, 2, 3)], ((0, 3), (0, 4), (0, 5))),
        ([(5, 6, 7)], ((4, 6), (5, 7), (6, 8))),
        ([], ((0, 6), (0, 7), (0, 8))),
    ],
    ids=["inside", "at the beginning", "at the end", "empty"],
)
def test_box_with_a_margin_inside_the_image(voxels: list[tuple[int, ...]], box: tuple[tuple[int, int], ...]) -> None:
    mask: np.ndarray = np.zeros((6, 7, 8), bool)
    for voxel in voxels:
        mask[voxel] = True
    assert box_around(mask) == tuple(slice(*ends) for ends in box)


@pytest.mark.parametrize(
    ("shape", "spacing", "left", "spacing_left"),
    [
        ((4, 5, 6), (3, 1, 2), (4, 5, 6), (3, 1, 2)),
        ((1, 5, 6), (999, 1, 2), (5, 6), (1, 2)),
        ((4, 5, 1), (3, 1, 2), (4, 5), (3, 1)),
        ((1, 1, 6), (3, 1, 2), (1, 6), (3, 2)),
    ],
    ids=["3D", "nnU-Net's form of 2D", "one slice of another axis", "a line"],
)
def test_a_single_slice_is_measured_in_its_plane(
    shape: tuple[int, ...], spacing: tuple[float, ...], left: tuple[int, ...], spacing_left: tuple[float, ...]
) -> None:
    segmentation, found = without_single_slices(np.zeros(shape), spacing)
    assert segmentation.shape == left
    assert found == spacing_left


def test_regions_are_the_union_of_their_labels() -> None:
    segmentation = np.array([[0, 1, 2, 3]], np.float32)
    assert mask_of(segmentation, 2).tolist() == [[False, False, True, False]]
    assert mask_of(segmentation, (2, 3)).tolist() == [[False, False, True, True]]


def test_images_without_spacing_are_measured_in_pixels() -> None:
    reader = type("NaturalImage2DIO", (), {})()
    assert (unit_of(reader), unit_of(object())) == ("px", "mm")
