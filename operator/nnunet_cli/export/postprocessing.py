"""The steps of a postprocessing.pkl, by the names that the status has of them. Pure; nothing is imported or called.

nnU-Net's determine_postprocessing (2.8.1) writes two lists: functions, of which there is one, and their arguments. An
argument is a label, a region or all foreground labels. Labels are numbers of numpy's: so its types are named, too.
"""

import pickle
import re
from collections.abc import Mapping, Sequence
from reprlib import repr as shortened
from typing import Any

from nnunet_api.dataset.labels import foreground, label_values
from nnunet_api.pickled_keys import WeighedUnpickler

ALL_FOREGROUND = "all foreground"
"""In the status, in the place of a class: all of them together."""
_STEP = ("nnunetv2.postprocessing.remove_connected_components", "remove_all_but_largest_component_from_segmentation")
"""The only function that nnU-Net's choice of a postprocessing names."""
_SCALARS = (("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar"))
_DTYPE = ("numpy", "dtype")
_ORDERS = {"<": "little", "|": "little", ">": "big"}


class _Function:
    """Stands for the function, of which nothing can be changed."""

    def __setstate__(self, state: Any) -> None:
        """Refuse it: a pickle could give the function other defaults."""
        raise pickle.UnpicklingError("it changes the function")


_FUNCTION = _Function()


class _Dtype:
    """Stands for numpy's type of a number, and takes what numpy writes of such a type alone."""

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        if not re.fullmatch("[iu][1248]", code) or align is not False or copy is not True:
            raise pickle.UnpicklingError(f"it has a number of type {code}")
        self.signed, self.order = code.startswith("i"), ""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the order of the bytes."""
        version, order, *rest = state
        if (version, rest) != (3, [None, None, None, -1, -1, 0]) or order not in _ORDERS:
            raise pickle.UnpicklingError("it has a number of an unusual type")
        self.order = _ORDERS[order]


def _scalar(dtype: _Dtype, data: bytes) -> int:
    return int.from_bytes(data, "big" if dtype.order == "big" else "little", signed=dtype.signed)


class _Reader(WeighedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in for what may be named. Raises UnpicklingError."""
        if (module, name) == _STEP:
            return _FUNCTION
        if (module, name) in _SCALARS:
            return _scalar
        if (module, name) == _DTYPE:
            return _Dtype
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def read_steps(data: bytes) -> list[Any]:
    """Return of what each step keeps the largest component: a label, a region (tuple) or a list of labels.

    Raises ValueError for anything else.
    """
    try:
        functions, arguments = _Reader(data).load()
        whole = all(one is _FUNCTION for one in functions) and all(isinstance(one, dict) for one in arguments)
        if whole and len(functions) == len(arguments) and all(set(one) == {"labels_or_regions"} for one in arguments):
            return [one["labels_or_regions"] for one in arguments]
    except Exception as error:  # a pickle can raise anything
        raise ValueError(str(error) or type(error).__name__) from None
    raise ValueError("it holds something else")


def named_steps(steps: Sequence[Any], labels: Any) -> list[str]:
    """Return the names of the steps by `labels` of dataset.json. Raises ValueError where one has none."""
    classes = foreground(labels) if isinstance(labels, Mapping) else {}
    names = {values: name for name, values in classes.items()}
    every = frozenset[int]().union(*names) - {0}
    found = []
    for step in steps:
        values = label_values(list(step) if isinstance(step, (list, tuple)) else step)
        name = (ALL_FOREGROUND if values == every else None) if isinstance(step, list) else names.get(values)
        if not values or name is None:
            raise ValueError(
                f"it keeps the largest component of {shortened(step)[:80]}, which dataset.json has no name for"
            )
        found.append(name)
    return found
