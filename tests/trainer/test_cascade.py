"""A cascade of 3d_lowres and 3d_cascade_fullres, killed on its way, against nnU-Net's own commands on its folder."""

import pickle
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunet_api.exit_codes import ExitCode
from nnunet_api.model_export import Member, ModelExport
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import FINAL
from nnunet_trainer.scoring.stage_predictions import FOLDER, read_predictions
from tests.kill.compare import differences_of_folds, leftovers
from tests.support.networks import small_network
from tests.trainer.elsewhere import predicted_elsewhere, require_same
from tests.trainer.theirs import run_code
from tests.trainer.world import World, make_world

LOW, HIGH = "3d_lowres", "3d_cascade_fullres"
NETWORK = small_network("3d_fullres", [16, 16, 16], [4, 8, 8])
PLANNING = {
    "configurations": {
        LOW: NETWORK | {"spacing": [2.0, 2.0, 2.0], "next_stage": HIGH},
        HIGH: NETWORK | {"previous_stage": LOW},
    }
}
CASES = [f"case_{number:02d}" for number in range(6)]
HALVES = [CASES[:3], CASES[3:]]
OF_NEXT_STAGE = (
    f"rename:*__{HIGH}/fold_0/checkpoint_latest.pth",
    f"rename:*__{HIGH}/fold_0/checkpoint_final.pth",
    f"rename:*__{HIGH}/fold_0/validation/case_01.nii.gz",
    f"write:*__{HIGH}/fold_0/validation/summary.json",
)
"""Where the fold of the cascade is killed: in an epoch's checkpoint, the final one, the validation and its scores."""


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A planned training of both stages, on two folds of three cases each."""
    world = make_world(
        tmp_path_factory.mktemp("cascade") / "world",
        planning=PLANNING,
        configuration=LOW,
        configurations=[LOW, HIGH],
        schedule={"epochs": 2, "iterationsPerEpoch": 2, "validationIterationsPerEpoch": 1},
        testSet=None,
        seed=7,
    )
    splits = world.root / f"nnunet/raw/{world.contract.dataset}/splits_final.json"
    write_json(splits, [{"train": HALVES[1 - fold], "val": HALVES[fold]} for fold in range(2)])
    for folds, said in ((["0"], "no fold of this training validates case_03"), (["all"], "give all folds")):
        refused = world.but(folds=folds).finish("plan")
        assert refused.code == ExitCode.WRONG_CONFIGURATION and said in refused.report.message, refused.log
    ended = world.finish("plan")
    assert ended.code == 0, ended.log
    return world


def model(world: World, configuration: str) -> Path:
    return world.run / world.contract.dataset / f"nnUNetTrainer__nnUNetPlans__{configuration}"


def predicted(world: World) -> Path:
    return model(world, LOW) / FOLDER / HIGH


def voxels(world: World, folder: Path, case: str) -> np.ndarray:
    """Return what a fold has predicted for a case, as the next stage reads it."""
    (data,) = (world.root / "nnunet/preprocessed").glob(f"*/*/nnUNetPlans_{HIGH}")
    dataset = nnUNetDatasetBlosc2(str(data), [case], str(folder))
    found: np.ndarray = dataset.load_case(case)[2][:]
    return found


def test_each_stage_learns_from_the_one_before(cascade: World, tmp_path: Path) -> None:
    world = cascade
    train_low, train_high = ["train", "--configuration", LOW, "--fold"], ["train", "--configuration", HIGH, "--fold"]
    fold = model(world, LOW) / "fold_0"

    command = world.start(*train_low, "0")
    command.wait_until(lambda: any(predicted(world).glob("case_*.b2nd")), "a prediction for the next stage")
    command.kill(signal.SIGKILL)
    stated = read_predictions(fold)
    assert stated and not stated.files, "what is not complete is not told of"
    early = world.finish(*train_high, "0")
    assert early.code == ExitCode.CHECKPOINT_UNUSABLE, early.log
    assert f"the predictions of fold {LOW}-0 for {HIGH} were not made to their end" in early.report.message
    (predicted(world) / ".tmp-0123456789abcdef-case_00.b2nd").write_bytes(b"half")

    for number in ("0", "1"):
        # One of the two reads from a copy on its node, beside which the data of the next stage is found.
        ended = (world.copying() if number == "1" else world).finish(*train_low, number)
        assert ended.code == 0, ended.log
        assert ("0 cases are predicted already" in ended.log) == (number == "1"), "fold 0 goes on where it was killed"
    assert sorted(path.name for path in predicted(world).iterdir()) == [f"{case}.b2nd" for case in CASES]
    again = world.finish(*train_low, "0")
    assert again.code == 0 and "is complete already" in again.log

    as_nnunet_predicts(world, tmp_path / "stock")
    a_prediction_that_is_lost_is_made_again(world, train_low, train_high)

    in_peace = world.copy(tmp_path / "in_peace")
    for place in OF_NEXT_STAGE:
        world.held_at(place).start(*train_high, "0").kill_where_held()
    for number in ("0", "1"):
        ended = (world.copying() if number == "1" else world).finish(*train_high, number)
        assert ended.code == 0, ended.log
        read_from = ended.fold.provenance.data_read_from if ended.fold.provenance else None
        assert read_from == ("local copy" if number == "1" else None)
        assert ended.fold.mean_validation_dice is not None
    ended = in_peace.finish(*train_high, "0")
    assert ended.code == 0, ended.log
    assert differences_of_folds(*(model(one, HIGH) / "fold_0" for one in (world, in_peace))) == []
    assert leftovers(world) == []
    conditions = read_json(model(world, HIGH) / "fold_0/provenance.json")["conditions"]
    assert conditions["previousStage"] == LOW
    verified = world.finish("verify")
    assert verified.code == 0, verified.log
    learnt = read_json(world.run / "evidence.json")["learntFrom"]
    assert learnt == dict.fromkeys([f"{HIGH}-0", f"{HIGH}-1"], conditions["learntFrom"])
    assert world.finish("evaluate").code == 0
    a_pair_predicts_elsewhere_as_it_was_scored(world, tmp_path / "elsewhere")
    other_predictions_prove_nothing(world)


def as_nnunet_predicts(world: World, results: Path) -> None:
    """The stages' interface, made by nnU-Net's own validation of the same checkpoints in one go."""
    shutil.copytree(world.run, results)
    other = results / world.contract.dataset / model(world, LOW).name / FOLDER / HIGH
    shutil.rmtree(other)
    entry = "from nnunetv2.run.run_training import run_training_entry as p; p()"
    for fold in ("0", "1"):
        run_code(world, results, entry, "901", LOW, fold, "--val", "-device", "cpu", nnUNet_n_proc_DA="0")
    for case in CASES:
        assert alike(voxels(world, other, case), voxels(world, predicted(world), case)), case


def alike(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Tell whether segmentations are the same, but for rounding: nnU-Net's commands take all cores to sum up."""
    return ours.shape == theirs.shape and float((ours == theirs).mean()) > 0.999


def a_prediction_that_is_lost_is_made_again(world: World, low: list[str], high: list[str]) -> None:
    """By the fold that made it, and with the checkpoint that it says."""
    lost = predicted(world) / "case_01.b2nd"
    before = voxels(world, predicted(world), "case_01")
    lost.write_bytes(lost.read_bytes()[:-7])
    refused = world.finish(*high, "0")
    assert refused.code == ExitCode.CHECKPOINT_UNUSABLE, refused.log
    assert f"fold {LOW}-0 for {HIGH} are not as they were made: case_01.b2nd has changed" in refused.report.message
    made = world.finish(*low, "0")
    assert made.code == 0, made.log
    assert np.array_equal(voxels(world, predicted(world), "case_01"), before)


def a_pair_predicts_elsewhere_as_it_was_scored(world: World, folder: Path) -> None:
    """Stage after stage, the mean of both and its postprocessing, by the commands of an export."""
    names = [f"{configuration}-{fold}" for configuration in (LOW, HIGH) for fold in (0, 1)]
    evidence = {one["fold"]: one["checkpointHash"] for one in read_json(world.run / "evidence.json")["folds"]}
    record = {
        "chosen": [{"configuration": name, "modelPath": f"x/{model(world, name).name}"} for name in (LOW, HIGH)],
        "postprocessing": ["all foreground"],
        "meanValidationDice": 0.5,
        "candidates": [{"configurations": [LOW, HIGH], "meanValidationDice": 0.5}],
        "checkpoints": {name: evidence[name] for name in names},
        "asked": {"ensembles": True, "postprocessing": True},
    }
    write_json(world.run / "selection.json", record)
    scored = world.but(testSet={}, selection={})
    scored.held_at(f"rename:*/{model(world, HIGH).name}/case_07.nii.gz").start("evaluate").kill_where_held()
    ended = scored.finish("evaluate")
    assert ended.code == 0, ended.log
    assert ended.log.count("predicting 0 of 2 cases") >= 2, "both stages before are there"
    low = Member(LOW, "nnUNetTrainer", "nnUNetPlans", ("0", "1"))
    high = Member(HIGH, "nnUNetTrainer", "nnUNetPlans", ("0", "1"), previous=low)
    export = ModelExport(world.contract.dataset, (low, high), True, ("all foreground",), device="cpu")
    choice = world.run / export.folders_of_choice[0]
    choice.mkdir(parents=True)
    keep = remove_all_but_largest_component_from_segmentation
    (choice / "postprocessing.pkl").write_bytes(pickle.dumps(([keep], [{"labels_or_regions": [1, 2]}])))
    theirs = predicted_elsewhere(scored, world.run, export, folder)
    assert {path.name for path in theirs.parent.iterdir()} == {
        *(LOW, HIGH, f"previous_stage_2_{LOW}", "ensemble", "ensemble_postprocessed")
    }
    require_same(world.run / "predictions_test", theirs)


def other_predictions_prove_nothing(world: World) -> None:
    """The final checkpoint of the previous stage is another one than that which has predicted."""
    final = model(world, LOW) / "fold_1" / FINAL
    content = torch.load(final, weights_only=False)
    torch.save(content | {"_best_ema": 0.123}, final)
    verified = world.finish("verify")
    assert verified.code == ExitCode.CHECKPOINT_UNUSABLE, verified.log
    assert f"the predictions of fold {LOW}-1, on which it learns, are not of that one's" in verified.report.message
