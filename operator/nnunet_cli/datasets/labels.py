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
    if labels.get("background") != 0:
        hint = " (nnU-Net v1 had names and values the other way round)" if "0" in labels else ""
        yield f"labels.background is {labels.get('background')!r}, must be 0{hint}"
        return
    named: dict[str, set[int]] = {}
    for name, value in labels.items():
        if name == _IGNORE:
            continue
        if not (values := _values(value)):
            yield f"labels.{name} is {value!r}, must be a number, or a list of numbers for a region"
            return
        named[name] = values
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
        return {int(number) for number in (value if isinstance(value, list) else [value])}
    except (TypeError, ValueError):
        return set()


def _listed(values: set[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)[:20])
