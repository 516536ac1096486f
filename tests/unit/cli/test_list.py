"""The list of trainings, as a table of some width and as data."""

from datetime import UTC, datetime
from typing import Any

import pytest

from nnunet_cli.kube.watched import Watched, watched
from nnunet_cli.list.rows import data, table
from tests.support.made_statuses import DONE, TRAINING, condition, fold

NOW = datetime(2026, 3, 1, 15, 0, 0, tzinfo=UTC)
SAID = "waits for a GPU: 0/9 nodes are available: 3 Insufficient nvidia.com/gpu, 6 node(s) had untolerated taints"
LONG = f"{SAID}. It starts as soon as one is free"
RUNNING = {
    **TRAINING,
    "progress": {
        "epoch": 1234,
        "epochsTarget": 5000,
        "percent": 24,
        "summary": "1234/5000",
        "estimatedSecondsLeft": 11520,
    },
}
HELD = {
    "phase": "PolicyDenied",
    "conditions": [
        condition("PolicyCompliant", "PolicyDenied", "must be at least 1000", "False"),
        condition("Suspended", "PolicyDenied", "policy house: must be at least 1000"),
    ],
}
WAITING = {"phase": "WaitingForGPU", "conditions": [condition("Progressing", "WaitingForGPU", LONG, "False")]}
STOPPED = {**DONE, "conditions": [*DONE["conditions"], condition("EarlyStopped", "PlateauStopped", "fold 0 at 40")]}


def training(name: str, status: Any, **metadata: Any) -> Watched:
    head = {"namespace": "clinic", "name": name, "uid": f"u-{name}", "creationTimestamp": "2026-03-01T11:00:00Z"}
    return watched({"metadata": {**head, **metadata}, "spec": {}, "status": status})


def lines(*trainings: Watched, width: int | None = None, with_namespace: bool = False) -> list[str]:
    return [line.plain for line in table(trainings, NOW, width, with_namespace)]


def test_a_loss_that_is_no_number_comes_first_in_what_goes_on() -> None:
    nan = {**RUNNING, "folds": [fold("0", nonfiniteLossEpochs=12)]}
    words = "LossNotFinite: the training loss is NaN or infinite in fold 0 for the last 12 epochs; folds 0 and 1 train"
    assert lines(training("brain", nan))[1].endswith(words)
    assert data(training("brain", nan))["goingOn"] == words


def test_columns_of_a_training_that_runs() -> None:
    head, row = lines(training("brain", RUNNING))
    assert head.split() == ["NAME", "PHASE", "EPOCHS", "%", "LEFT", "DICE", "AGE", "WHAT"]
    assert row == "brain  Training  1234/5000  24  3h 12m  -     4h   folds 0 and 1 train"


def test_columns_that_say_nothing_of_any_training_are_left_out() -> None:
    head, first, second = lines(training("a", HELD), training("b", STOPPED), with_namespace=True)
    assert head.split()[0] == "NAMESPACE" and "EARLY-STOP" in head and "POLICY" in head
    assert first.split()[:3] == ["clinic", "a", "PolicyDenied"] and first.count("PolicyDenied") == 2
    assert "PlateauStopped" in second and second.endswith("all done")
    assert "0 and 1" not in second and " - " in second


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("with_namespace", [False, True])
def test_lines_are_cut_to_the_terminal(width: int, with_namespace: bool) -> None:
    found = [training("brain", RUNNING), training("held", HELD), training("waits-for-long", WAITING)]
    shown = lines(*found, width=width, with_namespace=with_namespace)
    assert max(len(line) for line in shown) <= width
    assert any("waits for a GPU" in line and line.endswith("…") for line in shown)


def test_where_there_is_little_room_what_goes_on_has_a_line_of_its_own() -> None:
    head, row, below = lines(training("waits", WAITING), width=60)
    assert "WHAT" not in head and row.split()[:2] == ["waits", "WaitingForGPU"]
    assert below.startswith("  waits for a GPU") and len(below) <= 60


def test_no_line_is_cut_for_a_program_that_reads_it() -> None:
    assert lines(training("waits", WAITING))[1].endswith(LONG)


KEPT = "the training is being deleted; finalizer a/b holds it"


@pytest.mark.parametrize(
    ("status", "metadata", "said"),
    [
        (None, {}, "not seen by the operator yet"),
        ({"folds": 3}, {}, "its status can't be read"),
        (TRAINING, {"deletionTimestamp": "2026-03-01T14:00:00Z"}, "is being deleted; folds 0 and 1 train"),
        (
            {
                "conditions": [condition("Progressing", "Stopping", KEPT)],
                "problem": {"reason": "Stopping", "matter": KEPT, "case": "Finalizer"},
            },
            {"deletionTimestamp": "2026-03-01T14:00:00Z"},
            f"  {KEPT}",
        ),
        ({"conditions": [condition("Failed", "WrongData", "a\n  b\x1b[31m")]}, {}, "a b�[31m"),
    ],
)
def test_what_is_going_on(status: Any, metadata: dict[str, Any], said: str) -> None:
    assert said in lines(training("x", status, **metadata))[1]


def test_data_for_scripts() -> None:
    assert data(training("b", {**STOPPED, "results": {"summary": "0.557"}})) == {
        "namespace": "clinic",
        "name": "b",
        "uid": "u-b",
        "created": "2026-03-01T11:00:00Z",
        "phase": "Completed",
        "epoch": None,
        "epochsTarget": None,
        "percent": None,
        "secondsLeft": None,
        "dice": 0.557,
        "earlyStopReason": "PlateauStopped",
        "policyCompliant": None,
        "policyReason": None,
        "goingOn": "all done",
    }
    assert data(training("a", RUNNING))["secondsLeft"] == 11520


def test_a_result_that_is_no_number_is_none() -> None:
    assert data(training("b", {"results": {"summary": "?"}}))["dice"] is None
