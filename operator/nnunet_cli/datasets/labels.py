"""Are the labels of a dataset.json those that nnU-Net's LabelManager takes? Pure."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

from nnunet_operator.api.dataset_labels import label_values

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
    named: dict[str, frozenset[int]] = {}
    for name, value in labels.items():
        if name == _IGNORE:
            continue
        if not (values := label_values(value)):
            yield f"labels.{name} is {value!r}, must be a whole number, or a list of whole numbers for a region"
            return
        if other := next((known for known, taken in named.items() if taken == values), None):
            yield f"labels.{other} and labels.{name} are both {_listed(values)}: remove one, or give it its own number"
            return
        named[name] = values
    if len(named) == 1:
        yield "labels has only background, and nothing to segment: add the structures, numbered from 1 on"
        return
    used = frozenset().union(*named.values())
    if used != set(range(len(used))):
        yield f"labels has the values {_listed(used)}, must have those from 0 on without a gap: renumber them"
    elif _IGNORE in labels and (isinstance(labels[_IGNORE], bool) or labels[_IGNORE] not in (None, len(used))):
        yield f"labels.ignore is {labels[_IGNORE]!r}, must be {len(used)}, the number after the highest other label"
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        yield from _region_problems(description.get("regions_class_order"), named)


def _region_problems(order: Any, named: Mapping[str, frozenset[int]]) -> Iterator[str]:
    foreground = [name for name, values in named.items() if values != {0}]
    if not isinstance(order, list) or len(order) != len(foreground):
        names = ", ".join(foreground)
        yield f"regions_class_order is {order!r}, must have a number for each of {names}: labels has regions"


def _listed(values: Set[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)[:20])
