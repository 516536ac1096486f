"""What others may have written on the volumes of a fold is loaded without running any of it."""

import os
import pickle
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
import torch
from nnunetv2.training.dataloading import nnunet_dataset
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.building import require_plain
from nnunet_trainer.dataset.manifest import write_manifest
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.paths import BEST, LATEST
from nnunet_trainer.training.classes import find_trainer
from nnunet_trainer.training.guarded import Guarded
from tests.trainer.test_verify import Attack
from tests.trainer.world import World

SHORT = {"epochs": 2, "iterationsPerEpoch": 3, "validationIterationsPerEpoch": 1}

KEEPING = """
from fractions import Fraction

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class KeepingTrainer(nnUNetTrainer):
    def save_checkpoint(self, filename):
        super().save_checkpoint(filename)
        content = torch.load(filename, weights_only=False)
        torch.save(content | {"share": Fraction(1, 3), "weights": np.arange(3.0)}, filename)

    def load_checkpoint(self, filename_or_checkpoint):
        super().load_checkpoint(filename_or_checkpoint)
        content = torch.load(filename_or_checkpoint, weights_only=False)
        print("KEPT", content["share"], content["weights"].tolist())


"""
VOUCHED_FOR = KEEPING + "torch.serialization.add_safe_globals([Fraction])\n"


def stop_in(held: World, epoch: int) -> None:
    command = held.start("train", "--fold", "all")
    command.wait_until(held.begun(epoch, "all"), f"epoch {epoch}")
    command.kill(signal.SIGKILL)


def test_a_fold_does_not_go_on_from_a_checkpoint_that_would_run_code(world: World, tmp_path: Path) -> None:
    """Nor from an older one without a word: somebody has been there."""
    marker = tmp_path / "attacked"
    world = world.but(schedule=SHORT).unvalidated()
    stop_in(world.held_in(2), 2)
    world = world.held_in(None)
    for name in (LATEST, BEST):
        content = torch.load(world.fold() / name, weights_only=False)
        (world.fold() / name).unlink()  # one file under two names
        torch.save(content | {"extra": Attack(open, str(marker), "w")}, world.fold() / name)
    ended = world.with_env(TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1").finish("train", "--fold", "all")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert re.search(r"checkpoint_latest.pth names _?io.open: a fold goes on from", ended.report.message)
    assert not marker.exists()
    torch.load(world.fold() / LATEST, weights_only=False)["extra"].close()
    assert marker.exists(), "the attack would have worked"


def test_what_a_class_keeps_in_checkpoints_is_told_at_the_first_and_taken_if_it_vouches_for_it(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "keeping.py").write_text(KEEPING)
    world = world.but(trainerClass="KeepingTrainer", schedule=SHORT).unvalidated()
    world = world.with_env(nnUNet_extTrainer=str(tmp_path))
    ended = world.finish("train", "--fold", "all")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "trainer class KeepingTrainer keeps fractions.Fraction in its checkpoints" in ended.report.message
    assert not list(world.fold().glob("checkpoint_*")), "nothing that could not be gone on from"

    (tmp_path / "keeping.py").write_text(VOUCHED_FOR)
    world = world.but(schedule=SHORT | {"epochs": 30})
    command = world.start("train", "--fold", "all")
    command.wait_until(world.begun(2, "all"), "epoch 2")
    command.kill(signal.SIGKILL)
    command = world.start("train", "--fold", "all")
    command.wait_for_log("KEPT 1/3 [0.0, 1.0, 2.0]")
    command.kill()


def hostile_properties(world: World, case: str, attack: Any) -> Path:
    """Replace the properties of a case on the shared volume, and all that would tell of it."""
    (path,) = (world.root / "nnunet/preprocessed").glob(f"*/{world.contract.dataset}/*3d_tiny*/{case}.pkl")
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | {"extra": attack}))
    write_manifest(path.parents[2], {}, 1)
    return path


def test_properties_of_a_case_that_would_run_code_end_a_training(world: World, tmp_path: Path) -> None:
    """In the workers that feed it, whose last words nnU-Net does not know."""
    marker = tmp_path / "attacked"
    for number in range(6):
        path = hostile_properties(world, f"case_{number:02d}", Attack(os.open, str(marker), os.O_CREAT))
    ended = world.but(schedule=SHORT).with_env(nnUNet_n_proc_DA="2").finish("train", "--fold", "0")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "names posix.open. From the properties of a case only numbers" in ended.report.message
    assert not marker.exists()
    nnUNetDatasetBlosc2(str(path.parent), [path.stem]).load_case(path.stem)
    assert marker.exists(), "the attack would have worked"


def test_properties_of_a_case_that_would_run_code_end_a_validation(world: World, tmp_path: Path) -> None:
    marker = tmp_path / "attacked"
    world = world.but(schedule=SHORT | {"epochs": 1}, folds=["0"])
    command = world.start("train", "--fold", "0")
    command.wait_for_log("full-volume validation of fold 0")
    command.kill(signal.SIGKILL)
    (splits,) = (world.root / "nnunet/preprocessed").glob(f"*/{world.contract.dataset}/splits_final.json")
    hostile_properties(world, read_json(splits)[0]["val"][0], Attack(os.open, str(marker), os.O_CREAT))
    shutil.rmtree(world.fold() / "validation", ignore_errors=True)
    ended = world.finish("train", "--fold", "0")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "names posix.open" in ended.report.message and not marker.exists()


@pytest.mark.parametrize(
    ("kept", "words"), [(Path("a"), "it names pathlib"), (np.array([None]), "it has numbers of type O8")]
)
def test_a_preprocessor_that_keeps_objects_is_told_in_planning(tmp_path: Path, kept: Any, words: str) -> None:
    """Also of one case alone: what a reader keeps may depend on the image."""
    (tmp_path / "before.pkl").write_bytes(pickle.dumps({"spacing": [1.0], "scanners": np.array(["a"])}))
    (tmp_path / "case.pkl").write_bytes(pickle.dumps({"spacing": [1.0], "origin": kept}))
    with pytest.raises(
        TrainerError, match=f"preprocessor OurPreprocessor, or the reader .*: case.pkl: {words}"
    ) as caught:
        require_plain(tmp_path, "OurPreprocessor")
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_voxels_that_are_a_recipe_are_refused(tmp_path: Path) -> None:
    """blosc2 can keep an expression, or a function, in the place of an array, and would call it where it was let."""
    zeros = blosc2.asarray(np.zeros((1, 4, 4, 4), np.float32), urlpath=str(tmp_path / "zeros.b2nd"))
    (zeros + 1).save(urlpath=str(tmp_path / "case.b2nd"))
    with pytest.raises(Exception, match="deserial"):
        nnUNetDatasetBlosc2(str(tmp_path), ["case"]).load_case("case")


@pytest.mark.parametrize(
    "name",
    [
        "nnUNetTrainer",
        "nnUNetTrainerAdam",
        "nnUNetTrainerVanillaAdam",
        "nnUNetTrainerCosAnneal",
        "nnUNetTrainer_warmup",
    ],
)
def test_classes_of_nnunet_go_on_from_their_own_checkpoints(
    planned: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Each optimizer and each reader of checkpoints of nnU-Net's: with all that it has kept."""
    (data,) = (planned.root / "nnunet/preprocessed").glob(f"*/{planned.contract.dataset}")
    monkeypatch.setenv("nnUNet_preprocessed", str(data.parent))
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    monkeypatch.setenv("nnUNet_compile", "f")
    # `initialize` sets it, and the tests after this one show what happens without.
    monkeypatch.setattr(nnunet_dataset, "load_pickle", nnunet_dataset.load_pickle)
    kind = type(name, (Guarded, find_trainer(name)), {})

    def made() -> Any:
        plans = read_json(data / "nnUNetPlans.json") | {"continue_training": False}
        trainer = kind(plans, "3d_tiny", 0, read_json(data / "dataset.json"), torch.device("cpu"))
        trainer.grad_scaler = None
        trainer.initialize()
        return trainer

    first, second, path = made(), made(), tmp_path / LATEST
    first.on_train_epoch_start()
    sum(output.sum() for output in first.network(torch.randn(2, 1, 16, 16, 16))).backward()
    first.optimizer.step()
    first._best_ema = np.float64(0.5)
    first.logger.log("mean_fg_dice", np.float64(0.25), 0)
    first.save_checkpoint(str(path))
    second.load_checkpoint(str(path))
    for one, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert str(first.optimizer.state_dict()) == str(second.optimizer.state_dict())
    assert (second._best_ema, second.current_epoch) == (0.5, 1)
    assert second.logger.get_value("mean_fg_dice", step=None) == [0.25]
