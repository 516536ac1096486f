"""The verdict of a comparison on a terminal and for scripts."""

from typing import Any

import pytest

from nnunet_cli.compare.output import as_data, as_text, is_acceptable, rows
from nnunet_cli.kube.comparisons import read

VERDICT = {
    "arm": "250-epochs",
    "verdict": "Inferior",
    "difference": -0.018,
    "low": -0.027,
    "high": -0.009,
    "pWilcoxon": 0.00012,
    "probabilityBetter": 0.1,
    "shareWorse": 0.6,
    "worstClass": "tumour",
    "worstClassDifference": -0.04,
    "hd95Mm": {"difference": 0.4, "low": -0.1, "high": 0.9, "cases": 38},
    "reason": "250-epochs loses 1.8 points (0.9 to 2.7) of Dice against 1000-epochs: Inferior at a margin of 1 point",
}
DONE = {
    "phase": "Completed",
    "verdicts": [VERDICT],
    "cases": 40,
    "indicative": False,
    "notes": ["FewReplicates: an arm has 2"],
    "arms": [
        {"name": "1000-epochs", "mean": 0.9012, "spread": 0.002, "replicates": 3},
        {"name": "250-epochs", "mean": 0.8832, "replicates": 1},
    ],
}


def body(status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shorter", "namespace": "clinic"}, "spec": {"maxDiceLoss": 0.01}, "status": status}


def text(status: Any) -> list[str]:
    return [line.plain for line in as_text(read(body(status)), None)]


def test_the_sentence_comes_first_then_the_numbers() -> None:
    lines = text(DONE)
    assert lines[:2] == [VERDICT["reason"], "note: FewReplicates: an arm has 2"]
    assert lines[3] == (
        "40 test cases, margin 1 point. 1000-epochs: Dice 0.9012 ± 0.0020 (3 replicates); 250-epochs: Dice 0.8832"
    )
    of_patients = text({**DONE, "patients": 17})
    assert of_patients[3].startswith("40 test cases of 17 patients, margin 1 point. ")
    assert as_data(read(body({**DONE, "patients": 17})))["patients"] == 17
    _, (row,) = rows(read(body(DONE)))
    assert list(row) == [
        "250-epochs", "Inferior", "-0.0180", "-0.0270", "-0.0090", "0.00012", "10%", "60%", "tumour -0.0400", "",
            "+0.40 (-0.10 to +0.90; 38 cases)",
    ]  # fmt: skip


def test_before_there_is_a_verdict_it_says_what_is_awaited() -> None:
    waits = {"type": "Progressing", "status": "False", "reason": "WaitingForArms", "message": "training x is not there"}
    waits["lastTransitionTime"] = "2026-03-01T12:00:00Z"
    assert text({"phase": "WaitingForArms", "conditions": [waits]}) == ["WaitingForArms: training x is not there"]
    assert text({}) == ["Pending: no operator has looked at it yet"]


@pytest.mark.parametrize(
    ("verdicts", "acceptable"),
    [
        (["Superior"], True),
        (["Equivalent", "NonInferior"], True),
        (["Equivalent", "Inferior"], False),
        (["Inconclusive"], False),
        (["IndicativeEquivalent"], False),
        ([], False),
    ],
)
def test_only_some_verdicts_let_an_arm_take_the_baselines_place(verdicts: list[str], acceptable: bool) -> None:
    found = read(body({"verdicts": [{**VERDICT, "verdict": verdict} for verdict in verdicts]}))
    assert is_acceptable(found) is acceptable is as_data(found)["acceptable"]
