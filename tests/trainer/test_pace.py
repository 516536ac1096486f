"""Where the time of an epoch goes, measured in real trainings, and that the measuring changes nothing in them."""

import shutil
from pathlib import Path

import pytest
import torch

from nnunet_api.facts import FoldFacts
from nnunet_trainer.run.paths import FINAL
from tests.trainer.world import World

CLASSES = '''
import os
import time

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Slow:
    """Augments a sample only after a while, in which it sleeps or computes."""

    def __init__(self, inner):
        self.inner = inner

    def __call__(self, **sample):
        how, seconds = os.environ["SLOW_DATA"].split()
        if how == "sleep":
            time.sleep(float(seconds))
        until = time.process_time() + float(seconds)
        while how == "compute" and time.process_time() < until:
            pass
        return self.inner(**sample)


class SlowTrainer(nnUNetTrainer):
    """Takes its time for each step, as a GPU would, and for each sample."""

    @staticmethod
    def get_training_transforms(*args, **kwargs):
        return Slow(nnUNetTrainer.get_training_transforms(*args, **kwargs))

    def train_step(self, batch):
        time.sleep(float(os.environ["SLOW_STEP"]))
        return super().train_step(batch)


class CompiledTrainer(nnUNetTrainer):
    """Has its network compiled on the CPU as well, by a way that needs no compiler."""

    def initialize(self):
        super().initialize()
        self.network = torch.compile(self.network, backend="eager")


class UntimedTrainer(nnUNetTrainer):
    """Has the clock taken out of the trainer that it is put under."""

    def initialize(self):
        from nnunet_trainer.training.pace import Paced

        for name in ("on_train_epoch_start", "on_train_epoch_end", "on_validation_epoch_start"):
            delattr(Paced, name)
        for name in ("train_step", "validation_step"):
            delattr(Paced, name)
        super().initialize()
'''
FOUR = {"epochs": 4, "iterationsPerEpoch": 8, "validationIterationsPerEpoch": 1}
SEEDED = {"epochs": 2, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 2}


def under(world: World, name: str, **env: str) -> World:
    """Return a world whose trainer class is one of these, as if planned for it."""
    classes = world.root / "classes"
    classes.mkdir(exist_ok=True)
    (classes / "slow.py").write_text(CLASSES)
    shutil.copytree(world.model, world.model.with_name(f"{name}__" + world.model.name.split("__", 1)[1]))
    return world.but(trainerClass=name).with_env(nnUNet_extTrainer=str(classes), **env).unvalidated()


def told_of(world: World, data: str, step: str, workers: str, least: float, most: float) -> FoldFacts:
    """Train, and return what is told of it; an epoch waits for data for a share between `least` and `most`."""
    world = under(world, "SlowTrainer", SLOW_DATA=data, SLOW_STEP=step, nnUNet_n_proc_DA=workers)
    ended = world.but(schedule=FOUR).finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    told = ended.fold
    assert told.data_wait_share is not None and least <= told.data_wait_share <= most, told
    assert told.data_workers == int(workers)
    assert told.epoch_seconds and told.fed_epoch_seconds and told.data_wait_seconds is not None
    # Eight steps of that length, whatever the data do: what an epoch would take with data that are there.
    assert 8 * float(step) <= told.fed_epoch_seconds <= told.epoch_seconds * 1.5
    assert told.checkpoint_seconds and told.checkpoint_seconds < told.epoch_seconds
    assert world.journal("all").facts == told, "the journal keeps them"
    return told


def test_an_epoch_that_is_fed_hardly_waits(world: World) -> None:
    assert told_of(world, "sleep 0", "0.25", "1", 0, 0.15).data_worker_use is not None


def test_an_epoch_without_workers_waits_for_data(world: World) -> None:
    """The trainer makes its batches itself, and tells how little of that it computes."""
    use = told_of(world, "sleep 0.1", "0.05", "0", 0.25, 0.97).data_worker_use
    assert use is not None and use < 0.35


def test_workers_that_compute_are_told_from_those_that_wait_themselves(world: World, tmp_path: Path) -> None:
    other = world.copy(tmp_path / "other")
    waiting = told_of(world, "sleep 0.25", "0.05", "1", 0.4, 0.97).data_worker_use
    computing = told_of(other, "compute 0.12", "0.05", "1", 0.4, 0.97).data_worker_use
    # How much they compute depends on who else does on this machine; that they do, does not.
    assert waiting is not None and computing is not None and waiting < 0.35 and computing > waiting + 0.1


@pytest.mark.parametrize("workers", ["0", "2"])
def test_measuring_changes_nothing_in_a_training(world: World, tmp_path: Path, workers: str) -> None:
    world = world.but(schedule=SEEDED, seed=7).with_env(nnUNet_n_proc_DA=workers)
    timed = world.copy(tmp_path / "timed").unvalidated()
    untimed = under(world.copy(tmp_path / "untimed"), "UntimedTrainer")
    contents = []
    for run, measures in ((timed, True), (untimed, False)):
        ended = run.finish("train", "--fold", "all")
        assert ended.code == 0, ended.log
        assert (ended.fold.data_wait_seconds or 0) > 0 if measures else ended.fold.data_wait_seconds == 0
        contents.append(torch.load(run.fold() / FINAL, map_location="cpu", weights_only=False))
    first, second = contents
    for name, weights in first["network_weights"].items():
        assert torch.equal(weights, second["network_weights"][name]), name
    for key in ("train_losses", "val_losses", "ema_fg_dice", "lrs"):
        assert first["logging"][key] == pytest.approx(second["logging"][key], rel=0, abs=0, nan_ok=True), key


def test_what_compiling_took_is_told_of_each_attempt(world: World, tmp_path: Path) -> None:
    plain = world.copy(tmp_path / "plain").but(schedule=SEEDED).unvalidated().finish("train", "--fold", "all")
    assert plain.fold.compile_seconds is None, plain.log
    # So many epochs that there are some left when the second is seen.
    world = under(world, "CompiledTrainer").but(schedule=SEEDED | {"epochs": 5})
    command = world.start("train", "--fold", "all")
    command.wait_until(world.begun(2, "all"), "the second epoch")
    first = command.kill()
    again = world.finish("train", "--fold", "all")
    assert again.code == 0, again.log
    for ended in (first, again):
        taken = ended.fold.compile_seconds
        assert taken is not None and 0 < taken < 300, ended.fold
