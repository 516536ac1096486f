"""New images, predicted with verified models: as nnU-Net's own commands do, case by case, and the run is only read.

The networks have random weights: nothing here depends on what they have learnt, and a test that trains takes minutes.
"""

import contextlib
import hashlib
import pickle
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_api.exit_codes import ExitCode
from nnunet_api.prediction import PREDICTION_ENV, RECORD_FILE, Prediction, PredictionRecord
from nnunet_trainer.process.files import read_json, write_json
from tests.support.networks import small_network
from tests.trainer import tiny_dataset
from tests.trainer.theirs import run_code
from tests.trainer.world import World, make_contract, truncate

CASES = ["new_a", "new_b", "new_c", "new_d"]
FLAT, SOLID, CASCADE = "2d_tiny", "3d_tiny", "3d_tiny_cascade"
FOLDS = ("0", "1")
STEPS = ["all foreground", "core"]
NETWORKS = {
    FLAT: small_network("2d", [16, 16], [4, 8, 8]),
    SOLID: small_network("3d_fullres", [16, 16, 16], [4, 8, 8]),
    CASCADE: {**small_network("3d_fullres", [16, 16, 16], [4, 8, 8]), "previous_stage": SOLID},
}
LABELS = 2
OF_A_PAIR = (
    f"rename:*_by_configuration/*__{FLAT}/new_b.nii.gz",
    f"rename:*_by_configuration/*__{SOLID}/new_c.nii.gz",
    "rename:*/segmentations/new_b.nii.gz",
    "rename:*/nnunet/segmentations/new_d.nii.gz",
)
"""Where attempts are killed that predict by both: beside the last one all is done, but not in its place."""


def planned_configuration(network: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as nnU-Net's plans have it."""
    dimensions = len(network["patch_size"])
    functions = {f"resampling_fn_{what}": "resample_data_or_seg_to_shape" for what in ("data", "seg", "probabilities")}
    how = {"order": 1, "order_z": 0, "force_separate_z": None}
    given = {f"{name}_kwargs": {**how, "is_seg": name.endswith("seg")} for name in functions}
    return {
        **{key: value for key, value in network.items() if key != "inherits_from"},
        **functions,
        **given,
        "data_identifier": "nnUNetPlans",
        "preprocessor_name": "DefaultPreprocessor",
        "median_image_size_in_voxels": [float(size) for size in tiny_dataset.SHAPE[-dimensions:]],
        "spacing": [1.0] * dimensions,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [False],
        "batch_dice": False,
    }


PLANS: dict[str, Any] = {
    "dataset_name": tiny_dataset.NAME,
    "plans_name": "nnUNetPlans",
    "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
    "original_median_shape_after_transp": list(tiny_dataset.SHAPE),
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "configurations": {name: planned_configuration(network) for name, network in NETWORKS.items()},
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {}},
}


def model(world: World, configuration: str) -> Path:
    return world.run / tiny_dataset.NAME / f"nnUNetTrainer__nnUNetPlans__{configuration}"


def write_model(world: World, configuration: str) -> None:
    """Write what two folds leave that nobody has trained."""
    folder = model(world, configuration)
    folder.mkdir(parents=True)
    write_json(folder / "plans.json", PLANS)
    shutil.copy(world.root / "nnunet/raw" / tiny_dataset.NAME / "dataset.json", folder)
    planned = PlansManager(PLANS).get_configuration(configuration)
    channels = 1 + (LABELS if configuration == CASCADE else 0)
    for fold in FOLDS:
        network = get_network_from_plans(
            planned.network_arch_class_name,
            planned.network_arch_init_kwargs,
            planned.network_arch_init_kwargs_req_import,
            channels,
            LABELS + 1,
            allow_init=True,
            deep_supervision=True,
        )
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
        content = {
            "network_weights": network.state_dict(),
            "trainer_name": "nnUNetTrainer",
            "init_args": {"configuration": configuration},
            "inference_allowed_mirroring_axes": tuple(range(len(NETWORKS[configuration]["patch_size"]))),
        }
        (folder / f"fold_{fold}").mkdir()
        torch.save(content, folder / f"fold_{fold}/checkpoint_final.pth")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run with a model of each configuration, a choice among them, and four images that nobody has predicted."""
    root = tmp_path_factory.mktemp("model") / "world"
    raw = tiny_dataset.write_dataset(root / "nnunet/raw", training=0, test=len(CASES))
    contract = make_contract(
        planning={"configurations": NETWORKS},
        configuration=FLAT,
        configurations=list(NETWORKS),
        selection={},
        evaluation={"stepSize": 0.75},
    )
    world = World(root, contract)
    torch.manual_seed(1)
    for configuration in NETWORKS:
        write_model(world, configuration)
    record = {
        "chosen": [{"configuration": name, "modelPath": "x"} for name in (FLAT, SOLID)],
        "postprocessing": STEPS,
        "meanValidationDice": 0.5,
        "candidates": [],
        "checkpoints": {},
        "asked": {},
    }
    write_json(world.run / "selection.json", record)
    images(world).mkdir()
    segmentations(world).mkdir()
    for case, source in zip(CASES, sorted((raw / "imagesTs").iterdir()), strict=True):
        shutil.copy(source, images(world) / f"{case}_0000.nii.gz")
    return world


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    """A copy to change, of which one configuration is asked for."""
    return asking(made.copy(tmp_path / "world"), SOLID)


def asking(world: World, *configurations: str, **changes: Any) -> World:
    """Return the same folders, of which these models are asked for."""
    return world.with_env(**{PREDICTION_ENV: asked(world, *configurations, **changes).to_text()})


def asked(world: World, *configurations: str, **changes: Any) -> Prediction:
    names = [*configurations, *([SOLID] if CASCADE in configurations else [])]
    content: dict[str, Any] = {
        "asked_for": "a" * 64,
        "configurations": list(configurations),
        "plans_name": "nnUNetPlans",
        "checkpoints": {
            f"{name}-{fold}": hashlib.sha256(
                (model(world, name) / f"fold_{fold}/checkpoint_final.pth").read_bytes()
            ).hexdigest()
            for name in names
            for fold in FOLDS
        },
    }
    return Prediction(**content | changes)


def work_of(world: World) -> Path:
    """Return where segmentations lie that are done, as long as not all are."""
    return segmentations(world) / asked(world, SOLID).work_folder / "segmentations"


def images(world: World) -> Path:
    return world.root / "nnunet/images"


def segmentations(world: World) -> Path:
    return world.root / "nnunet/segmentations"


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


def nnunet(world: World, entry: str, *arguments: str) -> None:
    """Run a command of nnU-Net's as a user would."""
    run_code(world, world.run, f"from nnunetv2.{entry} as p; p()", *arguments)


def predict_theirs(world: World, configuration: str, output: Path, *more: str) -> None:
    names = ["-d", tiny_dataset.NAME, "-c", configuration, "-f", *FOLDS, "-step_size", "0.75"]
    how = ["-device", "cpu", "-npp", "1", "-nps", "1", *more]
    entry = "inference.predict_from_raw_data import predict_entry_point"
    nnunet(world, entry, "-i", str(images(world)), "-o", str(output), *names, *how)


def same(ours: Path, theirs: Path, cases: Sequence[str] = CASES) -> bool:
    """Tell whether two folders have the same segmentations, every voxel of them."""
    return all(np.array_equal(*(voxels(folder / f"{case}.nii.gz") for folder in (ours, theirs))) for case in cases)


def test_every_voxel_is_that_of_nnunets_own_command(world: World, tmp_path: Path) -> None:
    before = contents(world.run)
    ended = world.finish("predict")
    assert ended.code == 0, ended.log
    assert ended.report.message.startswith(f"4 cases segmented by {SOLID}. Nobody has verified")
    assert contents(world.run) == before, "the run is only read"
    assert sorted(path.name for path in segmentations(world).iterdir()) == sorted(
        [RECORD_FILE, *(f"{case}.nii.gz" for case in CASES)]
    )
    record = PredictionRecord.model_validate(read_json(segmentations(world) / RECORD_FILE))
    assert (record.cases, record.asked_for, record.training) == (CASES, "a" * 64, "tests/tiny")
    assert record.checkpoints == asked(world, SOLID).checkpoints and record.step_size == 0.75
    predict_theirs(world, SOLID, tmp_path / "theirs")
    assert same(segmentations(world), tmp_path / "theirs")
    assert len(np.unique(voxels(segmentations(world) / "new_a.nii.gz"))) == 3, "else little is compared"


def test_a_pair_is_averaged_and_postprocessed_as_by_nnunets_commands(world: World, tmp_path: Path) -> None:
    """Also where attempts were killed: in the predictions of each configuration, in a mean, before the last case."""
    pair = asking(world, FLAT, SOLID, postprocessing=STEPS)
    for place in OF_A_PAIR:
        pair.held_at(place).start("predict").kill_where_held()
    ended = pair.finish("predict")
    assert ended.code == 0 and "largest component of all foreground, core kept" in ended.report.message, ended.log
    for name in (FLAT, SOLID):
        predict_theirs(world, name, tmp_path / name, "--save_probabilities")
    mean, post = tmp_path / "mean", tmp_path / "post"
    both = [str(tmp_path / FLAT), str(tmp_path / SOLID)]
    nnunet(world, "ensembling.ensemble import entry_point_ensemble_folders", "-i", *both, "-o", str(mean), "-np", "1")
    keep = remove_all_but_largest_component_from_segmentation
    steps = [{"labels_or_regions": [1, 2]}, {"labels_or_regions": 2}]
    (tmp_path / "post.pkl").write_bytes(pickle.dumps(([keep] * 2, steps)))
    how = ["-pp_pkl_file", str(tmp_path / "post.pkl"), "-np", "1"]
    how += ["-plans_json", f"{both[0]}/plans.json", "-dataset_json", f"{both[0]}/dataset.json"]
    entry = "postprocessing.remove_connected_components import entry_point_apply_postprocessing"
    nnunet(world, entry, "-i", str(mean), "-o", str(post), *how)
    assert same(segmentations(world), post) and not same(mean, post) and not same(mean, tmp_path / SOLID)
    assert len(list(segmentations(world).iterdir())) == len(CASES) + 1


def test_of_a_cascade_the_previous_stage_predicts_first(world: World, tmp_path: Path) -> None:
    ended = asking(world, CASCADE).finish("predict")
    assert ended.code == 0, ended.log
    first, second = tmp_path / "first", tmp_path / "second"
    predict_theirs(world, SOLID, first)
    predict_theirs(world, CASCADE, second, "-prev_stage_predictions", str(first))
    assert same(segmentations(world), second) and not same(first, second)


def test_what_an_attempt_that_was_killed_has_done_is_not_predicted_again(world: World, tmp_path: Path) -> None:
    work = work_of(world)
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
    predict_theirs(world, SOLID, tmp_path / "theirs")
    assert same(segmentations(world), tmp_path / "theirs"), "as one that nobody disturbed"


def test_an_attempt_that_was_killed_while_it_hands_over_has_predicted_all(world: World) -> None:
    world.held_at("rename:*/nnunet/segmentations/new_c.nii.gz").start("predict").kill_where_held()
    folders = work_of(world), segmentations(world)
    done = {path.name: path.stat().st_mtime_ns for folder in folders for path in folder.glob("new_*.nii.gz")}
    assert len(done) == 4 and len(list(segmentations(world).glob("*.nii.gz"))) == 2
    assert not (segmentations(world) / RECORD_FILE).exists()
    for _ in range(2):  # once more as where it is killed with all in place
        ended = world.finish("predict")
        assert ended.code == 0 and ended.report.message.startswith(f"4 cases segmented by {SOLID}. Nobody"), ended.log
        assert "predicting" not in ended.log
        assert {path.name: path.stat().st_mtime_ns for path in segmentations(world).glob("*.nii.gz")} == done
        assert (segmentations(world) / RECORD_FILE).exists() and not work_of(world).parent.exists()


def test_a_full_claim_is_told_with_what_mends_a_prediction(world: World, small_volume: Path) -> None:
    segmentations(world).rmdir()
    segmentations(world).symlink_to(small_volume)
    with (small_volume / "theirs").open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
            file.flush()
    ended = world.finish("predict")
    assert ended.code == ExitCode.STORAGE_FAILED, ended.log
    assert ended.report.message.endswith("then call the same command again; it goes on with what is done")
    assert ended.report.message in ended.log and "the training" not in ended.report.message


def test_a_stop_request_leaves_what_is_done(world: World) -> None:
    work = work_of(world)
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
    truncate(model(world, SOLID) / "fold_1/checkpoint_final.pth")
    ended = world.finish("predict")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "1 checkpoint was replaced after it was verified: " in ended.report.message
    assert "fold_1/checkpoint_final.pth" in ended.report.message and "predicting" not in ended.log
    assert ended.report.message.endswith("Restore the folder of the run, or train anew")
    ended = asking(world, SOLID, checkpoints={}).finish("predict")
    assert (
        ended.code == ExitCode.WRONG_CONFIGURATION and f"no hash of the final checkpoint of fold {SOLID}-0" in ended.log
    )


def test_a_postprocessing_that_was_not_chosen_is_refused(world: World) -> None:
    ended = asking(world, SOLID, postprocessing=["core"]).finish("predict")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "component of all foreground, core, and the status says that of core" in ended.report.message
