"""Arms with scores that are made up, always the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from nnunet_trainer.comparison.arms import Arm

_LOGIT = 2.4
"""Mean of the cases' logits in `skewed`: a Dice of 0.9 and more for half of them."""


def arm(name: str, values: Any, folds: int = 0, patients: Sequence[int] = ()) -> Arm:
    """Return an arm from scores of shape (replicates, cases, classes), or (replicates, cases).

    `patients` is how many cases each patient has, one patient's after the other's.
    """
    values = np.asarray(values, dtype=float)
    values = values[:, :, None] if values.ndim == 2 else values
    cases = tuple(f"case_{place:03d}" for place in range(values.shape[1]))
    places = tuple(tuple(range(fold, len(cases), folds)) for fold in range(folds))
    return Arm(
        name, cases, tuple(f"class {place}" for place in range(values.shape[2])), values, places, of_patients(patients)
    )


def of_patients(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the number of each case's patient, from how many cases each has."""
    return tuple(number for number, size in enumerate(sizes) for _ in range(size))


def clustered(
    seed: int,
    replicates: tuple[int, ...],
    sizes: Sequence[int],
    classes: int = 1,
    *,
    differences: tuple[float, ...] = (0.0, 0.0),
    of_seeds: float = 0.004,
    shared: float = 0.6,
    noise: float = 0.03,
    lacking: float = 0.0,
) -> list[Arm]:
    """Return arms as `made` does, of patients with several cases: `sizes` has how many each.

    What an arm does to a case is, by the share `shared` of its variance, what it does to all cases of that patient (the
    intraclass correlation). So is what a replicate does, and how hard the cases are.
    """
    random = np.random.default_rng(seed)
    patients = np.array(of_patients(sizes), dtype=int)

    def drawn(spread: float, *shape: int) -> Any:
        together = random.normal(0, spread * np.sqrt(shared), (*shape, len(sizes)))[..., patients]
        return together + random.normal(0, spread * np.sqrt(1 - shared), (*shape, len(patients)))

    hard = 0.85 + drawn(0.08)
    absent = random.random((len(patients), classes)) < lacking
    found = []
    for place, (number, difference) in enumerate(zip(replicates, differences, strict=True)):
        of_arm = drawn(noise / np.sqrt(2))
        seeds = random.normal(0, of_seeds, number)
        rest = np.moveaxis(drawn(noise / np.sqrt(2), number, classes), 1, 2)
        values = hard[None, :, None] + of_arm[None, :, None] + seeds[:, None, None] + rest + difference
        values[:, absent] = np.nan
        found.append(arm(f"arm {place}", values, 0, sizes))
    return found


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


def skewed(
    seed: int,
    replicates: tuple[int, ...],
    cases: int,
    classes: int,
    *,
    shifts: tuple[float, ...],
    lacking: tuple[float, ...],
    failing: float = 0.0,
) -> list[Arm]:
    """Return arms whose scores are as crooked as real ones: most close to 1, and a tail of hard cases.

    Effects are normal on the logits, where `shifts` moves each arm; `lacking` is as in `made`, by class, and `failing`
    the share of (replicate, case, class) with a Dice of 0: of those nothing was found.
    """
    random = np.random.default_rng(seed)
    hard = random.normal(_LOGIT, 1.0, (cases, 1)) + random.normal(0, 0.3, (cases, classes))
    absent = random.random((cases, classes)) < lacking
    found = []
    for place, (number, shift) in enumerate(zip(replicates, shifts, strict=True)):
        of_arm = random.normal(0, 0.25, (cases, classes))
        seeds = random.normal(0, 0.05, (number, 1, 1))
        logits = hard + of_arm + seeds + random.normal(0, 0.25, (number, cases, classes)) + shift
        values = _dice(logits)
        values[random.random(values.shape) < failing] = 0.0
        values[:, absent] = np.nan
        found.append(arm(f"arm {place}", values))
    return found


def skewed_loss(shift: float, failing: float) -> float:
    """Return by how much the true score of a `skewed` arm is below that of one that isn't shifted."""
    # Quantiles of the sum of all effects in place of draws.
    spread = np.sqrt(1.0 + 0.3**2 + 0.25**2 + 0.05**2 + 0.25**2)
    logits = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000, _LOGIT, spread)
    return float(np.mean(_dice(logits) - _dice(logits + shift)) * (1 - failing))


def folded(seed: int, cases: int, folds: int, *, difference: float, of_folds: float = 0.004) -> list[Arm]:
    """Return two cross-validated arms whose folds' models share training cases, and so a part of their luck.

    The share is that of Nadeau and Bengio: 1 / folds of the variance.
    """
    random = np.random.default_rng(seed)
    arms = made(seed, (1, 1), cases, differences=(0.0, difference), of_seeds=0.0, noise=0.001, folds=folds)
    shared, own = np.sqrt(1 / folds), np.sqrt(1 - 1 / folds)
    luck = of_folds * (shared * random.normal() + own * random.normal(0, 1, folds))
    values = arms[1].values.copy()
    for places, of_fold in zip(arms[1].folds, luck, strict=True):
        values[:, list(places)] += of_fold
    return [arms[0], arm("arm 1", values, folds)]


def _dice(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))
