"""The plain data in a checkpoint - counters, names, histories - read without torch, its tensors left alone.

A checkpoint is a zip file whose data.pkl is a pickle. torch's own restricted reader has been broken out of before, and
which torch there is, is the base image's. Where nothing but numbers is wanted, Python's reader does, in which no name
leads to anything: all that a pickle can call are the stand-ins below, made anew for each file.
"""

import math
import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nnunet_api.pickled_keys import WeighedUnpickler
from nnunet_api.torch_file import read_torch_file

_AXES, _LONGEST_AXIS = 64, 2**63
"""More no tensor has, and to multiply larger numbers fills the memory."""
_NUMPY = {"f2": "e", "f4": "f", "f8": "d", "i4": "i", "i8": "q", "b1": "?"}
"""numpy's types of numbers, as struct has them."""
_SYSTEM = ("nt", "os", "posix", "subprocess", "sys")
"""They would lead to nothing either. But no trainer keeps them, and people load the checkpoint by other means later."""


def load_plain(path: Path, longest_bytes: int | None = None) -> Any:
    """Return the contents of the checkpoint, with stand-ins that hold nothing for all that is no plain data.

    In memory they may be a dozen times as large as the record, of which `longest_bytes` is the limit.
    Raises ValueError for a file that is none, is damaged, or lacks a tensor; OSError where it can't be read.
    """
    try:
        with path.open("rb") as file:
            found = read_torch_file(file, longest_bytes)
        return _reader(found.data, lambda key: f"data/{key}" in found.records).load()
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a pickle of somebody's choice can raise what it likes
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _stand_ins() -> tuple[type, Mapping[str, Any]]:
    """Return what stands for all that is no plain data, and by their names what stands for what is looked at."""

    class StandIn(dict[Any, Any]):
        """Keeps nothing, does nothing."""

        def __new__(cls, *_args: Any, **_kwargs: Any) -> "StandIn":
            return super().__new__(cls)

        def __init__(self, *_args: Any, **_kwargs: Any) -> None:
            super().__init__()

        def __setstate__(self, _state: Any) -> None:
            """Take any."""

    class Tensor(StandIn):
        """Of a tensor, how many numbers it has."""

        def __init__(self, _storage: Any = None, _offset: Any = 0, size: Any = (), *_more: Any) -> None:
            super().__init__()
            is_size = isinstance(size, tuple) and len(size) <= _AXES
            is_size = is_size and all(type(length) is int and 0 <= length < _LONGEST_AXIS for length in size)
            self._numbers = math.prod(size) if is_size else 0

        def numel(self) -> int:
            """Return it, as torch's tensors do."""
            return self._numbers

    class Ordered(dict[Any, Any]):
        """Keeps what is in it, but for the attributes that torch gives it."""

        def __setstate__(self, _state: Any) -> None:
            """Take any."""

    class NumberType:
        """numpy's dtype, of which its name and its order of bytes count."""

        def __init__(self, name: Any, *_args: Any) -> None:
            self.form, self.order = _NUMPY.get(_text(name)), "<"

        def __setstate__(self, state: Any) -> None:
            self.order = ">" if state[1] == ">" else "<"

    def number(kind: Any, value: Any) -> Any:
        return struct.unpack(kind.order + kind.form, value)[0] if kind.form else StandIn()

    def encoded(text: Any, _encoding: Any) -> bytes:
        """Return bytes, which older pickles hold as text."""
        return _text(text).encode("latin1")

    return StandIn, {
        "torch._utils._rebuild_tensor_v2": Tensor,
        "collections.OrderedDict": Ordered,
        "_codecs.encode": encoded,
        "numpy.dtype": NumberType,
        # numpy 1 has it in another module than numpy 2.
        "numpy.core.multiarray.scalar": number,
        "numpy._core.multiarray.scalar": number,
    }


def _text(value: Any) -> str:
    """Return a text. Of lists that hold each other twice, thirty deep, Python would write a billion words."""
    if not isinstance(value, str):
        raise pickle.UnpicklingError("it has something else where a text belongs")
    return value


def _reader(data: bytes, has_tensor: Callable[[str], bool]) -> WeighedUnpickler:
    """Return a reader of a pickle. What it calls is its own: a pickle may change what it is given."""
    stand_in, known = _stand_ins()

    class Reader(WeighedUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            if module in _SYSTEM:
                raise pickle.UnpicklingError(f"it would call {module}.{name}"[:200])
            return known.get(f"{module}.{name}", stand_in)

        def persistent_load(self, pid: Any) -> Any:
            if not (isinstance(pid, tuple) and len(pid) > 2 and has_tensor(_text(pid[2]))):
                raise pickle.UnpicklingError("a tensor of it is missing")
            return stand_in()

    return Reader(data)
