"""The page for people: whole, safe, without a network, and never in the way of the scores."""

import base64
import json
import logging
import re
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import PROVENANCE_FILE, REPORT_FILE, RunContract
from nnunet_api.facts import EarlyStopFacts, FoldFacts, FoldProvenance
from nnunet_api.initial_weights import InitialWeightsFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.report import html_report
from nnunet_trainer.report.charts import Panel, by_class
from nnunet_trainer.report.course import course_of, images
from nnunet_trainer.report.html_report import render, write_report
from nnunet_trainer.report.rows import (
    fold_rows,
    grouped,
    lowest_cases,
    plan_rows,
    schedule_warning,
    settings,
    verdict,
)
from nnunet_trainer.run.journal import Journal, write_journal
from nnunet_trainer.scoring.results import Results
from nnunet_trainer.scoring.subgroups import Subgroup
from tests.support.made_contracts import contract, exception, paths_of, plan_facts, policy
from tests.unit.trainer.scored import ensemble, evidence, replicate, results

PICTURE = "data:image/svg+xml;base64,AAAA"
RUN = contract(folds=["0", "1"], testSet={})


def page_of(run: RunContract, found: Results) -> str:
    folds = [key.name for number in range(1, run.replicates + 1) for key in run.fold_keys_of(number)]
    pictures = dict.fromkeys(folds, PICTURE)
    return render(
        run,
        plan_facts(),
        {run.configuration: found},
        evidence(*folds),
        dict.fromkeys(folds),
        pictures,
        {run.configuration: {"Test cases": PICTURE}},
    )


def test_the_page_needs_no_network_and_no_script() -> None:
    page = page_of(RUN, results(replicate()))
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert not re.search(r"https?:|<script|@import|url\(", page)
    assert page.count(PICTURE) == 3


def test_what_it_tells() -> None:
    page = page_of(RUN, results(replicate(best=ensemble(0.9))))
    for wanted in ("0.6500", "0.7000", "4.50 mm", "0.6000", "liver", "tumour", "not a result", "never the result"):
        assert wanted in page, wanted
    assert "Not nnU-Net's standard" not in page and "Replicates" not in page
    short = page_of(contract(folds=["0", "1"], schedule={"epochs": 100}), results(replicate()))
    assert "Not nnU-Net's standard" in short and "1-3 % Dice" in short


def test_an_exception_is_the_first_thing_that_is_seen() -> None:
    granted = [exception(reason="<b>none</b> given"), exception(policy="other", minEpochs=None, liftedRules=[])]
    decisions = [
        {"policy": "clinical", "generation": 3, "mode": "Enforce", "outcome": "Excepted", "ticket": "QM-17"},
        {"policy": "w", "generation": 1, "mode": "Warn", "outcome": "Warned", "brokenRules": ["requireSeed"]},
    ]
    run = contract(folds=["0", "1"], testSet={}, policy=policy(exceptions=granted, decisions=decisions))
    page = page_of(run, results(replicate()))
    assert page.index("</header>") < page.index("Trained under an exception") < page.index("Test Dice")
    for wanted in (
        "QM-17",
        "&lt;b&gt;none&lt;/b&gt; given",
        "dr.x@example.org",
        "all rules but requireSeed, with at least 300 epochs",
        "<code>all rules</code>",
        "2027-01-01T00:00:00Z",
        "Excepted; mode Enforce; generation 3; ticket QM-17",
        "Warned; mode Warn; generation 1; not kept: requireSeed",
        '<th scope="row">minEpochs</th><td><code>600</code>',
    ):
        assert wanted in page, wanted


def test_a_page_tells_of_policies_only_where_there_are_some() -> None:
    for policies, told in ((None, False), (policy(), True), (policy(minEpochs=None, decisions=[]), True)):
        page = page_of(contract(folds=["0", "1"], testSet={}, policy=policies), results(replicate()))
        assert ("<h3>Policies</h3>" in page) is told
        assert "Trained under an exception" not in page and '<section class="excepted">' not in page


def test_replicates_have_a_table_and_a_spread() -> None:
    run = contract(folds=["0", "1"], replicates=2, seed=7)
    page = page_of(run, results(replicate(1, 2, 0.7), replicate(2, 2, 0.9)))
    assert "standard deviation" in page and "Fold 1-r2" in page
    assert page.count("<details") == 2 and page.count("<details open") == 1


def test_a_name_turns_no_direction_and_is_no_formula_to_the_pictures() -> None:
    """The report is what people read a model's scores from, and names come from whoever wrote dataset.json."""
    names = ("\u202e9.0 eciD", "$\\frac{$", "$$", "</text><script>", '" onload="')
    page = page_of(RUN, Results([replicate()], {"background": 0, names[0]: 1, "\u0645\u06cc\u200c": 2}))
    assert "\u202e" not in page and "\ufffd9.0 eciD" in page and "\u0645\u06cc\u200c" in page
    drawn = by_class([Panel("Dice", {name: [0.5] for name in names}, 1.0)])
    picture = base64.b64decode(drawn.partition(",")[2]).decode()
    assert all(escape(name, quote=False) in picture for name in names) and "<script" not in picture


def test_what_is_in_the_page_runs_nothing_whatever_it_is() -> None:
    head = page_of(RUN, results(replicate())).partition("<title>")[0]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in head


def test_names_are_text_and_never_markup() -> None:
    found = Results([replicate()], {"background": 0, "<script>alert(1)</script>": 1, "b&b": 2})
    page = page_of(RUN, found)
    assert "<script>" not in page and "&lt;script&gt;" in page and "b&amp;b" in page


@pytest.mark.parametrize(
    "found",
    [results(replicate(test=None)), results(replicate(validation={})), results(replicate(validation={}, test=None))],
    ids=["no test set", "all cases trained on", "neither"],
)
def test_a_page_for_what_there_is(found: Results) -> None:
    assert "</html>" in page_of(RUN, found)


@pytest.mark.parametrize(
    ("epochs", "iterations", "words"),
    [(1000, 250, None), (4000, 100, None), (500, 250, "50 %"), (1000, 25, "10 %"), (100, 250, "do not rely")],
)
def test_the_warning_counts_iterations(epochs: int, iterations: int, words: str | None) -> None:
    asked = contract(trainerClass="nnUNetTrainer", schedule={"epochs": epochs, "iterationsPerEpoch": iterations})
    warning = schedule_warning(asked, {})
    assert (warning is None) if words is None else (warning is not None and words in warning)


def test_what_was_trained_is_told_and_held_against_the_standard() -> None:
    told = evidence("0", "1", epochs=1000)
    manner = {"iterations_per_epoch": 1, "highest_learning_rate": 1e-12, "network_weights": 31_000_000}
    told["0"] = told["0"].model_copy(update=manner)
    asked = contract(folds=["0", "1"], trainerClass="nnUNetTrainer", schedule={"epochs": 1000})
    warning = schedule_warning(asked, told)
    assert warning and "by the checkpoints, is 1, nnU-Net's is 250" in warning and "is 1e-12, nnU-Net's is" in warning
    pictures = dict.fromkeys(told, PICTURE)
    page = html_report.render(
        asked, plan_facts(), {asked.configuration: results(replicate())}, told, dict.fromkeys(told), pictures, {}
    )
    assert '<td class="number">1e-12</td>' in page and '<td class="number">31000000</td>' in page


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (None, "off"),
        (EarlyStopFacts(state=EarlyStoppingState.DISABLED), "off"),
        (EarlyStopFacts(state=EarlyStoppingState.WATCHING), "no plateau"),
        (
            EarlyStopFacts(state=EarlyStoppingState.OBSERVED, epoch=500, ema_gain=0.0123, epochs_saved=500),
            "plateau at epoch 500, observed only: stopping would have saved 500 epochs; the pseudo-Dice changed by "
            "+0.0123 after it",
        ),
        (
            EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=500, end_epoch=550, epochs_saved=450),
            "plateau at epoch 500, ended at 550: 450 epochs saved",
        ),
        (
            EarlyStopFacts(state=EarlyStoppingState.WATCHING, suppressed_epoch=400),
            "plateau at epoch 400, before the policies' minimum; none after it",
        ),
        (
            EarlyStopFacts(
                state=EarlyStoppingState.STOPPED, epoch=500, end_epoch=500, epochs_saved=500, suppressed_epoch=400
            ),
            "plateau at epoch 500 (at 400 already, before the policies' minimum), ended at 500: 500 epochs saved",
        ),
    ],
)
def test_verdicts_in_words(facts: EarlyStopFacts | None, words: str) -> None:
    assert verdict(facts) == words


def test_rows_of_folds_and_of_the_lowest_cases() -> None:
    rows = fold_rows(RUN, results(replicate()), evidence("0", "1"))
    assert [(row["name"], row["epochs"], row["cases"]) for row in rows] == [("0", 1000, 1), ("1", 1000, 1)]
    lowest = lowest_cases(results(replicate()))
    assert [row["name"] for row in lowest] == ["a", "b"]
    assert lowest[0] == {"name": "a", "dice": pytest.approx(0.65), "nsd": pytest.approx(0.75), "hd95": 4.0}


@pytest.mark.parametrize(
    ("changes", "there", "absent"),
    [
        ({}, {"earlyStopping.mode"}, {"earlyStopping.patienceEpochs", "evaluation.surfaceToleranceMm", "replicates"}),
        (
            {"earlyStopping": {"mode": "Stop"}, "testSet": {}},
            {"earlyStopping.patienceEpochs", "evaluation.surfaceToleranceMm"},
            {"earlyStopping.annealEpochs", "evaluation.bestCheckpoint"},
        ),
        (
            {"testSet": {}, "evaluation": {"mirroring": False}},
            {"evaluation.mirroring", "evaluation.stepSize"},
            {"evaluation.bestCheckpoint", "evaluation.processes"},
        ),
        ({"earlyStopping": {"mode": "Anneal"}}, {"earlyStopping.annealEpochs"}, set()),
        ({"replicates": 2, "seed": 1}, {"replicates", "trainer.seed"}, set()),
    ],
)
def test_only_settings_that_act_are_listed(changes: dict[str, Any], there: set[str], absent: set[str]) -> None:
    listed = {name for name, _ in settings(contract(**changes))}
    assert there <= listed and not absent & listed


def test_what_it_began_with_is_told() -> None:
    known = {"claimName": "nnunet-results", "path": "p", "sha256": "ab", "training": "base", "notTaken": ["a", "b"]}
    facts = plan_facts(initial_weights=InitialWeightsFacts.model_validate(known))
    rows = dict(plan_rows(facts))
    assert (rows["initialWeights.training"], rows["initialWeights.sha256"]) == ("base", "ab")
    assert rows["initialWeights.notTaken"] == "a, b"
    assert not [name for name in dict(plan_rows(plan_facts())) if name.startswith("initialWeights")]


def test_dates_times_and_images(tmp_path: Path) -> None:
    folders = {"0": tmp_path / "0", "1": tmp_path / "1"}
    for number, folder in enumerate(folders.values()):
        folder.mkdir()
        began = 1_767_225_600.0 + number
        journal = Journal(attempts=1 + number, earlier_seconds=3600 * number, lost_seconds=60, began=began)
        facts = FoldFacts(fold=str(number), epoch=9, epochs_target=9, compile_seconds=94 if number else None)
        write_journal(folder, journal.durable(began + 5400).with_facts(facts))
        made = {"image": "r/t:1", "imageDigest": "r/t@sha256:ab", "seed": 1}
        (folder / PROVENANCE_FILE).write_text(json.dumps(made))
    rows = dict(course_of(folders, 2, 1_767_240_000.0))
    assert rows == {
        "trained until": "2026-01-01 01:30 UTC",
        "training time of all folds": "4 h 00 min",
        "GPU time of all folds": "8 h 00 min",
        "of it lost to interruptions": "4 min 00 s",
        "attempts": "3",
        "torch.compile in the last attempt, at most": "1 min 34 s",
        "report written": "2026-01-01 04:00 UTC",
        "image": "r/t:1",
        "imageDigest": "r/t@sha256:ab",
    }
    assert "GPU time of all folds" not in dict(course_of(folders, 0, 0.0))
    (folders["1"] / PROVENANCE_FILE).write_text(json.dumps({"image": "r/t:2"}))
    assert dict(images(folders)) == {
        "image of fold 0": "r/t:1",
        "imageDigest of fold 0": "r/t@sha256:ab",
        "image of fold 1": "r/t:2",
    }
    assert course_of({"0": tmp_path / "none"}, 1, 0.0) == [("report written", "1970-01-01 00:00 UTC")]
    pictures = dict.fromkeys(("0", "1"), PICTURE)
    page = render(
        RUN,
        plan_facts(),
        {RUN.configuration: results(replicate())},
        evidence("0", "1"),
        {},
        pictures,
        {},
        list(rows.items()),
    )
    assert "r/t@sha256:ab" in page and "8 h 00 min" in page


def test_folds_under_the_same_conditions_are_told_of_once() -> None:
    first = FoldProvenance(seed=1, device="A100", configuration_hash="a")
    same = FoldProvenance(seed=2, device="A100", configuration_hash="b")
    other = FoldProvenance(seed=1, device="L40S", configuration_hash="a")
    groups = grouped({"0": first, "1": other, "2": same, "3": None})
    assert groups == [("0, 2", [("device", "A100")]), ("1", [("device", "L40S")])]


def test_a_report_that_cannot_be_drawn_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_path: Path) -> None:
        raise ImportError("no torch in here")

    monkeypatch.setattr(html_report, "read_history", fail)
    paths = paths_of(RUN, tmp_path)
    paths.run.mkdir(parents=True)
    (paths.run / REPORT_FILE).write_text("of an earlier attempt, with other scores")
    with caplog.at_level(logging.ERROR):
        write_report(
            RUN, paths, plan_facts(), {RUN.configuration: results(replicate())}, evidence("0", "1"), {"0": tmp_path}
        )
    assert "could not be drawn" in caplog.text and "no torch in here" in caplog.text
    assert not (paths.run / REPORT_FILE).exists()


def test_subgroups_have_a_table_of_their_own() -> None:
    one = Subgroup("site", "<i>Ulm</i>", "test", 9, 7, 0.81, 0.7, 0.9, {"liver": 0.8})
    found = replace(results(replicate()), subgroups=[one, replace(one, value="Bonn", units=2, low=None, high=None)])
    page = page_of(contract(folds=["0", "1"], testSet={}, evaluation={"subgroups": ["site"]}), found)
    assert "<h2>Subgroups</h2>" in page and "&lt;i&gt;Ulm" in page and "0.7000 to 0.9000" in page
    assert "<h2>Subgroups</h2>" not in page_of(RUN, results(replicate()))


def test_the_settings_tell_splits_and_subgroups_that_were_asked_for() -> None:
    run = contract(splits={"folds": 3, "groupBy": "patient"}, evaluation={"subgroups": ["site", "sex"]}, folds=["0"])
    told = dict(settings(run))
    assert (told["splits.folds"], told["splits.groupBy"]) == (3, "patient")
    assert told["evaluation.subgroups"] == "site, sex"
    assert not [name for name in dict(settings(RUN)) if "splits" in name or "subgroups" in name]
