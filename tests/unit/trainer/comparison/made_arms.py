"""Arms with scores that are made up, always the same."""

from typing import Any

import numpy as np

from nnunet_trainer.comparison.arms import Arm


def arm(name: str, values: Any, folds: int = 0) -> Arm:
    """Return an arm from scores of shape (replicates, cases, classes), or (replicates, cases)."""
    values = np.asarray(values, dtype=float)
    values = values[:, :, None] if values.ndim == 2 else values
    cases = tuple(f"case_{place:03d}" for place in range(values.shape[1]))
    places = tuple(tuple(range(fold, len(cases), folds)) for fold in range(folds))
    return Arm(name, cases, tuple(f"class {place}" for place in range(values.shape[2])), values, places)


def made(
    seed: int,
    replicates: tuple[int, ...],
    cases: int,
    classes: int = 1,
    *,
    differences: tuple[float, ...] = (0.0, 0.0),
    of_seeds: float = 0.004,
    of_cases: float = 0.08,
    noise: float = 0.03,
    lacking: float = 0.0,
    folds: int = 0,
) -> list[Arm]:
    """Return arms as nnU-Net's scores look: hard and easy cases, effects of seeds, and noise (standard deviations).

    `differences` are the true ones; `lacking` is the share of (case, class) that has no score in any arm.
    """
    random = np.random.default_rng(seed)
    hard = random.normal(0.85, of_cases, cases)
    absent = random.random((cases, classes)) < lacking
    found = []
    for place, (number, difference) in enumerate(zip(replicates, differences, strict=True)):
        of_arm = random.normal(0, noise / np.sqrt(2), cases)
        seeds = random.normal(0, of_seeds, number)
        rest = random.normal(0, noise / np.sqrt(2), (number, cases, classes))
        values = hard[None, :, None] + of_arm[None, :, None] + seeds[:, None, None] + rest + difference
        values[:, absent] = np.nan
        found.append(arm(f"arm {place}", values, folds))
    return found
