"""New images, predicted with verified models: as nnU-Net's own command does, case by case, and the run is only read."""

import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_api.contract import EVIDENCE_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_api.prediction import PREDICTION_ENV, RECORD_FILE, Prediction, PredictionRecord
from nnunet_trainer.process.files import read_json
from tests.trainer.world import World, truncate

CASES = ["new_a", "new_b", "new_c", "new_d"]


@pytest.fixture(scope="module")
def trained(planned: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A model of all cases, trained and verified. What several networks do together, test_selection tells."""
    world = planned.copy(tmp_path_factory.mktemp("model") / "world")
    schedule = {"epochs": 1, "iterationsPerEpoch": 20, "validationIterationsPerEpoch": 1}
    world = world.unvalidated().but(schedule=schedule)
    for arguments in (("train", "--fold", "all"), ("verify",)):
        ended = world.finish(*arguments)
        assert ended.code == 0, ended.log
    return world


@pytest.fixture
def world(trained: World, tmp_path: Path) -> World:
    """A copy with four new images, which nobody has predicted."""
    world = trained.copy(tmp_path / "world")
    images(world).mkdir()
    segmentations(world).mkdir()
    raw = world.root / f"nnunet/raw/{world.contract.dataset}"
    sources = [*sorted((raw / "imagesTs").iterdir()), *sorted((raw / "imagesTr").iterdir())]
    for case, source in zip(CASES, sources, strict=False):
        shutil.copy(source, images(world) / f"{case}_0000.nii.gz")
    return world.with_env(**{PREDICTION_ENV: asked(world).to_text()})


def images(world: World) -> Path:
    return world.root / "nnunet/images"


def segmentations(world: World) -> Path:
    return world.root / "nnunet/segmentations"


def asked(world: World, **changes: Any) -> Prediction:
    evidence = read_json(world.run / EVIDENCE_FILE)["folds"]
    content: dict[str, Any] = {
        "asked_for": "a" * 64,
        "configurations": [world.contract.configuration],
        "plans_name": "nnUNetPlans",
        "checkpoints": {one["fold"]: one["checkpointHash"] for one in evidence},
    }
    return Prediction(**content | changes)


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def enlarge_the_last(world: World) -> Path:
    """Let the last image take much longer than all others; return what it was."""
    path = images(world) / f"{CASES[-1]}_0000.nii.gz"
    small = path.rename(world.root / "small.nii.gz")
    image = nibabel.load(small)
    nibabel.save(nibabel.Nifti1Image(np.tile(np.asarray(image.dataobj), (3, 3, 3)), image.affine), path)
    return small


def voxels(path: Path) -> Any:
    return np.asarray(nibabel.load(path).dataobj)


def test_every_voxel_is_that_of_nnunets_own_command(world: World, tmp_path: Path) -> None:
    before = contents(world.run)
    ended = world.finish("predict")
    assert ended.code == 0, ended.log
    assert ended.report.message.startswith(f"4 cases segmented by {world.contract.configuration}. Nobody has verified")
    assert contents(world.run) == before, "the run is only read"
    assert sorted(path.name for path in segmentations(world).iterdir()) == sorted(
        [RECORD_FILE, *(f"{case}.nii.gz" for case in CASES)]
    )
    record = PredictionRecord.model_validate(read_json(segmentations(world) / RECORD_FILE))
    assert (record.cases, record.asked_for, record.training) == (CASES, "a" * 64, "tests/tiny")
    assert record.checkpoints == asked(world).checkpoints and record.mirroring

    # It computes with as many threads as there are cores, and another number is another order of summation.
    entry = "import multiprocessing as m; m.cpu_count = lambda: 1; "
    entry += "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as p; p()"
    names = ["-d", "901", "-f", "all", "-c", world.contract.configuration, "-npp", "1", "-nps", "1"]
    (preprocessed,) = (world.root / "nnunet/preprocessed").glob("Dataset*[0-9a-f]")
    folders = {"nnUNet_results": str(world.run), "nnUNet_preprocessed": str(preprocessed), "nnUNet_compile": "f"}
    folders["nnUNet_raw"] = str(world.root / "nnunet/raw")
    command = [
        "python3",
        "-c",
        entry,
        "-i",
        str(images(world)),
        "-o",
        str(tmp_path / "theirs"),
        "-device",
        "cpu",
        *names,
    ]
    done = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for case in CASES:
        ours, theirs = (voxels(folder / f"{case}.nii.gz") for folder in (segmentations(world), tmp_path / "theirs"))
        assert np.array_equal(ours, theirs), case
    assert any(voxels(segmentations(world) / f"{case}.nii.gz").any() for case in CASES), "else nothing is compared"


def test_what_an_attempt_that_was_killed_has_done_is_not_predicted_again(world: World) -> None:
    work = segmentations(world) / asked(world).work_folder / "segmentations"
    small = enlarge_the_last(world)
    command = world.start("predict")
    command.wait_until(lambda: any(work.glob("new_*.nii.gz")), "a segmentation")
    command.kill(signal.SIGKILL)
    shutil.copy(small, images(world) / f"{CASES[-1]}_0000.nii.gz")
    done = {path.name: path.stat().st_mtime_ns for path in work.glob("new_*.nii.gz")}
    assert not list(segmentations(world).glob("*.nii.gz")), "nobody takes a part for the whole"
    ended = world.finish("predict")
    assert ended.code == 0 and f"predicting {4 - len(done)} of 4 cases" in ended.log, ended.log
    there = {path.name: path.stat().st_mtime_ns for path in segmentations(world).glob("*.nii.gz")}
    assert len(there) == 4 and {name: there[name] for name in done} == done
    assert not work.parent.exists()


def test_a_stop_request_leaves_what_is_done(world: World) -> None:
    work = segmentations(world) / asked(world).work_folder / "segmentations"
    enlarge_the_last(world)
    command = world.start("predict")
    command.wait_until(lambda: any(work.glob("new_*.nii.gz")), "a segmentation")
    assert command.kill().code == ExitCode.PREEMPTED
    assert any(work.glob("new_*.nii.gz"))


def test_all_images_that_can_not_be_used_are_named_before_a_network_loads(world: World) -> None:
    folder = images(world)
    image = nibabel.load(folder / "new_a_0000.nii.gz")
    data = np.asarray(image.dataobj, dtype=np.float32).copy()
    data[:] = 1e30
    nibabel.save(nibabel.Nifti1Image(data, image.affine), folder / "new_a_0000.nii.gz")
    (folder / "new_b_0000.nii.gz").write_bytes(b"no image")
    nibabel.save(nibabel.Nifti1Image(data[..., None].repeat(2, axis=3), image.affine), folder / "new_c_0000.nii.gz")
    ended = world.finish("predict")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "new_b_0000.nii.gz" in ended.report.message and "Copy them again" in ended.report.message
    (folder / "new_b_0000.nii.gz").unlink()
    ended = world.finish("predict")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    for said in ("new_a_0000.nii.gz has 1e+30", "new_c_0000.nii.gz has 4 axes"):
        assert said in ended.report.message, ended.report.message
    assert "predicting" not in ended.log and not list(segmentations(world).glob("*.nii.gz"))

    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("_0000", "_0001")))
    (folder / "odd.nii.gz").touch()
    ended = world.finish("predict")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    for said in ("without a channel's number", "images are missing for the 1 channel", "have numbers"):
        assert said in ended.report.message, ended.report.message


def test_a_checkpoint_that_was_not_verified_is_not_loaded(world: World) -> None:
    truncate(world.fold() / "checkpoint_final.pth")
    ended = world.finish("predict")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "1 checkpoint is not the one that was verified: " in ended.report.message
    assert "fold_all/checkpoint_final.pth" in ended.report.message and "predicting" not in ended.log
    untold = world.with_env(**{PREDICTION_ENV: asked(world, checkpoints={}).to_text()})
    ended = untold.finish("predict")
    assert ended.code == ExitCode.WRONG_CONFIGURATION and "no hash of the final checkpoint of fold all" in ended.log


def test_a_postprocessing_that_was_not_chosen_is_refused(world: World) -> None:
    other = world.with_env(**{PREDICTION_ENV: asked(world, postprocessing=["core"]).to_text()})
    ended = other.finish("predict")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "largest component of nothing, and the status says that of core" in ended.report.message
