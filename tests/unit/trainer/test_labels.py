"""Labels of a dataset.json as nnU-Net takes them."""

from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.labels import declared_labels
from nnunet_trainer.process.failures import TrainerError

PLAIN = {"background": 0, "anterior": 1, "posterior": 2}
TUMOR = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}


@pytest.mark.parametrize(
    ("description", "foreground", "values"),
    [
        pytest.param({"labels": PLAIN}, {"anterior": {1}, "posterior": {2}}, (0, 1, 2), id="plain"),
        pytest.param({"labels": PLAIN | {"ignore": 3}}, {"anterior": {1}, "posterior": {2}}, (0, 1, 2, 3), id="ignore"),
        pytest.param({"labels": {"background": 0, "a": [1]}}, {"a": {1}}, (0, 1), id="a list of one is no region"),
        pytest.param({"labels": {"background": 0, "a": 1.0}}, {"a": {1}}, (0, 1), id="a whole number as 1.0"),
        pytest.param({"labels": {"background": 0, "a": "1"}}, {"a": {1}}, (0, 1), id="a number as text"),
        pytest.param(
            {"labels": TUMOR, "regions_class_order": [1, 2, 3]},
            {"whole": {1, 2, 3}, "core": {2, 3}, "enhancing": {3}},
            (0, 1, 2, 3),
            id="regions",
        ),
        pytest.param(
            {"labels": TUMOR | {"ignore": 4}, "regions_class_order": [1, 2, 3]},
            {"whole": {1, 2, 3}, "core": {2, 3}, "enhancing": {3}},
            (0, 1, 2, 3, 4),
            id="regions and ignore",
        ),
    ],
)
def test_labels(description: dict[str, Any], foreground: dict[str, set[int]], values: tuple[int, ...]) -> None:
    labels = declared_labels(description)
    assert labels.foreground == foreground
    assert labels.values == values


@pytest.mark.parametrize(
    ("description", "says"),
    [
        pytest.param({"labels": ["a"]}, "must give each name a value", id="a list"),
        pytest.param(
            {"labels": {"0": "background"}}, r"background is None, must be 0 \(nnU-Net v1", id="of nnU-Net v1"
        ),
        pytest.param({"labels": {"background": 0, "a": 1, "b": 3}}, "has the values 0, 1, 3, must", id="gap"),
        pytest.param({"labels": {"background": 0, "a": 255}}, "has the values 0, 255, must", id="grey values"),
        pytest.param({"labels": {"background": 0, "a": -1}}, "has the values -1, 0, must", id="negative"),
        pytest.param({"labels": {"background": 0, "a": "left"}}, "a is 'left', must be a whole number", id="text"),
        pytest.param({"labels": {"background": 0, "a": 1.7}}, "a is 1.7, must be a whole number", id="a fraction"),
        pytest.param({"labels": {"background": 0, "a": [1, 2.5]}}, r"a is \[1, 2.5\], must be", id="region of one"),
        pytest.param({"labels": {"background": 0, "a": True}}, "a is True, must be a whole number", id="true"),
        pytest.param({"labels": {"background": 0, "a": float("inf")}}, "a is inf, must be", id="infinite"),
        pytest.param({"labels": {"background": False, "a": 1}}, "background is False, must be 0", id="false"),
        pytest.param({"labels": {"background": 0}}, "only background.*add the structures", id="background only"),
        pytest.param({"labels": {"background": 0, "ignore": 1}}, "only background", id="nothing but ignore"),
        pytest.param(
            {"labels": {"background": 0, "air": 0, "a": 1}},
            "background and labels.air are both 0: remove one",
            id="two names for the background",
        ),
        pytest.param({"labels": PLAIN | {"hind": 2}}, "posterior and labels.hind are both", id="two names for a label"),
        pytest.param(
            {"labels": TUMOR | {"all": [3, 2, 1]}, "regions_class_order": [1, 2, 3, 4]},
            "whole and labels.all are both 1, 2, 3",
            id="two names for a region",
        ),
        pytest.param({"labels": {"background": 0, "a": []}}, r"a is \[\], must be", id="nothing"),
        pytest.param({"labels": PLAIN | {"ignore": 255}}, "ignore is 255, must be 3, .* highest", id="ignore 255"),
        pytest.param({"labels": PLAIN | {"ignore": 1}}, "ignore is 1, must be 3", id="ignore is another label"),
        pytest.param({"labels": PLAIN | {"ignore": [3]}}, r"ignore is \[3\]", id="ignore is a region"),
        pytest.param(
            {"labels": TUMOR},
            "for each of whole, core, enhancing: ",
            id="no order of regions",
        ),
        pytest.param({"labels": TUMOR, "regions_class_order": [1, 2]}, r"order is \[1, 2\], must", id="short order"),
        pytest.param({"labels": TUMOR, "regions_class_order": [3, 2, 1]}, "exchanges labels: ", id="exchanged"),
        pytest.param(
            {"labels": {"background": 0, "a": "x", "b": None}},
            "labels.a is 'x'.*; labels.b is None",
            id="all at once",
        ),
        pytest.param(
            {"labels": {"background": 0, "all": [1, 2], "core": "2"}, "regions_class_order": [1, 2]},
            "labels.core is '2', must have whole numbers without quotes",
            id="a number as text among regions",
        ),
    ],
)
def test_what_nnunet_does_not_take(description: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainerError, match=says) as caught:
        declared_labels(description)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_cases_that_have_a_label() -> None:
    labels = declared_labels({"labels": TUMOR, "regions_class_order": [1, 2, 3]})
    assert labels.cases_with([(0, 1), (0, 2), (0,)]) == {"whole": 2, "core": 1, "enhancing": 0}
