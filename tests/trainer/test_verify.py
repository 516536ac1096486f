"""Completion is proven from real checkpoints, whoever wrote them."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.run.journal import OWNER_KEY
from nnunet_trainer.run.paths import FINAL
from tests.trainer.world import World, truncate

FOLD = {"folds": ["0"]}


@pytest.fixture(scope="module")
def trained(planned: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with fold 0 trained. Not to be written to: copy it."""
    world = planned.copy(tmp_path_factory.mktemp("trained") / "world").but(**FOLD)
    assert world.finish("train", "--fold", "0").code == 0
    return world


@pytest.fixture
def done(trained: World, tmp_path: Path) -> World:
    """A trained world of the test's own, without what verify has no mount for."""
    world = trained.copy(tmp_path / "done")
    (world.root / "nnunet/raw").rename(tmp_path / "raw")
    (world.root / "nnunet/preprocessed").rename(tmp_path / "preprocessed")
    return world


def forge(world: World, **changes: Any) -> None:
    """Change what a final checkpoint says."""
    path = world.fold() / FINAL
    content = torch.load(path, weights_only=False)
    torch.save(content | changes, path)


def test_evidence_of_a_training_to_its_end(done: World) -> None:
    ended = done.finish("verify")
    assert ended.code == 0, ended.log
    assert ended.report.evidence is not None
    (proof,) = ended.report.evidence.folds
    assert (proof.fold, proof.epochs, proof.early_stopping) == ("0", 3, None)
    assert proof.checkpoint_hash == file_hash(done.fold() / FINAL)
    content = torch.load(done.fold() / FINAL, weights_only=False)
    weights = sum(tensor.numel() for tensor in content["network_weights"].values())
    assert (proof.iterations_per_epoch, proof.trainer_class, proof.network_weights) == (5, "nnUNetTrainer", weights)
    assert proof.highest_learning_rate == pytest.approx(0.01)
    kept = json.loads((done.run / "evidence.json").read_text())
    assert ended.report.evidence.evidence_hash == file_hash(done.run / "evidence.json")
    assert kept["proven"] is True and kept["asked"]["schedule"]["epochs"] == 3
    assert kept["folds"][0]["checkpointHash"] == proof.checkpoint_hash and kept["plan"]["datasetHash"]


def test_fewer_epochs_than_asked_for(done: World) -> None:
    ended = done.but(schedule={"epochs": 1000}).finish("verify")
    assert ended.code == ExitCode.EPOCHS_NOT_REACHED, ended.log
    assert "fold 0: 3 of 1000 epochs are proven" in ended.report.message
    kept = json.loads((done.run / "evidence.json").read_text())
    assert kept["proven"] is False and kept["folds"][0]["epochs"] == 3


def test_a_counter_that_was_forged(done: World) -> None:
    forge(done, current_epoch=1000)
    ended = done.but(schedule={"epochs": 1000}).finish("verify")
    assert ended.code == ExitCode.EPOCHS_NOT_REACHED
    assert "counter says 1000 epochs" in ended.report.message and "train_losses 3" in ended.report.message
    assert ended.report.evidence is not None
    assert ended.report.evidence.folds[0].epochs == 3


@pytest.mark.parametrize("damage", ["missing", "truncated", "not a checkpoint"])
def test_a_checkpoint_that_proves_nothing(done: World, damage: str) -> None:
    path = done.fold() / FINAL
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        truncate(path)
    else:
        path.write_bytes(b"not a checkpoint")
    ended = done.finish("verify")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "fold 0: nothing is proven: checkpoint_final.pth" in ended.report.message
    kept = json.loads((done.run / "evidence.json").read_text())
    assert (kept["proven"], kept["folds"]) == (False, [])


def test_a_checkpoint_of_another_run_proves_nothing(done: World) -> None:
    path = done.fold() / FINAL
    foreign = done.root / "foreign.pth"
    path.rename(foreign)
    path.symlink_to(foreign)
    ended = done.finish("verify")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "no file inside the run's folder" in ended.report.message


def test_the_same_checkpoint_does_not_prove_two_folds(done: World) -> None:
    """An ensemble of one network would be scored as one of several."""
    content = torch.load(done.fold() / FINAL, weights_only=False)
    forge(done, init_args={key: value for key, value in content["init_args"].items() if key != OWNER_KEY})
    shutil.copytree(done.fold(), done.fold().with_name("fold_1"))
    ended = done.but(folds=["0", "1"]).finish("verify")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "fold 1: nothing is proven: its checkpoint_final.pth is that of fold 0" in ended.report.message
    assert ended.report.evidence is not None and [one.fold for one in ended.report.evidence.folds] == ["0"]


def test_a_pipe_in_the_run_folder_holds_nothing_up(done: World) -> None:
    journal = done.fold() / "attempts.json"
    journal.unlink()
    os.mkfifo(journal)
    (done.run / ".tmp-evidence.json").symlink_to(done.fold() / FINAL)
    ended = done.finish("verify", seconds=300)
    assert ended.code == 0, ended.log
    assert json.loads((done.run / "evidence.json").read_text())["proven"] is True


class Attack:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def test_nothing_in_a_checkpoint_is_executed(done: World, tmp_path: Path) -> None:
    """Not even where the environment asks torch to; and what a class keeps for itself does not hide the history."""
    target = tmp_path / "attacked"
    attack = Attack(open, str(target), "w")
    forge(done, my_extra=attack, my_path=tmp_path)
    ended = done.with_env(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1").finish("verify")
    assert ended.code == 0, ended.log
    assert not target.exists()
    # The attack would have worked.
    pickle.loads(pickle.dumps(attack)).close()
    assert target.exists()


def test_a_checkpoint_that_reaches_for_the_system_is_refused(done: World, tmp_path: Path) -> None:
    target = tmp_path / "attacked"
    forge(done, my_extra=Attack(os.system, f"touch {target}"))
    ended = done.finish("verify")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert not target.exists()


def test_a_history_of_something_else_than_numbers_is_refused(done: World, tmp_path: Path) -> None:
    content = torch.load(done.fold() / FINAL, weights_only=False)
    forge(done, logging=content["logging"] | {"ema_fg_dice": [tmp_path] * 3})
    ended = done.finish("verify")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "something else than numbers under ema_fg_dice" in ended.report.message


def test_numbers_of_all_kinds_are_read(done: World) -> None:
    content = torch.load(done.fold() / FINAL, weights_only=False)
    logging = content["logging"] | {"train_losses": [np.float32(0.5), np.float64(0.5), np.float16(0.5)]}
    forge(done, logging=logging)
    assert done.finish("verify").code == 0


def test_numbers_of_an_older_numpy_are_read(done: World) -> None:
    """The image that trained may have numpy 1, which calls the same function by another name."""
    path = done.fold() / FINAL
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = [name for name in parts if name.endswith("/data.pkl")]
    assert b"numpy._core.multiarray" in parts[pickled]
    parts[pickled] = parts[pickled].replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    ended = done.finish("verify")
    assert ended.code == 0, ended.log
