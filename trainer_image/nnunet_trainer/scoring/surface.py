"""Surface distances of predicted segmentations from their references, by MONAI. Loads torch only where it measures.

Both measures are those that "Metrics reloaded" (Maier-Hein and Reinke et al., Nature Methods 2024) recommends beside
the Dice where boundaries matter.
"""

import logging
import math
import multiprocessing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_api.words import counted
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.memory import MemoryBudget, memory_limit

log = logging.getLogger(__name__)

Region = int | tuple[int, ...]
"""A class as nnU-Net has it: a label, or the labels that make up a region."""
PREDICTION, REFERENCE = "prediction", "reference"

_BYTES_PER_VOXEL = 160
"""Memory at the peak for a voxel of the box that is measured (145 with MONAI 1.5.2: distance transforms in float64)."""
_MEMORY_SHARE = 0.5
"""Of the pod's memory, for the boxes; the rest is for images, libraries and the network."""


@dataclass(frozen=True)
class Surface:
    """How far apart two surfaces are. NaN where that is undefined."""

    nsd: float
    """Normalized surface Dice, 0 to 1."""
    hd95: float
    """95th percentile of the Hausdorff distance, in the unit of the spacing."""
    missing: str | None = None
    """Which of the two has no such class while the other has, if so: prediction or reference."""


@dataclass(frozen=True)
class Measurement:
    """What is measured in every case."""

    reader: Any
    """nnU-Net's reader of this dataset's file format."""
    regions: tuple[Region, ...]
    """Foreground classes."""
    ignore_label: int | None
    """Label of voxels that count for nothing."""
    tolerance: float
    """Tolerance of the normalized surface Dice, in the unit of the spacing."""


def surfaces_of(reference: Any, prediction: Any, spacing: Sequence[float], tolerance: float) -> Surface:
    """Return the distances between two masks with two or three axes.

    A class that neither mask holds has no surface (both NaN, as nnU-Net's Dice). One that only one of them holds is
    wholly wrong: NSD 0, while no Hausdorff distance exists.
    """
    present = bool(reference.any()), bool(prediction.any())
    if not any(present):
        return Surface(math.nan, math.nan)
    if not all(present):
        return Surface(0.0, math.nan, missing=PREDICTION if present[0] else REFERENCE)
    with warnings.catch_warnings():
        # MONAI's own deprecations.
        warnings.simplefilter("ignore", FutureWarning)
        nsd = _surface_dice(reference, prediction, spacing, tolerance)
        return Surface(nsd, _hausdorff95(reference, prediction, spacing))


def _surface_dice(reference: Any, prediction: Any, spacing: Sequence[float], tolerance: float) -> float:
    """Return the share of both surfaces that is no further than the tolerance from the other one.

    Nikolov et al., Deep learning to achieve clinically applicable segmentation of head and neck anatomy (2018,
    arXiv:1809.04430). Surface elements count by their area (use_subvoxels), as in the authors' own implementation:
    counting voxels would give a slice as much weight as the distance to the next one is large.
    """
    import torch
    from monai.metrics import compute_surface_dice

    masks = [torch.from_numpy(mask)[None, None] for mask in (prediction, reference)]
    return float(
        compute_surface_dice(
            *masks, [tolerance], include_background=True, spacing=list(spacing), use_subvoxels=True
        ).item()
    )


def _hausdorff95(reference: Any, prediction: Any, spacing: Sequence[float]) -> float:
    """Return the larger of the 95th percentiles of the distances from either surface to the other one.

    Huttenlocher et al., Comparing images using the Hausdorff distance (IEEE PAMI 1993), with a percentile in place of
    the maximum. The same as MONAI's compute_hausdorff_distance(percentile=95), whose torch.quantile gives up above 16
    million surface voxels, which an untrained network can produce.
    """
    from monai.metrics import get_mask_edges, get_surface_distance

    edges = get_mask_edges(prediction, reference, crop=False)
    there, back = edges, edges[::-1]
    return max(float(np.percentile(get_surface_distance(*pair, spacing=list(spacing)), 95)) for pair in (there, back))


def unit_of(reader: Any) -> str:
    """Return the unit of distances in files of this reader of nnU-Net: png, bmp and tif images hold no spacing."""
    return "px" if type(reader).__name__ == "NaturalImage2DIO" else "mm"


def mask_of(segmentation: Any, region: Region) -> Any:
    """Return where a segmentation holds a class."""
    return segmentation == region if isinstance(region, int) else np.isin(segmentation, region)


def box_around(mask: Any, margin: int = 1) -> tuple[slice, ...]:
    """Return the smallest box that holds a mask and a margin, inside the image; all of the image for an empty mask."""
    if not mask.any():
        return tuple(slice(0, size) for size in mask.shape)
    axes = range(mask.ndim)
    profiles = [np.flatnonzero(mask.any(axis=tuple(other for other in axes if other != axis))) for axis in axes]
    return tuple(
        slice(max(0, int(found[0]) - margin), min(size, int(found[-1]) + 1 + margin))
        for found, size in zip(profiles, mask.shape, strict=True)
    )


def without_single_slices(segmentation: Any, spacing: Sequence[float]) -> tuple[Any, tuple[float, ...]]:
    """Drop axes of length 1 as long as there are more than two: a single slice has outlines, not surfaces.

    nnU-Net gives a 2D image a first axis of length 1, with a spacing of 999.
    """
    spacings = [float(value) for value in spacing]
    for axis in reversed(range(segmentation.ndim)):
        if segmentation.shape[axis] == 1 and segmentation.ndim > 2:
            segmentation = segmentation.squeeze(axis)
            spacings.pop(axis)
    return segmentation, tuple(spacings)


def measure_case(
    reference: Any, prediction: Any, spacing: Sequence[float], what: Measurement, budget: MemoryBudget
) -> dict[str, Surface]:
    """Return the distances of each class in one case, by nnU-Net's key of the class."""
    if what.ignore_label is not None:
        # As in nnU-Net's Dice, these voxels count for nothing: here they are background in both.
        prediction = np.where(reference == what.ignore_label, 0, prediction)
    prediction, _ = without_single_slices(prediction, spacing)
    reference, spacing = without_single_slices(reference, spacing)
    found = {}
    for region in what.regions:
        masks = [mask_of(segmentation, region) for segmentation in (reference, prediction)]
        box = box_around(masks[0] | masks[1])
        cut = [np.ascontiguousarray(mask[box]) for mask in masks]
        with budget.hold(cut[0].size * _BYTES_PER_VOXEL):
            found[str(region)] = surfaces_of(cut[0], cut[1], spacing, what.tolerance)
    return found


@dataclass(frozen=True)
class Files:
    """Files of one case."""

    image: Path
    """The first channel."""
    reference: Path
    prediction: Path


def measure(cases: Mapping[str, Files], what: Measurement, processes: int) -> dict[str, dict[str, Surface]]:
    """Return the distances of each class in each case. Blocks until all is measured; a line in the log says how far."""
    pools = multiprocessing.get_context("spawn")
    budget = MemoryBudget(pools, int(memory_limit() * _MEMORY_SHARE))
    found: dict[str, dict[str, Surface]] = {}
    tasks = sorted(cases.items(), key=lambda task: task[0])
    workers = min(processes, len(tasks))
    with heartbeat(
        f"measuring the surfaces of {counted(len(cases), 'case')}", lambda: f"{len(found)}/{len(cases)} cases"
    ):
        if workers <= 1:
            # Nothing is gained by a process that loads MONAI first.
            for name, files in tasks:
                found[name] = _measure_files(files, what, budget)
        else:
            with pools.Pool(workers, _begin_worker, (what, budget)) as pool:
                for name, surfaces in pool.imap_unordered(_measure_task, tasks):
                    found[name] = surfaces
    return {name: found[name] for name, _ in tasks}


_worker: tuple[Measurement, MemoryBudget]


def _begin_worker(what: Measurement, budget: MemoryBudget) -> None:
    # A budget's condition can only be inherited by a worker, not sent with a task.
    global _worker
    _worker = what, budget


def _measure_task(task: tuple[str, Files]) -> tuple[str, dict[str, Surface]]:
    name, files = task
    return name, _measure_files(files, *_worker)


def _measure_files(files: Files, what: Measurement, budget: MemoryBudget) -> dict[str, Surface]:
    reference, properties = what.reader.read_seg(str(files.reference))
    prediction, _ = what.reader.read_seg(str(files.prediction))
    if type(what.reader).__name__ == "Tiff3DIO":
        # A tif holds no spacing: it is in a file beside the image, and beside the label at best.
        _, properties = what.reader.read_images([str(files.image)])
    return measure_case(reference[0], prediction[0], properties["spacing"], what, budget)
