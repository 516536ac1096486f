"""Which trainings share a preprocessing result."""

from pathlib import Path
from typing import Any

import pytest

from nnunet_trainer.dataset.identity import dataset_hash, preprocessed_key, sources_hash
from tests.support.made_contracts import contract


def key(dataset: str = "d" * 64, version: str = "2.8.1", sources: str = "s" * 64, **changes: Any) -> str:
    return preprocessed_key(contract(**changes), dataset, version, sources)


def test_several_configurations_have_one_folder_in_whichever_order() -> None:
    several = key(configurations=["2d", "3d_fullres"], configuration="2d")
    assert several == key(configurations=["3d_fullres", "2d"], configuration="3d_fullres")
    assert several not in {key(configuration="2d"), key(configurations=["2d", "3d_lowres"], configuration="2d")}
    assert key(skipUnavailableConfigurations=True) == key()


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
        {"sources": "t" * 64},
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


def test_code_that_decides_what_preprocessing_gives(tmp_path: Path) -> None:
    for name in ("experiment_planning/planners/ours.py", "preprocessing/a.py", "imageio/b.py", "training/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1")
    plain = sources_hash(tmp_path)
    (tmp_path / "training/c.py").write_text("x = 2")
    (tmp_path / "imageio/b.pyc").write_text("compiled")
    assert sources_hash(tmp_path) == plain
    (tmp_path / "experiment_planning/planners/ours.py").write_text("x = 2")
    changed = sources_hash(tmp_path)
    (tmp_path / "imageio/reader.py").write_text("x = 1")
    assert len({plain, changed, sources_hash(tmp_path)}) == 3
