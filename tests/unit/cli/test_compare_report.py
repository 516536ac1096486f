"""The report of a comparison and the CSV of its scores: what they say, and that nothing in them is taken for markup."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from nnunet_api.comparison.log import ComparisonLog, log_hash
from nnunet_api.comparison.status import RegisteredTraining
from nnunet_cli.compare.cost import Cost, cost_of, saving
from nnunet_cli.compare.page import LACKS, MOST_CASES, Material, report
from nnunet_cli.compare.pictures import Curve, Interval, curves, forest, pairs, strips
from nnunet_cli.compare.scores import as_csv, read_scores
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import Found, read
from tests.unit.cli.test_compare import DONE, VERDICT

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ARMS = ("1000-epochs", "250-epochs")
EVIL = "<script>alert(1)</script>"
COSTS = {ARMS[0]: Cost(["long"], 300.0, "1000"), ARMS[1]: Cost(["short"], 25.0, "250")}


def logged(cases: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "caseNames": [f"case_{number:04}" for number in range(cases)],
        "candidates": [{"name": ARMS[1], "perClass": {"tumour": {"difference": -0.04, "low": -0.06, "high": -0.02}}}],
        "replicates": [
            {
                "arm": arm,
                "training": "long" if arm == ARMS[0] else "short",
                "replicate": number,
                "seed": 7 * number,
                "mean": 0.9 - 0.02 * place + 0.001 * number,
                "cases": [0.9 - 0.02 * place + 0.001 * number] * (cases - 1) + [None if place else 0.5],
                "curve": [[1, 0.02, 0.5], [2, 0.04, 0.8]],
            }
            for place, arm in enumerate(ARMS)
            for number in (1, 2)
        ],
        **changes,
    }


def found_of(**changes: Any) -> Found:
    body = {"metadata": {"name": "shorter", "namespace": "clinic"}, "spec": {"varies": ["schedule.epochs"]}}
    return read({**body, "status": {**DONE, **changes}})


def page_of(log: dict[str, Any] | str, **changes: Any) -> str:
    material = log if isinstance(log, str) else ComparisonLog.model_validate(log, by_alias=True, by_name=False)
    return report(Material(found_of(**changes), material, COSTS, NOW))


def test_the_verdict_comes_first_then_all_that_it_rests_on() -> None:
    page = page_of(logged())
    assert page.index(str(VERDICT["reason"])) < page.index("<svg") < page.index("What it cost")
    for said in (
        "tumour",
        "margin, -1 points",
        "-1.80 (-2.70 to -0.90)",
        "schedule.epochs",
        "FewReplicates: an arm has 2",
        "<td>100.0</td>",
        "GPU-hours, all folds of a replicate",
        "case_0000",
        "-0.0200",
        "0.9012 ± 0.0020",
    ):
        assert said in page, said
    assert "75.0 GPU-hours less (75%)" in page, "100 of a replicate against 25"
    assert page.count("<svg") == 5 and LACKS not in page


@pytest.mark.parametrize(
    ("patients", "said"),
    [
        (17, "17, each drawn and tested with all its cases"),
        (None, "not known: each case was taken for another patient"),
    ],
)
def test_it_says_of_how_many_patients_the_cases_are(patients: int | None, said: str) -> None:
    assert f"<td>{said}</td>" in page_of(logged(), patients=patients)


def test_without_the_log_it_says_what_it_lacks() -> None:
    page = page_of("its pod is gone")
    assert LACKS in page and "its pod is gone" in page and page.count("<svg") == 1


def test_nothing_of_others_is_markup_and_every_picture_is_whole() -> None:
    log = logged()
    log["caseNames"][0] = log["candidates"][0]["perClass"] = EVIL
    log["candidates"][0]["perClass"] = {EVIL: {"difference": -0.04, "low": -0.06, "high": -0.02}}
    log["replicates"][0]["training"] = EVIL
    page = page_of(log, notes=[EVIL], verdicts=[{**VERDICT, "reason": EVIL, "worstClass": EVIL}])
    assert "<script" not in page and page.count("&lt;script&gt;") >= 5 and "default-src 'none'" in page
    for picture in page.split("<svg")[1:]:
        ElementTree.fromstring(f"<svg{picture.split('</svg>')[0]}</svg>")


@pytest.mark.parametrize(
    "picture",
    [
        lambda: forest([Interval("same", 0.0, 0.0, 0.0)], 0.01),
        lambda: strips([("none", []), ("one", [0.9])]),
        lambda: pairs([(0.9, 0.9)], 0.01, "a", "b"),
        lambda: curves([Curve(0, [(1, 0.5)]), Curve(12, [(1, 0.5)])], [f"arm {n}" for n in range(13)], "epochs"),
        lambda: curves([Curve(0, [(0.0, 0.0)])], ["on a CPU"], "GPU-hours"),
    ],
)
def test_a_picture_of_next_to_nothing_is_one(picture: Any) -> None:
    text = picture()
    ElementTree.fromstring(text)
    assert "nan" not in text and "inf" not in text


def test_thousands_of_cases_make_no_large_page() -> None:
    page = page_of(logged(cases=5000))
    assert len(page) < 300_000
    assert page.count("<tr><td>case_") == MOST_CASES and f"The {MOST_CASES} of 4999 cases that lose most" in page


def test_an_old_or_too_large_log_leaves_out_what_it_has_not() -> None:
    log = logged(caseNames=[])
    for one in log["replicates"]:
        one |= {"cases": [], "curve": []}
    page = page_of(log)
    assert "There are too many to be told here" in page and "The checkpoints hold none" in page


def test_csv_has_a_line_for_each_case_and_a_column_for_each_arm() -> None:
    log = logged()
    log["caseNames"][1] = "=HYPERLINK(1)"
    text = as_csv(ComparisonLog.model_validate(log, by_alias=True, by_name=False), ARMS)
    lines = list(csv.reader(io.StringIO(text)))
    assert lines == [
        ["case_id", "alg_1000-epochs", "alg_250-epochs"],
        ["case_0000", "0.901500", "0.881500"],
        ["'=HYPERLINK(1)", "0.901500", "0.881500"],
        ["case_0002", "0.500000", ""],
    ]


def test_csv_has_the_number_of_the_patient_where_that_is_known() -> None:
    """Behind the arms: tools that read the columns of cases and arms find them where they were."""
    log = ComparisonLog.model_validate(logged(patients=[1, 1, 2]), by_alias=True, by_name=False)
    lines = list(csv.reader(io.StringIO(as_csv(log, ARMS))))
    assert [(line[0], line[-1]) for line in lines] == [
        ("case_id", "patient"),
        ("case_0000", "1"),
        ("case_0001", "1"),
        ("case_0002", "2"),
    ]


class Logs:
    """A cluster with the logs of some pods."""

    def __init__(self, logs: dict[str, list[str]], refusal: int = 0) -> None:
        self._logs, self._refusal = logs, refusal

    def pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        assert (namespace, labels) == ("clinic", "nnunet.dev/comparison=shorter")
        over = {"containerStatuses": [{"name": "trainer", "state": {"terminated": {"exitCode": 0}}}]}
        return [{"metadata": {"name": name}, "status": over} for name in self._logs]

    def log(self, _: str, pod: str) -> Iterator[str]:
        if self._refusal:
            raise Refused(Answer(self._refusal, {"message": "no"}))
        yield from self._logs[pod]


LINE = json.dumps(logged())


@pytest.mark.parametrize(
    ("logs", "refusal", "wanted", "why"),
    [
        ({"forged": ['{"caseNames": ["x"]}'], "true": ["a warning", LINE]}, 0, LINE, ""),
        ({"forged": ['{"caseNames": ["x"]}']}, 0, LINE, "its log is not the one that the operator has seen"),
        ({}, 0, LINE, "its pod is gone"),
        ({"true": [LINE]}, 0, "", "an image that left none"),
        ({"true": [LINE]}, 403, LINE, "you may not read pods and their logs"),
        ({"true": [LINE]}, 404, LINE, "it can't be read any more"),
    ],
)
def test_only_the_log_that_the_operator_has_seen_counts(
    logs: dict[str, list[str]], refusal: int, wanted: str, why: str
) -> None:
    found = found_of(logHash=log_hash(wanted) if wanted else None)
    read = read_scores(cast(Cluster, Logs(logs, refusal)), found)
    if why:
        assert isinstance(read, str) and why in read
    else:
        assert isinstance(read, ComparisonLog) and len(read.case_names) == 3


def test_costs_are_those_of_all_trainings_of_an_arm_or_unknown() -> None:
    registered = [RegisteredTraining(arm="fast", name=name, uid=name) for name in ("a", "b")]

    def body(name: str, seconds: int, proven: int) -> dict[str, Any]:
        folds = [{"fold": "0", "phase": "Completed", "epoch": proven, "epochsTarget": proven, "provenEpochs": proven}]
        status = {"usage": {"gpuSeconds": seconds}, "folds": folds}
        return {"metadata": {"namespace": "clinic", "name": name}, "status": status}

    both = {"a": body("a", 3600, 250), "b": body("b", 7200, 240)}
    assert cost_of("fast", registered, both) == Cost(["a", "b"], 3.0, "240 to 250")
    assert cost_of("fast", registered, {"a": both["a"]}).gpu_hours is None
    assert saving(25.0, 100.0) == "75.0 GPU-hours less (75%)" and saving(None, 1.0) == ""
    assert saving(0.0, 0.0) == "0.0 GPU-hours less"
