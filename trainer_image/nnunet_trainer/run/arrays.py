"""numpy's numbers and arrays out of pickles that anybody may have written.

numpy makes them by a type that the pickle first makes and then changes: one that says of an array's bytes that they
are addresses of objects leads anywhere. So these stand for what such a pickle names, and take what numpy writes of
numbers and text.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

_CODE = re.compile("b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[US][0-9]{1,6}")
_ORDERS = ("<", ">", "=", "|")


class NumberType:
    """Stands for numpy's dtype, of numbers or of text: no text holds an address either."""

    def __init__(self, code: Any = "", align: Any = False, copy: Any = True) -> None:
        if not (isinstance(code, str) and _CODE.fullmatch(code)) or align not in (False, 0) or copy not in (True, 1):
            raise pickle.UnpicklingError(f"it has numbers of type {code}"[:200])
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        """Take the order of the bytes, and nothing else."""
        version, order, *rest = state
        if (version, rest) != (3, list(self.dtype.__reduce__()[2][2:])) or order not in _ORDERS:
            raise pickle.UnpicklingError("it has numbers of an unusual type")
        self.dtype = self.dtype.newbyteorder(order)

    # A type that a trainer class vouches for may hold it, where `whole` does not reach: it behaves, and is saved again,
    # as what it stands for.
    def __reduce__(self) -> Any:
        return self.dtype.__reduce__()

    def __eq__(self, other: object) -> bool:
        return bool(self.dtype == (other.dtype if isinstance(other, NumberType) else other))

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __getattr__(self, name: str) -> Any:
        if name == "dtype":  # made without __init__
            raise AttributeError(name)
        return getattr(self.dtype, name)


class Array(np.ndarray):
    """Stands for an array: is one itself, as `whole` does not reach into types that a trainer class vouches for."""

    def __new__(cls, *_arguments: Any) -> "Array":
        """Make an empty one, of whatever it is said to be made of."""
        return super().__new__(cls, (0,))

    def __setstate__(self, state: Any) -> None:
        """Take what numpy writes of an array of numbers or text."""
        _version, shape, kind, by_columns, data = state
        lengths = _lengths(data, kind, shape)
        # numpy would turn the bytes of another order around, and point to bytes that others may have as well.
        own = bytes(bytearray(data))
        super().__setstate__((1, lengths, kind.dtype.newbyteorder("="), bool(by_columns), own))  # type: ignore[arg-type]
        if not kind.dtype.isnative:
            self.dtype = kind.dtype  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be written as what it stands for."""
        return self.view(np.ndarray).__reduce_ex__(protocol)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """Let what is computed of it be as of what it stands for: a sum is a number."""
        made = array.view(np.ndarray)
        return made[()] if return_scalar else made


def _lengths(data: Any, kind: Any, shape: Any) -> tuple[int, ...]:
    lengths = shape if isinstance(shape, tuple) else (shape,)
    fits = isinstance(kind, NumberType) and all(type(length) is int and length >= 0 for length in lengths)
    # Text of no length has no bytes, however many there are.
    fits = fits and (kind.dtype.itemsize > 0 or not lengths)
    if not (fits and isinstance(data, bytes | bytearray) and math.prod(lengths) * kind.dtype.itemsize == len(data)):
        raise pickle.UnpicklingError("it has an array of something else than numbers and text")
    return lengths


def _made(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    # In memory of its own, which may be written to.
    return np.ndarray(_lengths(data, kind, shape), kind.dtype, bytearray(data), order=order)


def _from_buffer(data: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """Return an array as pickle's protocol 5 has it."""
    if axes is not None:
        return _made(data, kind, shape, "C").transpose(axes)
    return _made(data, kind, shape, "F" if order == "F" else "C")


def _number(kind: Any, data: Any) -> Any:
    return _made(data, kind, (), "C")[()]


def _no_bytes(*arguments: Any) -> bytes:
    """Return what pickle's protocol 2, which torch writes, has an array without elements made of."""
    if arguments:
        raise pickle.UnpicklingError("it has bytes made of something")
    return b""


# numpy 1 has them in another module than numpy 2.
STAND_INS: dict[str, Any] = {"numpy.dtype": NumberType, "numpy.ndarray": Array, "builtins.bytes": _no_bytes} | {
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
    """Return what was read, with numpy's own for what stood for it. Dicts and lists are changed as they are."""
    return _whole(content, {})


def _whole(content: Any, seen: dict[int, Any]) -> Any:
    if isinstance(content, Array):
        return content.view(np.ndarray)
    if isinstance(content, NumberType):
        return content.dtype
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
