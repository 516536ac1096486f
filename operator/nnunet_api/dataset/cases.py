"""The table of cases that a dataset may bring, cases.csv: who is whose patient, who comes from which site. Pure.

All cells stay text: 001 is not 1. What a spreadsheet makes of such a table is read: a byte order mark, semicolons,
tabs, empty lines at the end. What could be taken in two ways is refused, with its line.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.dataset.layout import named, shown
from nnunet_api.words import counted

CASES_FILE = "cases.csv"
CASE, PATIENT = "case", "patient"
"""Columns that mean something by their name: a case as the files call it, and whose images these are."""
MAX_BYTES = 16 << 20
"""A table of a million cases has less."""
MAX_CELL = 128
_SEPARATORS = ",;\t"
_NOT_UTF8 = (b"\xff\xfe", b"\xfe\xff")
_LIKE_PATIENT = frozenset({"patientid", "patients", "subject", "subjectid", "pid", "pat"})
_NO_PATIENT = frozenset({"na", "n/a", "nan", "nat", "null", "none", "unknown", "-", "--", "?", "#n/a"})
"""What stands where nobody knows whose images they are: not the name of one patient."""
LEAST_PATIENTS = 5
"""Patients of a test set below which a comparison on it gives no verdict."""
_SAVE = "save it as CSV in UTF-8"


@dataclass(frozen=True)
class Cases:
    """A table that was found in order."""

    columns: tuple[str, ...]
    """Names of the columns, but for that of the cases."""
    rows: Mapping[str, Mapping[str, str]]
    """By case: its values by column."""
    lines: Mapping[str, int]
    """By case: the line of the file, the first is 1."""

    @property
    def whose(self) -> str:
        """The column that tells whose a case is, so which cases are no independent ones; empty without it.

        No other tells: what splits keep together may be as much as a site's cases, and a few sites are no sample.
        """
        return PATIENT if PATIENT in self.columns else ""

    def values(self, column: str, cases: Iterable[str]) -> dict[str, str]:
        """Return what a column says of those of the cases that have a row, by case."""
        return {case: self.rows[case][column] for case in cases if case in self.rows}

    def groups(self, column: str, cases: Iterable[str]) -> dict[str, list[str]]:
        """Return the cases of each value, both in order; those without a value are in none."""
        found: dict[str, list[str]] = {}
        for case, value in sorted(self.values(column, cases).items()):
            if value:
                found.setdefault(value, []).append(case)
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class ReadCases:
    """What came of reading a table."""

    table: Cases | None = None
    problems: tuple[str, ...] = ()
    """What has to be put right, with line and remedy."""
    foreign: str = ""
    """Why it is no table of cases; it may be a file of somebody else's, and is one until something asks for it."""
    notes: tuple[str, ...] = ()


def data_of(path: Path) -> bytes:
    """Return what is in a file, no more than tells that it is too large. Raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def read_cases(data: bytes) -> ReadCases:
    """Return the table that a file holds, or all that is wrong with it."""
    text, problem = _decoded(data)
    if problem:
        return ReadCases(problems=(f"{CASES_FILE} {problem}",))
    heads = {mark: _cells(text.split("\n", 1)[0].rstrip("\r"), mark) for mark in _SEPARATORS}
    marks = [mark for mark, head in heads.items() if CASE in head]
    if not marks:
        near = [name for head in heads.values() for name in head if name.casefold() == CASE]
        found = f"its column {near[0]} is written otherwise" if near else "it has no column case"
        return ReadCases(foreign=f"{CASES_FILE}, line 1: {found}: call the column with the names of the cases case")
    head = heads[marks[0]]
    wrong = list(_head_problems(head))
    if wrong:
        return ReadCases(problems=tuple(f"{CASES_FILE}, line 1: {each}" for each in wrong))
    return _body(text, marks[0], head)


def _decoded(data: bytes) -> tuple[str, str]:
    """Return the text of a file, or what is wrong with it."""
    if len(data) > MAX_BYTES:
        return "", f"has more than {MAX_BYTES >> 20} MiB, the most that is read: leave out what is no column of cases"
    if data.startswith(_NOT_UTF8):
        return "", f"is in UTF-16: {_SAVE}"
    if data.startswith(b"PK\x03\x04"):
        return "", f"is a spreadsheet under the name of a CSV file: {_SAVE}"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return "", f"is not in UTF-8, from line {line} on: {_SAVE}"
    if "\0" in text:
        return "", f"has a zero byte, in line {text[: text.index(chr(0))].count(chr(10)) + 1}: {_SAVE}"
    return text.replace("\r\n", "\n").replace("\r", "\n"), ""


def _cells(line: str, mark: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return []


def _head_problems(head: Sequence[str]) -> Iterator[str]:
    names = [name for name in head if name]
    if twice := {name for name in names if names.count(name) > 1}:
        yield f"{named(twice)} is the name of several columns: give each a name of its own"
    if wrong := [name for name in names if name.casefold() in (CASE, PATIENT) and name not in (CASE, PATIENT)]:
        yield f"the column {named(wrong)} is to be called {named(name.casefold() for name in wrong)}, in small letters"
    if odd := [ascii(name) for name in names if _odd(name)]:
        yield f"{named(odd)} is no name of a column: at most {MAX_CELL} characters, none of them a control"


def _body(text: str, mark: str, head: Sequence[str]) -> ReadCases:
    at = head.index(CASE)
    rows: dict[str, Mapping[str, str]] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    began = 1
    try:
        for cells in reader:
            line, began = began, reader.line_num + 1
            stripped = [cell.strip() for cell in cells]
            if line == 1 or not any(stripped):
                continue
            if problem := _row_problem(stripped, head, lines, at):
                problems.append(f"{CASES_FILE}, line {line}: {problem}")
                continue
            rows[stripped[at]] = {
                name: value for name, value in zip(head, stripped, strict=False) if name and name != CASE
            }
            lines[stripped[at]] = line
    except csv.Error as error:
        problems.append(f'{CASES_FILE}, line {reader.line_num}: {error}: put each quote right, "" inside quotes')
    if not rows and not problems:
        problems.append(f"{CASES_FILE} has no row: give each case one")
    columns = tuple(name for name in head if name and name != CASE)
    notes = tuple(_head_notes(columns))
    return ReadCases(None if problems else Cases(columns, rows, lines), tuple(problems), notes=notes)


def _row_problem(cells: Sequence[str], head: Sequence[str], lines: Mapping[str, int], at: int) -> str:
    beyond = any(cells[len(head) :]) or any(value and not name for name, value in zip(head, cells, strict=False))
    if len(cells) < len(head) or beyond:
        words = counted(len(cells), "cell")
        return f"it has {words}, the first line has {len(head)}: quote cells with a separator in them"
    case = cells[at]
    if not case:
        return "it names no case: fill in the column case, or remove the line"
    if case in lines:
        return f"{shown(case)} has a row in line {lines[case]} already: keep one"
    if odd := [head[place] for place, cell in enumerate(cells[: len(head)]) if _odd(cell)]:
        wrong = f"has a control or invisible character, or more than {MAX_CELL} characters"
        return f"{named(odd)} {wrong}: type it anew, or shorten it"
    return ""


def _odd(cell: str) -> bool:
    return len(cell) > MAX_CELL or any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") for one in cell)


def _is_like_patient(column: str) -> bool:
    return re.sub(r"[\W_]", "", column.casefold()) in _LIKE_PATIENT


def _head_notes(columns: Sequence[str]) -> Iterator[str]:
    alike = [name for name in columns if _is_like_patient(name)]
    if PATIENT not in columns and alike:
        yield (
            f"{CASES_FILE}: nobody looks at the column {named(alike)}: call it {PATIENT} to keep each patient's cases "
            "on one side of a fold, and out of the test set"
        )


@dataclass(frozen=True)
class Asked:
    """The columns that a training asks for; without any, what holds of every training."""

    group_by: str = ""
    stratify_by: str = ""
    leave_one_out: str = ""
    subgroups: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the spec, each with the column that it names."""
        single = {
            "spec.splits.groupBy": self.group_by,
            "spec.splits.stratifyBy": self.stratify_by,
            "spec.splits.leaveOneOut": self.leave_one_out,
        }
        several = {f"spec.evaluation.subgroups[{place}]": name for place, name in enumerate(self.subgroups)}
        return {field: name for field, name in {**single, **several}.items() if name}

    def kept(self, table: Cases) -> list[str]:
        """Return the columns whose values must not be on both sides: of a fold, and of training and test."""
        return list(dict.fromkeys([*([PATIENT] if PATIENT in table.columns else []), *filter(None, [self.group_by])]))

    def filled(self, table: Cases) -> list[str]:
        """Return the columns that have to say something of each training case."""
        return list(dict.fromkeys([*self.kept(table), *filter(None, [self.stratify_by, self.leave_one_out])]))


def column_problems(read: ReadCases | None, asked: Asked) -> list[str]:
    """Return which columns are asked for and not there; `read` is None where the dataset has no such file."""
    fields = asked.fields
    if not fields:
        return []
    if read is None or read.foreign:
        why = read.foreign if read else f"the dataset has no {CASES_FILE}"
        return [f"{field} is {name}, and {why}" for field, name in fields.items()]
    if read.table is None:
        return []
    there = named(read.table.columns) or "no other than case"
    telling = [
        f"{field} is {name}, which tells patients by name: reports and scores must not. Choose another column"
        for field, name in fields.items()
        if "subgroups" in field and (name == PATIENT or _is_like_patient(name))
    ]
    return telling + [
        f"{field} is {name}, and {CASES_FILE} has no column of that name: it has {there}"
        for field, name in fields.items()
        if name not in read.table.columns
    ]


def content_problems(table: Cases, training: Collection[str], test: Collection[str], asked: Asked) -> Iterator[str]:
    """Yield what the table lacks for these cases, or says in two ways; all columns that are asked for are there."""
    kept, filled = asked.kept(table), asked.filled(table)
    if not filled and not asked.subgroups:
        return
    if both := set(training) & set(test):
        yield (
            f"{counted(len(both), 'name stands', 'names stand')} for a training case and a test case: {named(both)}. "
            f"{CASES_FILE} can't tell them apart: rename the files of one of the two"
        )
    unknown = set(table.rows) - set(training) - set(test)
    for cases, kind in ((training, "training"), (test if kept or asked.subgroups else (), "test")):
        if lacking := set(cases) - set(table.rows):
            guess = f" (it has rows of {named(unknown)}, which are no cases)" if unknown else ""
            words = counted(len(lacking), f"{kind} case")
            yield f"{CASES_FILE} has no row for {words}: {named(lacking)}{guess}. Add them, spelled as their files are"
    for column in filled:
        cases = [*training, *test] if column in kept else training
        empty = [
            f"{case} (line {table.lines[case]})"
            for case, value in table.values(column, cases).items()
            if not value or (column in kept and value.casefold() in _NO_PATIENT)
        ]
        if empty:
            yield f"{CASES_FILE} does not say {column} of {counted(len(empty), 'case')}: {named(empty)}. Fill it in"
    for column in dict.fromkeys([*filled, *asked.subgroups]):
        yield from alike_values(table, column, [*training, *test], shows_values=column not in kept)


def alike_values(table: Cases, column: str, cases: Iterable[str], shows_values: bool = True) -> Iterator[str]:
    """Yield which values of a column may be one, written in several ways: capitals, accents, blanks, 001 and 1.

    Who patients are is not shown, only where that stands.
    """
    spelled: dict[str, dict[str, int]] = {}
    for case, value in table.values(column, cases).items():
        ways = spelled.setdefault(_plain(value), {})
        ways[value] = min(ways.get(value, table.lines[case]), table.lines[case])
    for ways in spelled.values():
        if len(ways) > 1:
            where = "" if shows_values else "in "
            told = named(f"{value!r} (line {line})" if shows_values else f"line {line}" for value, line in ways.items())
            yield (
                f"{CASES_FILE}: {column} has {where}{told} what may be one value written in {len(ways)} ways: write "
                "it in one way, or make clear that they differ"
            )


def _plain(value: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).split())
    number = re.fullmatch(r"0*([0-9]+?)(\.0+)?", text)
    return number[1] if number else text


def torn_problems(
    table: Cases, splits: Sequence[Mapping[str, Sequence[str]]], asked: Asked, remedy: str
) -> Iterator[str]:
    """Yield whose cases a fold trains and validates on. Who they are is not said: messages are read by many."""
    for column in asked.kept(table):
        told = []
        for group in table.groups(column, table.rows).values():
            sides = [(fold, set(group) & set(split["train"]), set(group) & set(split["val"])) for fold, split in
                     enumerate(splits)]  # fmt: skip
            torn = [(fold, train, val) for fold, train, val in sides if train and val]
            if torn:
                _, train, val = torn[0]
                folds = ", ".join(str(fold) for fold, _, _ in torn[:5]) + (", ..." if len(torn) > 5 else "")
                told.append(f"{named(val)} with {named(train)} (fold {folds})")
        if told:
            words = _counted_values(len(told), column)
            yield (
                f"{words} on both sides of a fold, by {CASES_FILE}: validated on {named(told)} to train on. Such a "
                f"fold looks better than it is: {remedy}"
            )


def _counted_values(number: int, column: str) -> str:
    what = ("patient is", "patients are") if column == PATIENT else (f"value of {column} is", f"values of {column} are")
    return counted(number, *what)


def leaked_problems(table: Cases, training: Collection[str], test: Collection[str], asked: Asked) -> Iterator[str]:
    """Yield whose cases are in the test set and among the training cases."""
    for column in asked.kept(table):
        learnt = table.groups(column, training)
        told = [
            f"{named(cases)} with {named(learnt[value])}"
            for value, cases in table.groups(column, test).items()
            if value in learnt
        ]
        if told:
            words = _counted_values(len(told), column)
            yield (
                f"{words} in the test set and among the training cases, by {CASES_FILE}: {'; '.join(sorted(told)[:5])}"
                f"{f' and {len(told) - 5} more' if len(told) > 5 else ''}. Move them to one side: a score on patients "
                "that were trained on says little of others"
            )


def case_notes(read: ReadCases, training: Collection[str], test: Collection[str]) -> Iterator[str]:
    """Yield what is odd in a table, and may be meant so."""
    yield from read.notes
    if read.foreign:
        yield f"{read.foreign}, if it is to say whose images they are. It is not used"
    if read.table is None:
        return
    if unknown := set(read.table.rows) - set(training) - set(test):
        words = counted(len(unknown), "row", "rows")
        yield f"{CASES_FILE} has {words} of no training case and no test case: {named(unknown)}"
    groups = read.table.groups(PATIENT, test) if PATIENT in read.table.columns else {}
    if several := sum(len(cases) > 1 for cases in groups.values()):
        few = (
            f". A verdict needs {LEAST_PATIENTS} at least: before anything trains, take a test set of more, or correct "
            f"column {PATIENT} of {CASES_FILE}"
        )
        yield (
            f"{counted(several, 'patient')} of the test set have several cases: comparisons draw and test patients, so "
            f"{len(groups)} of them count there, and not {counted(len(test), 'case')}"
            f"{few if len(groups) < LEAST_PATIENTS else ''}"
        )
