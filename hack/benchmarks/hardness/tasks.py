"""The tasks: what is in a case, and how hard each of them makes it to find."""

from dataclasses import dataclass

import numpy as np

from hack.benchmarks.hardness.shapes import Array, Grid, ball, ellipsoid, rod, smooth_field, tube

LABELS = {"background": 0, "organ": 1, "wall": 2, "vessel": 3, "lesion": 4}


@dataclass(frozen=True)
class Task:
    """One task. Intensities are in units of the contrast between organ and background, lengths in voxels."""

    name: str
    dataset: str
    """nnU-Net's name of its dataset."""
    description: str
    """What makes it easy or hard, in a sentence or two."""
    noise: float
    """Standard deviation of the noise in each voxel."""
    bias: float
    """Standard deviation of the slow change of the intensity over the image."""
    wall_thickness: float
    vessel_radius: tuple[float, float]
    lesion_radius: tuple[float, float]
    lesions: tuple[int, int]
    """Least and largest number of lesions in a case."""
    distractors: tuple[int, int]
    """Least and largest number of structures as bright and as large as lesions, told from them by shape only."""
    intensities: tuple[float, float, float, float, float]
    """Of background, organ, wall, vessel and lesion. What is equal can't be told apart by intensity."""
    shape: tuple[int, ...] = (64, 64)
    training_cases: int = 40
    test_cases: int = 60
    seed: int = 0


EASY = Task(
    name="easy",
    dataset="Dataset911_Easy",
    description="Every structure has an intensity of its own, far above the noise.",
    noise=0.3,
    bias=0.1,
    wall_thickness=2.5,
    vessel_radius=(2.0, 3.0),
    lesion_radius=(3.0, 4.5),
    lesions=(2, 3),
    distractors=(0, 0),
    intensities=(0.0, 1.0, 2.0, 3.0, 4.0),
)
HARD = Task(
    name="hard",
    dataset="Dataset912_Hard",
    description=(
        "Contrast near the noise, under a bias field. Wall and vessel are equally bright and told apart by shape; "
        "lesions are 1 % of the voxels, 3 to 6 voxels wide, and lie among rods that are as bright and as large but "
        "not to be found."
    ),
    noise=0.6,
    bias=0.3,
    wall_thickness=1.5,
    vessel_radius=(1.0, 1.6),
    lesion_radius=(1.6, 3.2),
    lesions=(1, 4),
    distractors=(2, 5),
    intensities=(0.0, 1.0, 1.6, 1.6, 2.4),
)
TASKS = {task.name: task for task in (EASY, HARD)}


def draw_case(task: Task, random: np.random.Generator) -> tuple[Array, Array]:
    """Return image and labels of one case."""
    grid = Grid(task.shape, random)
    label: Array = np.zeros(task.shape, np.uint8)
    extent = min(task.shape)
    organ_centre = grid.point(0.35 * extent)
    organ = ellipsoid(grid, organ_centre, random.uniform(0.25, 0.4, len(task.shape)) * extent)
    label[organ <= 1] = LABELS["organ"]
    bright: Array = np.zeros(task.shape, bool)
    _hollow(task, grid, label)
    label[tube(grid, random.uniform(*task.vessel_radius), 0.15 * extent)] = LABELS["vessel"]
    room = Room(grid, organ_centre, 0.28 * extent)
    for _ in range(random.integers(task.distractors[0], task.distractors[1], endpoint=True)):
        radius = random.uniform(*task.lesion_radius)
        if (centre := room.take(2 * radius)) is not None:
            bright |= rod(grid, centre, radius, random.uniform(2.5, 3.5))
    for _ in range(random.integers(task.lesions[0], task.lesions[1], endpoint=True)):
        radius = random.uniform(*task.lesion_radius)
        if (centre := room.take(radius)) is not None:
            label[ball(grid, centre, radius)] = LABELS["lesion"]
    intensity = np.choose(label, task.intensities)
    intensity[bright] = task.intensities[LABELS["lesion"]]
    image = intensity + task.bias * smooth_field(grid) + random.normal(0, task.noise, task.shape)
    return image.astype(np.float32), label


def _hollow(task: Task, grid: Grid, label: Array) -> None:
    """Draw a cavity with a thin wall; its inside is background."""
    radii = grid.random.uniform(0.1, 0.16, len(task.shape)) * min(task.shape) + task.wall_thickness
    distance = ellipsoid(grid, grid.point(0.2 * min(task.shape)), radii)
    label[distance <= 1] = LABELS["wall"]
    label[distance <= 1 - task.wall_thickness / radii.min()] = LABELS["background"]


class Room:
    """Hands out places inside the organ that do not touch each other."""

    def __init__(self, grid: Grid, centre: Array, radius: float) -> None:
        self._grid, self._centre, self._radius = grid, centre, radius
        self._taken: list[tuple[Array, float]] = []

    def take(self, radius: float, tries: int = 50) -> Array | None:
        """Return the centre of a free place of this radius; None where there seems to be none."""
        for _ in range(tries):
            direction: Array = self._grid.random.normal(0, 1, len(self._centre))
            reach = self._grid.random.uniform(0, 1) ** (1 / len(self._centre)) * self._radius
            place: Array = self._centre + direction / np.linalg.norm(direction) * reach
            if all(np.linalg.norm(place - other) > radius + far + 2 for other, far in self._taken):
                self._taken.append((place, radius))
                return place
        return None
