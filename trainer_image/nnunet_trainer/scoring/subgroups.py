"""The Dice of subgroups of the cases, with confidence intervals over patients."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_api.csv_text import csv_text
from nnunet_trainer.dataset.run_splits import RunCase
from nnunet_trainer.process.numbers import number
from nnunet_trainer.scoring.aggregation import aggregate_counted, counts_of_cases, numbered
from nnunet_trainer.scoring.scores import CaseScores, class_means, class_names, foreground_mean, mean, named_classes

RESAMPLES = 4000
SEED = 0
"""The same scores give the same intervals."""
LEAST_UNITS = 5
"""Fewer patients than that have no interval: their resamples are hardly different ones."""
FEW_UNITS = 20
"""Of fewer patients the interval is too narrow: percentiles of the bootstrap cover less than they say."""
TEST, VALIDATION = "test", "validation"


@dataclass(frozen=True)
class Subgroup:
    """The Dice of the cases that have a value in a column."""

    column: str
    value: str
    of: str
    """test or validation."""
    cases: int
    units: int
    """Patients, or cases where cases.csv says nothing of patients."""
    dice: float | None
    """Mean foreground Dice, as nnU-Net averages: over cases for each class, then over the classes."""
    low: float | None
    """Bounds of the 95 % interval; None for fewer than LEAST_UNITS."""
    high: float | None
    per_class: Mapping[str, float]
    """Mean Dice by class name."""


def subgroups(
    columns: Sequence[str],
    known: Mapping[str, RunCase],
    labels: Mapping[str, Any],
    scored: Mapping[str, Sequence[CaseScores]],
) -> list[Subgroup]:
    """Return the subgroups by column and value; `scored` has the Dice of each replicate, for test and validation."""
    found = []
    for column in columns:
        for of, runs in scored.items():
            cases = sorted({case for run in runs for case in run if column in known.get(case, RunCase()).subgroups})
            for value in sorted({known[case].subgroups[column] for case in cases}):
                chosen = [case for case in cases if known[case].subgroups[column] == value]
                found.append(_subgroup(column, value, of, chosen, known, labels, runs))
    return found


def _subgroup(
    column: str,
    value: str,
    of: str,
    cases: Sequence[str],
    known: Mapping[str, RunCase],
    labels: Mapping[str, Any],
    runs: Sequence[CaseScores],
) -> Subgroup:
    # Numbers and names never meet: a case without a patient is one for itself.
    patients = numbered(case if known[case].patient is None else known[case].patient for case in cases)
    units = len(set(patients))
    chosen = [[run[case] for case in cases if case in run] for run in runs]
    bounds = _interval(cases, patients, runs, labels) if units >= LEAST_UNITS else (None, None)
    return Subgroup(
        column,
        value,
        of,
        len(cases),
        units,
        mean(foreground_mean(run) for run in chosen),
        *bounds,
        named_classes(class_means(class_means(run) for run in chosen), labels),
    )


def _interval(
    cases: Sequence[str], patients: Sequence[int], runs: Sequence[CaseScores], labels: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """Return the 2.5 and 97.5 percentiles of the mean over the replicates, patients drawn with replacement.

    Cases of a patient are drawn together: they are no independent ones (`counts_of_cases`). Source of percentiles:
    Davison and Hinkley, Bootstrap Methods and their Application (1997), 5.3. The replicates stay what they are: the
    interval tells what other patients would do, not what other seeds would.
    """
    keys = list(class_names(labels))
    count = len(set(patients))
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(float)
    tables = np.array([[[_value(run, case, key) for key in keys] for case in cases] for run in runs], dtype=float)
    together = aggregate_counted(tables, counts_of_cases(drawn, np.array(patients, dtype=int))).mean(1)
    together = together[np.isfinite(together)]
    if not together.size:
        return None, None
    low, high = (float(np.percentile(together, bound)) for bound in (2.5, 97.5))
    return low, high


def _value(run: CaseScores, case: str, key: str) -> float:
    value = number(run.get(case, {}).get(key))
    return math.nan if value is None else value


def subgroup_data(found: Sequence[Subgroup]) -> list[dict[str, Any]]:
    """Return the subgroups for summary.json."""
    return [
        {
            "column": each.column,
            "value": each.value,
            "of": each.of,
            "cases": each.cases,
            "patients": each.units,
            "dice": each.dice,
            "interval95": None if each.low is None else [each.low, each.high],
            "perClass": dict(each.per_class),
        }
        for each in found
    ]


def subgroup_csv(found: Mapping[str, Sequence[Subgroup]], classes: Sequence[str]) -> str:
    """Return the subgroups by configuration as CSV: a line each, with the Dice of each class behind."""
    titles = ["configuration", "column", "value", "of", "cases", "patients", "dice", "low95", "high95", *classes]
    rows = [
        [configuration, each.column, each.value, each.of, str(each.cases), str(each.units)]
        + [_text(value) for value in (each.dice, each.low, each.high, *(each.per_class.get(name) for name in classes))]
        for configuration, subgroups in found.items()
        for each in subgroups
    ]
    return csv_text([titles, *rows])


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def subgroup_words(found: Sequence[Subgroup]) -> list[str]:
    """Return for each column in one line how far its values lie apart: on the test set, where there is one."""
    of = TEST if any(each.of == TEST for each in found) else VALIDATION
    lines = []
    for column in dict.fromkeys(each.column for each in found):
        values = [(each.dice, each.value) for each in found if each.column == column and each.of == of]
        known = sorted((dice, value) for dice, value in values if dice is not None)
        if known:
            (low, worst), (high, best) = known[0], known[-1]
            lines.append(f"{of} Dice by {column} from {low:.4f} ({worst[:40]}) to {high:.4f} ({best[:40]})")
    return lines


def subgroup_notes(found: Sequence[Subgroup], columns: Sequence[str], has_patients: bool) -> list[str]:
    """Return what the reader has to know about the intervals."""
    notes = []
    if absent := [column for column in columns if not any(each.column == column for each in found)]:
        notes.append(f"no scored case has a value of {', '.join(absent)}: there are no such subgroups")
    what = "patients" if has_patients else "cases"
    if any(each.units < LEAST_UNITS for each in found):
        notes.append(f"subgroups of fewer than {LEAST_UNITS} {what} have no interval: too few to tell")
    if any(LEAST_UNITS <= each.units < FEW_UNITS for each in found):
        notes.append(f"intervals of fewer than {FEW_UNITS} {what} are narrower than they should be")
    if found and not has_patients:
        notes.append("cases.csv has no column patient: intervals of subgroups take each case for another patient")
    return notes
