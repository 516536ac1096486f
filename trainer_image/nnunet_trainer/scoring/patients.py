"""Whose the scored cases are, as summary.json tells it and comparisons read it. No torch in here.

Patients are numbers of the run, and their names stay in the dataset.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_api.words import counted
from nnunet_trainer.dataset.run_splits import RunCases
from nnunet_trainer.scoring.aggregation import numbered

PATIENTS = "patients"
"""Key in summary.json, and path of the condition that comparisons hold arms to."""


@dataclass(frozen=True)
class Patients:
    """Whose the cases are."""

    column: str
    """Column of cases.csv that tells; empty where none does."""
    by_case: Mapping[str, int]
    """Number of each scored case's patient; empty without a column."""

    def numbers(self, cases: Iterable[str]) -> tuple[int, ...]:
        """Return the number of each case's patient, counted anew in their order; none where nothing tells."""
        return numbered(self.by_case[case] for case in cases) if self.column else ()

    def in_words(self, cases: Collection[str]) -> str:
        """Return who is whose, for comparing: the same words where the same cases belong together, however numbered."""
        if not self.column:
            return "no column of cases.csv tells them"
        numbers = self.numbers(sorted(cases))
        digest = hashlib.sha256(json.dumps([sorted(cases), numbers]).encode()).hexdigest()
        return f"{counted(len(cases), 'case')} of {counted(len(set(numbers)), 'patient')}, SHA-256 {digest}"


def told_patients(known: RunCases, cases: Collection[str]) -> dict[str, Any] | None:
    """Return what summary.json says of these cases; None where planning has left nothing on one of them."""
    if known.patient_column is None:
        return None
    if not known.patient_column:
        return {"column": "", "byCase": {}}
    ordered = sorted(cases)
    patients = [known.cases[case].patient for case in ordered if case in known.cases]
    if len(patients) < len(ordered) or None in patients:
        return None
    return {"column": known.patient_column, "byCase": dict(zip(ordered, numbered(patients), strict=True))}


def read_patients(summary: Mapping[str, Any], cases: Collection[str]) -> Patients | None:
    """Return what a summary.json says of these cases, None where it says nothing. Raises ValueError, AttributeError."""
    told = summary.get(PATIENTS)
    if told is None:
        return None
    column, by_case = told.get("column"), told.get("byCase")
    if not isinstance(column, str) or not isinstance(by_case, dict):
        raise ValueError("it has patients without column and byCase")
    lacking = [case for case in cases if type(by_case.get(case)) is not int] if column else []
    if lacking:
        raise ValueError(f"it does not say whose {counted(len(lacking), 'case is', 'cases are')}, such as {lacking[0]}")
    return Patients(column, {case: by_case[case] for case in cases} if column else {})
