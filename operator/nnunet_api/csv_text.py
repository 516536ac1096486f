"""CSV that no spreadsheet takes for more than text and numbers. Everything that writes CSV writes it by this."""

import csv
import io
import re
from collections.abc import Iterable

_IGNORED = ' "\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00a0\u200b\u3000\ufeff'
_FORMULA = re.compile(rf"^(?=[\t\r\n])|(^|[;\t\r\n])(?=[{_IGNORED}]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a cell begins that may be taken for a formula: at the start, and behind what separates cells elsewhere.

Where the decimal sign is a comma, spreadsheets split lines at semicolons, pasted text is split at tabs, and quotes keep
neither. Blanks, quotes and what is not shown may stand before a formula, and Asian ones begin with wide signs. A comma
need not be looked at: cells with one are quoted, and where quotes don't count it separates nothing.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def csv_text(rows: Iterable[Iterable[str]]) -> str:
    """Return a line for each row; the first is that of the titles."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def cleaned(text: str) -> str:
    """Return CSV of somebody else's as this would have written it. Raises ValueError for what is none."""
    try:
        return csv_text(csv.reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise ValueError(str(error)) from None


def harmless(cell: str) -> str:
    """Return a cell in which nothing is taken for a formula: names and tickets come from other people.

    An apostrophe stands before what could be one. Numbers stay numbers, negative ones too.
    """
    return cell if _NUMBER.fullmatch(cell) else _FORMULA.sub(r"\1'", cell)
