"""The labels that a dataset.json declares, by the rules of nnU-Net's LabelManager. No torch in here."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_operator.api.dataset_labels import label_values
from nnunet_trainer.failures import wrong_data

_IGNORE = "ignore"


@dataclass(frozen=True)
class Labels:
    """Labels of a dataset, in nnU-Net's order."""

    foreground: Mapping[str, frozenset[int]]
    """Values that make up each class or region, by its name, without background and ignore label."""
    values: tuple[int, ...]
    """Every value that a label image may have: background, foreground, ignore label."""

    def cases_with(self, found: Iterable[Collection[int]]) -> dict[str, int]:
        """Return for each class or region how many of the cases have it; `found` has the values of each case."""
        cases = list(found)
        return {name: sum(not values.isdisjoint(case) for case in cases) for name, values in self.foreground.items()}


def declared_labels(description: Mapping[str, Any]) -> Labels:
    """Return the labels of a dataset.json. Raises TrainerError with WRONG_DATA for what nnU-Net does not take."""
    labels = description["labels"]
    if not isinstance(labels, dict) or not _is_zero(labels.get("background")):
        raise _wrong('they must map names to numbers, with "background": 0 (nnU-Net v1 had it the other way round)')
    named = {str(name): _values(str(name), value) for name, value in labels.items() if name != _IGNORE}
    _require_apart(named)
    foreground = {name: values for name, values in named.items() if values != {0}}
    if not foreground:
        raise _wrong("there is only background, and nothing to segment. Add the structures, numbered from 1 on")
    used = sorted(frozenset().union(*named.values()))
    if used != list(range(len(used))):
        missing = [value for value in range(max(used)) if value not in used]
        gap = f"{_numbers(missing)} missing" if missing else "they must not be negative"
        raise _wrong(
            f"they must be the numbers from 0 on without a gap, but are {_numbers(used)}: {gap}. Renumber them in "
            "dataset.json and in the label images"
        )
    _check_regions(description, foreground)
    ignore = labels.get(_IGNORE)
    if ignore is None:
        return Labels(foreground, tuple(used))
    if isinstance(ignore, bool) or ignore != len(used):
        raise _wrong(
            f"ignore is {ignore!r} and must be the number after the highest other label, {len(used)}. Renumber it in "
            "dataset.json and in the label images"
        )
    return Labels(foreground, (*used, len(used)))


def _is_zero(value: Any) -> bool:
    return value == 0 and not isinstance(value, bool)


def _require_apart(named: Mapping[str, frozenset[int]]) -> None:
    """Refuse two names for one class: nnU-Net takes them for one, and only one of them would get the scores."""
    first: dict[frozenset[int], str] = {}
    for name, values in named.items():
        other = first.setdefault(values, name)
        if other != name:
            raise _wrong(
                f"{other} and {name} are both {_numbers(sorted(values))}. Remove one of the two, or give it a number "
                "of its own in dataset.json and in the label images"
            )


def _values(name: str, value: Any) -> frozenset[int]:
    values = label_values(value)
    if not values:
        raise _wrong(f"{name} is {value!r} and must be a whole number, or a list of whole numbers for a region")
    return values


def _check_regions(description: Mapping[str, Any], foreground: Mapping[str, frozenset[int]]) -> None:
    if not any(isinstance(value, list) and len(value) > 1 for value in description["labels"].values()):
        return
    order = description.get("regions_class_order")
    if not isinstance(order, list) or len(order) != len(foreground):
        told = f"has {len(order)}" if isinstance(order, list) else "is missing"
        raise _wrong(
            f"with regions, regions_class_order must have a number for each of {', '.join(foreground)}; it {told}"
        )


def _numbers(values: Iterable[int]) -> str:
    first = [str(value) for _, value in zip(range(20), values, strict=False)]
    return ", ".join(first)


def _wrong(reason: str) -> Exception:
    return wrong_data(f"labels of dataset.json: {reason}")
