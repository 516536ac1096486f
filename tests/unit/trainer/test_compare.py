"""`nnunet-trainer compare`: from runs on the volume to a verdict, or to what keeps them from being compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import TERMINATION_LOG_LIMIT
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.compare import compare_runs
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import ROOT_ENV
from nnunet_trainer.run.report import encode
from tests.unit.trainer.compared import CASES, Volume, told

Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]


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
        (_set("summary", "conditions.inference.mirroring", False), "inference.mirroring", "long: true; short: false"),
        (_set("folds", "conditions.datasetHash", "0" * 64), "datasetHash", "cccc"),
        (_set("folds", "conditions.splitsHash", "0" * 64), "splitsHash", "eeee"),
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
    assert "short of arm short, replicate 2, has no scores of 1 cases: case_03" in found.matter


def test_what_is_to_differ_has_to(volume: Volume) -> None:
    contract = told(
        volume.run("long"), volume.run("short", epochs=250), varies=["schedule.epochs", "batchSize", "batch"]
    )
    report = compare_runs(contract)
    assert report.comparison is not None
    found = {one.path: one.matter for one in report.comparison.differences}
    assert "does not differ (2 in all arms)" in found["batchSize"]
    assert "nothing of that name is known" in found["batch"]


def test_scores_that_were_edited_count_for_nothing(volume: Volume) -> None:
    short = volume.run("short", loss=0.06, epochs=250)
    contract = told(volume.run("long"), short)
    content = read_json(volume.path(short))
    content["replicates"][0]["testByCase"]["case_00"]["tumour"]["dice"] = 1.0
    write_json(volume.path(short), content)
    with pytest.raises(TrainerError, match=r"training short: summary\.json was changed after its evaluation") as caught:
        compare_runs(contract)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_conditions_that_were_edited_count_for_nothing(volume: Volume) -> None:
    long, short = volume.run("long"), volume.run("short", epochs=250)
    for path in volume.path(short, "").rglob("provenance.json"):
        content = read_json(path)
        write_json(path, content | {"conditions": content["conditions"] | {"plansHash": "f" * 64}})
    with pytest.raises(TrainerError, match="the files were changed since"):
        compare_runs(told(long, short))


def test_no_link_leads_to_the_scores_of_another_run(volume: Volume) -> None:
    long, short = volume.run("long"), volume.run("short", epochs=250)
    volume.path(short).unlink()
    volume.path(short).symlink_to(volume.path(long))
    with pytest.raises(TrainerError, match="no file inside the run's folder"):
        compare_runs(told(long, short.model_copy(update={"summary_hash": long.summary_hash})))
