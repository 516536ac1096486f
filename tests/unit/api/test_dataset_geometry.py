"""Whether the files of a case lie on one grid: what a label in another place looks like, and what rounding does."""

import math
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_api.dataset.geometry import Grid, grid_problems, odd_grids, odd_unit

SHAPE = (512, 512, 300)
SPACING = (0.7, 0.7, 1.5)


def rotated(degrees: float) -> tuple[float, ...]:
    turn = math.radians(degrees)
    return (math.cos(turn), -math.sin(turn), 0.0, math.sin(turn), math.cos(turn), 0.0, 0.0, 0.0, 1.0)


DIRECTION = rotated(20)


def itk(
    shape: tuple[int, ...] = SHAPE,
    spacing: tuple[float, ...] = SPACING,
    origin: tuple[float, ...] = (-120.5, 80.25, -300.0),
    direction: tuple[float, ...] = DIRECTION,
) -> Grid:
    return Grid.of_itk(shape, spacing, origin, direction)


def said(image: Grid, label: Grid) -> str:
    return "; ".join(grid_problems({"image": image, "label": label}))


ROUNDED = tuple(np.asarray((-120.5001, 80.2501, -300.0), np.float32).tolist())


@pytest.mark.parametrize(
    "label",
    [
        pytest.param(itk(), id="the same"),
        pytest.param(itk(spacing=(0.7000001, 0.7, 1.5)), id="a spacing in single precision"),
        pytest.param(
            itk(origin=ROUNDED, direction=tuple(np.asarray(DIRECTION, np.float32).tolist())), id="single precision"
        ),
        pytest.param(itk(origin=(-120.501, 80.251, -299.999)), id="an origin to a thousandth"),
        pytest.param(itk(direction=tuple(round(number, 5) for number in DIRECTION)), id="directions of five decimals"),
    ],
)
def test_rounding_is_no_other_grid(label: Grid) -> None:
    assert not said(itk(), label)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        pytest.param(
            itk(direction=tuple(-number for number in DIRECTION[:3]) + DIRECTION[3:]),
            "label lies up to",
            id="mirrored",
        ),
        pytest.param(
            itk(origin=(-100.5, 80.25, -300.0)),
            "label lies up to 26.8 voxels away from image: origin (-100.5, 80.25, -300), not (-120.5, 80.25, -300)",
            id="shifted",
        ),
        pytest.param(itk(origin=(-119.8, 80.25, -300.0)), "up to 0.94 voxels away", id="by a voxel"),
        pytest.param(itk(direction=rotated(20.1)), "direction (0.9391, 0.3437, 0)", id="turned by a tenth of a degree"),
        pytest.param(itk(spacing=(0.701, 0.7, 1.5)), "the spacing 0.701 x 0.7 x 1.5, image has 0.7 x", id="spacing"),
        pytest.param(itk(spacing=(0.0, 0.7, 1.5)), "label has the spacing 0 x 0.7 x 1.5", id="no spacing"),
        pytest.param(
            itk(spacing=(math.nan, 0.7, 1.5)), "label has the spacing nan x", id="a spacing that is no number"
        ),
        pytest.param(itk(shape=(512, 512, 299)), "512 x 512 x 299 voxels, image has 512 x 512 x 300", id="shape"),
        pytest.param(itk(origin=(math.nan, 0.0, 0.0)), "nowhere", id="an origin that is no number"),
    ],
)
def test_another_grid(label: Grid, words: str) -> None:
    assert words in said(itk(), label)


def test_an_image_without_axes() -> None:
    flat = Grid.of_affine((4, 4, 4), (1, 1, 1), [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert "nowhere" in said(flat, Grid.of_affine((4, 4, 4), (1, 1, 1), np.eye(4).tolist()))


def test_formats_without_a_place_and_slices() -> None:
    assert not said(Grid((5, 5), (1, 1)), Grid((5, 5), (1, 1)))
    assert "spacing" in said(Grid((5, 5, 5), (1, 1, 5)), Grid((5, 5, 5), (1, 1, 1)))
    affine = np.eye(4)
    affine[0, 3] = 3
    assert "up to 3 voxels" in said(
        Grid.of_affine((5, 5), (1, 1), np.eye(4).tolist()), Grid.of_affine((5, 5), (1, 1), affine.tolist())
    )
    assert "up to 3 voxels" in said(
        Grid.of_itk((5, 5), (1, 1), (0, 0), (1, 0, 0, 1)), Grid.of_itk((5, 5), (1, 1), (3, 0), (1, 0, 0, 1))
    )


def test_an_affine_matrix_and_itks_words_for_it_are_one_grid() -> None:
    """A sheared one, too, which only nibabel takes."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(DIRECTION, (3, 3)) * SPACING
    affine[:3, 3] = (-120.5, 80.25, -300.0)
    assert not said(itk(), Grid.of_affine(SHAPE, SPACING, affine.tolist()))
    affine[0, 1] += 0.2
    sheared = Grid.of_affine(SHAPE, SPACING, affine.tolist())
    assert not said(sheared, sheared) and "direction" in said(itk(), sheared)


LPS = np.diag([-0.7, -0.7, 1.5, 1.0])
OTHER = np.diag([0.7, -0.7, 1.5, 1.0])


def nifti(sform: Any = None, qform: Any = None) -> Grid:
    """Return the grid of an image with these forms, as nibabel has it."""
    image = nibabel.Nifti1Image(np.zeros((8, 8, 8), np.uint8), None)
    image.header.set_zooms((0.7, 0.7, 1.5))
    image.set_sform(sform, code=0 if sform is None else 2)
    image.set_qform(qform, code=0 if qform is None else 1)
    return Grid.of_nifti(image)


@pytest.mark.parametrize(
    ("image", "label", "agree"),
    [
        pytest.param(nifti(LPS, OTHER), nifti(LPS), True, id="the label has the image's sform"),
        pytest.param(nifti(LPS, OTHER), nifti(None, OTHER), True, id="the label has the image's qform"),
        pytest.param(nifti(LPS), nifti(OTHER, LPS), True, id="either way round"),
        pytest.param(nifti(), nifti(LPS), True, id="an image without a place"),
        pytest.param(nifti(LPS), nifti(), True, id="a label without a place"),
        pytest.param(nifti(LPS, LPS), nifti(OTHER, OTHER), False, id="mirrored"),
        pytest.param(nifti(LPS), nifti(None, OTHER), False, id="mirrored by the one form that there is"),
    ],
)
def test_any_form_of_a_nifti_header_may_be_what_was_meant(image: Grid, label: Grid, agree: bool) -> None:
    """ITK takes the qform where nibabel takes the sform, so tools save labels by one or the other."""
    assert (said(image, label) == "") is agree


def test_quaternions_round_more_than_other_numbers() -> None:
    """Random small tilts of an axial CT: the sform in double precision against the qform that is stored for it."""
    random = np.random.default_rng(1)
    shape = (512, 512, 600)
    for _ in range(50):
        x, y, z = random.uniform(-0.02, 0.02, 3)
        turn = np.array([[-1, z, y], [z, -1, x], [y, x, 1.0]])
        turn, _ = np.linalg.qr(turn)
        turn *= np.sign(np.diag(turn)) * (-1, -1, 1)
        affine = np.eye(4)
        affine[:3, :3] = turn * (0.7, 0.7, 1.5)
        header = nibabel.Nifti1Header()
        header.set_data_shape(shape)
        header.set_qform(affine, code=1)
        stored = Grid.of_affine(shape, (0.7, 0.7, 1.5), header.get_qform().tolist())
        assert not said(Grid.of_affine(shape, (0.7, 0.7, 1.5), affine.tolist()), stored)


SLICE, FILLED_IN = Grid((64, 64, 1), (1, 1, 1)), Grid((64, 64, 1), (1, 1, 999))
VOLUME = Grid((64, 64, 30), (1, 1, 5))


@pytest.mark.parametrize(
    ("grids", "words"),
    [
        pytest.param([SLICE] * 9 + [FILLED_IN], "", id="slices of which one has another spacing filled in"),
        pytest.param([SLICE, FILLED_IN, Grid((64, 64, 1), (1, 1, 0))], "", id="slices with whatever filled in"),
        pytest.param([FILLED_IN] * 3 + [VOLUME], "", id="a volume among slices, of which nnU-Net takes the slices"),
        pytest.param([SLICE] * 9 + [Grid((64, 64, 1), (0.001, 0.001, 1))], "9 has the spacing 0.001", id="metres"),
        pytest.param([VOLUME] * 9 + [SLICE], "", id="a slice among volumes"),
        pytest.param([VOLUME] * 9 + [FILLED_IN], "9 has the spacing 1 x 1 x 999", id="which would be blown up"),
        pytest.param([VOLUME] * 9 + [Grid((64, 64, 30), (1, 1, 0.005))], "9 has the spacing", id="a volume in metres"),
        pytest.param([VOLUME] * 9 + [Grid((64, 64), (1, 1))], "9 has 2 axes, most have 3", id="other axes"),
    ],
)
def test_odd_ones_among_the_images(grids: list[Grid], words: str) -> None:
    told = "; ".join(odd_grids({str(number): grid for number, grid in enumerate(grids)}))
    assert words in told and bool(words) == bool(told), told


@pytest.mark.parametrize(
    ("spacing", "shape", "noted"),
    [
        ((0.7, 0.7, 5.0), (8, 8, 8), False),
        ((0.0007, 0.0007, 0.005), (8, 8, 8), True),
        ((700.0, 700.0, 5000.0), (8, 8, 8), True),
        ((0.7, 0.7, 999.0), (8, 8, 1), False),
        ((0.7, 0.7), (8, 8), False),
    ],
)
def test_spacings_that_hardly_are_millimetres(spacing: tuple[float, ...], shape: tuple[int, ...], noted: bool) -> None:
    grids = [Grid(shape, spacing, (0.0,) * len(shape))] * 3 + [Grid((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))]
    assert bool(odd_unit(grids)) == noted
    assert not noted or f"{max(spacing):g} long: surface distances are told as mm" in odd_unit(grids)
    assert not odd_unit([Grid((1, 16, 18), (999.0, 1.0, 1.0))] * 3), "a picture, whose spacing a reader fills in"
