"""What the audit says of a stored training, in each form."""

import csv
import io
import json
from typing import Any

import pytest

from nnunet_cli.audit.output import as_csv, columns, print_runs, runs_data
from nnunet_cli.audit.runs import read_run, sort_runs
from nnunet_cli.text.output import as_json
from tests.support.audited import FOLD, STATUS


def body(name: str = "hippo", status: Any = STATUS, **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "clinic", "name": name, "uid": f"u-{name}", "creationTimestamp": "2026-03-01T11:59:00Z"}
    storage = {"results": {"claimName": "nnunet-results", "subPath": "models"}}
    return {
        "metadata": metadata,
        "spec": {
            "schedule": {"epochs": 1000, "iterationsPerEpoch": 1},
            "storage": storage,
            "trainer": {"className": "Own"},
            **spec,
        },
        "status": status,
    }


def test_all_columns() -> None:
    assert columns(read_run(body(), {"7" * 64: 9})) == {
        "namespace": "clinic",
        "name": "hippo",
        "uid": "u-hippo",
        "phase": "Completed",
        "created": "2026-03-01T11:59:00Z",
        "started": "2026-03-01T10:00:00Z",
        "completed": "2026-03-05T12:00:00Z",
        "epochsRequired": "500",
        "epochsAsked": "1000",
        "epochsProven": "600",
        "compliant": "True",
        "compliantReason": "PolicyExcepted",
        "policies": "clinical@3 Enforce Excepted; house@2 Warn Warned (requireSeed)",
        "exceptionTickets": "=HYPERLINK(A1)",
        "exceptionApprovedBy": "dr.x@example.org",
        "exceptionFloors": "500",
        "datasetHash": "d",
        "plansHash": "p",
        "splitsHash": "s",
        "checkpointHashes": "0:c0; 1:c1",
        "image": "",
        "imageDigest": "sha256:1",
        "resultsClaim": "nnunet-results/models",
        "evidencePath": "e",
        "iterationsPerEpoch": "1",
        "validationDice": "0.9123",
        "testDice": "0.8800",
        "trainerClass": "Own",
        "iterationsProven": "250",
        "learningRate": "1e-12",
        "networkWeights": "31000000",
        "standardSchedule": "HollowEpochs",
        "standardScheduleMessage": "the rate",
        "comparisons": "clinical: shorter NonInferior -0.0020 (-0.0060 to +0.0020)",
        "testSetHash": "7" * 64,
        "testSetLooks": "9",
        "initialWeightsHash": "",
        "chosen": "",
        "postprocessing": "",
        "configurations": "3d_fullres",
        "splits": "",
        "inference": "",
        "slippedIn": "LD_PRELOAD (fold 0, fold 1)",
        "pictures": "",
    }


def test_epochs_are_proven_when_every_fold_proves_them() -> None:
    half = {**STATUS, "folds": [{**FOLD, "fold": "0"}, {"fold": "1"}]}
    assert [read_run(body(status=status)).epochs_proven for status in (half, {**STATUS, "folds": []}, {}, None)] == [
        None
    ] * 4


def test_one_that_no_operator_has_looked_at_yet_is_listed() -> None:
    row = columns(read_run(body(status=None)))
    assert (row["name"], row["phase"], row["compliant"], row["epochsAsked"]) == ("hippo", "", "", "1000")


def test_a_status_that_can_not_be_read_leaves_no_gap_in_the_list() -> None:
    run = read_run(body(status={"folds": 3}))
    assert "its status can't be read" in run.problem and columns(run)["name"] == "hippo"


def test_csv_is_sorted_and_safe_for_spreadsheets() -> None:
    bodies = [body(name) for name in ("b", "a", "c")]
    texts = [as_csv(sort_runs([read_run(each) for each in order])) for order in (bodies, bodies[::-1])]
    assert texts[0] == texts[1]
    rows = list(csv.DictReader(io.StringIO(texts[0])))
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["exceptionTickets"] == "'=HYPERLINK(A1)"
    assert as_csv([]).startswith("namespace,name,uid,phase,") and as_csv([]).count("\n") == 1


def test_json_keeps_lists_and_all_of_an_exception() -> None:
    (item,) = json.loads(as_json(runs_data([read_run(body())])))["items"]
    assert item["epochsProven"] == 600 and item["checkpointHashes"] == {"0": "c0", "1": "c1"}
    assert item["exceptions"][0]["reason"] == "the scanner is gone"
    assert item["policies"][0]["policy"] == "clinical" and item["image"] is None
    assert item["comparisons"][0]["baseline"] == ["long"] and item["testSetLooks"] is None, "not known is not none"


def test_what_a_selection_has_chosen_is_listed_with_its_scores() -> None:
    chosen = {
        "chosen": ["2d", "3d_fullres"],
        "meanValidationDice": 0.91,
        "postprocessing": ["all foreground", "tumour"],
    }
    run = read_run(body(status={**STATUS, "results": {"selection": chosen, "testDice": {"mean": 0.9}}}))
    row = columns(run)
    assert (row["chosen"], row["postprocessing"]) == ("2d + 3d_fullres", "all foreground; tumour")
    assert (row["validationDice"], row["testDice"]) == ("0.9100", "0.9000")
    (item,) = runs_data([run])["items"]
    assert (item["chosen"], item["validationDice"]) == (["2d", "3d_fullres"], 0.91)
    assert item["postprocessing"] == ["all foreground", "tumour"]


def test_what_was_trained_on_which_folds_and_how_it_was_scored_is_listed() -> None:
    spec: dict[str, Any] = {
        "configurations": ["2d", "3d_fullres", "3d_lowres"],
        "splits": {"folds": 5, "groupBy": "patient", "stratifyBy": "=site", "seed": 12345},
        "evaluation": {"stepSize": 0.75, "mirroring": False, "pictures": True},
    }
    run = read_run(body(status={**STATUS, "leftOutConfigurations": ["3d_lowres"]}, **spec))
    row = columns(run)
    assert row["configurations"] == "2d; 3d_fullres"
    assert row["splits"] == "folds: 5, groupBy: patient, seed: 12345, stratifyBy: =site"
    assert row["inference"] == "mirroring: false, stepSize: 0.75"
    (item,) = json.loads(as_json(runs_data([run])))["items"]
    assert item["configurations"] == ["2d", "3d_fullres"] and item["splits"]["groupBy"] == "patient"
    assert item["inference"] == {"mirroring": False, "stepSize": 0.75}
    assert (row["pictures"], item["pictures"]) == ("true", True), "whoever gets the report sees patients"
    assert read_run(body(configuration="2d")).configurations == ("2d",)
    (item,) = runs_data([read_run(body())])["items"]
    assert item["splits"] is None and item["inference"] is None and item["pictures"] is False


def test_the_table_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * 200
    print_runs([read_run(body(name)), read_run(body("b"))])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3 and name in lines[1]
    assert lines[1].split()[2:8] == ["Completed", "500", "1000", "1", "600", "True"]


def test_the_table_leaves_the_terminal_in_peace(capsys: pytest.CaptureFixture[str]) -> None:
    bad = json.loads(json.dumps(STATUS))
    bad["policy"]["exceptions"][0]["ticket"] = "QM\x1b[2J\x1b]0;owned\x07"
    bad["policy"]["decisions"][0]["policy"] = "house\x9b31m"
    print_runs([read_run(body(status=bad))])
    out = capsys.readouterr().out
    assert "QM\ufffd[2J" in out and not set(out) & set("\x1b\x07\x9b")
