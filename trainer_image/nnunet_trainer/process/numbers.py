"""Numbers as JSON can say them."""

import math


def number(value: float | None) -> float | None:
    """Return the value as a plain float, None where it is missing or not finite (JSON knows no NaN)."""
    return float(value) if value is not None and math.isfinite(value) else None
