"""How many test cases may be in work at once, by the memory that they need. Pure.

nnU-Net prepares, predicts and writes different cases at the same time. A whole-body CT with a hundred classes needs
tens of GiB for its logits alone, and several of them at once get the pod killed, each time anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

_GIB = 1 << 30
_MAIN_BYTES = _GIB
"""What the process that predicts takes before it has a case: torch, nnU-Net, networks."""
_WORKER_BYTES = int(0.35 * _GIB)
"""The same of a worker process (measured: 0.3 GiB with torch on the CPU)."""
_USABLE = 0.9
"""Share of the limit that is planned with."""
_LEAST_SHARE = 0.3
"""Share of the limit that counts as room for cases, however small the limit is: the processes are needed anyway."""
_QUEUED = 2
"""Predictions that nnU-Net lets wait for a worker that writes them (check_workers_alive_and_busy), beside those in
work."""
ALONE = 0
"""In the place of a number of workers: one case after the other, each with a worker of its own, nothing waiting."""
_DICE_BYTES = 22
"""Bytes a voxel in a process that computes the Dice of a case: two segmentations as float32, masks of one class.
Measured: 12.4 where the reference is stored in 8 or 16 bits, 13.4 with an ignore label, 21.3 where it is in float64."""
_MERGING_BYTES = 8
"""Bytes a voxel and class while probabilities are averaged: the mean and what is added, both in float32."""
_MERGED_BYTES = 16
"""Bytes a voxel besides: what is chosen of the mean as int64, and the segmentation that its place is read from.
Measured with both, alike on 512 x 512 x 16 and x 40 voxels: 53.5 for 5 classes, 13.5 of them besides; 45.4 for
5 regions."""
_COMPONENT_BYTES = 24
"""Bytes a voxel while the largest component is looked for: the segmentation twice, its components, masks. Measured:
17.4 for one step, 21.4 from two steps on, which keep the segmentation of the file as well."""
_KEPT_BYTES = 12
"""Bytes a voxel and class in a worker that keeps probabilities: of the cropped image, of the whole, on their way."""


@dataclass(frozen=True)
class Extent:
    """How large a case is."""

    voxels: int
    """Of an image as it is stored."""
    resampled: int
    """Of it at the spacing of the network, at least a patch."""
    channels: int
    heads: int
    """Classes, background included, or regions."""
    keeps_probabilities: bool = False
    """Its probabilities are written, too."""

    @property
    def preparing(self) -> int:
        """Bytes while it is prepared: the image, its resampling in float64, and the result waiting in a queue."""
        return self.channels * (12 * self.voxels + 8 * self.resampled) + 40 * self.resampled

    @property
    def logits(self) -> int:
        """Bytes of its logits, in half precision."""
        return 2 * self.heads * self.resampled

    @property
    def predicting(self) -> int:
        """Bytes while it is predicted: the prepared image, the logits of a fold and the sum over the folds."""
        return 4 * self.channels * self.resampled + 2 * self.logits + 2 * self.resampled

    @property
    def writing(self) -> int:
        """Bytes in the worker that writes it: the logits, once more in float64, and resampled to the image's grid."""
        kept = _KEPT_BYTES * self.heads * self.voxels if self.keeps_probabilities else 0
        return 5 * self.logits + 2 * self.heads * self.voxels + 48 * self.voxels + kept


def extent(
    shape: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    patch: Sequence[int],
    channels: int,
    heads: int,
) -> Extent:
    """Return how large an image of this shape and spacing gets; all in the order of the network's axes.

    A 2D network has a target for the last two axes, and leaves the first one as it is. That nnU-Net crops empty borders
    is not counted.
    """
    own = len(shape) - len(target)
    sizes = [
        *shape[:own],
        *(max(1, round(n * a / b)) for n, a, b in zip(shape[own:], spacing[own:], target, strict=True)),
    ]
    padded = [*sizes[:own], *(max(n, least) for n, least in zip(sizes[own:], patch, strict=True))]
    return Extent(prod(shape), prod(padded), channels, heads)


def needed_bytes(extents: Sequence[Extent], workers: int) -> int:
    """Return the most bytes that cases take with so many workers, the largest ones being in work together."""
    if workers == ALONE:
        # Its logits are in the process that predicted it, on their way, and in the worker.
        return max(
            (max(case.preparing, case.predicting, case.logits * 2 + case.writing) for case in extents), default=0
        )
    largest = sorted(extents, key=lambda case: case.writing, reverse=True)
    writing = sum(case.writing for case in largest[:workers])
    waiting = sum(case.logits for case in largest[: _QUEUED + 1]) + max((case.logits for case in extents), default=0)
    preparing = sum(sorted((case.preparing for case in extents), reverse=True)[:workers])
    return writing + waiting + preparing + max((case.predicting for case in extents), default=0)


def room_bytes(limit: int, workers: int) -> int:
    """Return the bytes that a memory limit leaves for cases beside the processes."""
    processes = _MAIN_BYTES + 2 * max(1, workers) * _WORKER_BYTES
    return int(max(_USABLE * limit - processes, _LEAST_SHARE * limit))


def fitting_workers(extents: Sequence[Extent], most: int, limit: int) -> int:
    """Return the most workers of each kind with which the cases fit into the memory; ALONE where not even one does."""
    for workers in range(most, ALONE, -1):
        if needed_bytes(extents, workers) <= room_bytes(limit, workers):
            return workers
    return ALONE


def shortage(extents: Sequence[Extent], limit: int) -> str:
    """Return what to do where not even one case at a time is sure to fit; "" where it is."""
    needed = needed_bytes(extents, ALONE)
    if needed <= room_bytes(limit, ALONE):
        return ""
    wanted = ceil((needed + _MAIN_BYTES + 2 * _WORKER_BYTES) / _USABLE / _GIB)
    return (
        f"the largest case alone may need {wanted} GiB, and the pod may use {limit / _GIB:.0f} GiB: where it is "
        f"killed for that, raise resources.memory, or --memory of kubectl nnunet predict, to {wanted}Gi"
    )


def fitting_scorers(voxels: Sequence[int], most: int, limit: int) -> int:
    """Return with how many processes the Dice of cases of so many voxels can be computed."""
    return _fitting(_DICE_BYTES * max(voxels, default=0), most, limit)


def after_a_kill(workers: int, before: int | None) -> int:
    """Return with how many workers to go on where an attempt with `before` of them did not come to its end."""
    return workers if before is None else min(workers, before // 2 if before > 1 else ALONE)


def fitting_mergers(voxels: Sequence[int], heads: int, most: int, limit: int) -> int:
    """Return with how many processes probabilities of cases of so many voxels can be averaged."""
    return _fitting((_MERGING_BYTES * heads + _MERGED_BYTES) * max(voxels, default=0), most, limit)


def fitting_postprocessors(voxels: Sequence[int], most: int, limit: int) -> int:
    """Return with how many processes components of cases of so many voxels can be looked for, and scored beside."""
    return _fitting(_COMPONENT_BYTES * max(voxels, default=0) + _WORKER_BYTES, most, limit)


def _fitting(case: int, most: int, limit: int) -> int:
    return max(1, min(most, int((_USABLE * limit - _MAIN_BYTES) // (case + _WORKER_BYTES))))
