"""The choice among two configurations and their pair, against nnU-Net's own command on a copy of the result folder."""

import os
import pickle
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation

from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.manifest import MANIFEST_FILE
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.selection.room import LEAST_SHARE
from tests.support.networks import small_network
from tests.trainer import tiny_dataset
from tests.trainer.world import TINY_NETWORK, World, make_world

FLAT, SOLID = "2d_tiny", "3d_tiny"
CASES = [f"case_{number:02d}" for number in range(6)]
HALVES = [CASES[:3], CASES[3:]]
TEST_CASES = ["case_06", "case_07"]
MODELS = {name: f"nnUNetTrainer__nnUNetPlans__{name}" for name in (FLAT, SOLID)}
PAIR = f"ensemble___{MODELS[FLAT]}___{MODELS[SOLID]}___0_1"
WHOLE = "crossval_results_folds_0_1"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two folds of both configurations, trained and verified; a validation was killed on its way."""
    world = make_world(
        tmp_path_factory.mktemp("selection") / "world",
        planning={"configurations": {FLAT: small_network("2d", [16, 16], [4, 8, 8]), SOLID: TINY_NETWORK}},
        configuration=FLAT,
        configurations=[FLAT, SOLID],
        schedule={"epochs": 2, "iterationsPerEpoch": 25, "validationIterationsPerEpoch": 1},
        selection={},
        seed=7,
    )
    splits = world.root / f"nnunet/raw/{world.contract.dataset}/splits_final.json"
    write_json(splits, [{"train": HALVES[1 - fold], "val": HALVES[fold]} for fold in range(2)])
    planned = world.finish("plan")
    assert planned.code == 0, planned.log
    killed = world.start("train", "--fold", "0", "--configuration", SOLID)
    killed.wait_until(lambda: any(validation(world, SOLID, 0).glob("case_*.npz")), "probabilities of a case")
    killed.kill(signal.SIGKILL)
    for name in (FLAT, SOLID):
        for fold in ("0", "1"):
            ended = world.finish("train", "--fold", fold, "--configuration", name)
            assert ended.code == 0, ended.log
    verified = world.finish("verify")
    assert verified.code == 0, verified.log
    return world


@pytest.fixture(scope="module")
def chosen(trained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same, evaluated by attempts that were killed in each stage, over a pickle that is a trap."""
    world = trained.copy(tmp_path_factory.mktemp("chosen") / "world")
    set_trap(validation(world, FLAT, 0) / "case_00.pkl", world.root / "sprung")
    home = world.run / world.contract.dataset
    stages = {
        "a configuration": lambda: (home / MODELS[FLAT] / WHOLE).exists(),
        "the pair": lambda: (home / "ensembles" / PAIR).exists(),
        "postprocessing": lambda: any(home.glob("**/postprocessed")),
        "the choice": lambda: (world.run / "selection.json").exists(),
        "the test set": lambda: any(world.run.glob("predictions_test*")),
    }
    for stage, begun in stages.items():
        command = world.start("evaluate")
        command.wait_until(begun, stage)
        command.kill(signal.SIGKILL)
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    (world.root / "report.json").write_text(ended.report.model_dump_json(by_alias=True))
    assert not (world.root / "sprung").exists(), "a pickle was loaded as it is"
    return world


@pytest.fixture(scope="module")
def by_hand(trained: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder after nnUNetv2_find_best_configuration."""
    results = tmp_path_factory.mktemp("by_hand") / "results"
    shutil.copytree(trained.run, results)
    entry = "from nnunetv2.evaluation.find_best_configuration import find_best_configuration_entry_point as p; p()"
    nnunet(trained, results, entry, "901", "-c", FLAT, SOLID, "-f", "0", "1", "-np", "1")
    return results


def validation(world: World, configuration: str, fold: int) -> Path:
    return world.run / world.contract.dataset / MODELS[configuration] / f"fold_{fold}/validation"


class Trap:
    """A pickle that leaves a file where it is loaded without restriction."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def set_trap(path: Path, sprung: Path) -> None:
    assert path.is_file()
    path.write_bytes(pickle.dumps(Trap(sprung)))


def nnunet(world: World, results: Path, entry: str, *arguments: str) -> None:
    """Run a command of nnU-Net's as a user would."""
    (preprocessed,) = (world.root / "nnunet/preprocessed").glob("Dataset*[0-9a-f]")
    folders = {
        "nnUNet_raw": str(world.root / "nnunet/raw"),
        "nnUNet_preprocessed": str(preprocessed),
        "nnUNet_results": str(results),
        "nnUNet_compile": "f",
        "nnUNet_def_n_proc": "1",
    }
    done = subprocess.run(
        ["python3", "-c", entry, *arguments], env=os.environ | folders, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def files_of_the_choice(home: Path) -> set[str]:
    """Return what the choice has left beside and in the model folders."""
    found = [*home.glob("*.*"), *home.glob("ensembles/**/*"), *home.glob(f"*/{WHOLE}/**/*")]
    return {str(path.relative_to(home)) for path in found if path.is_file()}


def without_paths(content: Any, root: Path) -> Any:
    """Return JSON without the names of files, which lie elsewhere."""
    if isinstance(content, dict):
        return {key: without_paths(value, root) for key, value in content.items() if not key.endswith("_file")} | {
            key: content[key].replace(str(root), "")
            for key in ("postprocessing_file", "some_plans_file")
            if key in content
        }
    if isinstance(content, list):
        return [without_paths(one, root) for one in content]
    return content


def leave_core_out(path: Path) -> None:
    """Let a segmentation have one class less."""
    image = nibabel.load(path)
    without = np.minimum(np.asarray(image.dataobj), 1).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(without, image.affine, image.header), path)


def alike(ours: Path, theirs: Path) -> bool:
    """Tell whether segmentations are the same, but for rounding: nnU-Net's commands take all cores to sum up."""
    first, second = (np.asarray(nibabel.load(path).dataobj) for path in (ours, theirs))
    return first.shape == second.shape and float((first == second).mean()) > 0.999


def test_files_numbers_and_choice_are_those_of_nnunets_command(chosen: World, by_hand: Path) -> None:
    ours, theirs = chosen.run / chosen.contract.dataset, by_hand / chosen.contract.dataset
    files = files_of_the_choice(theirs)
    assert files_of_the_choice(ours) == files and f"ensembles/{PAIR}/case_00.nii.gz" in files
    for name in sorted(files):
        if name.endswith(".json"):
            assert without_paths(read_json(ours / name), chosen.run) == without_paths(
                read_json(theirs / name), by_hand
            ), name
        elif name.endswith(".nii.gz"):
            first, second = nibabel.load(ours / name), nibabel.load(theirs / name)
            assert np.array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj)), name
            assert np.array_equal(first.affine, second.affine), name
        elif name.endswith(".txt"):
            assert (ours / name).read_text().replace(str(chosen.run), "") == (theirs / name).read_text().replace(
                str(by_hand), ""
            )
        else:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name

    best = read_json(theirs / "inference_information.json")
    record, told = read_json(chosen.run / "selection.json"), read_json(chosen.root / "report.json")["evaluation"]
    names = [one["configuration"] for one in best["best_model_or_ensemble"]["selected_model_or_models"]]
    assert [one["configuration"] for one in record["chosen"]] == told["selection"]["chosen"] == names
    assert record["meanValidationDice"] == best["best_model_or_ensemble"]["result_on_crossval_pre_pp"]
    assert record["postprocessedValidationDice"] == best["best_model_or_ensemble"]["result_on_crossval_post_pp"]
    keys = [MODELS[FLAT], MODELS[SOLID], PAIR]
    assert [one["meanValidationDice"] for one in record["candidates"]] == [best["all_results"][key] for key in keys]
    assert [one["configurations"] for one in record["candidates"]] == [[FLAT], [SOLID], [FLAT, SOLID]]
    assert told["selection"]["candidates"] == 3


def test_nnunets_export_takes_the_choice_along(chosen: World, tmp_path: Path) -> None:
    entry = "from nnunetv2.model_sharing.entry_points import export_pretrained_model_entry as p; p()"
    names = ["-d", "901", "-o", str(tmp_path / "model.zip"), "-c", FLAT, SOLID, "-f", "0", "1"]
    nnunet(chosen, chosen.run, entry, *names)
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        packed = {name.removeprefix(f"{chosen.contract.dataset}/") for name in archive.namelist()}
    assert {
        "inference_information.json",
        f"ensembles/{PAIR}/summary.json",
        f"{MODELS[FLAT]}/{WHOLE}/summary.json",
    } <= packed
    assert any(name.endswith("postprocessing.pkl") for name in packed)


def test_the_test_set_is_scored_once_after_the_choice(chosen: World) -> None:
    summary, page = read_json(chosen.run / "summary.json"), (chosen.run / "report.html").read_text()
    facts = EvaluationFacts.model_validate(read_json(chosen.root / "report.json")["evaluation"])
    assert summary["selection"]["testSetScorings"] == 1 and facts.test_cases == 2 and facts.test_set_hash
    assert facts.test_mean == summary["testMean"] == summary["chosen"]["testMean"]
    assert facts.mean_validation_dice is None, "the whole has none, each configuration has"
    assert all("testSet" not in one["conditions"] for one in summary["byConfiguration"].values())
    assert any("scored once, after the choice" in note for note in summary["notes"])
    for said in ("scored once, after the choice", "Choice", f"{FLAT} + {SOLID}", "Test set, by"):
        assert said in page, said
    scored = {path.name for path in (chosen.run / "predictions_test").glob("*.nii.gz")}
    assert scored == {f"{case}.nii.gz" for case in TEST_CASES}
    assert [path.name for path in chosen.run.glob("predictions_test*")] == ["predictions_test"]


def test_probabilities_are_gone_and_nobody_asks_for_them_again(trained: World, chosen: World) -> None:
    kept = list(trained.run.glob("*/*/fold_*/validation/*.npz"))
    bound = 3 * 4 * int(np.prod(tiny_dataset.SHAPE))
    assert len(kept) == 12 and all(bound * LEAST_SHARE < path.stat().st_size < bound for path in kept)
    assert not [path for end in ("npz", "pkl") for path in chosen.run.glob(f"**/validation/*.{end}")]
    assert not list(chosen.run.glob("**/*.npz"))
    again = chosen.finish("train", "--fold", "0", "--configuration", FLAT)
    assert again.code == 0 and "is complete already" in again.log, again.log
    before = (chosen.run / "selection.json").stat().st_mtime_ns
    evaluated = chosen.finish("evaluate")
    assert evaluated.code == 0 and "predicting 2 of 2" not in evaluated.log, evaluated.log
    assert (chosen.run / "selection.json").stat().st_mtime_ns == before and "selection:" not in evaluated.log


def test_a_choice_from_other_checkpoints_is_made_anew(chosen: World, tmp_path: Path) -> None:
    world = chosen.copy(tmp_path / "world")
    record = read_json(world.run / "selection.json")
    write_json(world.run / "selection.json", record | {"checkpoints": {**record["checkpoints"], f"{FLAT}-0": "0" * 64}})
    refused = world.finish("evaluate")
    assert refused.code == ExitCode.CHECKPOINT_UNUSABLE, refused.log
    assert f"fold {FLAT}-0 has no probabilities of case_00, case_01, case_02" in refused.report.message
    for name in (FLAT, SOLID):
        for fold in ("0", "1"):
            again = world.finish("train", "--fold", fold, "--configuration", name)
            assert again.code == 0 and "the selection needs the probabilities of" in again.log, again.log
            assert len(list(validation(world, name, int(fold)).glob("*.npz"))) == 3
    ended = world.finish("evaluate")
    assert ended.code == 0 and ended.report.evaluation, ended.log
    assert read_json(world.run / "selection.json") == record, "the same networks, so the same choice"
    assert read_json(world.run / "summary.json")["selection"]["testSetScorings"] == 1
    assert not list(world.run.glob("**/*.npz"))


def test_where_nothing_can_be_chosen_the_cross_validation_is_reported(trained: World, tmp_path: Path) -> None:
    """A class that no case holds and no network predicts: planning refuses that now."""
    world = trained.copy(tmp_path / "world")
    (references,) = world.root.glob("nnunet/preprocessed/Dataset*[0-9a-f]/*/gt_segmentations")
    (references.parent.parent / MANIFEST_FILE).unlink()
    for folder in (references, *world.run.glob("*/*/fold_*/validation")):
        for path in folder.glob("case_*.nii.gz"):
            leave_core_out(path)
    ended = world.finish("evaluate")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "holds or predicts core" in ended.report.message and "Create a new training" in ended.report.message
    summary = read_json(world.run / "summary.json")
    assert set(summary["byConfiguration"]) == {FLAT, SOLID} and "testMean" not in summary
    assert any("nothing can be chosen" in note for note in summary["notes"])
    assert (world.run / "report.html").is_file() and not any(world.run.glob("predictions_test*"))


def test_a_class_that_no_fold_validates_is_refused_before_anything_is_trained(world: World) -> None:
    (splits,) = world.root.glob("nnunet/preprocessed/*/*/splits_final.json")
    for case in read_json(splits)[0]["val"]:
        leave_core_out(world.root / f"nnunet/raw/{world.contract.dataset}/labelsTr/{case}.nii.gz")
    fresh = world.but(folds=["0"], uid="f" * 16)
    refused = fresh.but(selection={}).finish("plan")
    assert refused.code == ExitCode.WRONG_CONFIGURATION, refused.log
    assert "no validation case of folds 0 holds core" in refused.report.message
    ended = fresh.finish("plan")
    assert ended.code == 0, ended.log


def test_a_pair_predicts_as_nnunets_commands_do(trained: World, tmp_path: Path) -> None:
    """With a postprocessing of both kinds, whatever this cross-validation would have chosen."""
    world = trained.copy(tmp_path / "world")
    evidence = {one["fold"]: one["checkpointHash"] for one in read_json(world.run / "evidence.json")["folds"]}
    record = {
        "chosen": [{"configuration": name, "modelPath": f"x/{MODELS[name]}"} for name in (FLAT, SOLID)],
        "postprocessing": ["all foreground", "core"],
        "meanValidationDice": 0.5,
        "postprocessedValidationDice": 0.6,
        "candidates": [{"configurations": [FLAT, SOLID], "meanValidationDice": 0.5}],
        "checkpoints": evidence,
        "asked": {"ensembles": True, "postprocessing": True},
    }
    write_json(world.run / "selection.json", record)
    ended = world.but(evaluation={"bestCheckpoint": True}).finish("evaluate")
    assert ended.code == 0, ended.log
    told = read_json(world.run / "summary.json")
    assert told["selection"]["testSetScorings"] == 2 and told["bestCheckpointTestMean"] is not None
    conditions = read_json(world.run / "summary.json")["chosen"]["conditions"]
    assert conditions["inference"]["postprocessing"] == "largest component of all foreground, then of core"
    assert conditions["inference"]["meanOf"] == [MODELS[FLAT], MODELS[SOLID]]

    images = str(world.root / f"nnunet/raw/{world.contract.dataset}/imagesTs")
    predict = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as p; p()"
    common = ["-i", images, "-d", "901", "-f", "0", "1", "-device", "cpu", "-npp", "1", "-nps", "1"]
    for name in (FLAT, SOLID):
        nnunet(world, world.run, predict, *common, "-c", name, "-o", str(tmp_path / name), "--save_probabilities")
    ensemble = "from nnunetv2.ensembling.ensemble import entry_point_ensemble_folders as p; p()"
    mean, post = tmp_path / "mean", tmp_path / "post"
    nnunet(world, world.run, ensemble, "-i", str(tmp_path / FLAT), str(tmp_path / SOLID), "-o", str(mean), "-np", "1")
    keep = remove_all_but_largest_component_from_segmentation
    settings = [{"labels_or_regions": [1, 2]}, {"labels_or_regions": 2}]
    (tmp_path / "post.pkl").write_bytes(pickle.dumps(([keep] * 2, settings)))
    apply = "from nnunetv2.postprocessing.remove_connected_components import entry_point_apply_postprocessing as p; p()"
    plans = ["-plans_json", str(tmp_path / FLAT / "plans.json"), "-dataset_json", str(tmp_path / FLAT / "dataset.json")]
    pkl = ["-pp_pkl_file", str(tmp_path / "post.pkl"), "-np", "1"]
    nnunet(world, world.run, apply, "-i", str(mean), "-o", str(post), *pkl, *plans)
    for case in TEST_CASES:
        assert alike(world.run / f"predictions_test/{case}.nii.gz", post / f"{case}.nii.gz"), case


def test_with_one_configuration_only_postprocessing_is_looked_for(world: World) -> None:
    schedule = {"epochs": 1, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 1}
    world = world.but(selection={}, schedule=schedule)
    for command in (("train", "--fold", "0"), ("train", "--fold", "1"), ("verify",), ("evaluate",)):
        ended = world.finish(*command)
        assert ended.code == 0, ended.log
    assert not list(world.run.glob("**/*.npz"))
    facts = ended.report.evaluation
    assert facts is not None and facts.selection is not None and facts.test_mean is not None
    assert facts.selection.chosen == [SOLID] and facts.selection.candidates == 1
    assert facts.mean_validation_dice == pytest.approx(facts.selection.mean_validation_dice)
    wanted = ", then of ".join(facts.selection.postprocessing)
    stated = read_json(world.run / "summary.json")["conditions"]["inference"]["postprocessing"]
    assert stated == (f"largest component of {wanted}" if wanted else "none")


def test_what_is_lost_before_the_choice_is_predicted_again(trained: World, tmp_path: Path) -> None:
    world = trained.copy(tmp_path / "world")
    lost = validation(world, FLAT, 1) / "case_04.npz"
    lost.write_bytes(lost.read_bytes()[:-50])
    other = validation(world, SOLID, 1) / "case_03.npz"
    np.savez_compressed(other, probabilities=np.zeros((3, 2, 2, 2), np.float32))
    ended = world.finish("train", "--fold", "1", "--configuration", FLAT)
    assert ended.code == 0 and "the selection needs the probabilities of case_04" in ended.log, ended.log
    assert "2 cases are predicted already" in ended.log
    refused = world.finish("evaluate")
    assert refused.code == ExitCode.CHECKPOINT_UNUSABLE, refused.log
    assert "case_03.npz have shape (3, 2, 2, 2)" in refused.report.message and not other.exists()


@pytest.mark.parametrize(
    ("free_bytes", "code", "said"),
    [
        (300_000, ExitCode.STORAGE_FAILED, "too little even at the best compression"),
        (1_900_000, ExitCode.DONE, "they may not fit"),
    ],
)
def test_room_that_lacks_is_named_before_anything_is_trained(
    trained: World, tmp_path: Path, small_volume: Path, free_bytes: int, code: int, said: str
) -> None:
    world = trained.copy(tmp_path / "world").but(uid="f" * 16)
    shutil.rmtree(world.root / "nnunet/results")
    (world.root / "nnunet/results").symlink_to(small_volume)
    stat = os.statvfs(small_volume)
    (small_volume / "ballast").write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize - free_bytes))
    ended = world.finish("plan")
    assert ended.code == code and said in ended.log, ended.log
    if code:
        assert "selection.ensembles: false" in ended.report.message and "Enlarge the claim" in ended.report.message
    else:
        assert world.but(selection={"ensembles": False}).finish("plan").code == 0
