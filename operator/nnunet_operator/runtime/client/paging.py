"""How many objects are asked for at once: as many as fit, by the size of those before. Pure.

A list is bounded by a number of objects alone, and one object may be a thousand times as large as another.
"""

FIRST = 25
"""Objects in the first page of a list."""
MOST = 250
WANTED_BYTES = 2 << 20
"""Of a page: some 20 MB once they are read."""
MOST_BYTES = 8 << 20
"""What is larger is not read to its end, but asked for in smaller pages."""


def after(limit: int, count: int, size: int) -> int:
    """Return how many objects to ask for after a page of `count` objects in `size` bytes."""
    fitting = WANTED_BYTES * max(count, 1) // max(size, 1)
    return max(1, min(MOST, 4 * limit, fitting))


def smaller(limit: int) -> int:
    """Return how many objects to ask for in the place of a page that was too large."""
    return max(1, limit // 4)
