"""regions_class_order is taken if and only if a perfect network's segmentation comes out as it was."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnunet_api.dataset.regions import order_problems, right_order

NESTED = {"whole": [1, 2, 3], "core": [1, 3], "enhancing": [3]}
"""BraTS: 1 necrosis, 2 oedema, 3 enhancing tumour."""


def regions_of(lists: Mapping[str, Sequence[int]]) -> dict[str, frozenset[int]]:
    return {name: frozenset(labels) for name, labels in lists.items()}


def written(regions: Mapping[str, frozenset[int]], order: Sequence[int], label: int) -> int:
    """Return what nnU-Net's convert_probabilities_to_segmentation writes for a voxel that is predicted rightly."""
    value = 0
    for region, number in zip(regions.values(), order, strict=True):
        if label in region:
            value = number
    return value


def loses_nothing(regions: Mapping[str, frozenset[int]], order: Sequence[int]) -> bool:
    labels = {0}.union(*regions.values())
    return all(
        (label in region) == (written(regions, order, label) in region)
        for label in labels
        for region in regions.values()
    )


@pytest.mark.parametrize(
    ("lists", "order", "said"),
    [
        pytest.param(NESTED, [2, 1, 3], "", id="nnU-Net's own example"),
        pytest.param(
            {"whole": [1, 2], "core": [1]},
            [1, 2],
            "regions_class_order [1, 2] exchanges labels: label 1, in whole and core, is written as 2 by core, which "
            "is in whole; label 2, in whole, is written as 1 by whole, which is in whole and core. Set "
            "regions_class_order to [2, 1]",
            id="the numbers in order",
        ),
        pytest.param(
            NESTED,
            [1, 2, 3],
            "label 1, in whole and core, is written as 2 by core, which is in whole",
            id="1, 2, 3 for regions of other labels",
        ),
        pytest.param(
            {"whole": [1, 2], "core": [1]},
            [2, 4],
            "label 1, in whole and core, is written as 4 by core, which is in no region",
            id="a label that does not exist",
        ),
        pytest.param({"whole": [1, 2], "core": [1]}, [2, 0], "written as 0 by core, which is in no region", id="0"),
        pytest.param({"whole": [1, 2], "core": [1]}, [2, "1"], "has '1', must have whole numbers", id="text"),
        pytest.param({"whole": [1, 2], "core": [1]}, [2, True], "has True, must have whole numbers", id="true"),
        pytest.param({"whole": [1, 2], "core": [1]}, [[2], 1], "has [2], must have whole numbers", id="a list"),
        pytest.param(
            {"core": [1], "whole": [1, 2]},
            [1, 2],
            "label 1, in core and whole, is written as 2 by whole, which is in whole. List the regions of labels as "
            "whole, core, with regions_class_order [2, 1]",
            id="the small one first",
        ),
        pytest.param(
            {"left": [1, 2], "right": [2, 3]},
            [1, 3],
            "No order can tell all labels apart",
            id="regions that overlap",
        ),
        pytest.param({"left": [1, 2], "right": [2, 3], "both": [2]}, [1, 3, 2], "", id="an overlap of its own"),
    ],
)
def test_orders(lists: dict[str, list[int]], order: list[Any], said: str) -> None:
    problems = "; ".join(order_problems(regions_of(lists), order))
    assert said in problems and bool(said) == bool(problems), problems


REGIONS = st.lists(st.frozensets(st.integers(0, 4), min_size=1), min_size=1, max_size=4, unique=True).map(
    lambda found: {f"r{number}": labels for number, labels in enumerate(found)}
)


@given(REGIONS, st.lists(st.integers(0, 5), min_size=4, max_size=4))
@example(regions_of({"r0": [0, 1], "r1": [1]}), [0, 1, 0, 0])
def test_taken_if_and_only_if_nothing_is_lost(regions: dict[str, frozenset[int]], numbers: list[int]) -> None:
    order = numbers[: len(regions)]
    assert loses_nothing(regions, order) == (not list(order_problems(regions, order)))


@given(REGIONS)
def test_an_order_is_proposed_if_and_only_if_there_is_one(regions: dict[str, frozenset[int]]) -> None:
    proposed = right_order(regions)
    if proposed is not None:
        sorted_regions = {name: regions[name] for name, _ in proposed}
        assert sorted(sorted_regions) == sorted(regions)
        assert loses_nothing(sorted_regions, [number for _, number in proposed])
        return
    for names in itertools.permutations(regions):
        arranged = {name: regions[name] for name in names}
        for order in itertools.product(range(5), repeat=len(names)):
            assert not loses_nothing(arranged, order)
