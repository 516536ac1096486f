"""Structures as masks on a grid, in as many dimensions as the grid has. Lengths are in voxels."""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Grid:
    """The voxels of an image, and the random numbers with which structures are placed on it."""

    shape: tuple[int, ...]
    random: np.random.Generator

    def offsets(self, centre: Array) -> Array:
        """Return the distance of each voxel from a point along each axis; the axes come first."""
        offsets: Array = np.indices(self.shape) - centre.reshape(-1, *[1] * len(self.shape))
        return offsets

    def point(self, margin: float) -> Array:
        """Return a random point that is `margin` away from the border."""
        place: Array = np.array([self.random.uniform(margin, size - 1 - margin) for size in self.shape])
        return place

    def rotation(self) -> Array:
        """Return a random rotation (or reflection)."""
        axes: Array = np.linalg.qr(self.random.normal(size=(len(self.shape),) * 2))[0]
        return axes


def ellipsoid(grid: Grid, centre: Array, radii: Array) -> Array:
    """Return the distance from the centre as a share of the radius: below 1 inside an ellipsoid, rotated at random."""
    turned = np.tensordot(grid.rotation(), grid.offsets(centre), axes=1)
    distance: Array = np.linalg.norm([axis / radius for axis, radius in zip(turned, radii, strict=True)], axis=0)
    return distance


def ball(grid: Grid, centre: Array, radius: float) -> Array:
    """Return the mask of a ball."""
    mask: Array = np.linalg.norm(grid.offsets(centre), axis=0) <= radius
    return mask


def rod(grid: Grid, centre: Array, radius: float, elongation: float) -> Array:
    """Return the mask of an ellipsoid as large as a ball of this radius, drawn out along one axis."""
    dimensions = len(grid.shape)
    radii = np.full(dimensions, radius / elongation ** (1 / dimensions))
    radii[0] *= elongation
    mask: Array = ellipsoid(grid, centre, radii) <= 1
    return mask


def tube(grid: Grid, radius: float, bend: float) -> Array:
    """Return the mask of a bent tube from one face of the grid to the opposite one."""
    ends = [grid.point(4 * radius), grid.point(4 * radius)]
    axis = int(grid.random.integers(len(grid.shape)))
    ends[0][axis], ends[1][axis] = 0, grid.shape[axis] - 1
    middle = (ends[0] + ends[1]) / 2 + grid.random.normal(0, bend, len(grid.shape))
    mask: Array = np.zeros(grid.shape, bool)
    # A quadratic Bezier curve, drawn by points that are closer together than a voxel.
    for t in np.linspace(0, 1, 3 * max(grid.shape)):
        mask |= ball(grid, (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * middle + t**2 * ends[1], radius)
    return mask


def smooth_field(grid: Grid, waves: int = 3) -> Array:
    """Return a slowly varying field of mean 0 and standard deviation about 1, as a coil's sensitivity is."""
    positions = np.indices(grid.shape) / max(grid.shape)
    field: Array = np.zeros(grid.shape)
    for _ in range(waves):
        direction = grid.random.normal(0, 1, len(grid.shape))
        phase = np.tensordot(direction, positions, axes=1) + grid.random.uniform(0, 1)
        field += np.sin(2 * np.pi * phase)
    # A sine's variance is 1/2.
    field /= np.sqrt(waves / 2)
    return field
