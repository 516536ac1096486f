"""Are the steps of a postprocessing those that a status tells? It cuts long lists and long names short. Pure."""

import re
from collections.abc import Sequence

_MORE = re.compile(r"and ([0-9]{1,6}) more")
_SHORTEST = 32
"""Characters of a name that a long report has at least."""


def are_steps(told: Sequence[str], steps: Sequence[str]) -> bool:
    """Tell whether a status means these steps."""
    if len(told) == len(steps) and all(map(_is, told, steps)):
        return True
    more = _MORE.fullmatch(told[-1]) if told else None
    first = told[:-1]
    return more is not None and len(first) + int(more[1]) == len(steps) and all(map(_is, first, steps))


def _is(told: str, name: str) -> bool:
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name
    )  # as the operator writes it
    return told == shown or (len(told) >= _SHORTEST and shown.startswith(told))
