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
_APART_BYTES, _APART_AGAIN_BYTES = 60, 28
"""Bytes a voxel of the result while slices are resampled apart from the axis across them, as nnU-Net does where that
is coarse: the coordinates of each voxel, as integers and as float64, twice; and more where those of the channel before
are there still. Measured: 56 for one channel, 82 for several."""
_ANISOTROPY = 3
"""From which ratio of the largest to the smallest spacing on (nnU-Net's ANISO_THRESHOLD)."""
_SUM_BYTES = 6
"""Bytes a voxel of the network's grid while it is predicted, whatever its channels and classes."""
_FOUND_BYTES = 16
"""Bytes a voxel of a segmentation on its way: the largest logit as int64, and what is written."""


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
    regions: bool = False
    """Labels are regions: their probabilities are computed, whether they are kept or not."""
    apart: bool = False
    """The axis across slices is resampled apart from them."""

    @property
    def preparing(self) -> int:
        """Bytes while it is prepared: the image twice and in float64, its resampling, and a result in a queue.

        Measured for one channel of 512 x 512 x 300 voxels: 43 a voxel; of fewer slices 56, as splines need a border,
        and 92 where it is resampled apart. Of 384 x 384 x 80 voxels: 49 for one channel, 69 for two, 108 for four;
        where slices are resampled apart 137 for two, 178 for four.
        """
        own = self.channels * (16 * self.voxels + 8 * self.resampled) + 9 * self.resampled
        return own + (self._coordinates(self.resampled, self.channels) if self.apart else 24 * self.voxels)

    @property
    def logits(self) -> int:
        """Bytes of its logits, in half precision."""
        return 2 * self.heads * self.resampled

    @property
    def predicting(self) -> int:
        """Bytes while it is predicted: the prepared image, the logits of a fold, the sum over the folds, and what looks
        for infinite ones among them: half as much again as both.

        Measured on the CPU, where nnU-Net also sums up what does not fit a GPU, in bytes a voxel of the network's
        grid: 33 for one channel and 3 classes of two folds, 47 for four channels, 94 for four and 9 regions.
        """
        return (5 * self.channels + _SUM_BYTES) * self.resampled + 4 * self.logits

    @property
    def writing(self) -> int:
        """Bytes in the worker that writes it: while its logits are resampled in float64 to the image's grid, or while
        the segmentation, and probabilities in float32, are made of them.

        Measured for 3 classes of 512 x 512 x 300 voxels: 41 a voxel, 44 with probabilities; for 9 classes in 60 slices
        109. Where it is resampled apart 130 and 209. 3 regions take as much as 3 classes, 9 as much as 9.
        """
        places = self._coordinates(self.voxels, self.heads) if self.apart else 12 * self.voxels
        resampling = 5 * self.logits + places
        probabilities = 8 if self.keeps_probabilities or self.regions else 0
        found = self.logits + (probabilities * self.heads + _FOUND_BYTES) * self.voxels
        return 2 * self.heads * self.voxels + max(resampling, found)

    def _coordinates(self, voxels: int, parts: int) -> int:
        """Return the bytes of resampling so many channels or classes apart, to so many voxels."""
        each = _APART_BYTES + (_APART_AGAIN_BYTES if parts > 1 else 0)
        return each * voxels + 8 * max(self.voxels, self.resampled)


def extent(
    shape: Sequence[int],
    spacing: Sequence[float],
    target: Sequence[float],
    patch: Sequence[int],
    channels: int,
    heads: int,
    regions: bool = False,
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
    apart = any(
        max(one) / min(one) > _ANISOTROPY and one.count(max(one)) == 1 and shape[axis] != sizes[axis]
        for one in (list(spacing), [*spacing[:own], *target])
        for axis in [one.index(max(one))]
    )
    padded = [*sizes[:own], *(max(n, least) for n, least in zip(sizes[own:], patch, strict=True))]
    return Extent(prod(shape), prod(padded), channels, heads, regions=regions, apart=apart)


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
