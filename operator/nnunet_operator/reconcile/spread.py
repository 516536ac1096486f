"""How far replicates are apart."""

import math
from collections.abc import Iterable


def spread(values: Iterable[float | None]) -> float | None:
    """Return the sample standard deviation (divided by n - 1, Bessel's correction); None below two values.

    With few replicates it is itself a rough estimate: with three, half or twice as much is nothing unusual.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    mean = math.fsum(known) / len(known)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1))
