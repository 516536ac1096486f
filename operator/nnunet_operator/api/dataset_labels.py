"""The values of labels in a dataset.json, as planning takes them and the command line checks them beforehand."""

from typing import Any


def label_values(value: Any) -> frozenset[int]:
    """Return the numbers that make up a label; none where it is neither a whole number nor a list of them.

    As in nnU-Net's LabelManager, a list is a region, made up of several values.
    """
    try:
        return frozenset(_number(number) for number in (value if isinstance(value, list) else [value]))
    except (TypeError, ValueError, OverflowError):
        return frozenset()


def _number(value: Any) -> int:
    """Return a label's number; nnU-Net would cut 1.7 down to 1 and take true for 1."""
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number
