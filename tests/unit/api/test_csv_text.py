"""What spreadsheets make of our CSV, whichever sign separates cells where they are opened."""

import csv
import io
from pathlib import Path

import pytest

from nnunet_api.csv_text import csv_text, harmless

ROOT = Path(__file__).parents[3]
FORMULAS = ("=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\uff1d1+1", "\uff0bA1", "\uff0d1-1", "\uff20SUM(1)")
BEFORE = ("", " ", "  ", '"', '""', "\x00", "\u00a0", "\ufeff", "\u200b", ' " ', "\x0b")
AFTER = ("", "a", ";", "\t", "\n", "\r", "\r\n", "a;", "a;b;", "a\t", "a\n", ";;", "\t\t", ",", "a,", 'a"', "'", '";"')


def cells(text: str, separator: str, quotes: bool) -> list[str]:
    """Return all cells as somebody reads them who goes by that separator."""
    lines = io.StringIO(text.replace("\x00", ""), newline="")
    if quotes:
        return [cell for row in csv.reader(lines, delimiter=separator) for cell in row]
    return [cell for row in csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE) for cell in row]


def shown(cell: str) -> str:
    """Return a cell without what a reader may pass over before it looks for a formula."""
    return cell.strip(' "\t\r\n\x0b\x0c\u00a0\u200b\u3000\ufeff')


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("before", BEFORE)
def test_no_cell_begins_with_a_formula_whatever_separates_cells(formula: str, before: str) -> None:
    for after in AFTER:
        text = csv_text([["title", "other"], ["x", f"{after}{before}{formula}"], [f"{after}{before}{formula}", "x"]])
        for separator, quotes in ((",", True), (";", True), (";", False), ("\t", True), ("\t", False)):
            for cell in cells(text, separator, quotes):
                assert not shown(cell).startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")), text


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_cell_that_could_be_a_formula(first: str) -> None:
    assert harmless(f"{first}a") == f"'{first}a"
    assert harmless(f"a{first}") == f"a{first}"


@pytest.mark.parametrize(
    "cell",
    ["", "-1", "+2", "-0.0123", "-1e-05", "a-b", "clinical@3 Enforce Allowed; house@1 Warn", "0:c0; 1:c1", "a, -b"],
)
def test_numbers_and_texts_stay_as_they_are(cell: str) -> None:
    assert harmless(cell) == cell


def test_what_is_harmless_stays_as_it_is() -> None:
    for cell in (f"{after}{before}{formula}" for after in AFTER for before in BEFORE for formula in FORMULAS):
        assert harmless(harmless(cell)) == harmless(cell)


def test_nothing_else_writes_csv() -> None:
    product = [path for part in ("operator", "trainer_image") for path in (ROOT / part).rglob("*.py")]
    writers = {path.name for path in product if "csv.writer" in (text := path.read_text()) or "DictWriter" in text}
    assert writers == {"csv_text.py"}
