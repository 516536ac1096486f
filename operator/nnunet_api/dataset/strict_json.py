"""JSON that people wrote by hand."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAX_BYTES = 64 << 20
"""Of a file. A dataset.json that names 100,000 cases one by one has some 20 MB; in memory it is ten times as much."""


def read_json(path: Path) -> Any:
    """Return what a file holds. Raises OSError, and ValueError as `parse_json` and `read_text` do."""
    return parse_json(read_text(path))


def read_text(path: Path) -> str:
    """Return the text of a file. Raises OSError, and ValueError for one of more than `MAX_BYTES` or not in UTF-8."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MiB, and no more are read")
    return data.decode("utf-8")


def parse_json(text: str) -> Any:
    """Return what a text holds.

    Raises ValueError also for what Python takes without a word: of a key that is given twice it keeps the last, NaN is
    no number to go on with, and text with half of a character can be written nowhere.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise ValueError(f"it has half of a character ({half}), which nothing can write") from None
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{', '.join(map(repr, twice[:5]))} is given twice in one object, and only one would count")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
