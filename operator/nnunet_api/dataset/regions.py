"""Does regions_class_order write each label back as what it was? Pure.

nnU-Net predicts regions one by one and makes a segmentation of them by writing, in the order of labels, the number
that regions_class_order has for a region over what the region covers
(LabelManager.convert_probabilities_to_segmentation). So a voxel gets the number of the last region that holds its
label. Where that number lies in other regions than the label, even a perfect network gives a wrong segmentation, and
nothing fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Regions = Mapping[str, frozenset[int]]
"""Labels that make up each region, by its name, in the order of dataset.json."""


def order_problems(regions: Regions, order: Any) -> Iterator[str]:
    """Yield what is wrong with regions_class_order, with one that is right where there is one."""
    if not isinstance(order, list) or len(order) != len(regions):
        yield (
            f"regions_class_order is {order!r}, must have a number for each of {', '.join(regions)}: labels has "
            f"regions{_remedy(regions)}"
        )
        return
    if odd := [number for number in order if type(number) is not int]:
        yield f"regions_class_order has {', '.join(map(repr, odd))}, must have whole numbers{_remedy(regions)}"
        return
    wrong = list(_exchanged(regions, order))
    if wrong:
        yield f"regions_class_order {order} exchanges labels: {'; '.join(wrong)}{_remedy(regions)}"


def right_order(regions: Regions) -> list[tuple[str, int]] | None:
    """Return the regions with the number that each has to write, in an order that loses nothing; None without any.

    The order of labels stays as it is where it can.
    """
    left, reverse = dict(regions), list[tuple[str, int]]()
    labels = _labels(regions)
    while left:
        for name in reversed(left):
            # Whatever may come last, may: it only takes labels away from the others.
            own = [label for label in labels if label in left[name]]
            if len({_held_by(regions, label) for label in own}) <= 1:
                break
        else:
            return None
        reverse.append((name, min(own or left[name])))
        labels = [label for label in labels if label not in left[name]]
        del left[name]
    return reverse[::-1]


def _exchanged(regions: Regions, order: Sequence[int]) -> Iterator[str]:
    """Yield each label that is written as something else."""
    writes = dict(zip(regions, order, strict=True))
    for label in _labels(regions):
        holders = _held_by(regions, label)
        last = holders[-1]
        written = writes[last]
        theirs = _held_by(regions, written)
        if theirs == holders:
            continue
        what = f"which is in {' and '.join(theirs)}" if theirs else "which is in no region"
        yield f"label {label}, in {' and '.join(holders)}, is written as {written} by {last}, {what}"


def _remedy(regions: Regions) -> str:
    right = right_order(regions)
    if right is None:
        return (
            ". No order can tell all labels apart: a label that lies in several regions, none of which lies inside the "
            "others, needs a region of its own, after those in labels"
        )
    numbers = [number for _, number in right]
    if [name for name, _ in right] == list(regions):
        return f". Set regions_class_order to {numbers}"
    return f". List the regions of labels as {', '.join(name for name, _ in right)}, with regions_class_order {numbers}"


def _labels(regions: Regions) -> list[int]:
    return sorted(frozenset[int]().union(*regions.values()))


def _held_by(regions: Regions, label: int) -> tuple[str, ...]:
    """Return the regions that hold a label, in the order of labels."""
    return tuple(name for name, labels in regions.items() if label in labels)
