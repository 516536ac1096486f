"""numpy's numbers and arrays out of pickles that anybody may have written.

numpy makes them by a type that the pickle first makes and then changes: one that says of an array's bytes that they
are addresses of objects leads anywhere. So these stand for what such a pickle names, and take what numpy writes of
numbers.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

_CODE = re.compile("b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)")
_ORDERS = ("<", ">", "=", "|")


class NumberType:
    """Stands for numpy's dtype."""

    def __init__(self, code: Any = "", align: Any = False, copy: Any = True) -> None:
        if not (isinstance(code, str) and _CODE.fullmatch(code)) or align not in (False, 0) or copy not in (True, 1):
            raise pickle.UnpicklingError(f"it has numbers of type {code}"[:200])
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        """Take the order of the bytes, and nothing else."""
        version, order, *rest = state
        if (version, rest) != (3, [None, None, None, -1, -1, 0]) or order not in _ORDERS:
            raise pickle.UnpicklingError("it has numbers of an unusual type")
        self.dtype = self.dtype.newbyteorder(order)


class Array:
    """Stands for an array until the pickle is read to its end (`whole`)."""

    def __init__(self, *_arguments: Any) -> None:
        self.array = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        """Take what numpy writes of an array of numbers."""
        _version, shape, kind, by_columns, data = state
        self.array = _made(data, kind, shape, "F" if by_columns else "C")


def _made(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    lengths = shape if isinstance(shape, tuple) else (shape,)
    fits = isinstance(kind, NumberType) and all(type(length) is int and length >= 0 for length in lengths)
    if not (fits and isinstance(data, bytes | bytearray) and math.prod(lengths) * kind.dtype.itemsize == len(data)):
        raise pickle.UnpicklingError("it has an array of something else than numbers")
    # In memory of its own, which may be written to.
    return np.ndarray(lengths, kind.dtype, bytearray(data), order=order)


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """Return an array as pickle's protocol 5 has it."""
    if axes is not None:
        return _made(data, kind, shape, "C").transpose(axes)
    return _made(data, kind, shape, "F" if order == "F" else "C")


def _number(kind: Any, data: Any) -> Any:
    return _made(data, kind, (), "C")[()]


# numpy 1 has them in another module than numpy 2.
STAND_INS: dict[str, Any] = {"numpy.dtype": NumberType, "numpy.ndarray": Array} | {
    f"numpy.{core}.{name}": stands
    for core in ("core", "_core")
    for name, stands in {
        "multiarray.scalar": _number,
        "multiarray._reconstruct": Array,
        "numeric._frombuffer": _from_buffer,
    }.items()
}
"""What stands for what a pickle names, by that name."""


def whole(content: Any) -> Any:
    """Return what was read with arrays in the place of what stood for them. Dicts and lists are changed as they are."""
    return _whole(content, {})


def _whole(content: Any, seen: dict[int, Any]) -> Any:
    if isinstance(content, Array):
        return content.array
    # Once each: what contains itself, or the same over and over again, is as easily written as anything.
    if id(content) in seen or not isinstance(content, dict | list | tuple):
        return seen.get(id(content), content)
    seen[id(content)] = content
    if isinstance(content, dict):
        for key, value in content.items():
            content[key] = _whole(value, seen)
    elif isinstance(content, list):
        content[:] = [_whole(value, seen) for value in content]
    elif type(content) is tuple:
        seen[id(content)] = tuple(_whole(value, seen) for value in content)
    return seen[id(content)]
