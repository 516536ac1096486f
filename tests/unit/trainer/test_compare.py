"""`nnunet-trainer compare`: from runs on the volume to a verdict, or to what keeps them from being compared."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.comparison.log import MOST_POINTS, ComparisonLog, log_hash
from nnunet_api.contract import TERMINATION_LOG_LIMIT, TerminationReport
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.compare import compare_runs
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import LONGEST_TEXT, read_json, write_json
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import encode
from tests.unit.trainer.compared import CASES, Change, Volume, of_patients, told


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volume:
    """A results claim that the command finds."""
    monkeypatch.setenv(ROOT_ENV, str(tmp_path))
    return Volume(tmp_path)


def test_a_loss_is_found_and_told_in_a_sentence(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    contract = told(volume.run("long"), volume.run("short", loss=0.06, epochs=250))
    report = compare_runs(contract)
    facts = report.comparison
    assert facts is not None and not facts.differences
    (found,) = facts.candidates
    assert (found.arm, found.verdict, facts.cases, facts.indicative) == ("short", "Inferior", CASES, False)
    assert found.difference == pytest.approx(-0.03, abs=0.004) and found.low < found.difference < found.high < -0.01
    assert found.worst_class == "tumour" and found.worst_class_difference == pytest.approx(-0.06, abs=0.004)
    assert found.nsd is not None and found.nsd.difference == pytest.approx(found.difference, abs=1e-5)
    # Of every case, as none lacks a structure: 2 and 5 mm in both arms.
    assert found.hd95_mm is not None and (found.hd95_mm.difference, found.hd95_mm.cases) == (0.0, CASES)
    assert (
        report.message.startswith("short loses ") and "Inferior at a margin of 1 point; worst: tumour" in report.message
    )
    assert (facts.uid, facts.registration) == (contract.uid, contract.registration)
    log = json.loads(capsys.readouterr().out)
    assert log["candidates"][0]["worstCases"], "the log has the cases that the report has no room for"
    assert compare_runs(contract).comparison == facts, "the same scores give the same numbers"


def test_an_equal_arm_is_equivalent(volume: Volume) -> None:
    report = compare_runs(told(volume.run("long"), volume.run("short", epochs=250)))
    assert report.comparison is not None
    assert [one.verdict for one in report.comparison.candidates] == ["Equivalent"]


def test_cross_validation_only_indicates(volume: Volume) -> None:
    runs = volume.run("long", test_set=False), volume.run("short", 0.06, 250, test_set=False)
    report = compare_runs(told(*runs, test_set=False))
    assert report.comparison is not None and report.comparison.indicative
    assert [one.verdict for one in report.comparison.candidates] == ["IndicativeInferior"]
    assert report.comparison.candidates[0].nsd is None


@pytest.mark.parametrize(
    ("lacking", "cases", "difference"),
    [(0, CASES, 1.0), (4, CASES - 4, 1.0), (CASES - 4, None, None)],
    ids=["all", "four cases without", "too few"],
)
def test_distances_are_those_of_what_all_arms_have_found(
    volume: Volume, lacking: int, cases: int | None, difference: float | None
) -> None:
    """One that an arm misses has none: neither arm's counts then, and it is said of how many cases they are."""

    def further(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        for number, replicate in enumerate(summary["replicates"]):
            for place, scores in enumerate(replicate["testByCase"].values()):
                scores["tumour"]["hd95Mm"] = 7.0
                if place < lacking and number == 1:
                    scores["tumour"]["hd95Mm"] = scores["liver"]["hd95Mm"] = None

    report = compare_runs(told(volume.run("long"), volume.run("short", epochs=250, change=further)))
    assert report.comparison is not None
    (found,) = report.comparison.candidates
    assert found.verdict == "Equivalent", "nothing rests on it"
    assert (found.hd95_mm and found.hd95_mm.cases) == cases
    # The mean over two classes, one of which is 2 mm further off.
    assert (found.hd95_mm and found.hd95_mm.difference) == difference


def test_only_the_classes_that_count_are_compared(volume: Volume) -> None:
    runs = volume.run("long"), volume.run("short", loss=0.06, epochs=250)
    report = compare_runs(told(*runs, classes=["liver"]))
    assert report.comparison is not None
    assert [one.verdict for one in report.comparison.candidates] == ["Equivalent"]
    with pytest.raises(
        TrainerError, match=r"spec\.classes names heart, and the trainings know liver, tumour"
    ) as caught:
        compare_runs(told(*runs, classes=["heart"]))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_nine_arms_fit_into_a_report(volume: Volume) -> None:
    runs = [volume.run("baseline-with-a-name-as-long-as-people-like-them")]
    runs += [
        volume.run(f"arm-{number}-with-a-name-as-long-as-people-like-to-have-them", 0.01 * number, 250)
        for number in range(9)
    ]
    encoded = encode(compare_runs(told(*runs)))
    assert len(encoded) <= TERMINATION_LOG_LIMIT
    assert len(json.loads(encoded)["comparison"]["candidates"]) == 9


def _set(where: str, path: str, value: Any) -> Change:
    def change(summary: dict[str, Any], folds: list[dict[str, Any]]) -> None:
        for content in (summary,) if where == "summary" else folds:
            *parents, last = path.split(".")
            for key in parents:
                content = content[key]
            if value is None:
                del content[last]
            else:
                content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "path", "values"),
    [
        (_set("summary", "conditions.testSet.imagesHash", "0" * 64), "testSet.imagesHash", "aaaa"),
        (_set("summary", "conditions.testSet.labelsHash", "0" * 64), "testSet.labelsHash", "bbbb"),
        (_set("summary", "conditions.testSet", None), "testSet.imagesHash", "unknown"),
        (_set("summary", "conditions.metric.version", "2.7"), "metric.version", "long: 2.8.1; short: 2.7"),
        (
            _set("summary", "conditions.metric.surfaceTolerance", 2.0),
            "metric.surfaceTolerance",
            "long: 1.0; short: 2.0",
        ),
        (_set("summary", "conditions.labels", {"background": 0, "liver": 2, "tumour": 1}), "labels", "short"),
        (_set("summary", "conditions.inference.checkpoint", "checkpoint_best.pth"), "inference.checkpoint", "_best"),
        (
            _set("summary", "conditions.inference.postprocessing", "largest"),
            "inference.postprocessing",
            "short: largest",
        ),
        (_set("summary", "conditions.inference.mirroring", False), "inference.mirroring", "long: true; short: false"),
        (_set("folds", "conditions.datasetHash", "0" * 64), "datasetHash", "cccc"),
        (_set("folds", "conditions.splitsHash", "0" * 64), "splitsHash", "eeee"),
        (_set("folds", "conditions.plansHash", "0" * 64), "plansHash", "dddd"),
        (_set("folds", "environment.nnUNet_compile", "t"), "environment.nnUNet_compile", "long: f; short: t"),
        (
            _set("folds", "software", [{"nnunetVersion": "2.7", "torchVersion": "2.9", "device": "A100"}]),
            "nnunetVersion",
            "long: 2.8.1; short: 2.7",
        ),
        (_set("folds", "conditions.batchSize", 4), "batchSize", "long: 2; short: 4"),
        (_set("folds", "conditions.hyperparameters.initial_lr", 0.1), "hyperparameters.initial_lr", "0.01; short: 0.1"),
        (
            _set("folds", "software", [{"nnunetVersion": "2.8.1", "torchVersion": "2.9", "device": "T4"}]),
            "device",
            "T4",
        ),
    ],
)
def test_what_is_not_the_same_is_named_with_both_values(volume: Volume, change: Change, path: str, values: str) -> None:
    report = compare_runs(told(volume.run("long"), volume.run("short", epochs=250, change=change)))
    facts = report.comparison
    assert facts is not None and not facts.candidates
    found = {one.path: one.matter for one in facts.differences}
    assert values in found[path], found


def test_a_case_without_scores_is_named(volume: Volume) -> None:
    def without_one(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        del summary["replicates"][1]["testByCase"]["case_03"]

    report = compare_runs(told(volume.run("long"), volume.run("short", epochs=250, change=without_one)))
    assert report.comparison is not None
    (found,) = report.comparison.differences
    assert "short of arm short, replicate 2, has no scores of 1 case: case_03" in found.matter


def test_what_mends_it_is_said_however_many_arms_there_are(volume: Volume) -> None:
    """In `kubectl get` as in what a pod may leave behind: cut are the values."""

    def told_nothing(summary: dict[str, Any], folds: list[dict[str, Any]]) -> None:
        summary["conditions"] = {}
        for one in folds:
            del one["conditions"]["datasetHash"], one["conditions"]["splitsHash"]

    names = [f"a-training-whose-name-says-all-that-is-special-of-it-{place}" for place in range(10)]
    runs = [volume.run(name, change=told_nothing) if place else volume.run(name) for place, name in enumerate(names)]
    report = compare_runs(told(*runs))
    remedy = "is not known of all: train and evaluate anew with this version's image"
    for each in (report, TerminationReport.model_validate_json(encode(report))):
        assert each.comparison is not None
        found = {one.path: one.matter for one in each.comparison.differences}
        assert found["datasetHash"].startswith(remedy) and len(found) >= 5
        assert remedy in (each.message or "")
        unknown = [matter for matter in found.values() if "is not known of all" in matter]
        assert len(unknown) >= 4 and all(matter.startswith(remedy) for matter in unknown)


def test_what_is_to_differ_has_to(volume: Volume) -> None:
    contract = told(
        volume.run("long"), volume.run("short", epochs=250), varies=["schedule.epochs", "batchSize", "batch"]
    )
    report = compare_runs(contract)
    assert report.comparison is not None
    found = {one.path: one.matter for one in report.comparison.differences}
    assert "does not differ: leave it out, or correct the arms (2 in all arms)" in found["batchSize"]
    assert "nothing of that name is known" in found["batch"]


def _better(content: dict[str, Any]) -> None:
    content["replicates"][0]["testByCase"]["case_00"]["tumour"]["dice"] = 1.0


def _without_the_loser(content: dict[str, Any]) -> None:
    del content["replicates"][2]


def _all_strangers(content: dict[str, Any]) -> None:
    content["patients"]["byCase"] = {case: place for place, case in enumerate(content["patients"]["byCase"])}


@pytest.mark.parametrize("edit", [_better, _without_the_loser, _all_strangers])
def test_scores_that_were_edited_count_for_nothing(volume: Volume, edit: Callable[[dict[str, Any]], None]) -> None:
    """Nor does a run whose losing replicate was taken out, or whose patients were made independent cases."""
    short = volume.run("short", loss=0.06, epochs=250, change=of_patients())
    contract = told(volume.run("long", change=of_patients()), short)
    content = read_json(volume.path(short))
    edit(content)
    write_json(volume.path(short), content)
    with pytest.raises(TrainerError, match=r"training short: summary\.json was changed after its evaluation") as caught:
        compare_runs(contract)
    assert caught.value.code == ExitCode.WRONG_DATA


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conditions", {"plansHash": "f" * 64}),
        ("environment", {}),
        ("software", [{"nnunetVersion": "2.8.1", "torchVersion": "2.9", "device": "T4"}]),
    ],
)
def test_what_a_fold_was_made_with_can_not_be_edited(volume: Volume, key: str, value: Any) -> None:
    """Of any fold, and anything in its file: the summary, whose hash the training reported, has the file's."""
    long, short = volume.run("long"), volume.run("short", epochs=250)
    (path, *_) = sorted(volume.path(short, "replicate-3").rglob("fold_1/provenance.json"))
    write_json(path, read_json(path) | {key: value})
    with pytest.raises(
        TrainerError, match=r"short: replicate-3/.*fold_1/provenance\.json was changed after its evaluation"
    ):
        compare_runs(told(long, short))


def test_a_fold_that_was_not_there_when_the_run_was_evaluated_has_no_conditions(volume: Volume) -> None:
    def without(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        summary["provenanceHashes"] = {"0-r1": "0" * 64}

    with pytest.raises(TrainerError, match=r"provenance\.json was changed after its evaluation"):
        compare_runs(told(volume.run("long"), volume.run("short", epochs=250, change=without)))


def test_conditions_that_an_older_image_evaluated_are_held_against_the_training(volume: Volume) -> None:
    """It left no hashes of the files: the training reported that of one fold's conditions."""

    def older(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        summary["provenanceHashes"] = None

    long, short = volume.run("long"), volume.run("short", epochs=250, change=older)
    for path in volume.path(short, "").rglob("provenance.json"):
        content = read_json(path)
        write_json(path, content | {"conditions": content["conditions"] | {"plansHash": "f" * 64}})
    with pytest.raises(TrainerError, match="the files were changed since"):
        compare_runs(told(long, short))


@pytest.mark.parametrize("hostile", ["nested", "huge", "pipe"])
def test_what_another_put_into_a_run_neither_holds_up_nor_fills_the_comparison(volume: Volume, hostile: str) -> None:
    """Who compares runs reads what the images of others have written."""
    long, short = volume.run("long"), volume.run("short", epochs=250)
    path = volume.path(short)
    path.unlink()
    if hostile == "nested":
        path.write_text("[" * 1_000_000)
    elif hostile == "huge":
        with path.open("wb") as file:
            file.truncate(LONGEST_TEXT + 1)
    else:
        os.mkfifo(path)
    with pytest.raises(TrainerError, match=r"training short: summary\.json can't be read"):
        compare_runs(told(long, short))


def test_no_link_leads_to_the_scores_of_another_run(volume: Volume) -> None:
    long, short = volume.run("long"), volume.run("short", epochs=250)
    volume.path(short).unlink()
    volume.path(short).symlink_to(volume.path(long))
    with pytest.raises(TrainerError, match="no file inside the run's folder"):
        compare_runs(told(long, short.model_copy(update={"summary_hash": long.summary_hash})))


def test_the_log_has_what_the_report_is_made_of(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    report = compare_runs(told(volume.run("long"), volume.run("short", loss=0.06, epochs=250)))
    line = capsys.readouterr().out.rstrip("\n")
    assert report.comparison is not None and report.comparison.log_hash == log_hash(line)
    found = ComparisonLog.model_validate_json(line)
    assert len(found.case_names) == CASES
    assert [(one.arm, one.training, one.replicate, one.seed) for one in found.replicates] == [
        (arm, arm, number, number) for arm in ("long", "short") for number in (1, 2, 3)
    ]
    means = [one.mean for one in found.replicates if one.arm == "short" and one.mean is not None]
    assert sum(means) / 3 == pytest.approx(report.comparison.arms[1].mean, abs=1e-5)
    cases = [one.cases for one in found.replicates]
    assert {len(one) for one in cases} == {CASES}
    (of_short,) = found.candidates
    assert of_short.per_class["tumour"].difference == pytest.approx(-0.06, abs=0.004)
    assert of_short.worst_cases[0].difference < -0.02


def test_curves_are_those_of_the_final_checkpoints_by_epochs_and_gpu_hours(
    volume: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    long, short = volume.run("long"), volume.run("short", epochs=250)
    volume.checkpoints(long, epochs=400, seconds=36.0)
    volume.checkpoints(short, epochs=5, seconds=36.0)
    damaged = next(volume.path(short, "").rglob("replicate-2/**/fold_1")) / "checkpoint_final.pth"
    damaged.write_bytes(b"no checkpoint")
    compare_runs(told(long, short))
    found = ComparisonLog.model_validate_json(capsys.readouterr().out)
    curves = {(one.arm, one.replicate): one.curve for one in found.replicates}
    # Two folds of 36 s on one GPU: 0.02 GPU-hours an epoch.
    epochs, hours, dice = zip(*curves["short", 1], strict=True)
    assert (epochs, dice) == ((1, 2, 3, 4, 5), (0.001, 0.002, 0.003, 0.004, 0.005))
    assert hours == pytest.approx((0.02, 0.04, 0.06, 0.08, 0.1))
    assert curves["short", 2] == [], "one that can't be read costs nothing but itself"
    assert len(curves["long", 1]) == MOST_POINTS and curves["long", 1][-1][0] == 400


def test_of_too_many_cases_none_is_in_the_log(
    volume: Volume, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_trainer.report.comparison_log.MOST_SCORES", CASES * 6 - 1)
    compare_runs(told(volume.run("long"), volume.run("short", epochs=250)))
    found = ComparisonLog.model_validate_json(capsys.readouterr().out)
    assert not found.case_names and not any(one.cases for one in found.replicates)
    assert all(one.mean for one in found.replicates), "seeds are few"


def test_a_checkpoint_that_would_fill_the_memory_costs_its_curve_alone(
    volume: Volume, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nnunet_trainer.report.comparison_log.LONGEST_BYTES", 2000)
    long, short = volume.run("long"), volume.run("short", epochs=250)
    volume.checkpoints(long, epochs=400, seconds=36.0)
    volume.checkpoints(short, epochs=5, seconds=36.0)
    report = compare_runs(told(long, short))
    found = ComparisonLog.model_validate_json(capsys.readouterr().out)
    assert [len(one.curve) for one in found.replicates] == [0, 0, 0, 5, 5, 5]
    assert report.comparison is not None and report.comparison.candidates
