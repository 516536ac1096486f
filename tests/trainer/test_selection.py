"""The choice among two configurations and their pair, against nnU-Net's own command on a copy of the result folder."""

import os
import pickle
import re
import shutil
import signal
import zipfile
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation

from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.exit_codes import ExitCode
from nnunet_api.model_export import Member, ModelExport
from nnunet_trainer.dataset.manifest import MANIFEST_FILE
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.selection.room import LEAST_SHARE
from tests.kill.compare import leftovers
from tests.support.networks import small_network
from tests.trainer import tiny_dataset
from tests.trainer.choices import (
    FOLDS,
    WHOLE,
    find_best_by_hand,
    preprocessed,
    require_same_choice,
    train,
    without_paths,
)
from tests.trainer.elsewhere import predicted_elsewhere, require_same
from tests.trainer.theirs import run_code
from tests.trainer.world import TINY_NETWORK, World, make_world

FLAT, SOLID = "2d_tiny", "3d_tiny"
CASES = [f"case_{number:02d}" for number in range(6)]
HALVES = [CASES[:3], CASES[3:]]
TEST_CASES = ["case_06", "case_07"]
MODELS = {name: f"nnUNetTrainer__nnUNetPlans__{name}" for name in (FLAT, SOLID)}
PROBABILITIES = 3 * 4 * prod(tiny_dataset.SHAPE)
"""Bytes of those of a case, uncompressed."""
PAIR = f"ensemble___{MODELS[FLAT]}___{MODELS[SOLID]}___0_1"


PLACES = {
    "verify": (f"read:*__{FLAT}/fold_1/checkpoint_final.pth", "rename:*/evidence.json"),
    "evaluate": (
        f"write:*__{FLAT}/{WHOLE}/case_04.nii.gz",
        "rename:*/ensembles/*/case_03.nii.gz",
        "write:*/postprocessed/*/summary.json",
        "rename:*/selection.json",
        "rename:*/predictions_test*/case_07.nii.gz",
        "rename:*/predictions_test/case_07.nii.gz",
        "rename:*/test_summary.json",
        "rename:*/tiny-????????/summary.json",
        "rename:*/.drawing",
        "rename:*/report.html",
    ),
}
"""By command where it is killed, once in each stage: verification; accumulating, averaging, postprocessing, the choice;
predicting, averaging and scoring the test set, its summary; pictures, and the report. Whatever is chosen."""


def recipe(root: Path) -> World:
    """Return a training of both configurations on two folds, not planned."""
    world = make_world(
        root,
        planning={"configurations": {FLAT: small_network("2d", [16, 16], [4, 8, 8]), SOLID: TINY_NETWORK}},
        configuration=FLAT,
        configurations=[FLAT, SOLID],
        schedule={"epochs": 2, "iterationsPerEpoch": 25, "validationIterationsPerEpoch": 1},
        selection={},
        evaluation={"pictures": True},
        seed=7,
    )
    splits = world.root / f"nnunet/raw/{world.contract.dataset}/splits_final.json"
    write_json(splits, [{"train": HALVES[1 - fold], "val": HALVES[fold]} for fold in range(2)])
    return world


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two folds of both configurations, trained and verified; a validation was killed on its way."""
    world = recipe(tmp_path_factory.mktemp("selection") / "world")
    planned = world.finish("plan")
    assert planned.code == 0, planned.log
    killed = world.start("train", "--fold", "0", "--configuration", SOLID)
    killed.wait_until(lambda: any(validation(world, SOLID, 0).glob("case_*.npz")), "probabilities of a case")
    killed.kill(signal.SIGKILL)
    train(world)
    return world


@pytest.fixture(scope="module")
def chosen(trained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same, verified again and evaluated by attempts killed in each stage, over a pickle that is a trap."""
    world = trained.copy(tmp_path_factory.mktemp("chosen") / "world")
    set_trap(validation(world, FLAT, 0) / "case_00.pkl", world.root / "sprung")
    for command, places in PLACES.items():
        for place in places:
            world.held_at(place).start(command).kill_where_held()
        ended = world.finish(command)
        assert ended.code == 0, ended.log
    (world.root / "report.json").write_text(ended.report.model_dump_json(by_alias=True))
    assert not (world.root / "sprung").exists(), "a pickle was loaded as it is"
    return world


@pytest.fixture(scope="module")
def in_peace(trained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same, evaluated by an attempt that nobody disturbed."""
    world = trained.copy(tmp_path_factory.mktemp("in_peace") / "world")
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    return world


@pytest.fixture(scope="module")
def by_hand(trained: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result folder after nnUNetv2_find_best_configuration."""
    return find_best_by_hand(trained, tmp_path_factory.mktemp("by_hand") / "results")


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


def leave_core_out(path: Path) -> None:
    """Let a segmentation have one class less."""
    image = nibabel.load(path)
    without = np.minimum(np.asarray(image.dataobj), 1).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(without, image.affine, image.header), path)


def export_of(names: Sequence[str], postprocessing: Sequence[str]) -> ModelExport:
    """Return the export of what was chosen."""
    each = tuple(Member(name, "nnUNetTrainer", "nnUNetPlans", FOLDS) for name in names)
    return ModelExport(tiny_dataset.NAME, each, len(each) > 1, tuple(postprocessing), device="cpu")


@pytest.mark.timeout(900)  # what is compared is trained for it
def test_files_numbers_and_choice_are_those_of_nnunets_command(chosen: World, by_hand: Path) -> None:
    assert f"ensembles/{PAIR}/case_00.nii.gz" in require_same_choice(chosen, by_hand)
    best = read_json(by_hand / chosen.contract.dataset / "inference_information.json")
    record, told = read_json(chosen.run / "selection.json"), read_json(chosen.root / "report.json")["evaluation"]
    assert told["selection"]["chosen"] == [one["configuration"] for one in record["chosen"]]
    assert set(best["all_results"]) == {MODELS[FLAT], MODELS[SOLID], PAIR}
    assert [one["configurations"] for one in record["candidates"]] == [[FLAT], [SOLID], [FLAT, SOLID]]
    assert told["selection"]["candidates"] == 3


def test_a_plan_that_is_killed_in_each_configuration_comes_to_the_same_end(trained: World, tmp_path: Path) -> None:
    world = recipe(tmp_path / "world")
    for name in (FLAT, SOLID):
        world.held_at(f"write:*_{name}/case_03.pkl").start("plan").kill_where_held()
    ended = world.finish("plan")
    assert ended.code == 0, ended.log
    ours, theirs = preprocessed(world), preprocessed(trained)
    assert ours == theirs and f"nnUNetPlans_{SOLID}/case_03.b2nd" in ours
    assert leftovers(world) == []


def test_a_recipe_that_is_killed_in_each_stage_comes_to_the_same_end(chosen: World, in_peace: World) -> None:
    """To the last bit, but for the workers of the last attempt, which had nothing left to predict."""
    require_same_choice(chosen, in_peace.run)
    for name in ("selection.json", "summary.json", "test_summary.json"):
        ours, theirs = (without_paths(read_json(world.run / name), world.run) for world in (chosen, in_peace))
        if name == "summary.json":
            for content in (ours, theirs):
                content["chosen"]["replicates"][0].pop("predictionWorkers", None)
        assert ours == theirs, name
    for case in TEST_CASES:
        first, second = (world.run / f"predictions_test/{case}.nii.gz" for world in (chosen, in_peace))
        assert first.read_bytes() == second.read_bytes(), case
    pages = [(world.run / "report.html").read_text() for world in (chosen, in_peace)]
    pictures = [re.findall(r"data:image/jpeg[^\"]+", page) for page in pages]
    assert pictures[0] == pictures[1] and pictures[0]
    assert leftovers(chosen) == []


def test_a_kill_while_a_case_is_drawn_costs_the_pictures_alone(in_peace: World, tmp_path: Path) -> None:
    world = in_peace.copy(tmp_path / "world")
    (world.run / "report.html").unlink()
    world.held_at("rename:*/.drawing#2").start("evaluate").kill_where_held()
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    page = (world.run / "report.html").read_text()
    assert "There are no pictures: an earlier attempt ended while case case_0" in page and "data:image/jpeg" not in page
    assert read_json(world.run / "selection.json") == read_json(in_peace.run / "selection.json")
    ours, theirs = (read_json(one.run / "test_summary.json") for one in (world, in_peace))
    assert ours["foreground_mean"] == theirs["foreground_mean"]


def test_nnunets_export_takes_the_choice_along(chosen: World, tmp_path: Path) -> None:
    """The postprocessing lies where `kubectl nnunet export` looks for it."""
    entry = "from nnunetv2.model_sharing.entry_points import export_pretrained_model_entry as p; p()"
    options = ["-d", "901", "-o", str(tmp_path / "model.zip"), "-c", FLAT, SOLID, "-f", "0", "1"]
    run_code(chosen, chosen.run, entry, *options)
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        packed = {name.removeprefix(f"{chosen.contract.dataset}/") for name in archive.namelist()}
    assert {
        "inference_information.json",
        f"ensembles/{PAIR}/summary.json",
        f"{MODELS[FLAT]}/{WHOLE}/summary.json",
    } <= packed
    record = read_json(chosen.run / "selection.json")
    names = [one["configuration"] for one in record["chosen"]]
    folders = export_of(names, record["postprocessing"]).folders_of_choice
    assert {name for name in packed if name.endswith("postprocessing.pkl")} <= {
        f"{folder.partition('/')[2]}/postprocessing.pkl" for folder in folders
    }
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
    sizes = [path.stat().st_size for path in kept]
    assert len(kept) == 12 and all(PROBABILITIES * LEAST_SHARE < size < PROBABILITIES for size in sizes)
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
    choosing = world.held_at("write:*/crossval_results*/case_*.nii.gz").start("evaluate")
    choosing.wait_where_held()
    for ending in (".nii.gz", ".npz"):  # of an attempt that was replaced
        (validation(world, SOLID, 1) / f".tmp-00c0ffee-case_09{ending}").write_bytes(b"a part")
    choosing.let_go()
    assert (ended := choosing.end(seconds=300)).code == 0 and ended.report.evaluation, ended.log
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


def test_a_pair_predicts_elsewhere_as_it_was_scored(trained: World, tmp_path: Path) -> None:
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

    export = export_of((FLAT, SOLID), ["all foreground", "core"])
    keep = remove_all_but_largest_component_from_segmentation
    settings = [{"labels_or_regions": [1, 2]}, {"labels_or_regions": 2}]
    (choice, _) = (world.run / folder for folder in export.folders_of_choice)
    choice.mkdir(parents=True)
    (choice / "postprocessing.pkl").write_bytes(pickle.dumps(([keep] * 2, settings)))
    theirs = predicted_elsewhere(world, world.run, export, tmp_path / "elsewhere")
    assert theirs.name == "ensemble_postprocessed"
    require_same(world.run / "predictions_test", theirs)


def test_with_one_configuration_only_postprocessing_is_looked_for(world: World) -> None:
    schedule = {"epochs": 1, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1}
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
    ("share", "code", "said"),
    [
        (0.1, ExitCode.STORAGE_FAILED, "too little even at the best compression"),
        (0.4, ExitCode.DONE, "they may not fit"),
    ],
)
def test_room_that_lacks_is_named_before_anything_is_trained(
    trained: World, tmp_path: Path, small_volume: Path, share: float, code: int, said: str
) -> None:
    world = trained.copy(tmp_path / "world").but(uid="f" * 16)
    shutil.rmtree(world.root / "nnunet/results")
    (world.root / "nnunet/results").symlink_to(small_volume)
    stat, uncompressed = os.statvfs(small_volume), len(CASES) * 2 * PROBABILITIES
    (small_volume / "ballast").write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize - int(share * uncompressed)))
    ended = world.finish("plan")
    assert ended.code == code and said in ended.log, ended.log
    if code:
        assert "selection.ensembles: false" in ended.report.message and "Enlarge the claim" in ended.report.message
    else:
        assert world.but(selection={"ensembles": False}).finish("plan").code == 0
