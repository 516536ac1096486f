"""Any trainer class by name, and clear words for what can't be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.manifest import write_manifest
from nnunet_trainer.process.files import read_json, write_json
from tests.support import sizes
from tests.trainer import tiny_dataset
from tests.trainer.world import World, make_world

SHORT = {"epochs": 2, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 2}

CUSTOM = '''
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class OurTrainer(nnUNetTrainer):
    """Sets an epoch budget and a learning rate of its own, and loses its pseudo-Dice in the first epoch."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = 77
        self.initial_lr = 0.5

    def on_validation_epoch_end(self, val_outputs):
        if self.current_epoch == 0:
            for output in val_outputs:
                for key in ("tp_hard", "fp_hard", "fn_hard"):
                    output[key] = output[key] * 0.0
        super().on_validation_epoch_end(val_outputs)


class BadTrainer(nnUNetTrainer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
'''


@pytest.mark.soak
@pytest.mark.parametrize("name", sizes.STOCK_CLASSES)
def test_stock_variants_keep_the_epoch_budget(world: World, name: str) -> None:
    # So many that there are some left when the second is seen.
    world = world.but(trainerClass=name, schedule=SHORT | {"epochs": 5}).unvalidated()
    command = world.start("train", "--fold", "all")
    command.wait_for_log("Epoch 1")
    first = command.kill()
    assert first.code == ExitCode.PREEMPTED, first.log
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert ended.fold.epoch == 5
    checkpoint = torch.load(world.fold() / "checkpoint_final.pth", weights_only=False)
    assert (checkpoint["trainer_name"], checkpoint["current_epoch"]) == (name, 5)


def test_learning_rate_of_the_class_is_kept(world: World) -> None:
    """AdamW does not converge at the 0.01 of SGD."""
    schedule = SHORT | {"epochs": 1}
    world = world.but(trainerClass="nnUNetTrainerAdam3en4", schedule=schedule).unvalidated()
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert ended.fold.learning_rate == pytest.approx(3e-4)


def test_class_of_the_users_own(world: World, tmp_path: Path) -> None:
    trainers = tmp_path / "trainers"
    trainers.mkdir()
    (trainers / "ours.py").write_text(CUSTOM)
    world = world.but(trainerClass="OurTrainer", schedule=SHORT | {"initialLearningRate": 0.01})
    world = world.with_env(nnUNet_extTrainer=str(trainers)).unvalidated()
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert ended.fold.epochs_target == 2
    assert ended.fold.learning_rate == pytest.approx(0.01 * 0.5**0.9)
    assert "OurTrainer sets a learning rate of 0.5; schedule.initialLearningRate 0.01 is used" in ended.log
    assert ended.fold.ema_pseudo_dice is not None, "an epoch without pseudo-Dice poisons the average"

    bad = world.but(trainerClass="BadTrainer").finish("train", "--fold", "all")
    assert bad.code == ExitCode.WRONG_CONFIGURATION, bad.log
    assert "BadTrainer" in bad.report.message and "exactly plans, configuration, fold" in bad.report.message


def test_a_class_beside_the_images_is_refused_in_planning(tmp_path: Path) -> None:
    """The pods of the folds do not mount the dataset's claim, and would not find it."""
    world = make_world(tmp_path / "world")
    trainers = world.root / f"nnunet/raw/{world.contract.dataset}/trainers"
    trainers.mkdir()
    (trainers / "ours.py").write_text(CUSTOM)
    ended = world.but(trainerClass="OurTrainer").with_env(nnUNet_extTrainer=str(trainers)).finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "the folds do not mount: build it into an image" in ended.report.message


def test_a_configuration_that_points_to_the_cascade_is_finished(world: World) -> None:
    """As the planner writes 3d_lowres: `next_stage` names a configuration that nothing was preprocessed for."""
    (plans,) = (world.root / "nnunet/preprocessed").glob("*/*/nnUNetPlans.json")
    content = read_json(plans)
    configurations = content["configurations"]
    configurations["3d_cascade_fullres"] = {
        "inherits_from": "3d_fullres",
        "data_identifier": "nnUNetPlans_3d_cascade_fullres",
        "previous_stage": "3d_lowres",
    }
    configurations["3d_lowres"] = configurations["3d_tiny"] | {"next_stage": "3d_cascade_fullres"}
    configurations["3d_tiny"] = {"inherits_from": "3d_lowres"}
    write_json(plans, content)
    write_manifest(plans.parents[1], {}, 1)
    ended = world.but(schedule=SHORT | {"epochs": 1}).finish("train", "--fold", "1")
    assert ended.code == 0, ended.log
    assert ended.fold.mean_validation_dice is not None


def test_unknown_class(world: World) -> None:
    ended = world.but(trainerClass="nnUNetTrainerDA55").finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "no trainer class nnUNetTrainerDA55" in ended.report.message
    assert "Did you mean nnUNetTrainerDA5" in ended.report.message


def test_unknown_configuration_and_planner(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world")
    ended = world.but(planning={"planner": "nnUNetPlannerResEncX"}).finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "Did you mean nnUNetPlannerResEnc" in ended.report.message
    ended = world.but(configuration="3d_lowres").finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "3d_lowres is not in the plans" in ended.report.message and "3d_fullres" in ended.report.message


def test_unexpected_label_values_are_named(tmp_path: Path) -> None:
    import nibabel
    import numpy as np

    world = make_world(tmp_path / "world")
    label = world.root / f"nnunet/raw/{world.contract.dataset}/labelsTr/case_02.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.full(tiny_dataset.SHAPE, 7, np.uint8), np.eye(4)), label)
    ended = world.finish("plan")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "labelsTr/case_02.nii.gz has 7 (labels has 0, 1, 2)" in ended.report.message


LOOKS = """
import json, sys
from nnunet_trainer.process import later
later.put_off()
from nnunetv2.utilities import find_objects
from nnunet_trainer.training import classes
answers = {}
for name in sys.argv[1:]:
    answers[name] = [classes._found(name).__module__, sorted({"timm", "scipy.stats"} & sys.modules.keys())]
names = sorted(name for name in classes.class_names([classes._OWN_TRAINERS]) if "Trainer" in name)
differ = [name for name in names if classes._found(name) is not find_objects.recursive_find_trainer_class_by_name(name)]
print(json.dumps([answers, len(names), differ]))
"""
NEEDS_ALL = '''
import nnunetv2

base = nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerDA5.nnUNetTrainerDA5


class NeedsAllTrainer(base):
    """Takes for granted that nnU-Net's search has imported what it comes by."""
'''


def test_a_class_is_found_as_nnunet_finds_it_without_importing_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text(CUSTOM)
    (tmp_path / "z_needs_all.py").write_text(NEEDS_ALL)
    env = os.environ | {"nnUNet_extTrainer": str(tmp_path)}
    asked = ["OurTrainer", "nnUNetTrainer", "nnUNetTrainer_250epochs", "NeedsAllTrainer"]
    done = subprocess.run([sys.executable, "-c", LOOKS, *asked], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers, known, differ = json.loads(done.stdout.splitlines()[-1])
    lengths = "nnunetv2.training.nnUNetTrainer.variants.training_length.nnUNetTrainer_Xepochs"
    assert answers["OurTrainer"] == ["ours", []]
    assert answers["nnUNetTrainer"] == ["nnunetv2.training.nnUNetTrainer.nnUNetTrainer", []]
    assert answers["nnUNetTrainer_250epochs"] == [lengths, []]
    assert answers["NeedsAllTrainer"][0] == "z_needs_all"
    assert known > 50 and not differ
