"""cases.csv: what spreadsheets make of it is read, what could be taken in two ways is refused with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_api.dataset.cases import (
    Asked,
    Cases,
    case_notes,
    column_problems,
    content_problems,
    leaked_problems,
    read_cases,
    torn_problems,
)

TRAINING = ("c0", "c1", "c2", "c3")
TEST = ("t0",)


def table(text: str) -> Cases:
    read = read_cases(text.encode())
    assert read.table is not None, read
    return read.table


def said(text: str, asked: Asked | None = None) -> str:
    return "; ".join(content_problems(table(text), TRAINING, TEST, asked or Asked()))


GOOD = {"001": {"patient": "01", "site": "Zürich"}, "c1": {"patient": "1.0", "site": "a,b"}}


@pytest.mark.parametrize(
    "data",
    [
        'case,patient,site\n001,01,Zürich\nc1,1.0,"a,b"\n'.encode(),
        'case,patient,site\n001,01,Zürich\nc1,1.0,"a,b"\n'.encode("utf-8-sig"),
        "case;patient;site\r\n001;01;Zürich\r\nc1;1.0;a,b\r\n".encode(),
        "case\tpatient\tsite\r001\t01\tZürich\rc1\t1.0\ta,b".encode(),
        '"case", patient,site,,\n001, 01 ,Zürich,,\n,,,,\nc1,1.0,"a,b",,\n\n'.encode(),
        'site,case,patient\nZürich,001,01\n"a,b",c1,1.0\n'.encode(),
    ],
    ids=["plain", "byte order mark", "semicolons", "tabs and old ends of lines", "empty cells", "another order"],
)
def test_what_programs_write_is_read_as_text(data: bytes) -> None:
    read = read_cases(data)
    assert read.table is not None and read.table.rows == GOOD, read


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("case,patient\nä,1\n".encode("latin-1"), "is not in UTF-8, from line 2 on"),
        ("case,patient\na,1\n".encode("utf-16"), "is in UTF-16: save it as CSV in UTF-8"),
        (b"PK\x03\x04...", "is a spreadsheet"),
        (b"case,patient\na,\x001\n", "has a zero byte, in line 2"),
        (b"case,patient\na,1\nb,2\na,1\n", "line 4: 'a' has a row in line 2 already"),
        (b"case,patient\na,1\nb\n", "line 3: it has 1 cell, the first line has 2"),
        (b"case,patient\na,1,2\n", "line 2: it has 3 cells"),
        (b"case,patient\n,1\n", "line 2: it names no case"),
        (b'case,patient\na,"1\n', "line 2: unexpected end of data"),
        (b"case,site,site\na,1,2\n", "site is the name of several columns"),
        (b"case,Patient\na,1\n", "the column Patient is to be called patient"),
        (b"case,patient\n", "has no row"),
        (b"case,patient\na,1\x1b[2J\n", "line 2: patient has a control or invisible character"),
        ("case,patient\na,\u200b1\n".encode(), "line 2: patient has a control or invisible character"),
        ("case,patient\na,1\u00ad2\n".encode(), "line 2: patient has a control or invisible character"),
        ("case,\u200bpatient\na,1\n".encode(), "line 1"),
        (b"case,patient\na," + b"1" * 200 + b"\n", "more than 128 characters"),
        (b"case,patient\n" + b"x" * (17 << 20), "has more than 16 MiB"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    read = read_cases(data)
    assert read.table is None and words in "; ".join(read.problems), read


def test_all_wrong_lines_are_named() -> None:
    read = read_cases(b"case,patient\na,1\na,2\n,3\nb\n")
    assert [problem.split(":")[0] for problem in read.problems] == [f"cases.csv, line {line}" for line in (3, 4, 5)]


@pytest.mark.parametrize(("head", "words"), [("id,site", "has no column case"), ("Case,site", "is written otherwise")])
def test_somebody_elses_file_is_in_nobodys_way_until_it_is_asked_for(head: str, words: str) -> None:
    read = read_cases(f"{head}\na,b\n".encode())
    assert read.table is None and not read.problems and words in "; ".join(case_notes(read, TRAINING, TEST))
    (problem,) = column_problems(read, Asked(group_by="site"))
    assert problem.startswith("spec.splits.groupBy is site, and cases.csv, line 1") and words in problem


def test_columns_that_are_not_there() -> None:
    read = read_cases(b"case,patient,age\na,1,5\n")
    asked = Asked(group_by="patient", stratify_by="site", subgroups=("age", "scanner"))
    assert [problem.split(",")[0] for problem in column_problems(read, asked)] == [
        "spec.splits.stratifyBy is site",
        "spec.evaluation.subgroups[1] is scanner",
    ]
    assert "the dataset has no cases.csv" in column_problems(None, asked)[0]
    assert column_problems(None, Asked()) == []


FULL = "case,patient,site\nc0,1,A\nc1,2,A\nc2,3,B\nc3,4,B\nt0,5,A\n"


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        (FULL, Asked(), ""),
        (FULL.replace("c3,4,B\n", "").replace("t0,5,A\n", "03,5,A\n"), Asked(), "no row for 1 training case: c3 (it"),
        (FULL.replace("t0,5,A\n", ""), Asked(), "no row for 1 test case: t0"),
        ("case,site\nc0,A\nc1,A\nc2,B\nc3,B\n", Asked(stratify_by="site"), ""),
        ("case,site\nc0,A\n", Asked(), ""),
        (FULL.replace("2,A", ",A"), Asked(), "does not say patient of 1 case: c1 (line 3)"),
        (FULL.replace("2,A", "unknown,A"), Asked(), "does not say patient of 1 case: c1 (line 3)"),
        (FULL.replace("2,A", "2,NA"), Asked(leave_one_out="site"), ""),
        (FULL.replace("2,A", "2,"), Asked(), ""),
        (FULL.replace("2,A", "2,"), Asked(leave_one_out="site"), "does not say site of 1 case: c1"),
        (FULL.replace("2,A", "001,A"), Asked(), "patient has in line 2, line 3 what may be one value"),
        (FULL.replace("2,A", "1.0,A"), Asked(), "may be one value written in 2 ways"),
        (FULL.replace("2,A", "2,a"), Asked(subgroups=("site",)), "site has 'A' (line 2), 'a' (line 3)"),
        (FULL.replace("2,A", "2,a"), Asked(), ""),
    ],
)
def test_what_a_table_lacks(text: str, asked: Asked, words: str) -> None:
    told = said(text, asked)
    assert words in told and bool(words) == bool(told), told


@pytest.mark.parametrize("column", ["patient", "Subject_ID"])
def test_no_report_tells_patients_by_name(column: str) -> None:
    (problem,) = column_problems(read_cases(f"case,{column}\na,1\n".encode()), Asked(subgroups=(column,)))
    assert problem.startswith(f"spec.evaluation.subgroups[0] is {column}, which tells patients by name")


def test_several_test_cases_of_a_patient_are_noted() -> None:
    text = "case,patient\n" + "".join(f"{case},{case}\n" for case in TRAINING) + "".join(f"{c},same\n" for c in TEST)
    notes = list(case_notes(read_cases(text.encode()), TRAINING, TEST))
    counted = f"comparisons draw and test patients, so 1 of them count there, and not {len(TEST)} cases"
    assert [counted in note for note in notes] == [True] * (len(TEST) > 1)


@pytest.mark.parametrize(("patients", "few"), [(4, True), (5, False)])
def test_too_few_patients_for_a_verdict_are_noted_before_anything_trains(patients: int, few: bool) -> None:
    test = [f"t{place}" for place in range(20)]
    rows = [*((case, case) for case in TRAINING), *((case, f"p{place % patients}") for place, case in enumerate(test))]
    text = "case,patient\n" + "".join(f"{case},{patient}\n" for case, patient in rows)
    (note,) = case_notes(read_cases(text.encode()), TRAINING, test)
    assert f"so {patients} of them count there, and not 20 cases" in note
    remedy = "A verdict needs 5 at least: before anything trains, take a test set of more, or correct column patient"
    assert (remedy in note) == few


def test_names_that_stand_for_two_cases() -> None:
    told = "; ".join(content_problems(table(FULL), TRAINING, ("c0",), Asked()))
    assert "1 name stands for a training case and a test case: c0" in told


SPLITS = [{"train": ["c0", "c1"], "val": ["c2", "c3"]}, {"train": ["c2", "c3"], "val": ["c0", "c1"]}]


def test_patients_on_both_sides_are_told_by_their_cases_and_never_by_their_names() -> None:
    text = FULL.replace("c2,3,", "c2,Meyer,").replace("c0,1,", "c0,Meyer,").replace("t0,5,", "t0,Meyer,")
    (torn,) = torn_problems(table(text), SPLITS, Asked(), "set it right")
    assert "1 patient is on both sides of a fold" in torn and "c2 with c0 (fold 0, 1)" in torn and "Meyer" not in torn
    (leak,) = leaked_problems(table(text), TRAINING, TEST, Asked())
    assert "1 patient is in the test set" in leak and "t0 with c0, c2" in leak and "Meyer" not in leak
    assert not [
        *torn_problems(table(FULL), SPLITS, Asked(), ""),
        *leaked_problems(table(FULL), TRAINING, TEST, Asked()),
    ]


def test_other_columns_are_kept_together_where_they_are_asked_for() -> None:
    text = FULL.replace("patient", "subject").replace("c2,3,", "c2,1,")
    assert not list(torn_problems(table(text), SPLITS, Asked(), ""))
    assert list(torn_problems(table(text), SPLITS, Asked(group_by="subject"), ""))
    assert "nobody looks at the column subject" in "; ".join(case_notes(read_cases(text.encode()), TRAINING, TEST))


def test_rows_of_no_case_are_noted() -> None:
    notes = list(case_notes(read_cases((FULL + "x9,9,C\n").encode()), TRAINING, TEST))
    assert notes == ["cases.csv has 1 row of no training case and no test case: x9"]


TABLES = st.text("case,;\n\"'\t ab01", max_size=80).map(lambda text: f"case,{text}".encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | TABLES)
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes) -> None:
    read = read_cases(data)
    assert (read.table is None) == bool(read.problems or read.foreign)
