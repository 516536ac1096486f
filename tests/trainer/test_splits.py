"""A training with splits of its own and subgroups, the whole way: planned, trained, evaluated by real nnU-Net."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from nnunet_api.exit_codes import ExitCode
from tests.trainer.world import World

FOLDS = ("0", "2")
ROWS = [(f"case_{number:02d}", str(number // 2), "AB"[number % 2]) for number in range(6)]
SETTINGS: dict[str, Any] = {
    "uid": "fedcba9876543210",
    "folds": list(FOLDS),
    "splits": {"folds": 3, "groupBy": "patient"},
    "evaluation": {"subgroups": ["site"]},
    "schedule": {"epochs": 1, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1},
}


def write_cases(world: World, *test: tuple[str, str, str]) -> None:
    rows = [("case", "patient", "site"), *ROWS, *test]
    text = "\r\n".join(";".join(row) for row in rows)
    (world.root / "nnunet/raw" / world.contract.dataset / "cases.csv").write_text(text, encoding="utf-8-sig")


def content(path: Path) -> Any:
    return json.loads(path.read_text())


def test_patients_stay_together_from_the_plan_to_the_scores(world: World) -> None:
    shared = world.root / "nnunet/preprocessed"
    (nnunets,) = (content(path) for path in shared.glob("*/*/splits_final.json"))
    write_cases(world, ("case_06", "0", "A"), ("case_07", "8", "C"))
    mine = world.but(**SETTINGS)
    refused = mine.finish("plan")
    assert refused.code == ExitCode.WRONG_DATA, refused.log
    assert "1 patient is in the test set and among the training cases" in refused.report.message
    assert "case_06 with case_00, case_01" in refused.report.message

    write_cases(world, ("case_06", "9", "A"), ("case_07", "8", "C"))
    default = world.but(uid="aaaaaaaaaaaaaaaa").finish("plan")
    assert default.code == ExitCode.WRONG_DATA and "set splits.groupBy: patient" in default.report.message

    planned = mine.finish("plan")
    assert planned.code == 0, planned.log
    assert planned.report.plan is not None and planned.report.plan.reused, "splits are no part of what is shared"
    assert planned.report.message.endswith("6 cases in 3 folds by patient")
    splits = content(mine.run / "splits_final.json")
    for split in splits:
        assert {int(case[-2:]) // 2 for case in split["val"]}.isdisjoint(int(case[-2:]) // 2 for case in split["train"])
    assert splits != nnunets and [content(path) for path in shared.glob("*/*/splits_final.json")] == [nnunets]

    for fold in FOLDS:
        trained = mine.finish("train", "--fold", fold)
        assert trained.code == 0, trained.log
        validated = content(mine.fold(fold) / "validation/summary.json")["metric_per_case"]
        cases = {Path(case["prediction_file"]).name.removesuffix(".nii.gz") for case in validated}
        assert cases == set(splits[int(fold)]["val"])
    for command in ("verify", "evaluate"):
        ended = mine.finish(command)
        assert ended.code == 0, ended.log
    assert "test Dice by site from" in ended.report.message
    rows = list(csv.DictReader(io.StringIO((mine.run / "subgroups.csv").read_text())))
    known = {(row["of"], row["value"]): (row["cases"], row["patients"], row["low95"]) for row in rows}
    assert known == {
        ("test", "A"): ("1", "1", ""),
        ("test", "C"): ("1", "1", ""),
        ("validation", "A"): ("2", "2", ""),
        ("validation", "B"): ("2", "2", ""),
    }
    summary = content(mine.run / "summary.json")
    assert len(summary["subgroups"]) == 4
    assert summary["patients"]["column"] == "patient", "for comparisons, by numbers"
    whose = summary["patients"]["byCase"]
    validated = {case for fold in FOLDS for case in splits[int(fold)]["val"]}
    assert whose.keys() == validated | {"case_06", "case_07"}
    assert whose["case_06"] != whose["case_07"]
    pairs = {(whose[case], int(case[-2:]) // 2) for case in validated}
    assert len(pairs) == len(validated) / 2 and len(set(whose.values())) == len(pairs) + 2
    assert "<h2>Subgroups</h2>" in (mine.run / "report.html").read_text()

    changed = mine.but(splits={"folds": 3, "groupBy": "patient", "seed": 1}).finish("plan")
    assert changed.code == ExitCode.WRONG_DATA, changed.log
    assert "the splits of this training have changed since it began" in changed.report.message


def test_five_folds_without_columns_are_nnunets_own(world: World) -> None:
    (nnunets,) = (content(path) for path in (world.root / "nnunet/preprocessed").glob("*/*/splits_final.json"))
    mine = world.but(uid="bbbbbbbbbbbbbbbb", splits={"folds": 5})
    planned = mine.finish("plan")
    assert planned.code == 0, planned.log
    assert content(mine.run / "splits_final.json") == nnunets
    beyond = world.but(uid="cccccccccccccccc", folds=["5"]).finish("plan")
    assert beyond.code == ExitCode.WRONG_CONFIGURATION
    assert "fold 5 does not exist: nnU-Net's own split has 5 folds" in beyond.report.message
