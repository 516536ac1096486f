"""Two replicates scored on a test set: final and best checkpoints, surfaces, summary, report."""

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from nnunet_api.comparison.contract import ComparedArm, ComparedRun, ComparisonContract
from nnunet_api.contract import EVIDENCE_FILE, POLICY_FILE, PROVEN_ENV, REPORT_FILE, EvidenceFacts
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.exit_codes import ExitCode
from nnunet_api.model_export import Member, ModelExport
from nnunet_trainer.commands.compare import compare_runs
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import BEST, FINAL, ROOT_ENV
from nnunet_trainer.scoring.predicting import WORKERS_FILE
from tests.trainer import tiny_dataset
from tests.trainer.elsewhere import by_nnunet, packed, predicted_elsewhere, require_same
from tests.trainer.test_verify import Attack
from tests.trainer.world import World

SCHEDULE = {"epochs": 3, "iterationsPerEpoch": 30, "validationIterationsPerEpoch": 4, "initialLearningRate": 0.02}

EXCEPTION = {
    "policy": "clinical",
    "minEpochs": 3,
    "liftedRules": [],
    "reason": "the scanner is gone and no case can be added",
    "ticket": "QM-17",
    "approvedBy": "dr.x@example.org",
    "expiresAt": "2027-01-01T00:00:00Z",
}
POLICY = {"decidedAt": "2026-01-02T03:04:05Z", "minEpochs": 3, "exceptions": [EXCEPTION]}


@pytest.fixture(scope="module")
def scored(planned: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """One fold of two replicates trained under an exception, verified and evaluated, with the best checkpoints."""
    world = planned.copy(tmp_path_factory.mktemp("scored") / "world")
    evaluation = {"bestCheckpoint": True, "surfaceToleranceMm": 1.5, "mirroring": False, "stepSize": 1, "processes": 2}
    evaluation["pictures"] = True
    world = world.but(folds=["0"], replicates=2, seed=5, schedule=SCHEDULE, evaluation=evaluation, policy=POLICY)
    commands = [("train", "--fold", "0", "--replicate", number) for number in ("1", "2")]
    for arguments in (*commands, ("verify",), ("evaluate",)):
        ended = world.finish(*arguments)
        assert ended.code == 0, ended.log
    (world.root / "report.json").write_text(ended.report.model_dump_json(by_alias=True))
    return world


@pytest.fixture
def own(scored: World, tmp_path: Path) -> World:
    """A copy to change."""
    return scored.copy(tmp_path / "world")


def files_in(folder: Path) -> dict[str, int]:
    """When each file of an evaluation was written, but for what has a name of its attempt's own until it is whole."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    found = [path for path in found if not path.name.startswith(".tmp-")]
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in found if path.name != ".alive"}


@pytest.mark.parametrize(
    "place",
    [
        "write:*/predictions_test/*workers.json*",
        "write:*/predictions_test/*plans.json*",
        "read:*/predictions_test/.tmp-*.nii.gz",
        "write:*/*summary.json*",
    ],
    ids=["the workers", "a note of nnU-Net's", "a prediction", "the summary"],
)
def test_an_evaluation_that_was_replaced_writes_nothing_more(own: World, place: str) -> None:
    """Its lock is lost, as on a file server that forgot a node: it would mix its predictions with those of another."""
    shutil.rmtree(results_of(own, 1) / "predictions_test")
    old = own.held_at(place).start("evaluate")
    old.wait_where_held()
    (own.run / ".evaluate.lock").unlink()
    assert own.finish("evaluate").code == 0
    before = files_in(own.run)
    old.let_go()
    ended = old.end(seconds=300)
    assert ended.code == ExitCode.PREEMPTED and "another attempt has taken over" in ended.report.message, ended.log
    assert files_in(own.run) == before


def test_what_a_replaced_attempt_writes_late_is_no_case(own: World) -> None:
    """It was about to write when another one had removed what it had left."""
    predictions = results_of(own, 1) / "predictions_test"
    shutil.rmtree(predictions)
    new = own.held_at("rename:*/replicate-1/predictions_test/*.nii.gz").start("evaluate")
    new.wait_where_held()
    (predictions / ".tmp-00c0ffee-case_07.nii.gz").write_bytes(b"a part")
    new.let_go()
    ended = new.end(seconds=300)
    assert ended.code == 0, ended.log


def results_of(world: World, replicate: int) -> Path:
    return world.run / f"replicate-{replicate}"


def fold_of(world: World, replicate: int) -> Path:
    (folder,) = results_of(world, replicate).glob("*/*/fold_0")
    return folder


def summary_of(world: World) -> dict[str, Any]:
    content: dict[str, Any] = read_json(world.run / "summary.json")
    return content


def test_each_replicate_is_scored_by_itself(scored: World) -> None:
    summary = summary_of(scored)
    facts = EvaluationFacts.model_validate(json.loads((scored.root / "report.json").read_text())["evaluation"])
    for run in summary["replicates"]:
        number = run["replicate"]
        assert run["seed"] == 4 + number
        for name, kept, found in (
            ("predictions_test", "test_summary.json", run),
            ("predictions_test_best", "test_summary_best.json", run["bestCheckpoint"]),
        ):
            assert len(list((results_of(scored, number) / name).glob("*.nii.gz"))) == 2
            dice = read_json(results_of(scored, number) / kept)["foreground_mean"]["Dice"]
            assert found["testMean"] == pytest.approx(dice)
        own = read_json(fold_of(scored, number) / "validation/summary.json")["foreground_mean"]["Dice"]
        assert run["meanValidationDice"] == facts.fold_dice[f"0-r{number}"] == pytest.approx(own)
    assert len(facts.test_set_hash or "") == 64, "by it looks at the test set are counted"
    means = [run["testMean"] for run in summary["replicates"]]
    assert means[0] != means[1], "both replicates predict alike: do they differ in their seeds?"
    assert facts.test_mean == pytest.approx(np.mean(means))
    assert summary["spread"]["testMean"] == pytest.approx(np.std(means, ddof=1))
    assert [run.test_mean for run in facts.replicates] == means
    best = [run["bestCheckpoint"]["testMean"] for run in summary["replicates"]]
    assert facts.best_checkpoint_test_mean == pytest.approx(np.mean(best))
    assert facts.model_path and "/replicate-1/" in facts.model_path
    assert not (scored.run / "predictions_test").exists()


def test_what_was_predicted_with_is_kept(scored: World) -> None:
    """Also that nnU-Net's predictor has really taken it: what is kept is what that says of itself."""
    summary = summary_of(scored)
    inference = summary["conditions"]["inference"]
    assert (inference["mirroring"], inference["tileStepSize"]) == (False, 1.0)
    assert [run["predictionWorkers"] for run in summary["replicates"]] == [2, 2], "so small cases need no memory"
    assert not list(scored.run.rglob(WORKERS_FILE))


def test_surfaces_are_those_of_the_files(scored: World) -> None:
    run = summary_of(scored)["replicates"][1]
    labels = scored.root / "nnunet/raw" / tiny_dataset.NAME / "labelsTs"
    for case, classes in run["testByCase"].items():
        files = [results_of(scored, 2) / f"predictions_test/{case}.nii.gz", labels / f"{case}.nii.gz"]
        segmentations = [np.asanyarray(nibabel.load(path).dataobj) for path in files]
        for name, label in (("shell", 1), ("core", 2)):
            masks = [torch.from_numpy(segmentation == label)[None, None] for segmentation in segmentations]
            if not all(mask.any() for mask in masks):
                assert classes[name]["hd95Mm"] is None
                continue
            options: dict[str, Any] = {"include_background": True, "spacing": [1.0, 1.0, 1.0]}
            nsd = compute_surface_dice(*masks, [1.5], use_subvoxels=True, **options)
            hd95 = compute_hausdorff_distance(*masks, percentile=95, **options)
            assert classes[name]["nsd"] == pytest.approx(nsd.item())
            assert classes[name]["hd95Mm"] == pytest.approx(hd95.item())
    assert 0 <= run["testNsd"] <= 1


def test_an_exported_model_predicts_the_same_by_nnunets_own_commands(scored: World, tmp_path: Path) -> None:
    """The files are those of nnU-Net's own export, and the instructions are run as they are printed."""
    (folder,) = results_of(scored, 1).glob("*/*__*__*")
    trainer_class, plans, configuration = folder.name.split("__")
    member = Member(configuration, trainer_class, plans, ("0",))
    export = ModelExport(tiny_dataset.NAME, (member,), mirroring=False, step_size=1, device="cpu")
    words = f"-d {tiny_dataset.NAME} -o {tmp_path}/own.zip -c {configuration} -tr {trainer_class} -p {plans} -f 0"
    by_nnunet(scored, results_of(scored, 1), f"nnUNetv2_export_model_to_zip {words}", tmp_path / "nothing")
    with zipfile.ZipFile(tmp_path / "own.zip") as archive:
        assert sorted(archive.namelist()) == sorted(packed(results_of(scored, 1), export, tmp_path / "ours.zip"))
    theirs = predicted_elsewhere(scored, results_of(scored, 1), export, tmp_path / "elsewhere")
    require_same(results_of(scored, 1) / "predictions_test", theirs)


def test_the_report_is_one_small_file(scored: World) -> None:
    page = (scored.run / REPORT_FILE).read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:)', page) == [] and "<script" not in page
    assert len(page) < 1_000_000
    assert page.count("data:image/svg+xml") == 4, "two folds, test cases, validation cases"
    for wanted in ("Not nnU-Net's standard", "Fold 0-r2", "shell", "core", "standard deviation", "configurationHash"):
        assert (wanted in page) is (wanted != "configurationHash"), wanted
    assert f"{summary_of(scored)['testMean']:.4f}" in page


def test_the_report_shows_cases_of_the_test_set_or_else_of_the_validation(own: World) -> None:
    """By nnU-Net's reader and files, with the Dice that nnU-Net computed: else they would be missing."""
    page = (own.run / REPORT_FILE).read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") == 4 and "picture is missing" not in page, "worst and best of two classes"
    assert "the test cases with" in page and "in the first replicate" in page
    ended = own.but(testSet=None).finish("evaluate")
    assert ended.code == 0, ended.log
    page = (own.run / REPORT_FILE).read_text(encoding="utf-8")
    cases = len(read_json(fold_of(own, 1) / "validation/summary.json")["metric_per_case"])
    assert "the validation cases with" in page and "picture is missing" not in page
    assert page.count("data:image/jpeg") == 2 * min(cases, 3)
    shutil.rmtree(own.root / "nnunet/raw")
    ended = own.but(testSet=None).finish("evaluate")
    assert ended.code == 0, ended.log
    assert "There are no pictures: " in (own.run / REPORT_FILE).read_text(encoding="utf-8")


def test_a_model_that_was_trained_under_an_exception_says_so(scored: World) -> None:
    page = (scored.run / REPORT_FILE).read_text(encoding="utf-8")
    assert "Trained under an exception" in page and "QM-17" in page
    assert summary_of(scored)["policy"]["exceptions"] == [EXCEPTION]
    assert read_json(scored.run / EVIDENCE_FILE)["asked"]["policy"]["exceptions"] == [EXCEPTION]
    lines = [json.loads(line) for line in (scored.run / POLICY_FILE).read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["train", "verify", "evaluate"]


def test_what_cannot_be_drawn_or_compared_does_not_end_the_evaluation(own: World) -> None:
    (own.run / REPORT_FILE).unlink()
    (own.run / REPORT_FILE).mkdir()
    (fold_of(own, 2) / BEST).unlink()
    ended = own.finish("evaluate")
    assert ended.code == 0, ended.log
    assert "report.html could not be drawn" in ended.log
    assert ended.log.count("predicting 0 of 2 cases") == 3, "what is there was predicted again"
    assert "the best checkpoints are not compared: 0-r2 have none that loads" in ended.report.message
    assert ended.report.evaluation is not None and ended.report.evaluation.best_checkpoint_test_mean is None
    assert summary_of(own)["testMean"] == ended.report.evaluation.test_mean
    first, second = summary_of(own)["replicates"]
    assert "bestCheckpoint" in first and "bestCheckpoint" not in second


def test_only_what_was_verified_is_scored(own: World) -> None:
    shutil.copy(fold_of(own, 2) / FINAL, fold_of(own, 1) / FINAL)
    ended = own.finish("evaluate")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "fold 0-r1 is not complete: its checkpoint_final.pth was replaced" in ended.report.message
    evidence = EvidenceFacts.model_validate(read_json(own.run / EVIDENCE_FILE))
    shorter = [fold.model_copy(update={"epochs": 2}) for fold in evidence.folds]
    write_json(own.run / EVIDENCE_FILE, EvidenceFacts(folds=shorter).to_json_dict())
    ended = own.finish("evaluate", seconds=300)
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "has 2 of 3 epochs" in ended.report.message and "loading" not in ended.log
    (own.run / EVIDENCE_FILE).unlink()
    ended = own.finish("evaluate", seconds=300)
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "nnunet-trainer verify" in ended.report.message


def test_nothing_in_a_replaced_checkpoint_is_run(own: World, tmp_path: Path) -> None:
    """Not in the final one, whose evidence is forged along with it, and not in the best, of which there is none."""

    def attack(path: Path, marker: Path) -> None:
        content = torch.load(path, weights_only=False)
        torch.save(content | {"extra": Attack(open, str(marker), "w")}, path)

    evidence = EvidenceFacts.model_validate_json((own.run / EVIDENCE_FILE).read_text())
    proven = {fold.fold: fold.checkpoint_hash for fold in evidence.folds}
    told = own.with_env(**{PROVEN_ENV: json.dumps(proven)})
    marker = tmp_path / "best"
    attack(fold_of(own, 1) / BEST, marker)
    ended = told.finish("evaluate")
    assert ended.code == 0, ended.log
    assert not marker.exists()

    marker, path = tmp_path / "final", fold_of(own, 1) / FINAL
    attack(path, marker)
    forged = json.loads((own.run / EVIDENCE_FILE).read_text())
    forged["folds"][0]["checkpointHash"] = file_hash(path)
    write_json(own.run / EVIDENCE_FILE, forged)
    ended = told.finish("evaluate")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE, ended.log
    assert "evidence.json was replaced after the verification" in ended.report.message
    assert not marker.exists()


def test_what_it_leaves_can_be_compared(own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that has to be the same is known of a real run, and its scores are read; two cases decide nothing."""
    monkeypatch.setenv(ROOT_ENV, str(own.root))
    provenance = read_json(fold_of(own, 1) / "provenance.json")
    hashes = {f"0-r{number}": file_hash(fold_of(own, number) / "provenance.json") for number in (1, 2)}
    assert summary_of(own)["provenanceHashes"] == hashes
    assert summary_of(own)["patients"] == {"column": "", "byCase": {}}, (
        "there is no cases.csv, which is something known"
    )
    run = ComparedRun(
        training="hippo",
        uid=own.contract.uid,
        folder=own.contract.run_folder,
        summary_hash=file_hash(own.run / "summary.json"),
        configuration_hash=provenance["configurationHash"],
        configuration=own.contract.configuration,
        folds=["0-r1", "0-r2"],
    )
    arms = [ComparedArm(name=name, runs=[run]) for name in ("standard", "twin")]
    contract = ComparisonContract(
        namespace="n", name="same", uid="u", registration="d", arms=arms, test_set=True, max_dice_loss=0.01
    )
    with pytest.raises(TrainerError, match="2 cases: a comparison needs 5 at least"):
        compare_runs(contract)
    with (own.run / "summary.json").open("a") as summary:
        summary.write(" ")
    with pytest.raises(TrainerError, match="was changed after its evaluation"):
        compare_runs(contract)
