"""Numbers that trainers report, made fit for the status: finite, bounded, free of noise."""

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
    """Return a string cut to a bounded length; None where it is absent."""
    return value[:LONGEST] if value is not None else None
