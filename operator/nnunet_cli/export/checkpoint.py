"""What a checkpoint names, read as torch reads it; no name leads to anything, and nothing is imported or called. Pure.

Verification reads numbers past whatever else a trainer class, or a training's own image, has put into a checkpoint. Who
predicts with the model loads all of it, with nnU-Net's own commands and without any restriction.
"""

import pickle
import re
from collections.abc import Callable
from reprlib import repr as shortened
from typing import IO, Any

from nnunet_api.pickled_keys import WeighedUnpickler
from nnunet_api.torch_file import read_torch_file
from nnunet_api.torch_tensors import require_whole_tensors

_TORCHSCRIPT = "constants.pkl"
"""A record by which torch takes a file for a program."""
MOST_MIB = 256
"""Of data.pkl. That of 100,000 epochs has some 10 MB."""
_CODE = re.compile("b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)")
_USUAL = [None, None, None, -1, -1, 0]
_REMEDY = (
    "Who loads it with nnU-Net runs that, so it is not exported: look at the trainer class and its image. Where you "
    "trust them, copy the model folder from the claim"
)


class Strange(Exception):
    """A checkpoint holds what nnU-Net's own would not. The message says what, and what to do."""


class _Named:
    """Stands for a function or type: it may be called, and not be changed."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")


class _Thing:
    """Stands for a tensor, a number or what else is made and not changed afterwards."""

    def __init__(self, *_arguments: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("it changes a tensor or a number")


class _Ordered(dict[Any, Any]):
    def __init__(self, *_arguments: Any) -> None:
        super().__init__()

    def __setstate__(self, _state: Any) -> None:
        """Take the attributes that torch gives it."""


class _Type:
    """Stands for numpy's dtype. One that says of bytes that they are addresses of objects would lead anywhere."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if not (isinstance(code, str) and _CODE.fullmatch(code) and align in (False, 0) and copy in (True, 1)):
            raise pickle.UnpicklingError(
                f"it has numbers of type {code if isinstance(code, str) else shortened(code)}"[:100]
            )

    def __setstate__(self, state: Any) -> None:
        version, order, *rest = state
        if (version, rest) != (3, _USUAL) or order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("it has numbers of an unusual type")


class _Array(_Thing):
    def __setstate__(self, state: Any) -> None:
        _version, _shape, kind, _by_columns, data = state
        if not (isinstance(kind, _Type) and isinstance(data, bytes | bytearray)):
            raise pickle.UnpicklingError("it has an array of something else than numbers")


def _number(kind: Any, data: Any) -> _Thing:
    if not (isinstance(kind, _Type) and isinstance(data, bytes | bytearray)):
        raise pickle.UnpicklingError("it has a number that is none")
    return _Thing()


def _encoded(text: Any, _encoding: Any) -> bytes:
    # Of lists that hold each other twice, thirty deep, Python would write a billion words.
    if not isinstance(text, str):
        raise pickle.UnpicklingError("it has something else where a text belongs")
    return text.encode("latin1")


_KNOWN: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _Ordered,
    "_codecs.encode": _encoded,
    **{f"{module}.set": set for module in ("builtins", "__builtin__")},
    **{f"{module}.frozenset": frozenset for module in ("builtins", "__builtin__")},
    **{f"{module}.complex": _Thing for module in ("builtins", "__builtin__")},
    "numpy.dtype": _Type,
    "numpy.ndarray": _Thing,
    **{f"numpy.{core}.multiarray.scalar": _number for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _Array for core in ("core", "_core")},
    "torch._utils._rebuild_tensor_v2": _Thing,
    "torch._utils._rebuild_parameter": _Thing,
    "torch.device": _Thing,
    "torch.Size": _Thing,
}
_NUMBERS = re.compile(r"torch\.(storage\.)?([A-Z][A-Za-z0-9]*Storage|b?float\d+|u?int\d+|bool|complex\d+)")
"""torch's types of numbers, and of what holds them."""


class _Reader(WeighedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for what may be named. Raises UnpicklingError."""
        full = f"{module}.{name}"
        if full in _KNOWN:
            return _Named(_KNOWN[full])
        if _NUMBERS.fullmatch(full):
            return _Named(_Thing)
        raise pickle.UnpicklingError(f"it names {full}"[:200])

    def persistent_load(self, _pid: Any) -> Any:
        return _Thing()


def require_plain(path: str, file: IO[bytes]) -> None:
    """Raise Strange where a checkpoint (a file that can seek) names more than tensors, numbers and plain data."""
    try:
        found = read_torch_file(file, MOST_MIB << 20)
        if any(name.rpartition("/")[2].lower() == _TORCHSCRIPT for name in found.records):
            raise ValueError("torch would take it for a program")
        _Reader(found.data).load()
        require_whole_tensors(found)
    except Exception as error:  # a pickle can raise anything
        raise Strange(f"{path} can't be exported: {str(error) or type(error).__name__}. {_REMEDY}") from None
