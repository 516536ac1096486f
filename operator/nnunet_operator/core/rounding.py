"""What trainers report, made fit for the status: finite, bounded, free of noise and of control characters."""

import math

from nnunet_api.facts import MAX_COUNT

SIGNIFICANT_DIGITS = 5
LONGEST = 512
"""Characters of a string that a trainer reports."""


def number(value: float | None) -> float | None:
    """Return `value` to 5 significant digits; None where it is absent, infinite or not a number."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def dice(value: float | None) -> float | None:
    """Return a Dice coefficient, or None where it is absent or not in 0 to 1."""
    rounded = number(value)
    return rounded if rounded is not None and 0 <= rounded <= 1 else None


def count(value: int | None) -> int | None:
    """Return a count, or None where it is absent, negative or absurd."""
    return value if value is not None and 0 <= value <= MAX_COUNT else None


def text(value: str | None) -> str | None:
    """Return a string cut to a bounded length and without control characters; None where it is absent."""
    return harmless(value[:LONGEST]) if value is not None else None


def harmless(value: str) -> str:
    """Return a text without what would tell a terminal what to do, or turn the direction of writing."""
    return value if value.isprintable() else "".join(char if char.isprintable() else "�" for char in value)
