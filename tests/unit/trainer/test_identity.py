"""Which trainings share a preprocessing result."""

from pathlib import Path
from typing import Any

import pytest

from nnunet_trainer.identity import dataset_hash, preprocessed_key
from tests.unit.trainer.builders import contract


def key(dataset: str = "d" * 64, version: str = "2.8.1", **changes: Any) -> str:
    return preprocessed_key(contract(**changes), dataset, version)


def test_the_name_says_the_dataset() -> None:
    name, digits = key().rsplit("-", 1)
    assert name == "Dataset004_Hippocampus"
    assert len(digits) == 16 and int(digits, 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other", "uid": "fedcba98", "namespace": "elsewhere"},
        {"folds": ["0"]},
        {"schedule": {"epochs": 250}},
        {"trainerClass": "nnUNetTrainerDA5"},
        {"processes": 2, "device": "cpu"},
        {"testSet": {}},
    ],
    ids=str,
)
def test_what_does_not_matter_to_preprocessing(changes: dict[str, Any]) -> None:
    assert key(**changes) == key()


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "e" * 64},
        {"version": "2.8.2"},
        {"configuration": "2d"},
        {"planning": {"planner": "nnUNetPlannerResEncM"}},
        {"planning": {"gpuMemoryTargetGB": 24}},
        {"planning": {"configurations": {"big": {"inherits_from": "3d_fullres", "batch_size": 4}}}},
    ],
    ids=str,
)
def test_what_matters(changes: dict[str, Any]) -> None:
    assert key(**changes) != key()


def test_dataset_hash_covers_names_and_contents(tmp_path: Path) -> None:
    files = {}
    for name, text in {"a": "1", "b": "2"}.items():
        files[name] = tmp_path / name
        files[name].write_text(text)
    plain = dataset_hash(files, workers=2)
    assert dataset_hash(dict(reversed(files.items())), workers=1) == plain
    assert dataset_hash({"a": files["a"], "c": files["b"]}, workers=2) != plain
    assert dataset_hash({"a": files["b"], "b": files["a"]}, workers=2) != plain
    files["b"].write_text("3")
    assert dataset_hash(files, workers=2) != plain
