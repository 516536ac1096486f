"""The comparisons on public data: what they ask for is what their page says, and its commands do what it says."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.training import NnunetTrainingSpec

FOLDER = Path(__file__).parents[3] / "manifests" / "comparisons"
FILES = pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")


def spec_of(path: Path) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
    return spec


@FILES
def test_each_arm_is_a_training_of_so_many_epochs_with_three_seeds(path: Path) -> None:
    spec = spec_of(path)
    trainings = {
        arm["name"]: NnunetTrainingSpec.model_validate({**spec["template"]["spec"], **arm["patch"]})
        for arm in spec["arms"]
    }
    assert {name: one.schedule.epochs for name, one in trainings.items()} == {
        f"{epochs}-epochs": epochs for epochs in (1000, 100, 250, 500, 2000)
    }
    assert {(one.replicates, one.trainer.seed, len(one.folds)) for one in trainings.values()} == {(3, 1, 5)}
    epochs = sum(one.schedule.epochs * one.replicates * len(one.folds) for one in trainings.values())
    assert f"{epochs:,} epochs in all" in path.read_text(encoding="utf-8")
    tested = all(one.test_set for one in trainings.values())
    row = next(line for line in PAGE.splitlines() if f"({path.name})" in line)
    assert tested == ("`Indicative`" not in row), "without a test set no verdict is more"


@FILES
def test_each_is_a_comparison(path: Path) -> None:
    spec = NnunetComparisonSpec.model_validate(spec_of(path))
    assert spec.varies == ["schedule.epochs"] and spec.baseline_arm.name == "1000-epochs"


def test_every_fifth_case_is_held_out(tmp_path: Path) -> None:
    dataset = tmp_path / "nnUNet_raw" / "Dataset004_Hippocampus"
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (dataset / folder).mkdir(parents=True)
    for number in range(1, 13):
        (dataset / "imagesTr" / f"hippocampus_{number:03}_0000.nii.gz").touch()
        (dataset / "labelsTr" / f"hippocampus_{number:03}.nii.gz").touch()
    (dataset / "imagesTs" / "hippocampus_267_0000.nii.gz").touch()
    (dataset / "dataset.json").write_text(json.dumps({"labels": {}, "numTraining": 12, "numTest": 1}, indent=4))
    (script,) = [block for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S) if "labelsTs" in block]
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, check=True, timeout=120)
    assert sorted(path.name for path in (dataset / "labelsTs").iterdir()) == [
        "hippocampus_005.nii.gz",
        "hippocampus_010.nii.gz",
    ]
    assert sorted(path.name for path in (dataset / "imagesTs").iterdir()) == [
        "hippocampus_005_0000.nii.gz",
        "hippocampus_010_0000.nii.gz",
    ]
    assert len(list((dataset / "imagesTr").iterdir())) == len(list((dataset / "labelsTr").iterdir())) == 10
    assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 10
