"""A slice of a case with the outlines of reference and prediction, as a small picture. Pure."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

REFERENCE, PREDICTION = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)
"""Colours of the outlines. Okabe and Ito, Color universal design (2008)."""
_DASH = 6
"""Pixels of a dash of the prediction's outline: it is told from the reference's without colours, too, and lets that be
seen below it."""
_SIDE = 300
"""Pixels of a picture's longer side."""
_OBLONG = 5
"""A picture is at most so many times as long as it is wide; a longer one is squeezed."""
_CONTEXT = 3.0
"""How many times as large as the class the part of the slice is that is shown."""
_LEAST_VOXELS = 64
"""At least so many voxels are shown, where the slice has them."""
_OTHER_PLANE = 1.5
"""A slice is cut across the first axis, unless another one's voxels are so many times as long."""
_WINDOW = (0.5, 99.5)
"""Percentiles of the part that is shown, which become black and white."""
_QUALITY = 82


@dataclass(frozen=True)
class Chosen:
    """A case that stands for a class."""

    key: str
    """nnU-Net's key of the class."""
    rank: str
    """worst, median or best; only for the only one."""
    case: str
    dice: float


def chosen_cases(key: str, scores: Mapping[str, Mapping[str, float]]) -> list[Chosen]:
    """Return the cases with the lowest, the median (of an even number the lower) and the highest Dice of a class.

    Those in which neither segmentation has the class are left out. No case comes twice.
    """
    ranked = sorted((dice, case) for case, classes in scores.items() if (dice := classes.get(key, np.nan)) == dice)
    if len(ranked) < 2:
        places = dict.fromkeys(range(len(ranked)), "only")
    else:
        middle = {} if len(ranked) == 2 else {(len(ranked) - 1) // 2: "median"}
        places = {0: "worst", **middle, len(ranked) - 1: "best"}
    return [Chosen(key, rank, ranked[place][1], ranked[place][0]) for place, rank in places.items()]


def dice_of(reference: Any, prediction: Any) -> float:
    """Return the Dice of two masks; NaN where both are empty, as nnU-Net's."""
    size = int(np.count_nonzero(reference)) + int(np.count_nonzero(prediction))
    return 2 * int(np.count_nonzero(reference & prediction)) / size if size else float("nan")


def plane_of(reference: Any, prediction: Any, spacing: Sequence[float]) -> tuple[int, int]:
    """Return the axis across which to cut two masks with three axes, and where.

    It is the slice on which either mask is largest. Where voxels are much longer along one axis, the cut is across it:
    any other would show steps.
    """
    longest = int(np.argmax(spacing))
    axis = longest if spacing[longest] > _OTHER_PLANE * spacing[0] else 0
    others = tuple(other for other in range(3) if other != axis)
    areas = np.maximum(np.count_nonzero(reference, axis=others), np.count_nonzero(prediction, axis=others))
    return axis, int(np.argmax(areas))


def draw(image: Any, reference: Any, prediction: Any, spacing: Sequence[float]) -> str:
    """Return a picture as a data URI: the image, cut out around both masks, and their outlines.

    `image` has one channel (y, x), or three of colours (3, y, x); the masks have two axes, `spacing` is along these.
    Voxels become as long and wide as their spacing.
    """
    from PIL import Image

    part = _part(reference | prediction, spacing)
    grey = _windowed(image[(..., *part)])
    shape = grey.shape[-2:]
    size = _size([length * step for length, step in zip(shape, spacing, strict=True)])
    pixels = np.moveaxis(grey, 0, -1) if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=-1)
    shown = np.array(Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.BILINEAR))
    lines = [_outline(_resized(mask[part], size)) for mask in (reference, prediction)]
    shown[lines[0]] = REFERENCE
    shown[lines[1] & _dashes(shown.shape[:2])] = PREDICTION
    output = io.BytesIO()
    # Without subsampling of colours, which would wash out lines that are two pixels wide.
    Image.fromarray(shown).save(output, format="JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(output.getvalue()).decode()


def _part(mask: Any, spacing: Sequence[float]) -> tuple[slice, slice]:
    """Return the part of a slice that shows a mask with some of what is around; all of it for an empty mask."""
    if not mask.any():
        return slice(None), slice(None)
    found = [np.flatnonzero(mask.any(axis=other)) for other in (1, 0)]
    ends = [(int(places[0]), int(places[-1]) + 1) for places in found]
    side = max(
        _LEAST_VOXELS * min(spacing),
        *(_CONTEXT * (end - start) * step for (start, end), step in zip(ends, spacing, strict=True)),
    )
    rows, columns = (
        _around(start, end, max(end - start, int(np.ceil(side / step))), size)
        for (start, end), step, size in zip(ends, spacing, mask.shape, strict=True)
    )
    return rows, columns


def _around(start: int, end: int, length: int, size: int) -> slice:
    first = max(0, min((start + end - length) // 2, size - length))
    return slice(first, min(size, first + length))


def _size(extent: Sequence[float]) -> tuple[int, int]:
    """Return width and height in pixels for a height and a width in mm."""
    longer = max(extent)
    height, width = (max(_SIDE // _OBLONG, round(_SIDE * length / longer)) for length in extent)
    return width, height


def _windowed(image: Any) -> Any:
    """Return values as 0 to 255. Each channel of colours shares the window with the others."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (float(value) for value in np.percentile(values, _WINDOW))
    if not high > low:
        low, high = float(values.min()), float(values.max())
    return np.rint(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def _resized(mask: Any, size: tuple[int, int]) -> Any:
    """Return a mask in the size of a picture; what is smaller than a pixel fills it, so that nothing is lost."""
    from PIL import Image

    scaled = Image.fromarray(np.ascontiguousarray(mask).astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return np.array(scaled) > 0


def _dashes(shape: tuple[int, ...]) -> Any:
    rows, columns = np.indices(shape)
    return (rows // _DASH + columns // _DASH) % 2 == 0


def _outline(mask: Any) -> Any:
    """Return the pixels of a mask within two pixels of what is outside; beyond the picture's edge is no outside."""
    inner = mask
    for _ in range(2):
        padded = np.pad(inner, 1, mode="edge")
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
