"""The scores of an arm, and nnU-Net's own aggregation of them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnunet_api.dataset.cases import CASES_FILE, LEAST_PATIENTS, PATIENT
from nnunet_api.words import counted
from nnunet_trainer.scoring.aggregation import Array, aggregate, mean_of_known, numbered

MIN_UNITS = LEAST_PATIENTS
"""Cases, or patients where they are known, below which nothing is estimated: no sign of five differences is rarer than
1 in 32."""


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
    patients: tuple[int, ...] = ()
    """Number of each case's patient, as `numbered` counts them, the same in all arms. Empty where nobody says who is
    whose: then each case is taken for another patient."""

    @property
    def units(self) -> Array:
        """For each case the number of what is drawn with it, and independent of the others: its patient, or itself."""
        return np.array(self.patients or range(len(self.cases)), dtype=int)

    @property
    def unit_count(self) -> int:
        """How many patients there are, or cases where nobody says who is whose."""
        return len(set(self.patients)) if self.patients else len(self.cases)

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


def case_differences(baseline: Arm, candidate: Arm) -> Array:
    """Return candidate minus baseline for each case, the mean over replicates and classes; NaN where there is none."""
    return mean_of_known(mean_of_known(candidate.values, 0) - mean_of_known(baseline.values, 0), -1)


@dataclass(frozen=True)
class PatientDifferences:
    """Differences of the cases that have one, joined by patient; of each case by itself where patients aren't known."""

    means: Array
    """Mean over the cases of a patient."""
    sums: Array
    """Sum over them: by its sum a patient weighs in the mean over all cases as much as it has cases."""
    cases: Array
    """How many cases each has."""

    @property
    def deviation(self) -> float:
        """Standard deviation that, over the root of the number of patients, is the standard error of the mean of all
        cases, which is a ratio where patients have unequal numbers of them (Cochran, Sampling Techniques, 3rd ed. 1977,
        2.11). Where each has one case, their plain sample standard deviation."""
        number = len(self.sums)
        if number < 2:
            return 0.0
        rest = (self.sums - self.cases * self.sums.sum() / self.cases.sum()) / self.cases.mean()
        return float(np.sqrt((rest**2).sum() / (number - 1)))


def by_patient(differences: Array, units: Array) -> PatientDifferences:
    """Return the differences of the cases (no NaN among them) by patient, from the number of each case's."""
    places = np.array(numbered(units), dtype=int)
    sums, cases = np.bincount(places, weights=differences), np.bincount(places)
    return PatientDifferences(sums / cases, sums, cases)


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
            patients=numbered(arm.patients[case] for case in cases) if arm.patients else (),
        )
        for arm in arms
    ]
    return found, len(cases)


def check(arms: Sequence[Arm]) -> None:
    """Raise ValueError where the arms can't be compared case by case."""
    if len(arms) < 2:
        raise ValueError(f"{len(arms)} arm to compare: there have to be two at least")
    first = arms[0]
    units = len(first.cases) if first.folds else first.unit_count  # an interval by folds rests on no patients
    if units < MIN_UNITS:
        raise ValueError(_few(first, units))
    for arm in arms:
        if arm.patients != first.patients or len(arm.patients) not in (0, len(arm.cases)):
            raise ValueError(f"arms {first.name} and {arm.name} don't have the same patients")
        if (arm.cases, arm.classes, arm.folds) != (first.cases, first.classes, first.folds):
            raise ValueError(f"arms {first.name} and {arm.name} are not scored on the same cases, classes and folds")
        if arm.values.shape != (arm.replicates, len(arm.cases), len(arm.classes)) or not arm.replicates:
            raise ValueError(
                f"arm {arm.name}: scores of shape {arm.values.shape} for {counted(len(arm.cases), 'case')}"
            )
        if np.isinf(arm.values).any() or np.isnan(arm.means()).any():
            raise ValueError(f"arm {arm.name}: a replicate has no score, or one that is infinite")


def _few(arm: Arm, units: int) -> str:
    """Return that there are too few patients, or cases, and what mends it."""
    if arm.folds or not arm.patients:
        return f"{counted(units, 'case')}: a comparison needs {MIN_UNITS} at least. Train anew with more of them"
    return (
        f"{counted(units, 'patient')}: a comparison needs {MIN_UNITS} at least, however many cases they have. Take a "
        f"test set of more patients, or correct column {PATIENT} of {CASES_FILE} where it names none, and train anew"
    )


def units_in_words(arm: Arm, count: int | None = None) -> str:
    """Return how many patients there are, or cases where nobody says who is whose."""
    return counted(arm.unit_count if count is None else count, "patient" if arm.patients else "case")


def seed_of(arms: Sequence[Arm]) -> int:
    """Return the seed of all that is drawn: the same scores give the same numbers, on every machine.

    Names and margin have no part in it, so that nobody gets other draws by another name.
    """
    head = [[arm.cases, arm.classes, arm.folds, arm.values.shape] for arm in arms]
    found = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for arm in arms:
        found.update(np.ascontiguousarray(np.where(np.isnan(arm.values), -1.0, arm.values), dtype="<f8").tobytes())
    return int.from_bytes(found.digest()[:8], "big")
