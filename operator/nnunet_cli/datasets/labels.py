"""Are the labels of a dataset.json those that nnU-Net's LabelManager takes? Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

_IGNORE = "ignore"


def label_problems(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong: names to values from 0 on without a gap; a list is a region, made up of several values."""
    labels = description.get("labels")
    if not isinstance(labels, dict) or not labels:
        yield f'labels is {labels!r}, must give each name a value, such as {{"background": 0, "liver": 1}}'
        return
    background = labels.get("background")
    if background != 0 or isinstance(background, bool):
        hint = " (nnU-Net v1 had names and values the other way round)" if "0" in labels else ""
        yield f"labels.background is {background!r}, must be 0{hint}"
        return
    named: dict[str, set[int]] = {}
    for name, value in labels.items():
        if name == _IGNORE:
            continue
        if not (values := _values(value)):
            yield f"labels.{name} is {value!r}, must be a whole number, or a list of whole numbers for a region"
            return
        if other := next((known for known, taken in named.items() if taken == values), None):
            yield f"labels.{other} and labels.{name} are both {_listed(values)}: remove one, or give it its own number"
            return
        named[name] = values
    if len(named) == 1:
        yield "labels has only background, and nothing to segment: add the structures, numbered from 1 on"
        return
    used = set().union(*named.values())
    if used != set(range(len(used))):
        yield f"labels has the values {_listed(used)}, must have those from 0 on without a gap: renumber them"
    elif _IGNORE in labels and (isinstance(labels[_IGNORE], bool) or labels[_IGNORE] not in (None, len(used))):
        yield f"labels.ignore is {labels[_IGNORE]!r}, must be {len(used)}, the number after the highest other label"
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        yield from _region_problems(description.get("regions_class_order"), named)


def _region_problems(order: Any, named: Mapping[str, set[int]]) -> Iterator[str]:
    foreground = [name for name, values in named.items() if values != {0}]
    if not isinstance(order, list) or len(order) != len(foreground):
        names = ", ".join(foreground)
        yield f"regions_class_order is {order!r}, must have a number for each of {names}: labels has regions"


def _values(value: Any) -> set[int]:
    try:
        return {_number(number) for number in (value if isinstance(value, list) else [value])}
    except (TypeError, ValueError, OverflowError):
        return set()


def _number(value: Any) -> int:
    """Return a label's number; nnU-Net would cut 1.7 down to 1 and take true for 1."""
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


def _listed(values: set[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)[:20])
