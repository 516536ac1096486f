"""Whose the cases are, in `nnunet-trainer compare`: told by the runs, the same in all arms, said with the verdict."""

from pathlib import Path
from typing import Any

import pytest

from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.comparison.log import ComparisonLog
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.compare import compare_runs
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.paths import ROOT_ENV
from tests.unit.trainer.compared import CASES, Change, Volume, of_patients, told


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Volume:
    """A results claim that the command finds."""
    monkeypatch.setenv(ROOT_ENV, str(tmp_path))
    return Volume(tmp_path)


def test_cases_of_a_patient_are_drawn_together_and_it_is_said(
    volume: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    """However the runs number them: each planning counts anew."""
    runs = (
        volume.run("long", change=of_patients()),
        volume.run("short", loss=0.01, epochs=250, change=of_patients(of=lambda number: 99 - number)),
    )
    facts = compare_runs(told(*runs)).comparison
    assert facts is not None and not facts.differences
    assert (facts.cases, facts.patients) == (CASES, CASES // 2)
    assert facts.notes == [
        "PatientsResampled: 28 cases of 14 patients (column patient of cases.csv), drawn and tested as wholes"
    ]
    log = ComparisonLog.model_validate_json(capsys.readouterr().out)
    assert list(log.patients) == [case // 2 + 1 for case in range(CASES)]


def test_where_nobody_says_who_is_whose_that_is_said(volume: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    facts = compare_runs(told(volume.run("long"), volume.run("short", epochs=250))).comparison
    assert facts is not None and facts.patients is None
    (note,) = facts.notes
    assert note.startswith("CasesIndependent: 28 cases are taken as independent: no patient column in cases.csv")
    assert not ComparisonLog.model_validate_json(capsys.readouterr().out).patients


def test_too_few_patients_are_no_sample_however_many_cases_they_have(volume: Volume) -> None:
    runs = volume.run("long", change=of_patients(7)), volume.run("short", epochs=250, change=of_patients(7))
    with pytest.raises(TrainerError, match="4 patients: a comparison needs 5 at least") as caught:
        compare_runs(told(*runs))
    assert caught.value.message.endswith(
        "Take a test set of more patients, or correct column patient of cases.csv where it names none, and train anew"
    )


def test_few_patients_are_enough_for_an_interval_by_folds(volume: Volume) -> None:
    """It rests on the folds, which tear no patient apart, and not on how many patients there are."""
    change = of_patients(1, lambda number: number % 4)
    runs = [volume.run(name, loss, epochs, test_set=False, change=change)
            for name, loss, epochs in (("long", 0.0, 1000), ("short", 0.05, 250))]  # fmt: skip
    facts = compare_runs(told(*runs, test_set=False)).comparison
    assert facts is not None and (facts.patients, facts.indicative) == (4, True)
    assert facts.candidates[0].verdict.startswith("Indicative")


def of_others(summary: dict[str, Any], folds: list[dict[str, Any]]) -> None:
    """As many patients of as many cases, and not the same cases together."""
    of_patients()(summary, folds)
    numbers = summary["patients"]["byCase"]
    numbers["case_00"], numbers["case_23"] = numbers["case_23"], numbers["case_00"]


def _untold(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
    del summary["patients"]


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (of_patients(3), "long: 28 cases of 14 patients, SHA-256"),
        (of_patients(of=lambda number: max(number, 1)), "short: 28 cases of 13 patients, SHA-256"),
        (of_others, "short: 28 cases of 14 patients, SHA-256"),
        (lambda summary, folds: None, "short: no column of cases.csv tells them"),
    ],
)
def test_arms_that_disagree_on_who_is_whose_are_not_comparable(volume: Volume, change: Change, values: str) -> None:
    runs = volume.run("long", change=of_patients()), volume.run("short", epochs=250, change=change)
    facts = compare_runs(told(*runs)).comparison
    assert facts is not None
    (found,) = facts.differences
    assert found.path == "patients" and values in found.matter


def test_runs_of_an_earlier_image_are_compared_as_before_and_it_is_said(volume: Volume) -> None:
    """What has trained for days does not end without a verdict for an upgrade: none of them tells whose cases are."""
    runs = volume.run("long", change=_untold), volume.run("short", epochs=250, change=_untold)
    facts = compare_runs(told(*runs)).comparison
    assert facts is not None and not facts.differences and facts.patients is None
    (note,) = facts.notes
    assert note.startswith(
        "CasesIndependent: 28 cases are taken as independent: an image from before patients were kept has planned or "
        "evaluated all of these trainings. Where patients have several cases"
    )


@pytest.mark.parametrize("silent", ["long", "short"])
def test_a_run_of_an_earlier_image_takes_the_patients_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    """They were scored on the same cases, so the verdict is what it would be if both had told."""

    def compared(folder: str, untold: str = "") -> ComparisonFacts:
        monkeypatch.setenv(ROOT_ENV, str(tmp_path / folder))
        volume = Volume(tmp_path / folder)
        change = {name: _untold if name == untold else of_patients() for name in ("long", "short")}
        runs = volume.run("long", change=change["long"]), volume.run("short", 0.01, 250, change=change["short"])
        facts = compare_runs(told(*runs)).comparison
        assert facts is not None and not facts.differences
        return facts

    one, both = compared("one", silent), compared("both")
    assert one.candidates == both.candidates and one.patients == both.patients == CASES // 2
    assert one.notes == [
        *both.notes,
        f"PatientsToldByOthers: an image from before patients were kept has planned or evaluated {silent}: whose the "
        "cases are is taken from the other trainings, which were scored on the same",
    ]


def test_a_run_that_tells_nothing_is_no_reason_to_compare_others_that_disagree(volume: Volume) -> None:
    changes = {"long": _untold, "short": of_patients(), "shorter": of_others}
    runs = [volume.run(name, epochs=1000 // len(name), change=change) for name, change in changes.items()]
    facts = compare_runs(told(*runs)).comparison
    assert facts is not None
    (found,) = facts.differences
    assert found.path == "patients" and found.matter.startswith("long: unknown; short: 28 cases of 14 patients")


def test_other_cases_are_told_of_nothing_by_the_run_that_knows_patients(volume: Volume) -> None:
    def of_fewer(summary: dict[str, Any], folds: list[dict[str, Any]]) -> None:
        of_patients()(summary, folds)
        for replicate in summary["replicates"]:
            del replicate["testByCase"]["case_23"]

    runs = volume.run("long", change=_untold), volume.run("short", epochs=250, change=of_fewer)
    facts = compare_runs(told(*runs)).comparison
    assert facts is not None and "cases" in [one.path for one in facts.differences]


@pytest.mark.parametrize(
    "patients",
    [
        [],
        {"column": 1, "byCase": {}},
        {"column": "patient"},
        {"column": "patient", "byCase": {"case_00": 1}},
        {"column": "patient", "byCase": {f"case_{case:02}": "Meyer" for case in range(CASES)}},
    ],
)
def test_a_summary_that_tells_patients_in_no_way_is_not_read(volume: Volume, patients: Any) -> None:
    def change(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        summary["patients"] = patients

    runs = volume.run("long"), volume.run("short", epochs=250, change=change)
    with pytest.raises(TrainerError, match=r"training short: summary\.json can't be read") as caught:
        compare_runs(told(*runs))
    assert caught.value.code == ExitCode.WRONG_DATA


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            of_patients(),
            "14 patients (column patient of cases.csv), p values are of patients; the interval rests on folds",
        ),
        (lambda summary, folds: None, "Where patients have several cases, the p value is smaller than it should be"),
    ],
)
def test_nobody_is_drawn_for_an_interval_that_rests_on_folds(volume: Volume, change: Change, says: str) -> None:
    runs = (
        volume.run("long", test_set=False, change=change),
        volume.run("short", 0.06, 250, test_set=False, change=change),
    )
    facts = compare_runs(told(*runs, test_set=False)).comparison
    assert facts is not None and facts.indicative
    assert any(note.endswith(says) for note in facts.notes), facts.notes
