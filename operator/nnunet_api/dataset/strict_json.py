"""JSON that people wrote by hand. Pure."""

import json
from collections.abc import Sequence
from typing import Any


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
        names = [name for name, _ in pairs]
        twice = sorted({name for name in found if names.count(name) > 1})
        raise ValueError(f"{', '.join(map(repr, twice[:5]))} is given twice in one object, and only one would count")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")
