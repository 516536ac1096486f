"""Whatever ends an attempt, the next one goes on from the last finished epoch."""

import errno
import math
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.run.paths import BEST, FINAL, LATEST, PREVIOUS
from nnunet_trainer.scoring.scores import foreground_mean, read_scores
from nnunet_trainer.training.checkpoints import finished_epochs
from nnunet_trainer.training.control import Control
from tests.trainer.world import World, make_world, truncate

LONG = {"epochs": 4, "iterationsPerEpoch": 5, "validationIterationsPerEpoch": 2}


def test_sigterm_in_the_middle_of_an_epoch_costs_that_epoch_only(world: World) -> None:
    held = world.but(schedule=LONG).with_env(nnUNet_n_proc_DA="2").held_in(3)
    world = held.held_in(None)
    command = held.anew().start("train", "--fold", "0")
    command.wait_until(world.begun(3), "the third epoch")
    ended = command.kill()
    assert ended.code == ExitCode.PREEMPTED, ended.log
    assert "2 of 4 epochs" in ended.report.message
    assert (ended.fold.epoch, ended.fold.checkpoint_epoch) == (2, 2)
    assert finished_epochs(world.fold() / LATEST) == 2

    resumed = world.finish("train", "--fold", "0")
    assert resumed.code == 0, resumed.log
    assert "going on from checkpoint_latest.pth: 2 epochs finished" in resumed.log
    assert (resumed.fold.epoch, resumed.fold.attempts, resumed.fold.lost_epochs) == (4, 2, 1)
    assert resumed.log.count("Current learning rate") == 2


def fill_with_nan(path: Path) -> None:
    """Replace the weights in a checkpoint by what is no number."""
    content = torch.load(path, weights_only=False)
    content["network_weights"] = {name: weights * math.nan for name, weights in content["network_weights"].items()}
    path.unlink()
    torch.save(content, path)


def all_numbers(path: Path) -> bool:
    weights = torch.load(path, weights_only=False)["network_weights"].values()
    return all(bool(torch.isfinite(tensor).all()) for tensor in weights)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "checkpoint_latest.pth can't be read and is passed over"),
        (fill_with_nan, "checkpoint_latest.pth holds weights that are not finite numbers and is passed over"),
    ],
    ids=["cut short", "no numbers"],
)
def test_sigkill_and_a_damaged_latest_checkpoint_cost_one_epoch_more(
    world: World, damage: Callable[[Path], None], words: str
) -> None:
    held = world.but(schedule=LONG).unvalidated().held_in(3)
    command = held.start("train", "--fold", "all")
    command.wait_until(held.begun(3), "the third epoch")
    assert command.kill(signal.SIGKILL).code == -signal.SIGKILL
    damage(held.fold() / LATEST)
    damaged = (held.fold() / LATEST).stat().st_ino
    # Where the second epoch was the best, that file is intact and as new.
    (held.fold() / BEST).unlink(missing_ok=True)

    command = held.start("train", "--fold", "all")
    command.wait_for_log("going on from checkpoint_previous.pth: 1 epoch finished")
    assert words in command.log()
    # The journal knows of a third epoch from the first attempt.
    command.wait_until(lambda: (held.fold() / LATEST).stat().st_ino != damaged, "the second epoch's checkpoint")
    command.wait_until(held.begun(3), "the third epoch")
    command.kill(signal.SIGKILL)
    # What was damaged has not taken the place of the one before.
    assert [finished_epochs(held.fold() / name) for name in (PREVIOUS, LATEST)] == [1, 2]
    assert all_numbers(held.fold() / PREVIOUS)

    resumed = held.held_in(None).finish("train", "--fold", "all")
    assert resumed.code == 0, resumed.log
    assert "going on from checkpoint_latest.pth: 2 epochs finished" in resumed.log
    assert (resumed.fold.epoch, resumed.fold.attempts, resumed.fold.lost_epochs) == (4, 3, 3)


def test_sigterm_in_the_final_validation_leaves_only_that_to_do(world: World, tmp_path: Path) -> None:
    command = world.start("train", "--fold", "0")
    command.wait_for_log("predicting case")
    ended = command.kill()
    assert ended.code == ExitCode.PREEMPTED, ended.log
    assert "3 of 3 epochs" in ended.report.message
    assert finished_epochs(world.fold() / FINAL) == finished_epochs(world.fold() / PREVIOUS) == 3
    damaged = world.copy(tmp_path / "damaged")

    # One case was predicted (here: perfectly), the next one was cut short.
    validation = world.fold() / "validation"
    shutil.copy(next(world.root.rglob("gt_segmentations/case_03.nii.gz")), validation)
    (validation / ".tmp-case_05.nii.gz").write_bytes(b"cut short")
    resuming = world.held_at("rename:*/validation/case_05.nii.gz").start("train", "--fold", "0")
    resuming.wait_where_held()
    late = validation / ".tmp-00c0ffee-case_09.nii.gz"
    late.write_bytes(b"of an attempt that was replaced")
    resuming.let_go()
    resumed = resuming.end(seconds=300)
    assert resumed.code == 0, resumed.log
    assert "Current learning rate" not in resumed.log, "an epoch was trained again"
    assert "predicting case_05" in resumed.log and "predicting case_03" not in resumed.log
    cases = read_scores(validation / "summary.json", ".nii.gz")
    assert cases["case_03"] == {"1": 1.0, "2": 1.0} and cases["case_05"] != cases["case_03"]
    assert resumed.fold.mean_validation_dice == foreground_mean(cases.values())
    assert not (world.fold() / PREVIOUS).exists()

    # A damaged final checkpoint must not beat the good one that is still there.
    truncate(damaged.fold() / FINAL)
    resumed = damaged.finish("train", "--fold", "0")
    assert resumed.code == 0, resumed.log
    assert "checkpoint_final.pth can't be read and is passed over" in resumed.log
    assert "Current learning rate" not in resumed.log, "an epoch was trained again"
    assert finished_epochs(damaged.fold() / FINAL) == 3
    assert resumed.fold.mean_validation_dice is not None


def test_a_killed_worker_ends_the_validation(world: World) -> None:
    command = world.but(schedule=LONG | {"epochs": 1, "iterationsPerEpoch": 2}).anew().start("train", "--fold", "0")
    command.wait_for_log("predicting case")
    command.kill_a_worker()
    ended = command.end(seconds=300)
    assert ended.code == 1, ended.log
    assert "a worker process" in ended.report.message and "resources.memory" in ended.report.message
    assert ended.fold.epoch == 1


def test_a_killed_worker_ends_the_planning(tmp_path: Path) -> None:
    command = make_world(tmp_path / "world").anew().start("plan")
    command.kill_a_worker()
    ended = command.end(seconds=300)
    assert ended.code == 1, ended.log
    assert "was ended by SIGKILL" in ended.report.message and "resources.memory" in ended.report.message


def test_sigterm_while_libraries_are_loaded(world: World) -> None:
    command = world.anew().start("train", "--fold", "0")
    command.wait_for_log("loading torch and nnU-Net")
    time.sleep(0.7)
    ended = command.kill()
    assert ended.code == ExitCode.PREEMPTED, ended.log
    assert "0 of 3 epochs" in ended.report.message


def test_no_checkpoint_loads(world: World) -> None:
    world.fold().mkdir()
    for name in (LATEST, PREVIOUS):
        (world.fold() / name).write_bytes(b"not a checkpoint")
    ended = world.finish("train", "--fold", "0")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "fold_0" in ended.report.message and "backup" in ended.report.message


class Resuming:
    """What restore_newest_checkpoint sees of a trainer: a network that is built, a checkpoint that is loaded."""

    def __init__(self, folder: Path, fails: str, error: Exception) -> None:
        self.output_folder = str(folder)
        self.was_initialized = False
        self._fold_run = SimpleNamespace(passed_over=[])
        self._fails, self._error = fails, error
        self.tried: list[str] = []

    _loads = Control._loads

    def initialize(self) -> None:
        self.was_initialized = True
        if self._fails == "initialize":
            raise self._error

    def load_checkpoint(self, name: str) -> None:
        if not self.was_initialized:
            self.initialize()
        self.tried.append(Path(name).name)
        if self._fails == "load":
            raise self._error


@pytest.mark.parametrize(
    ("fails", "error", "tried"),
    [
        ("initialize", RuntimeError("CUDA error: device-side assert triggered"), []),
        ("initialize", KeyError("a network that can't be built"), []),
        ("load", OSError(errno.ESTALE, "Stale file handle"), [LATEST]),
        ("load", RuntimeError("CUDA error: unspecified launch failure"), [LATEST]),
    ],
    ids=repr,
)
def test_a_failure_to_resume_is_not_blamed_on_the_checkpoints(
    tmp_path: Path, fails: str, error: Exception, tried: list[str]
) -> None:
    for epoch, name in enumerate((PREVIOUS, LATEST), 1):
        torch.save({"current_epoch": epoch}, tmp_path / name)
    trainer = Resuming(tmp_path, fails, error)
    with pytest.raises(type(error)) as caught:
        Control.restore_newest_checkpoint(trainer)  # type: ignore[arg-type]
    assert caught.value is error
    assert trainer.tried == tried


def test_full_volume_keeps_the_last_good_checkpoint(world: World, small_volume: Path) -> None:
    world = _results_on(world, small_volume).but(schedule=LONG | {"iterationsPerEpoch": 60})
    command = world.start("train", "--fold", "0")
    command.wait_until(world.begun(2), "the second epoch")
    _fill(small_volume)
    ended = command.end()
    assert ended.code == ExitCode.STORAGE_FAILED, ended.log
    assert "free of 2 MiB" in ended.report.message and "Enlarge the claim" in ended.report.message
    assert finished_epochs(world.fold() / LATEST) >= 1
    assert ended.fold.epoch == ended.fold.checkpoint_epoch == finished_epochs(world.fold() / LATEST)


def _results_on(world: World, volume: Path) -> World:
    """Move the results of a world to another volume."""
    results = world.root / "nnunet/results"
    shutil.copytree(results, volume, dirs_exist_ok=True)
    shutil.rmtree(results)
    results.symlink_to(volume)
    return world


def _fill(volume: Path) -> None:
    """Write until there is no room left."""
    with (volume / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return
