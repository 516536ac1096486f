"""The example of the user guide runs as it stands there; a mistake in a class like it is told before anything else."""

from pathlib import Path

import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.run.paths import FINAL, LATEST
from nnunet_trainer.training.checkpoints import finished_epochs
from tests.support.trainers import DIVERGING, DIVERGING_LATE, LAZY
from tests.trainer.world import World, make_world

EXAMPLE = Path(__file__).parents[2] / "docs/examples/custom-trainer/trainers"
SHORT = {"epochs": 2, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 2}

FORGETFUL = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class ForgetfulTrainer(nnUNetTrainer):
    def on_epoch_end(self):
        self.print_to_log_file("an epoch is over")
"""


def test_example_of_the_guide(world: World) -> None:
    world = world.but(trainerClass="RareLesionTrainer", schedule=SHORT)
    world = world.with_env(nnUNet_extTrainer=str(EXAMPLE), RARE_LESION_FOREGROUND="0.5")
    assert world.finish("plan").code == 0
    command = world.start("train", "--fold", "1")
    command.wait_until(world.begun(2, "1"), "the second epoch")
    assert command.kill().code == ExitCode.PREEMPTED
    ended = world.finish("train", "--fold", "1")
    assert ended.code == 0, ended.log
    assert ended.fold.epoch == 2 and ended.fold.mean_validation_dice is not None
    assert "lowest pseudo-Dice of a class" in ended.log
    checkpoint = torch.load(world.fold("1") / FINAL, weights_only=False)
    assert (checkpoint["trainer_name"], checkpoint["current_epoch"]) == ("RareLesionTrainer", 2)
    # In the operator's own image, which has no such class.
    verified = world.but(folds=["1"]).with_env(nnUNet_extTrainer="").finish("verify")
    assert verified.code == 0, verified.log


def test_override_that_breaks_control_is_told_before_anything_is_done(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", trainerClass="ForgetfulTrainer")
    trainers = tmp_path / "trainers"
    trainers.mkdir()
    (trainers / "forgetful.py").write_text(FORGETFUL)
    world = world.with_env(nnUNet_extTrainer=str(trainers))
    ended = world.finish("plan", seconds=300)
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    place = f"ForgetfulTrainer.on_epoch_end ({trainers}/forgetful.py:6)"
    assert f"{place} does not call super().on_epoch_end()" in ended.report.message
    assert "epochs are not counted" in ended.report.message
    assert "verifying" not in ended.log


def test_weights_that_are_no_numbers_are_never_saved(world: World, tmp_path: Path) -> None:
    (tmp_path / "diverging.py").write_text(DIVERGING)
    world = world.but(trainerClass="DivergingTrainer", schedule=SHORT | {"epochs": 4})
    world = world.with_env(nnUNet_extTrainer=str(tmp_path))
    for _ in range(2):
        ended = world.finish("train", "--fold", "0")
        assert ended.code == ExitCode.LOSS_NOT_FINITE, ended.log
        assert "epoch 2 left weights that are not finite numbers" in ended.report.message
        assert finished_epochs(world.fold() / LATEST) == 2


def test_weights_that_are_lost_in_the_last_step_of_an_epoch_are_never_saved(world: World, tmp_path: Path) -> None:
    """The loss of that step is still a number: it is that of the weights before."""
    (tmp_path / "diverging.py").write_text(DIVERGING_LATE)
    world = world.but(trainerClass="LateDivergingTrainer", schedule=SHORT | {"epochs": 4})
    ended = world.with_env(nnUNet_extTrainer=str(tmp_path)).finish("train", "--fold", "0")
    assert ended.code == ExitCode.LOSS_NOT_FINITE, ended.log
    for path in world.fold().glob("checkpoint_*.pth"):
        assert finished_epochs(path) <= 2
        weights = torch.load(path, weights_only=False)["network_weights"].values()
        assert all(bool(torch.isfinite(tensor).all()) for tensor in weights), path.name
    assert finished_epochs(world.fold() / LATEST) == 2


def test_an_epoch_of_fewer_iterations_ends_the_training_at_once(world: World, tmp_path: Path) -> None:
    """Where policies ask for epochs, the verification would count none of them, days later."""
    (tmp_path / "lazy.py").write_text(LAZY)
    world = world.but(trainerClass="LazyTrainer", schedule=SHORT).with_env(nnUNet_extTrainer=str(tmp_path))
    ended = world.finish("train", "--fold", "0")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "an epoch had 1 iteration, and schedule.iterationsPerEpoch is 4" in ended.report.message


def test_epochs_of_a_stock_class_give_way_to_the_schedule(world: World) -> None:
    world = world.but(trainerClass="nnUNetTrainer_250epochs", schedule=SHORT | {"epochs": 1})
    ended = world.unvalidated().finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert ended.fold.epochs_target == 1
    assert "nnUNetTrainer_250epochs sets num_epochs to 250; schedule.epochs is what counts" in ended.log
