"""What planning takes from cases.csv, refuses, and keeps for the folds and the evaluation."""

import json
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset import run_splits
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.dataset.run_splits import (
    RunSplits,
    keep,
    look_at_cases,
    read_run_cases,
    read_splits,
    require_same_splits,
)
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from nnunet_trainer.scoring.patients import told_patients
from nnunet_trainer.scoring.subgroups import subgroups
from tests.support.made_contracts import contract, paths_of, plan_facts
from tests.support.spoilt_datasets import NAME, make, split

PATIENTS = "case,patient,site\nc0,1,A\nc1,1,B\nc2,2,A\nc3,2,B\nc4,3,A\n"
OF_FAMILIES = PATIENTS.replace("patient", "family")
TWO_CLINICS = "case,patient,clinic\nc0,1,A\nc1,1,A\nc2,2,B\nc3,2,B\nc4,3,A\n"
GROUPED: dict[str, Any] = {"splits": {"folds": 3, "groupBy": "patient"}, "folds": ["0", "2"]}


@pytest.fixture(autouse=True)
def nnunets(monkeypatch: pytest.MonkeyPatch) -> None:
    """nnU-Net's own split is of nnU-Net's making: tests/trainer has the real one."""
    apart = [{"train": ["c1", "c2", "c3", "c4"], "val": ["c0"]}]
    monkeypatch.setattr(run_splits, "nnunet_splits", lambda *_: apart)


def look(folder: Path, test: tuple[str, ...] = (), **changes: Any) -> RunSplits:
    run = contract(**{"folds": ["0"], "dataset": NAME, **changes})
    dataset = load_dataset(folder.parent, NAME, run.folds, run.splits)
    return look_at_cases(folder.parent, dataset, test, run)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make(tmp_path / "nnunet/raw")
    (made / "cases.csv").write_text(PATIENTS)
    return made


def test_without_a_table_and_without_a_wish_nothing_changes(folder: Path) -> None:
    (folder / "cases.csv").unlink()
    assert look(folder) == RunSplits(None)
    files = load_dataset(folder.parent, NAME, ["0"]).files()
    (folder / "cases.csv").write_text(PATIENTS)
    assert load_dataset(folder.parent, NAME, ["0"]).files() == files, "what is preprocessed does not depend on it"


def test_splits_of_its_own(folder: Path) -> None:
    split(folder, ["c0"], ["c1"])
    found = look(folder, **GROUPED)
    assert found.words == "3 folds by patient" and found.splits is not None
    assert sorted(sorted(each["val"]) for each in found.splits) == [["c0", "c1"], ["c2", "c3"], ["c4"]]
    assert found.notes == ("splits_final.json of the dataset is not used: splits of the training takes its place",)
    assert "splits_final.json" not in load_dataset(folder.parent, NAME, ["0"], contract(**GROUPED).splits).files()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({}, ExitCode.WRONG_DATA, "1 patient is on both sides of a fold, by cases.csv: validated on c0 with c1"),
        ({}, ExitCode.WRONG_DATA, "set splits.groupBy: patient, for nnU-Net splits by cases alone"),
        (GROUPED | {"folds": ["3"]}, ExitCode.WRONG_CONFIGURATION, "fold 3 does not exist: splits makes 3 folds"),
        ({"splits": {"leaveOneOut": "site"}}, ExitCode.WRONG_DATA, "2 patients are on both sides of a fold"),
        ({"splits": {"groupBy": "family"}}, ExitCode.WRONG_CONFIGURATION, "spec.splits.groupBy is family, and cases"),
        ({"splits": {"folds": 4}}, ExitCode.WRONG_DATA, "5 training cases of 3 patients can't be split into 4 folds"),
        ({"splits": {"folds": 3}, "folds": ["all"]}, ExitCode.WRONG_CONFIGURATION, "no effect with trainOnAllCases"),
        (GROUPED | {"evaluation": {"subgroups": ["age"]}}, ExitCode.WRONG_CONFIGURATION, "subgroups[0] is age, and"),
    ],
)
def test_what_is_refused(folder: Path, changes: dict[str, Any], code: ExitCode, words: str) -> None:
    with pytest.raises(TrainerError) as caught:
        look(folder, **changes)
    assert caught.value.code == code and words in caught.value.message, caught.value.message


def test_a_given_split_that_tears_a_patient_apart(folder: Path) -> None:
    split(folder, ["c0", "c2"], ["c1", "c4"])
    with pytest.raises(TrainerError, match=r"validated on c1 with c0 \(fold 0\) to train on.* splits_final\.json"):
        look(folder)
    split(folder, ["c0", "c1"], ["c2", "c3"])
    assert look(folder).splits is None


def test_a_patient_of_the_test_set_that_was_trained_on(folder: Path) -> None:
    with (folder / "cases.csv").open("a") as file:
        file.write("t0,2,A\n")
    with pytest.raises(
        TrainerError, match=r"1 patient is in the test set and among the training cases.*t0 with c2, c3"
    ):
        look(folder, ("t0",), **GROUPED)
    with pytest.raises(TrainerError, match="has no row for 1 test case: t1"):
        look(folder, ("t0", "t1"), folds=["all"])


def test_too_many_values_of_a_subgroup(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_splits, "MAX_SUBGROUP_VALUES", 1)
    with pytest.raises(TrainerError, match=r"subgroups\[0\] is site, which has 2 values in cases.csv: at most 1"):
        look(folder, **GROUPED, evaluation={"subgroups": ["site"]})


def kept(folder: Path) -> tuple[RunContract, Any, PlanFacts, RunSplits]:
    run = contract(**GROUPED, dataset=NAME, evaluation={"subgroups": ["site"]})
    paths = paths_of(run, folder.parents[2])
    paths.run.mkdir(parents=True)
    found = look(folder, **GROUPED, evaluation={"subgroups": ["site"]})
    keep(found, paths)
    return run, paths, plan_facts(splits_hash=file_hash(paths.splits)), found


def test_folds_are_trained_by_what_was_planned(folder: Path) -> None:
    run, paths, plan, found = kept(folder)
    assert read_splits(run, paths, plan) == found.splits
    assert "Meyer" not in paths.splits.read_text()
    paths.splits.write_text(json.dumps(found.splits))
    with pytest.raises(TrainerError, match="has changed since it was planned") as caught:
        read_splits(run, paths, plan)
    assert caught.value.code == ExitCode.WRONG_DATA
    paths.splits.unlink()
    with pytest.raises(TrainerError, match="is gone since it was planned"):
        read_splits(run, paths, plan)


def test_the_shared_splits_are_looked_at_as_well(folder: Path) -> None:
    run = contract(dataset=NAME, folds=["0"])
    paths, plan = paths_of(run, folder.parents[2]), plan_facts()
    shared = paths.preprocessed / plan.preprocessed_key / NAME / "splits_final.json"
    shared.parent.mkdir(parents=True)
    shared.write_text("[]")
    assert read_splits(run, paths, plan_facts(splits_hash=file_hash(shared))) is None
    with pytest.raises(TrainerError, match="has changed since it was planned"):
        read_splits(run, paths, plan)
    assert read_splits(contract(dataset=NAME, folds=["all"]), paths, plan) is None


def test_who_a_patient_is_stays_in_the_dataset(folder: Path) -> None:
    (folder / "cases.csv").write_text(PATIENTS.replace(",1,", ",Meyer,"))
    _, paths, _, _ = kept(folder)
    cases = read_run_cases(paths, required=True).cases
    assert cases["c0"].patient == cases["c1"].patient != cases["c2"].patient
    assert cases["c3"].subgroups == {"site": "B"}
    assert "Meyer" not in "".join(path.read_text() for path in paths.run.iterdir())


@pytest.mark.parametrize(
    ("table", "changes", "column", "numbers"),
    [
        (PATIENTS, GROUPED, "patient", [0, 0, 1, 1, 2]),
        # What splits keep together may be more than a patient's, as a clinic's: no other column tells patients.
        (OF_FAMILIES, {"splits": {"folds": 3, "groupBy": "family"}}, "", []),
        (TWO_CLINICS, {"splits": {"folds": 2, "groupBy": "clinic"}}, "patient", [0, 0, 1, 1, 2]),
        (PATIENTS.replace("patient", "age"), {}, "", []),
        ("", {}, "", []),
    ],
    ids=["by patient", "by what is kept together", "by both", "no such column", "no table"],
)
def test_whose_the_cases_are_is_kept_for_the_scores(
    folder: Path, table: str, changes: dict[str, Any], column: str, numbers: list[int]
) -> None:
    """Whether subgroups are asked for or not, and also that nothing tells: a run of which nobody knows is another."""
    (folder / "cases.csv").unlink()
    if table:
        (folder / "cases.csv").write_text(table)
    run = contract(**{"folds": ["0"], "dataset": NAME, **changes})
    paths = paths_of(run, folder.parents[2])
    paths.run.mkdir(parents=True)
    keep(look(folder, **changes), paths)
    known = read_run_cases(paths, required=True)
    assert (known.patient_column, [known.cases[case].patient for case in sorted(known.cases)]) == (column, numbers)


def test_a_site_that_splits_keep_together_is_no_patient(folder: Path) -> None:
    """Neither for comparisons, whose test set may be one other hospital's, nor for intervals of that very column."""
    outside = tuple(f"t{place}" for place in range(10))
    sites = {"c0": "A", "c1": "A", "c2": "B", "c3": "B", "c4": "A", **dict.fromkeys(outside, "C")}
    (folder / "cases.csv").write_text("case,site\n" + "".join(f"{case},{site}\n" for case, site in sites.items()))
    asked = {"splits": {"folds": 2, "groupBy": "site"}, "evaluation": {"subgroups": ["site"]}}
    found = look(folder, outside, **asked)
    assert found.words == "2 folds by site"
    assert told_patients(found.cases, outside) == {"column": "", "byCase": {}}
    scores = [{case: {"1": 0.5} for case in outside}]
    (one,) = subgroups(["site"], found.cases.cases, {"background": 0, "x": 1}, {"test": scores})
    assert (one.value, one.units, one.low, one.high) == ("C", 10, 0.5, 0.5)


def test_a_run_of_before_says_nothing_of_patients(folder: Path) -> None:
    """It left a file where subgroups were asked for, and none else."""
    paths = paths_of(contract(dataset=NAME), folder.parents[2])
    paths.run.mkdir(parents=True)
    assert read_run_cases(paths, required=False).patient_column is None
    with pytest.raises(TrainerError, match="Suspend and resume the training to have it planned again"):
        read_run_cases(paths, required=True)
    write_json(paths.run / "cases.json", {"cases": {"c0": {"subgroups": {"site": "A"}}}})
    assert read_run_cases(paths, required=True).patient_column is None
    (paths.run / "cases.json").write_text("{")
    with pytest.raises(TrainerError, match="can't be read"):
        read_run_cases(paths, required=False)


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_run_with_checkpoints_keeps_its_splits(folder: Path, replicates: int) -> None:
    _, paths, plan, found = kept(folder)
    run = contract(**GROUPED, dataset=NAME, replicates=replicates, seed=1)
    write_json(paths.plan_result, plan.to_json_dict())
    other = RunSplits(list(reversed(found.splits or [])))
    require_same_splits(run, paths, other)
    fold = paths.fold(run, plan.plans_name, "0", replicates)
    fold.mkdir(parents=True)
    (fold / "checkpoint_latest.pth").touch()
    require_same_splits(run, paths, found)
    with pytest.raises(TrainerError, match="the splits of this training have changed since it began"):
        require_same_splits(run, paths, other)
