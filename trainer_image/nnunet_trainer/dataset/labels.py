"""The labels that a dataset.json declares. No torch in here."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_api.dataset.labels import IGNORE, foreground, label_problems, label_values
from nnunet_trainer.process.failures import wrong_data


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
    if problems := list(label_problems(description)):
        raise wrong_data(f"dataset.json: {'; '.join(problems)}")
    labels = description["labels"]
    used = sorted(frozenset[int]().union(*(label_values(value) for name, value in labels.items() if name != IGNORE)))
    if labels.get(IGNORE) is not None:
        used.append(len(used))
    return Labels(foreground(labels), tuple(used))
