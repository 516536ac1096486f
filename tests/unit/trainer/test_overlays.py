"""Pictures of cases: the right ones, the right slice, seen by everybody, and small."""

import base64
import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnunet_trainer.report.overlays import (
    PREDICTION,
    REFERENCE,
    Chosen,
    chosen_cases,
    dice_of,
    draw,
    plane_of,
)

NAN = math.nan


def seen(source: str) -> Any:
    """Return the pixels of a picture."""
    head, _, data = source.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.array(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def near(pixels: Any, colour: tuple[int, int, int]) -> Any:
    """Return where a picture has about a colour: JPEG keeps none exactly."""
    return np.abs(pixels - np.array(colour)).max(axis=-1) < 40


def box(shape: tuple[int, ...], *ranges: tuple[int, int]) -> Any:
    mask: Any = np.zeros(shape, bool)
    mask[tuple(slice(*one) for one in ranges)] = True
    return mask


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ({}, []),
        ({"a": NAN}, []),
        ({"a": 0.5, "b": NAN}, [("only", "a")]),
        ({"a": 0.5, "b": 0.4}, [("worst", "b"), ("best", "a")]),
        ({"a": 0.5, "b": 0.4, "c": 0.9}, [("worst", "b"), ("median", "a"), ("best", "c")]),
        ({"a": 0.0, "b": 0.0, "c": 0.0, "d": 0.0}, [("worst", "a"), ("median", "b"), ("best", "d")]),
    ],
)
def test_worst_median_and_best(dice: dict[str, float], expected: list[tuple[str, str]]) -> None:
    found = chosen_cases("1", {case: {"1": value, "2": 1 - value} for case, value in dice.items()})
    assert [(one.rank, one.case) for one in found] == expected
    assert all(one == Chosen("1", one.rank, one.case, dice[one.case]) for one in found)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [([1, 1, 1], (0, 7)), ([1, 1, 1.2], (0, 7)), ([1, 5, 1], (1, 3)), ([999, 1, 1], (0, 7)), ([1, 1, 3], (2, 4))],
)
def test_the_slice_is_the_one_where_the_class_is_largest(spacing: list[float], expected: tuple[int, int]) -> None:
    reference = box((10, 10, 10), (5, 8), (3, 6), (4, 5))
    reference[7] |= box((10, 10), (3, 4), (4, 8))
    assert plane_of(reference, np.zeros_like(reference), spacing) == expected
    assert plane_of(np.zeros_like(reference), reference, spacing) == expected, "a class that is missing is shown, too"


@pytest.mark.parametrize("colours", [False, True])
def test_both_outlines_are_seen(colours: bool) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (80, 90))
    image = np.stack([image, image / 3, image / 4]) if colours else image
    pixels = seen(draw(image, box((80, 90), (30, 50), (30, 50)), box((80, 90), (30, 50), (36, 56)), [1, 1]))
    for colour in (REFERENCE, PREDICTION):
        assert np.count_nonzero(near(pixels, colour)) > 60, colour
    same = box((80, 90), (30, 50), (30, 50))
    pixels_of_same = seen(draw(np.zeros((80, 90)), same, same, [1, 1]))
    assert all(near(pixels_of_same, colour).any() for colour in (REFERENCE, PREDICTION)), "one hides the other"
    left, right = (np.flatnonzero(near(pixels, colour).any(axis=0)) for colour in (REFERENCE, PREDICTION))
    assert left.min() < right.min() and left.max() < right.max(), "they changed places"


def test_voxels_are_as_long_as_their_spacing() -> None:
    mask = box((20, 100), (0, 20), (0, 100))
    height, width, _ = seen(draw(np.zeros((20, 100)), mask, mask, [5, 1])).shape
    assert abs(height - width) <= 1 and width == 300
    height, width, _ = seen(draw(np.zeros((100, 100)), mask[:1].repeat(100, 0), mask[:1].repeat(100, 0), [1, 3])).shape
    assert (height, width) == (100, 300)
    line = box((1, 1000), (0, 1), (0, 900))
    height, width, _ = seen(draw(np.zeros((1, 1000)), line, line, [1, 1])).shape
    assert height >= 60, "a long line stays visible"


def test_a_small_lesion_in_a_large_image_fills_a_good_part_of_the_picture() -> None:
    shape = (4000, 3000)
    lesion = box(shape, (3990, 4000), (2900, 2912))
    pixels = seen(draw(np.ones(shape), lesion, np.zeros(shape, bool), [0.1, 0.1]))
    rows, columns = (np.flatnonzero(near(pixels, REFERENCE).any(axis=axis)) for axis in (1, 0))
    assert 40 < np.ptp(rows) < 120 and 40 < np.ptp(columns) < 120
    one_voxel = box(shape, (10, 11), (10, 11))
    assert near(seen(draw(np.ones(shape), np.zeros(shape, bool), one_voxel, [0.1, 0.1])), PREDICTION).any()
    thin = box((2000, 2000), (0, 2000), (700, 701))
    pixels = seen(draw(np.zeros((2000, 2000)), thin, thin, [1, 1]))
    assert (near(pixels, REFERENCE) | near(pixels, PREDICTION)).any(axis=1).mean() > 0.8, (
        "a line thinner than a pixel is lost"
    )


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64), 7.0),
        np.full((64, 64), NAN),
        np.where(np.eye(64) > 0, np.inf, np.arange(64)),
        np.arange(4096, dtype=np.int16).reshape(64, 64),
    ],
    ids=["constant", "no numbers", "infinite", "integers"],
)
def test_any_image_gives_a_small_picture(image: Any) -> None:
    mask = box((64, 64), (20, 30), (20, 30))
    source = draw(image, mask, ~mask, [1, 1])
    assert len(source) < 60_000
    assert near(seen(source), REFERENCE).any()


def test_the_window_leaves_out_what_is_far_off() -> None:
    image = np.tile(np.linspace(0, 100, 100), (100, 1))
    image[0, 0] = 1e9
    mask = box((100, 100), (0, 100), (0, 100))
    pixels = seen(draw(image, mask, mask, [1, 1]))[150, :, 0]
    assert pixels[10] < 40 and 100 < pixels[150] < 155 and pixels[-10] > 215


def test_dice_is_nnunets() -> None:
    mask = box((4, 4), (0, 2), (0, 4))
    assert dice_of(mask, mask) == 1 and dice_of(mask, ~mask) == 0 and math.isnan(dice_of(mask & ~mask, mask & ~mask))
    assert dice_of(mask, box((4, 4), (0, 1), (0, 4))) == pytest.approx(2 * 4 / 12)
