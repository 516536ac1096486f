"""Whether the tensors of a checkpoint are as large as its pickle says. Pure; nothing that a pickle names is made.

torch reads the numbers of a tensor from a record of their own, and believes the pickle how many they are: of one that
says more than there are, it takes whatever lies behind them in the memory, and a training that goes on writes there.
"""

import pickle
import re
from typing import Any

from nnunet_api.pickled_keys import WeighedUnpickler
from nnunet_api.torch_file import TorchFile

_STORAGE = re.compile(r"torch(\.storage)?\.(\w+)Storage")
_BYTES = {
    **dict.fromkeys(("Untyped", "Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float", "QInt32"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""Of a number, by the name of torch's type of storage."""
_MOST_NAMES = 10_000
"""Of types and functions. A checkpoint of nnU-Net has ten."""


def require_whole_tensors(found: TorchFile) -> None:
    """Raise ValueError where a tensor has not as many numbers as is said, or what is wrong with the pickle."""
    try:
        _Reader(found).load()
    except ValueError:
        raise
    except pickle.UnpicklingError as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # whatever the bytes lead to
        raise ValueError(f"it is damaged: {type(error).__name__}: {error}"[:300]) from error


class _StandIn:
    """Stands for all that a pickle makes: takes anything, keeps nothing, and may be a key."""

    def __new__(cls, *_arguments: Any, **_named: Any) -> "_StandIn":
        return super().__new__(cls)

    def __init__(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def __setstate__(self, _state: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def extend(self, _values: Any) -> None:
        """As a list."""

    def append(self, _value: Any) -> None:
        """As a list."""

    def add(self, _value: Any) -> None:
        """As a set."""

    def update(self, _values: Any) -> None:
        """As a set."""


class _Reader(WeighedUnpickler):
    def __init__(self, found: TorchFile) -> None:
        super().__init__(found.data)
        self._sizes = found.records
        self._kinds: dict[str, type] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in of its own for each name. Raises UnpicklingError for too many: each takes a moment."""
        kind = f"{module}.{name}"
        if kind not in self._kinds:
            if len(self._kinds) >= _MOST_NAMES:
                raise pickle.UnpicklingError(f"it names more than {_MOST_NAMES} types and functions")
            self._kinds[kind] = type(kind, (_StandIn,), {})
        return self._kinds[kind]

    def persistent_load(self, pid: Any) -> Any:
        """Raise UnpicklingError for a tensor that is not as large as is said."""
        kind, key, count = (pid[1], pid[2], pid[4]) if isinstance(pid, tuple) and len(pid) > 4 else (None, None, None)
        storage = _STORAGE.fullmatch(kind.__name__) if isinstance(kind, type) else None
        each = _BYTES.get(storage[2]) if storage else None
        if each is None or not isinstance(key, str) or type(count) is not int:
            raise pickle.UnpicklingError("it has a tensor of a kind that torch does not write")
        if count < 0 or count * each != self._sizes.get(f"data/{key}"):
            raise pickle.UnpicklingError("it has a tensor with more or fewer numbers than it says")
        return _StandIn()
