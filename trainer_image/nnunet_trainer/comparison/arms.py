"""The scores of an arm, and nnU-Net's own aggregation of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnunet_api.words import counted

Array = Any
"""A NumPy array."""
MIN_CASES = 5
"""Cases below which nothing is estimated: no sign of five differences is rarer than 1 in 32."""


@dataclass(frozen=True)
class Arm:
    """The scores of one training strategy: each replicate on each case and class."""

    name: str
    cases: tuple[str, ...]
    """The same in all arms, in the same order."""
    classes: tuple[str, ...]
    """The same in all arms, in the same order."""
    values: Array
    """Shape (replicates, cases, classes). NaN where the class is in neither reference nor prediction."""
    folds: tuple[tuple[int, ...], ...] = ()
    """Cross-validation only: the places in `cases` of each fold's cases."""

    @property
    def replicates(self) -> int:
        """How many trainings there are of it, which differ by their seeds alone."""
        return int(self.values.shape[0])

    def means(self) -> Array:
        """Return the score of each replicate; shape (replicates,)."""
        return aggregate(self.values)

    def mean(self) -> float:
        """Return the arm's score: the mean of its replicates' scores."""
        return float(np.mean(self.means()))

    def of_class(self, index: int) -> "Arm":
        """Return the scores of one class alone."""
        return replace(self, classes=(self.classes[index],), values=self.values[:, :, index : index + 1])


def aggregate(values: Array) -> Array:
    """Return nnU-Net's foreground mean: over the cases that have a score of a class, then over the classes.

    Args:
        values: shape (..., cases, classes), NaN where there is no score.

    Returns:
        Shape (...); NaN where there is no score at all.
    """
    return _mean(_mean(values, -2), -1)


def aggregate_counted(values: Array, counts: Array) -> Array:
    """Return `aggregate` of samples of the cases, each given by how often it holds each case.

    Args:
        values: shape (replicates, cases, classes).
        counts: shape (samples, cases).

    Returns:
        Shape (samples, replicates).
    """
    replicates, cases, classes = values.shape
    flat = np.moveaxis(values, 1, 0).reshape(cases, replicates * classes)
    defined = ~np.isnan(flat)
    if defined.all():
        means = (counts @ flat) / counts.sum(1, keepdims=True)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (counts @ np.where(defined, flat, 0.0)) / (counts @ defined.astype(float))
    return _mean(means.reshape(len(counts), replicates, classes), -1)


def case_differences(baseline: Arm, candidate: Arm) -> Array:
    """Return candidate minus baseline for each case, the mean over replicates and classes; NaN where there is none."""
    return _mean(_mean(candidate.values, 0) - _mean(baseline.values, 0), -1)


def scored_by_all(arms: Sequence[Arm]) -> tuple[list[Arm], int]:
    """Return the arms with those scores alone that each replicate of all of them has, and of how many cases they are.

    Left out are cases without any, and classes without any.
    """
    known = np.logical_and.reduce([~np.isnan(arm.values).any(0) for arm in arms])  # (cases, classes)
    cases, classes = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    place: tuple[Array, ...] = np.ix_(cases, classes)
    found = [
        replace(
            arm,
            cases=tuple(arm.cases[case] for case in cases),
            classes=tuple(arm.classes[one] for one in classes),
            values=np.where(known[place], arm.values[(slice(None), *place)], np.nan),
        )
        for arm in arms
    ]
    return found, len(cases)


def check(arms: Sequence[Arm]) -> None:
    """Raise ValueError where the arms can't be compared case by case."""
    if len(arms) < 2:
        raise ValueError(f"{len(arms)} arm to compare: there have to be two at least")
    first = arms[0]
    if len(first.cases) < MIN_CASES:
        raise ValueError(f"{counted(len(first.cases), 'case')}: a comparison needs {MIN_CASES} at least")
    for arm in arms:
        if (arm.cases, arm.classes, arm.folds) != (first.cases, first.classes, first.folds):
            raise ValueError(f"arms {first.name} and {arm.name} are not scored on the same cases, classes and folds")
        if arm.values.shape != (arm.replicates, len(arm.cases), len(arm.classes)) or not arm.replicates:
            raise ValueError(
                f"arm {arm.name}: scores of shape {arm.values.shape} for {counted(len(arm.cases), 'case')}"
            )
        if np.isinf(arm.values).any() or np.isnan(arm.means()).any():
            raise ValueError(f"arm {arm.name}: a replicate has no score, or one that is infinite")


def seed_of(arms: Sequence[Arm]) -> int:
    """Return the seed of all that is drawn: the same scores give the same numbers, on every machine.

    Names and margin have no part in it, so that nobody gets other draws by another name.
    """
    head = [[arm.cases, arm.classes, arm.folds, arm.values.shape] for arm in arms]
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for arm in arms:
        found.update(np.ascontiguousarray(np.where(np.isnan(arm.values), -1.0, arm.values), dtype="<f8").tobytes())
    return int.from_bytes(found.digest()[:8], "big")


def _mean(values: Array, axis: int) -> Array:
    """Return the mean of what is no NaN; NaN, without a warning, where there is nothing else."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, values, 0.0).sum(axis) / defined.sum(axis)
