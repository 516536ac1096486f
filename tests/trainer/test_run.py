"""The whole way: plan, train, evaluate, and prediction without this project."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import FACTS_PATH, ServedFacts
from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.metrics import Metric
from nnunet_trainer.run.paths import FINAL, LATEST
from nnunet_trainer.training.checkpoints import finished_epochs
from tests.trainer import tiny_dataset
from tests.trainer.world import World, make_world, scrape, truncate

SCHEDULE = {"epochs": 4, "iterationsPerEpoch": 30, "validationIterationsPerEpoch": 4, "initialLearningRate": 0.02}


USER = 1_000_660_000
"""As OpenShift assigns them: of group 0, without a name and without a home."""


@pytest.fixture(scope="module")
def trained(planned: World) -> Iterator[World]:
    """Both folds trained and evaluated: the whole way once as the pods go it, and as any user."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # nobody else may enter pytest's own
        Path(folder).chmod(0o755)
        world = planned.copy(Path(folder) / "world").but(schedule=SCHEDULE, seed=5)
        subprocess.run(["chown", "-R", f"{USER}:0", folder], check=True)
        pod = replace(world.anew().with_env(HOME="/"), user=USER)
        command = pod.start("train", "--fold", "0")
        command.wait_until(world.begun(3), "the third epoch")
        (world.root / "scrape.txt").write_text(scrape(world))
        (world.root / "facts.json").write_text(scrape(world, FACTS_PATH))
        assert command.end().code == 0, command.log()
        for arguments in (("train", "--fold", "1"), ("verify",), ("evaluate",)):
            ended = pod.finish(*arguments)
            assert ended.code == 0, ended.log
            assert "Permission denied" not in ended.log, ended.log
        yield world


def test_what_an_assigned_user_makes_is_its_own(trained: World) -> None:
    finals, drawn = (list(trained.run.rglob(name)) for name in ("checkpoint_final.pth", "progress.png"))
    assert len(finals) == len(drawn) == 2 and drawn[0].read_bytes().startswith(b"\x89PNG")
    assert {path.stat().st_uid for path in trained.run.rglob("*")} == {USER}


def test_metrics_while_it_trains(trained: World) -> None:
    text = (trained.root / "scrape.txt").read_text()
    labels = 'fold="0",namespace="tests",training="tiny"'
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}
    ordinary = {key.split("{")[0]: value for key, value in values.items()}
    assert ordinary[Metric.EPOCH] >= 2
    assert ordinary[Metric.EPOCHS_TARGET] == 4
    assert ordinary[Metric.CHECKPOINT_EPOCH] == ordinary[Metric.EPOCH]
    assert (ordinary[Metric.ATTEMPTS], ordinary[Metric.LOST_EPOCHS]) == (1, 0)
    assert ordinary[f"{Metric.EPOCH_DURATION}_count"] == ordinary[Metric.EPOCH]
    assert 0 < ordinary[Metric.LEARNING_RATE] <= 0.02
    assert ordinary[Metric.LAST_EPOCH_TIMESTAMP] >= ordinary[Metric.CHECKPOINT_TIMESTAMP] - 1 > 1.7e9
    for wanted in ('split="train"', 'split="validation"', 'label="shell"', 'label="core"', 'configuration="3d_tiny"'):
        assert any(wanted in key for key in values), wanted
    assert all(label in text for label in labels.split(","))


def test_facts_while_it_trains(trained: World) -> None:
    served = ServedFacts.of((trained.root / "facts.json").read_bytes())
    facts = served.facts
    assert (served.uid, facts.fold, facts.epochs_target) == (trained.contract.uid, "0", 4)
    assert 2 <= facts.epoch == facts.checkpoint_epoch
    assert (facts.attempts, facts.lost_epochs, facts.nonfinite_loss_epochs) == (1, 0, 0)
    assert facts.last_epoch_time is not None and facts.last_epoch_time.year >= 2024
    assert facts.early_stopping is not None and facts.provenance is not None
    for name in ("training_loss", "validation_loss", "ema_pseudo_dice", "best_ema_pseudo_dice", "learning_rate"):
        assert getattr(facts, name) is not None, name
    for name in ("epoch_seconds", "median_epoch_seconds", "held_seconds"):
        assert getattr(facts, name) > 0, name


def test_folds_are_complete_and_say_so_at_once(trained: World) -> None:
    again = trained.finish("train", "--fold", "0", seconds=300)
    assert again.code == 0
    assert (again.fold.epoch, again.fold.checkpoint_epoch, again.fold.attempts) == (4, 4, 1)
    assert "nnU-Net" not in again.log, "libraries are loaded for nothing"
    assert again.fold.mean_validation_dice is not None
    own = json.loads((trained.fold() / "validation/summary.json").read_text())["foreground_mean"]["Dice"]
    assert again.fold.mean_validation_dice == pytest.approx(own)


def test_evaluation(trained: World) -> None:
    summary = json.loads((trained.run / "summary.json").read_text())
    dice: dict[str, dict[str, Any]] = {}
    for fold in ("0", "1"):
        own = json.loads((trained.fold(fold) / "validation/summary.json").read_text())
        assert summary["foldDice"][fold] == pytest.approx(own["foreground_mean"]["Dice"])
        dice |= {case["prediction_file"]: case["metrics"] for case in own["metric_per_case"]}
    per_class = [np.nanmean([metrics[key]["Dice"] for metrics in dice.values()]) for key in ("1", "2")]
    assert summary["meanValidationDice"] == pytest.approx(np.mean(per_class))
    own = json.loads((trained.run / "test_summary.json").read_text())
    assert summary["testMean"] == pytest.approx(own["foreground_mean"]["Dice"])
    assert summary["testPerClass"] == pytest.approx(
        {"shell": own["mean"]["1"]["Dice"], "core": own["mean"]["2"]["Dice"]}
    )
    assert summary["testCases"] == 2
    assert summary["testMean"] > 0.3, "the network learned nothing"
    assert (trained.root / "nnunet/results" / summary["modelPath"]).is_dir()


def test_interrupted_evaluation_predicts_only_what_is_missing(trained: World, tmp_path: Path) -> None:
    world = trained.copy(tmp_path / "world")
    predictions = sorted((world.run / "predictions_test").glob("*.nii.gz"))
    before = {path: path.read_bytes() for path in predictions}
    predictions[0].with_name(f".tmp-{predictions[0].name}").write_bytes(before[predictions[0]][:200])
    predictions[0].unlink()
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    assert "predicting 1 of 2 cases" in ended.log
    assert {path: path.read_bytes() for path in predictions} == before
    assert [path.name for path in (world.run / "predictions_test").glob(".tmp*")] == []
    assert json.loads((world.run / "summary.json").read_text()) == json.loads(
        (trained.run / "summary.json").read_text()
    )


def test_evaluation_of_a_test_set_that_changed(trained: World, tmp_path: Path) -> None:
    """A replaced image is predicted anew; a case that is gone is not scored; one cut short is refused."""
    world = trained.copy(tmp_path / "world")
    dataset = world.root / "nnunet/raw" / tiny_dataset.NAME
    shutil.copy(dataset / "imagesTr/case_00_0000.nii.gz", dataset / "imagesTs/case_06_0000.nii.gz")
    shutil.copy(dataset / "labelsTr/case_00.nii.gz", dataset / "labelsTs/case_06.nii.gz")
    (dataset / "imagesTs/case_07_0000.nii.gz").unlink()
    before = (world.run / "predictions_test/case_06.nii.gz").read_bytes()
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    assert "predicting 1 of 1 cases" in ended.log
    assert (world.run / "predictions_test/case_06.nii.gz").read_bytes() != before
    assert json.loads((world.run / "summary.json").read_text())["testCases"] == 1

    truncate(dataset / "labelsTs/case_06.nii.gz")
    for command in ("evaluate", "plan"):
        ended = world.finish(command, seconds=300)
        assert ended.code == ExitCode.WRONG_DATA, ended.log
        assert "labelsTs/case_06.nii.gz" in ended.report.message


def test_plan_verifies_the_test_set(planned: World, tmp_path: Path) -> None:
    world = planned.copy(tmp_path / "world")
    label = world.root / "nnunet/raw" / tiny_dataset.NAME / "labelsTs/case_06.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((22, 24, 20), np.uint8), np.eye(4)), label)
    ended = world.finish("plan")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "the test set of Dataset901_Shells" in ended.report.message
    assert "labelsTs/case_06.nii.gz has 22 x 24 x 20 voxels" in ended.report.message


def test_evaluation_names_the_fold_that_is_not_complete(trained: World) -> None:
    ended = trained.but(folds=["0", "1", "2"]).finish("evaluate")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE
    assert ended.report.message.startswith("fold 2 is not complete: evidence.json says nothing about it")


def test_a_finished_fold_whose_final_checkpoint_is_damaged_is_finished_again(trained: World, tmp_path: Path) -> None:
    world = trained.copy(tmp_path / "world")
    truncate(world.fold("1") / FINAL)
    refused = world.finish("evaluate")
    assert refused.code == ExitCode.CHECKPOINT_UNUSABLE, refused.log
    # By its hash: what was not verified is not even opened.
    assert refused.report.message.startswith("fold 1 is not complete: its checkpoint_final.pth was replaced")
    assert "Suspend and resume the training" in refused.report.message
    again = world.finish("train", "--fold", "1")
    assert again.code == 0, again.log
    assert "going on from checkpoint_best.pth" in again.log
    assert finished_epochs(world.fold("1") / FINAL) == again.fold.epoch == 4
    assert again.fold.mean_validation_dice is not None


def test_plain_nnunet_predicts_the_same_without_this_project(trained: World, tmp_path: Path) -> None:
    raw = trained.root / "nnunet/raw"
    program = (
        "import sys\n"
        "sys.modules['nnunet_trainer'] = sys.modules['nnunet_operator'] = None\n"
        # Its workers import this file as well, and would all of nnU-Net with it.
        "if __name__ == '__main__':\n"
        "    from nnunetv2.inference.predict_from_raw_data import predict_entry_point\n"
        "    predict_entry_point()\n"
    )
    script = tmp_path / "predict.py"
    script.write_text(program)
    options = f"-d {tiny_dataset.NAME} -c 3d_tiny -f 0 1 -device cpu -npp 1 -nps 1".split()
    folders = ["-i", str(raw / tiny_dataset.NAME / "imagesTs"), "-o", str(tmp_path / "out")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"nnUNet_results": str(trained.run), "nnUNet_raw": str(raw), "nnUNet_preprocessed": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, str(script), *options, *folders], env=env, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    ours = sorted((trained.run / "predictions_test").glob("*.nii.gz"))
    assert len(ours) == 2
    for path in ours:
        assert np.array_equal(_segmentation(path), _segmentation(tmp_path / "out" / path.name)), path.name


def test_killed_plan_is_cleaned_up_and_two_at_once_share_one_result(tmp_path: Path) -> None:
    first = make_world(tmp_path / "world", processes=2)
    second = replace(first, contract=first.contract.model_copy(update={"uid": "fedcba9876543210", "name": "other"}))
    command = first.start("plan")
    command.wait_for_log("verifying the dataset: done")
    ended = command.kill()
    assert ended.code == ExitCode.PREEMPTED, ended.log

    commands = [world.start("plan") for world in (first, second)]
    outcomes = [command.end() for command in commands]
    assert [outcome.code for outcome in outcomes] == [0, 0], [outcome.log for outcome in outcomes]
    facts = [outcome.report.plan for outcome in outcomes]
    assert all(facts) and sorted(fact.reused for fact in facts if fact) == [False, True]
    left = sorted(path.name for path in (first.root / "nnunet/preprocessed").iterdir())
    assert len(left) == 2 and left[1] == f"{left[0]}.lock", left


def test_lost_preprocessed_data_is_made_again_but_not_from_another_dataset(planned: World, tmp_path: Path) -> None:
    world = planned.copy(tmp_path / "world")
    facts = read_json(world.run / "plan.json")
    # What an interrupted `rm -r` leaves.
    lost = world.root / "nnunet/preprocessed" / facts["preprocessedKey"] / tiny_dataset.NAME
    (lost / "nnUNetPlans.json").unlink()
    refused = world.finish("train", "--fold", "0", seconds=300)
    assert refused.code == ExitCode.WRONG_DATA, refused.log
    assert "Suspend and resume" in refused.report.message
    assert world.finish("plan").code == 0
    assert (lost / "nnUNetPlans.json").is_file()
    assert read_json(world.run / "plan.json") == facts

    (world.fold() / LATEST).touch()
    dataset = world.root / "nnunet/raw" / tiny_dataset.NAME
    shutil.copy(dataset / "imagesTr/case_01_0000.nii.gz", dataset / "imagesTr/case_00_0000.nii.gz")
    refused = world.finish("plan")
    assert refused.code == ExitCode.WRONG_DATA, refused.log
    assert "has changed since this training began" in refused.report.message


def _segmentation(path: Path) -> np.ndarray:
    values: np.ndarray = np.asanyarray(nibabel.load(path).dataobj)
    return values
