"""Labels of a dataset.json by the rules of nnU-Net's LabelManager: one verdict for planning and command line. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnunet_api.dataset.regions import order_problems

IGNORE = "ignore"
"""nnU-Net's name for the label of voxels that nothing is learned from."""


def label_values(value: Any) -> frozenset[int]:
    """Return the numbers that make up a label; none where it is neither a whole number nor a list of them.

    As in nnU-Net's LabelManager, a list is a region, made up of several values.
    """
    try:
        return frozenset(_number(number) for number in (value if isinstance(value, list) else [value]))
    except (TypeError, ValueError, OverflowError):
        return frozenset()


def foreground(labels: Mapping[str, Any]) -> dict[str, frozenset[int]]:
    """Return the values of each class or region of labels that are in order, without background and ignore label."""
    named = {str(name): label_values(value) for name, value in labels.items() if name != IGNORE}
    return {name: values for name, values in named.items() if values != {0}}


def has_regions(labels: Mapping[str, Any]) -> bool:
    """Tell whether nnU-Net trains on regions: it does as soon as one label is a list of several values."""
    return any(isinstance(value, list) and len(value) > 1 for value in labels.values())


def label_problems(description: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the labels of a dataset.json, with the remedy.

    They map names to values from 0 on without a gap; a list is a region, made up of several values.
    """
    labels = description.get("labels")
    if not isinstance(labels, dict) or not labels:
        yield f'labels is {labels!r}, must give each name a value, such as {{"background": 0, "liver": 1}}'
        return
    background = labels.get("background")
    if background != 0 or isinstance(background, bool):
        hint = " (nnU-Net v1 had names and values the other way round)" if "0" in labels else ""
        yield f"labels.background is {background!r}, must be 0{hint}"
        return
    wrong = list(_name_problems(labels)) or list(_value_problems(labels)) or list(_set_problems(labels))
    yield from wrong
    if not wrong and has_regions(labels):
        yield from order_problems(foreground(labels), description.get("regions_class_order"))


def _name_problems(labels: Mapping[str, Any]) -> Iterator[str]:
    """Yield names by which no score could be told, and those of classes to learn that are meant for something else."""
    for name in labels:
        if not str(name).strip():
            yield f"labels has {name!r} for a name, by which nothing could be told of it: give it one"
        for meant in ("background", IGNORE):
            if str(name).strip().casefold() == meant != name:
                yield f"labels has {name!r}, which nnU-Net takes for a class to learn: write it {meant}"


def _value_problems(labels: Mapping[str, Any]) -> Iterator[str]:
    """Yield each label whose value is none."""
    regions = has_regions(labels)
    for name, value in labels.items():
        if name == IGNORE:
            continue
        if not label_values(value):
            yield f"labels.{name} is {value!r}, must be a whole number, or a list of whole numbers for a region"
        elif regions and not all(type(number) is int for number in (value if isinstance(value, list) else [value])):
            # nnU-Net takes "1" and 1.0 for 1 among plain labels only; as a region they would match no voxel.
            yield f"labels.{name} is {value!r}, must have whole numbers without quotes or fraction: labels has regions"


def _set_problems(labels: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the values as a whole, where each alone is right."""
    named = {name: label_values(value) for name, value in labels.items() if name != IGNORE}
    first: dict[frozenset[int], str] = {}
    for name, values in named.items():
        # nnU-Net takes two names of the same values for one class, and only one of them would get the scores.
        if (other := first.setdefault(values, name)) != name:
            yield (
                f"labels.{other} and labels.{name} are both {_listed(values)}: remove one, or give it a number of its "
                "own in dataset.json and in the label images"
            )
    if len(named) == 1:
        yield "labels has only background, and nothing to segment: add the structures, numbered from 1 on"
        return
    used = frozenset[int]().union(*named.values())
    # Counted without a range up to the highest: it may be any number.
    if (top := len(used)) and (min(used) != 0 or max(used) != top - 1):
        yield (
            f"labels has the values {_listed(used)}, must have those from 0 on without a gap: renumber them in "
            "dataset.json and in the label images"
        )
        return
    ignore = labels.get(IGNORE)
    if ignore is not None and (type(ignore) is not int or ignore != top):
        yield (
            f"labels.ignore is {ignore!r}, must be {top}, the number after the highest other label: renumber it in "
            "dataset.json and in the label images"
        )


def _number(value: Any) -> int:
    """Return a label's number; nnU-Net would cut 1.7 down to 1 and take true for 1."""
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


def _listed(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in sorted(values)[:20])
