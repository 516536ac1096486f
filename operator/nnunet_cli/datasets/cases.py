"""The cases.csv that a folder may bring: what planning would say of it, whatever a training asks for."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nnunet_api.dataset.cases import (
    CASES_FILE,
    PATIENT,
    Asked,
    Cases,
    alike_values,
    case_notes,
    content_problems,
    data_of,
    leaked_problems,
    read_cases,
    torn_problems,
)
from nnunet_api.dataset.layout import named
from nnunet_api.dataset.places import look, other_than_a_file
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_api.words import counted

_ASKED = Asked()


def look_at_cases(
    folder: Path,
    training: Collection[str],
    test: Collection[str],
    unscored: Collection[str],
    splits: Sequence[Mapping[str, Sequence[str]]] | None,
) -> tuple[list[str], list[str]]:
    """Return what is wrong with the table of cases, if the dataset brings any, and what is odd in it.

    `unscored` are test cases without labels, of which nothing has to be known; `splits` are those of the dataset, if
    it brings some that are in order.
    """
    path = folder / CASES_FILE
    (place,) = look({path.name: path}).values()
    if not path.exists() and not place.is_link:
        return [], []
    if problem := other_than_a_file(path.name, place):
        return [problem], []
    read = read_cases(data_of(path))
    table = read.table
    notes = list(case_notes(read, training, [*test, *unscored]))
    if table is None:
        return list(read.problems), notes
    remedy = f"keep them together in {SPLITS_FILE}, or set spec.splits in the training"
    problems = [
        *content_problems(table, training, test, _ASKED),
        *leaked_problems(table, training, test, _ASKED),
        *torn_problems(table, splits or (), _ASKED, remedy),
    ]
    for column in table.columns:
        if column != PATIENT:
            told = alike_values(table, column, [*training, *test])
            notes += (f"{text}. Planning refuses it where the training uses the column" for text in told)
    return problems, [*notes, *_split_notes(table, training, splits is not None)]


def _split_notes(table: Cases, training: Collection[str], has_splits: bool) -> list[str]:
    if has_splits or PATIENT not in table.columns:
        return []
    several = [cases for cases in table.groups(PATIENT, training).values() if len(cases) > 1]
    if not several:
        return []
    words = counted(len(several), "patient has", "patients have")
    told = named(" and ".join(cases[:3]) + (" ..." if len(cases) > 3 else "") for cases in several)
    return [
        f"{words} several cases: {told}. nnU-Net splits by cases alone: set spec.splits.groupBy: {PATIENT} in the "
        "training, which planning refuses otherwise"
    ]
