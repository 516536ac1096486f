"""Averages as nnU-Net makes them."""

import json
import math
from pathlib import Path

import pytest

from nnunet_operator.core.facts import deviation
from nnunet_trainer.scoring import scores

NAN = math.nan


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"background": 0, "b": 2, "a": 1}, {"1": "a", "2": "b"}),
        ({"background": 0, "a": 1, "ignore": 2}, {"1": "a"}),
        ({"background": 0, "a": [1], "b": 2}, {"1": "a", "2": "b"}),
        (
            {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3},
            {"(1, 2, 3)": "whole", "(2, 3)": "core", "3": "enhancing"},
        ),
    ],
)
def test_class_names_by_nnunets_keys(labels: dict[str, object], names: dict[str, str]) -> None:
    assert scores.class_names(labels) == names
    assert list(scores.class_names(labels)) == list(names), "the order of nnU-Net's outputs"


@pytest.mark.parametrize(
    ("cases", "mean"),
    [
        ([], None),
        ([{"1": 0.5, "2": 0.7}], 0.6),
        ([{"1": 0.2, "2": 0.8}, {"1": 0.4, "2": NAN}], (0.3 + 0.8) / 2),
        ([{"1": 0.2, "2": NAN}], 0.2),
        ([{"1": NAN}], None),
    ],
)
def test_foreground_mean(cases: list[dict[str, float]], mean: float | None) -> None:
    assert scores.foreground_mean(cases) == (None if mean is None else pytest.approx(mean))


@pytest.mark.parametrize(
    ("values", "mean", "spread"),
    [
        ([], None, None),
        ([0.5], 0.5, None),
        ([0.5, 0.7], 0.6, 0.1 * math.sqrt(2)),
        ([0.5, 0.6, 0.7], 0.6, 0.1),
        ([0.5, None, 0.7], 0.6, 0.1 * math.sqrt(2)),
        ([0.5, NAN, None], 0.5, None),
        ([None, NAN], None, None),
    ],
)
def test_mean_and_spread_of_replicates(values: list[float | None], mean: float | None, spread: float | None) -> None:
    assert scores.mean(values) == (None if mean is None else pytest.approx(mean))
    assert scores.spread(values) == (None if spread is None else pytest.approx(spread))
    known = [value for value in values if value is None or math.isfinite(value)]
    assert deviation(known) == (None if spread is None else pytest.approx(spread)), "the status says the same"


def test_read_and_write(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    case = {"prediction_file": "/x/case_1.nii.gz", "metrics": {"1": {"Dice": 0.5, "IoU": 1}, "2": {"Dice": NAN}}}
    path.write_text(json.dumps({"metric_per_case": [case]}))
    found = scores.read_scores(path, ".nii.gz")
    assert list(found) == ["case_1"] and found["case_1"]["1"] == 0.5 and math.isnan(found["case_1"]["2"])
    labels = {"background": 0, "a": 1, "b": 2}
    assert scores.by_case(found, labels) == {"case_1": {"a": 0.5, "b": None}}
    assert scores.named_classes(scores.class_means(found.values()), labels) == {"a": 0.5}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"metric_per_case": [{"metrics": {}}]}'])
def test_a_summary_that_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(content)
    with pytest.raises(ValueError):
        scores.read_scores(path, ".nii.gz")
