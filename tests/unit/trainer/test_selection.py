"""The choice among configurations: what it may be asked of, what it needs, what is told."""

import os
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import TERMINATION_LOG_LIMIT, RunContract, TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts, SelectionFacts
from nnunet_api.exit_codes import ExitCode
from nnunet_api.results import MAX_CLASSES
from nnunet_trainer.dataset.contents import CaseContents
from nnunet_trainer.dataset.labels import declared_labels
from nnunet_trainer.process.failures import TrainerError, wrong_data
from nnunet_trainer.process.files import write_json
from nnunet_trainer.report.html_report import render
from nnunet_trainer.run.report import encode, shortened
from nnunet_trainer.scoring.results import Results
from nnunet_trainer.scoring.several import facts_of_several, message_of_several, summary_of_several
from nnunet_trainer.selection.choosing import Steps
from nnunet_trainer.selection.record import (
    ALL_FOREGROUND,
    Candidate,
    Chosen,
    SelectionRecord,
    candidates,
    is_chosen_from,
    is_possible,
    keeps_probabilities,
    made_from,
    read_record,
    require_classes,
    require_same_cases,
    require_selectable,
)
from nnunet_trainer.selection.scorings import SCORINGS_FILE, note_scoring, other_scorings
from nnunet_trainer.selection.selected import (
    Selected,
    message_with_selection,
    selection_content,
    selection_notes,
    summary_with_selection,
    with_selection,
)
from nnunet_trainer.selection.selecting import select
from tests.support.made_contracts import contract, paths_of
from tests.support.plan_facts import PLAN_FACTS
from tests.unit.trainer.scored import LABELS, evidence, replicate, results

RUN = contract(configuration="2d", configurations=["2d", "3d_fullres"], folds=["0", "1"], testSet={}, selection={})
HASHES = {"2d-0": "a" * 64, "3d_fullres-0": "b" * 64}


def record(**changes: Any) -> SelectionRecord:
    """Return the choice of a pair."""
    assert RUN.selection is not None
    settings: dict[str, Any] = {
        "chosen": [Chosen(configuration=name, model_path=f"imaging/run/{name}") for name in ("2d", "3d_fullres")],
        "postprocessing": [ALL_FOREGROUND, "tumour"],
        "mean_validation_dice": 0.81,
        "postprocessed_validation_dice": 0.82,
        "candidates": [
            Candidate(configurations=["2d"], mean_validation_dice=0.7, per_class={"liver": 0.8, "tumour": 0.6}),
            Candidate(configurations=["3d_fullres"], mean_validation_dice=0.8, per_class={"liver": 0.9, "tumour": 0.7}),
            Candidate(configurations=["2d", "3d_fullres"], mean_validation_dice=0.81, per_class={"liver": 0.92}),
        ],
        "checkpoints": HASHES,
        "asked": RUN.selection,
    }
    return SelectionRecord.model_validate(settings | changes)


@pytest.mark.parametrize(
    ("changes", "splits", "said"),
    [
        ({"folds": ["all"]}, None, 'all cases (fold "all")'),
        ({"replicates": 2}, None, "set replicates to 1"),
        ({"configurations": ["2d", "3d__odd"]}, None, "with the name 3d__odd"),
        ({"trainerClass": "_Trainer"}, None, "with the name _Trainer"),
        ({"configurations": ["2d", "3d_"]}, None, "without _ at its ends"),
        ({}, [{"val": ["a", "b"]}, {"val": ["b"]}], "several folds validate b"),
    ],
)
def test_what_has_no_cross_validation_to_choose_by_is_refused(
    changes: dict[str, Any], splits: list[dict[str, list[str]]] | None, said: str
) -> None:
    asked = RunContract.model_validate(RUN.model_dump(by_alias=True) | changes)
    with pytest.raises(TrainerError) as refused:
        require_selectable(asked, "nnUNetPlans", splits)
    assert refused.value.code == ExitCode.WRONG_CONFIGURATION and said in refused.value.message
    without = asked.model_copy(update={"selection": None})
    require_selectable(without, "nnUNetPlans", splits)


def test_a_class_that_no_validation_case_holds_is_refused_before_anything_is_trained() -> None:
    labels = declared_labels({"labels": LABELS})
    held = {"a": (0, 1, 2), "b": (0, 1), "c": (0, 2)}
    training = {name: CaseContents(name, values) for name, values in held.items()}
    splits = [{"val": ["b"]}, {"val": ["c"]}, {"val": ["a"]}]
    require_classes(RUN, labels, training, splits)
    for folds in (["0"], ["0", "1"]):
        require_classes(RUN.model_copy(update={"folds": folds, "selection": None}), labels, training, splits)
    with pytest.raises(
        TrainerError, match=r"no validation case of folds 0 holds tumour\. Create a new training"
    ) as refused:
        require_classes(RUN.model_copy(update={"folds": ["0"]}), labels, training, splits)
    assert refused.value.code == ExitCode.WRONG_CONFIGURATION


def test_a_class_with_the_name_of_all_classes_is_refused() -> None:
    labels = declared_labels({"labels": {"background": 0, ALL_FOREGROUND: 1}})
    with pytest.raises(TrainerError, match="has a class of that name"):
        require_classes(RUN, labels, {"a": CaseContents("1", (1,))}, [{"val": ["a"]}, {"val": []}])


def test_configurations_are_compared_on_the_same_cases() -> None:
    require_same_cases(RUN, {"2d": ["a", "b"], "3d_fullres": ["b", "a"]})
    with pytest.raises(TrainerError, match=r"2d and 3d_fullres were not validated on the same cases.*on c"):
        require_same_cases(RUN, {"2d": ["a", "b"], "3d_fullres": ["a", "b", "c"]})
    with pytest.raises(TrainerError, match="several folds validate a"):
        require_same_cases(RUN, {"2d": ["a", "a"], "3d_fullres": ["a"]})


def test_simple_candidates_come_before_pairs() -> None:
    assert candidates(["a", "b", "c"], True) == [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c")]
    assert candidates(["a", "b"], False) == [("a",), ("b",)]
    assert candidates(["a"], True) == [("a",)]


@pytest.mark.parametrize(
    ("changes", "keeps"),
    [
        ({}, True),
        ({"selection": None}, False),
        ({"selection": {"ensembles": False}}, False),
        ({"leftOutConfigurations": ["3d_fullres"]}, False),
        ({"configurations": []}, False),
    ],
)
def test_probabilities_are_kept_only_for_pairs(changes: dict[str, Any], keeps: bool) -> None:
    asked = RunContract.model_validate(RUN.model_dump(by_alias=True) | changes)
    assert keeps_probabilities(asked) == keeps


def test_a_choice_holds_for_the_checkpoints_and_the_question_it_was_made_from(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None
    write_json(tmp_path / "selection.json", record().to_json_dict())
    assert read_record(tmp_path) == record() and made_from(record(), RUN, HASHES)
    assert is_chosen_from(tmp_path, RUN, "2d-0", "a" * 64)
    other = RunContract.model_validate(RUN.model_dump(by_alias=True) | {"selection": {"postprocessing": False}})
    assert not made_from(record(), other, HASHES) and not is_chosen_from(tmp_path, other, "2d-0", "a" * 64)
    assert not made_from(record(), RUN, HASHES | {"2d-0": "c" * 64})
    assert not is_chosen_from(tmp_path, RUN, "2d-0", "c" * 64)
    (tmp_path / "selection.json").write_text("{")
    assert read_record(tmp_path) is None and not is_chosen_from(tmp_path, RUN, "2d-0", "a" * 64)


def test_a_choice_that_does_not_hold_lets_all_folds_predict_again(tmp_path: Path) -> None:
    paths = paths_of(RUN, tmp_path)
    folders = paths.folds(RUN, PLAN_FACTS.plans_name)
    for name, folder in folders.items():
        (folder / "validation").mkdir(parents=True)
        (folder / f"validation/case_{name[-1]}.png").write_bytes(b"x")
    hashes = dict.fromkeys(paths.folds(RUN, PLAN_FACTS.plans_name), "c" * 64)
    cases = {name: [f"case_{name[-1]}"] for name in hashes}
    write_json(paths.run / "selection.json", record(checkpoints=hashes | {"2d-1": "d" * 64}).to_json_dict())
    assert is_chosen_from(paths.run, RUN, "2d-0", "c" * 64)
    with pytest.raises(TrainerError, match="has no probabilities of case") as refused:
        select(RUN, paths, PLAN_FACTS, LABELS, hashes, cases, ".png", lambda: None)
    assert refused.value.code == ExitCode.CHECKPOINT_UNUSABLE
    assert not any(is_chosen_from(paths.run, RUN, name, "c" * 64) for name in hashes)


def test_a_choice_that_holds_needs_no_labels(tmp_path: Path) -> None:
    paths = paths_of(RUN, tmp_path)
    hashes = dict.fromkeys(paths.folds(RUN, PLAN_FACTS.plans_name), "c" * 64)
    cases = {name: [f"case_{name[-1]}"] for name in hashes}
    paths.run.mkdir(parents=True)
    write_json(paths.run / "selection.json", record(checkpoints=hashes).to_json_dict())

    def gone() -> None:
        raise wrong_data("the preprocessed data of this training is gone")

    made = select(RUN, paths, PLAN_FACTS, LABELS, hashes, cases, ".png", gone)
    assert made == record(checkpoints=hashes)
    (paths.run / "selection.json").unlink()
    with pytest.raises(TrainerError, match="is gone"):
        select(RUN, paths, PLAN_FACTS, LABELS, hashes, cases, ".png", gone)


def test_before_the_choice_only_predictions_of_the_folds_cases_are_left(tmp_path: Path) -> None:
    paths = paths_of(RUN, tmp_path)
    folders = paths.folds(RUN, PLAN_FACTS.plans_name)
    for folder in folders.values():
        (folder / "validation").mkdir(parents=True)
        for name in ("a.png", "summary.json", "zz.png", "zz.npz", "zz.pkl", ".tmp-b.png", ".tmp-b.npz"):
            (folder / "validation" / name).write_bytes(b"x")
    hashes = dict.fromkeys(folders, "c" * 64)
    cases = {name: ["a", "b"] if name[-1] == "1" else ["c"] for name in folders}
    with pytest.raises(TrainerError, match="fold 2d-0 has no whole prediction of c") as refused:
        select(RUN, paths, PLAN_FACTS, LABELS, hashes, cases, ".png", lambda: None)
    assert refused.value.code == ExitCode.CHECKPOINT_UNUSABLE
    assert not list((folders["2d-0"] / "validation").iterdir()), "no summary: the fold predicts and scores again"
    (folders["2d-0"] / "validation/c.png").write_bytes(b"x")
    with pytest.raises(TrainerError, match="fold 2d-1 has no whole prediction of b"):
        select(RUN, paths, PLAN_FACTS, LABELS, hashes, cases, ".png", lambda: None)
    assert {path.name for path in (folders["2d-1"] / "validation").iterdir()} == {"a.png"}


@pytest.mark.parametrize(
    ("changes", "possible"),
    [
        ({}, True),
        ({"chosen": [Chosen(configuration="../../other", model_path="x")]}, False),
        ({"chosen": []}, False),
        ({"postprocessing": ["spleen"]}, False),
    ],
)
def test_a_choice_that_the_training_cannot_come_to_counts_for_nothing(changes: dict[str, Any], possible: bool) -> None:
    assert is_possible(record(**changes), RUN, ["liver", "tumour"]) == possible


FOUND = {
    name: results(replicate(test=None, validation={f"{name}-0": {"c": {"1": dice, "2": 0.4}}}))
    for name, dice in (("2d", 0.7), ("3d_fullres", 0.9))
}
SELECTED = Selected(record(), Results([replicate(validation={})], LABELS))


def test_the_choice_and_its_test_scores_are_told() -> None:
    facts = with_selection(facts_of_several(FOUND), SELECTED)
    assert facts.selection == SelectionFacts(
        chosen=["2d", "3d_fullres"],
        mean_validation_dice=0.81,
        postprocessed_validation_dice=0.82,
        postprocessing=[ALL_FOREGROUND, "tumour"],
        candidates=3,
    )
    assert facts.test_mean is not None and facts.test_cases == 2 and facts.mean_validation_dice is None
    assert facts.model_path is None, "there are two"
    summary = summary_with_selection(RUN, summary_of_several(RUN, FOUND), facts, SELECTED)
    assert summary["selection"]["testSetScorings"] == 1 and summary["testMean"] == facts.test_mean
    assert summary["chosen"]["testMean"] == facts.test_mean and "testMean" not in summary["byConfiguration"]["2d"]
    words = message_with_selection(RUN, message_of_several(RUN, FOUND), SELECTED)
    assert words.startswith(
        "evaluated, chosen of 3 candidates: 2d + 3d_fullres, cross-validation Dice 0.8100, 0.8200 with the largest "
        "component alone of all foreground, tumour; test Dice "
    )
    assert "scored once, after the choice" in words and "cross-validation Dice: 2d 0.5" in words


def test_the_test_set_counts_as_scored_once_only_where_it_was(tmp_path: Path) -> None:
    first, second = record(), record(checkpoints=HASHES | {"2d-0": "c" * 64})
    for checkpoint in ("final", "final", "best"):
        note_scoring(tmp_path, RUN, first, checkpoint)
    assert other_scorings(tmp_path, RUN, first) == 0, "the same again is the same"
    alone = {"chosen": [Chosen(configuration="3d_fullres", model_path="x")], "postprocessing": []}
    assert other_scorings(tmp_path, RUN, record(**alone)) == 2
    note_scoring(tmp_path, RUN, second, "final")
    assert other_scorings(tmp_path, RUN, second) == 2 and other_scorings(tmp_path, RUN, first) == 1

    again = Selected(second, SELECTED.results, other_scorings(tmp_path, RUN, second))
    assert selection_content(again)["testSetScorings"] == 3
    (told, *_) = selection_notes(RUN, again)
    assert (
        "scored 3 times" in told and "may be too good" in told and "once" not in told and "best checkpoints" not in told
    )
    (tmp_path / SCORINGS_FILE).write_text("{")
    assert other_scorings(tmp_path, RUN, second) == 0


def test_the_page_shows_the_candidates_and_that_the_test_set_was_scored_once() -> None:
    names = [key.name for one in RUN.by_configuration for key in one.fold_keys_of(1)]
    pictures = dict.fromkeys(names, "data:image/png;base64,AAAA")
    page = render(RUN, PLAN_FACTS, FOUND, evidence(*names), dict.fromkeys(names), pictures, {}, (), selected=SELECTED)
    for said in (
        "Chosen of 3 candidates",
        "2d + 3d_fullres</td>",
        "Test set, by 2d + 3d_fullres",
        "scored once, after",
    ):
        assert said in page, said
    assert "No test set is scored" not in page and page.count("Scores by class") == 3


def test_more_steps_than_the_status_holds_are_counted() -> None:
    steps = [f"class {number}" for number in range(MAX_CLASSES + 6)]
    told = record(postprocessing=steps).facts().postprocessing
    assert told == [*steps[: MAX_CLASSES - 1], "and 7 more"]
    assert record(postprocessing=steps[: MAX_CLASSES - 1]).facts().postprocessing == steps[: MAX_CLASSES - 1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "b", "c"], ["a", "b", "and 1 more"]),
        (["a", "b", "and 1 more"], ["a", "b", "and 1 more"]),
        (["a", "b", "c", "and 7 more"], ["a", "b", "and 8 more"]),
    ],
)
def test_a_list_that_was_shortened_still_counts_what_it_leaves_out(names: list[str], told: list[str]) -> None:
    assert shortened(names, 2) == told


def test_a_step_is_done_only_with_its_files_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary, order = tmp_path / "summary.json", list[str]()
    steps = Steps(tmp_path / "steps.json", {"checkpoints": HASHES})

    def work() -> int:
        order.append("work")
        summary.write_text("{}")
        return len(order)

    def sync() -> None:
        assert "a step" not in (tmp_path / "steps.json").read_text(), "noted before it is on disk"
        order.append("sync")

    monkeypatch.setattr(os, "sync", sync)
    steps.begin()
    assert steps.once("a step", summary, work) == 1 and order == ["work", "sync"]
    again = Steps(steps.path, steps.inputs)
    assert again.are_begun() and again.once("a step", summary, work) == 1, "done"
    monkeypatch.setattr(os, "sync", lambda: None)
    for damaged in ("", '{"mean": {'):
        summary.write_text(damaged)
        again.once("a step", summary, work)
        assert summary.read_text() == "{}", "done anew, and whole"


def test_the_longest_choice_fits_into_a_termination_message() -> None:
    facts = SelectionFacts(
        chosen=["n" * 64, "m" * 64],
        mean_validation_dice=1 / 3,
        postprocessed_validation_dice=1 / 7,
        postprocessing=["p" * 128] * MAX_CLASSES,
        candidates=36,
    )
    line = encode(TerminationReport(message="evaluated " * 99, evaluation=EvaluationFacts(selection=facts)))
    told = TerminationReport.model_validate_json(line).evaluation
    assert len(line) <= TERMINATION_LOG_LIMIT and told is not None and told.selection is not None
    assert told.selection.chosen == facts.chosen
    assert told.selection.postprocessing[-1] == f"and {MAX_CLASSES - 8} more"
    tests = {f"{number:03}{'t' * 90}": 0.5 for number in range(MAX_CLASSES)}
    crowded = EvaluationFacts(selection=facts, test_per_class=tests)
    line = encode(TerminationReport(message="evaluated " * 99, evaluation=crowded))
    told = TerminationReport.model_validate_json(line).evaluation
    assert told is not None and told.selection is not None and len(told.test_per_class) < MAX_CLASSES
    assert told.selection.postprocessing[-1] == f"and {MAX_CLASSES - 8} more", "also where more than that is left out"
    assert os.linesep not in line.decode()
