"""Following a training: what is printed without a terminal, and when it ends."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from nnunet_cli.watched import Event, Watched, watched
from tests.cluster import ClusterError
from tests.demo import follow, trouble

TRAINING: dict[str, Any] = {
    "kind": "NnunetTraining",
    "metadata": {"name": "brain", "namespace": "nnunet-demo", "uid": "u1"},
    "spec": {"configuration": "3d_tiny", "dataset": {"name": "Dataset501_MNI"}},
}


def _event(uid: str, reason: str, at: str, kind: str = "Normal", version: int = 1) -> dict[str, Any]:
    about = {"kind": "NnunetTraining", "name": "brain", "uid": uid}
    stamps = {"lastTimestamp": at, "metadata": {"creationTimestamp": at, "resourceVersion": str(version)}}
    return {"kind": "Event", "involvedObject": about, "reason": reason, "message": "m", "type": kind, **stamps}


def _state(phase: str, complete: bool = False, events: list[Event] | None = None) -> Watched:
    conditions = [
        {
            "type": "Complete",
            "status": "True" if complete else "False",
            "reason": "TrainingComplete" if complete else "NotComplete",
            "message": "all done",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        }
    ]
    return watched({**TRAINING, "status": {"phase": phase, "conditions": conditions}}, events or [])


def _looks(*answers: Watched | Exception) -> Callable[[], Watched]:
    remaining: Iterator[Watched | Exception] = iter(answers)

    def look() -> Watched:
        answer = next(remaining)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return look


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(follow, "LINE_SECONDS", 0.0)


def _follow(look: Callable[[], Watched], limit_seconds: float = 10) -> str:
    console = Console(file=io.StringIO(), width=80)
    follow.follow(look, console, limit_seconds)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_each_event_and_each_change_is_one_line() -> None:
    started = Event(datetime(2026, 3, 1, tzinfo=UTC), False, "FoldStarted", "fold 0 starts [x]")
    warned = Event(datetime(2026, 3, 1, tzinfo=UTC), True, "WaitingForGPU", "no GPU")
    lines = _follow(
        _looks(
            _state("Pending"),
            _state("Training", events=[started]),
            _state("Training", events=[started, warned]),
            _state("Completed", complete=True, events=[started, warned]),
        )
    ).splitlines()
    assert [line.split(" ", 3)[3] for line in lines] == [
        "Pending",
        "* FoldStarted: fold 0 starts [x]",
        "Training",
        "! WaitingForGPU: no GPU",
        "Completed | all done",
    ]


def test_an_api_server_that_is_away_for_a_moment_is_no_failure() -> None:
    away = ClusterError("connection refused")
    assert "all done" in _follow(_looks(_state("Training"), away, away, _state("Completed", complete=True)))


def test_an_api_server_that_stays_away_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SILENCE_SECONDS", 0.0)
    away = ClusterError("connection refused")
    with pytest.raises(ClusterError, match="refused"):
        _follow(_looks(_state("Training"), *[away] * 1000))


def test_it_ends_in_time() -> None:
    with pytest.raises(follow.TimedOut, match="was not over after 0 s"):
        _follow(_looks(*[_state("Training")] * 1000), limit_seconds=0)


class _Answers:
    def __init__(self, *items: dict[str, Any]) -> None:
        self._items = list(items)

    def get(self, *args: str) -> Any:
        return {"items": self._items}


def test_events_are_in_order_and_without_those_of_an_earlier_training_of_that_name() -> None:
    answers = _Answers(
        _event("u1", "Training", "2026-03-01T12:00:05Z", version=100),
        _event("u1", "FoldStarted", "2026-03-01T12:00:05Z", version=99),
        _event("u0", "FoldStarted", "2026-03-01T11:00:00Z"),
        _event("u1", "Planning", "2026-03-01T12:00:00Z"),
        TRAINING,
    )
    found = follow.read(answers, "nnunet-demo", "brain")
    assert [event.reason for event in found.events] == ["Planning", "FoldStarted", "Training"]
    assert (found.dataset, found.configuration) == ("Dataset501_MNI", "3d_tiny")


def test_a_training_that_is_gone_is_named() -> None:
    with pytest.raises(ClusterError, match="training brain is gone"):
        follow.read(_Answers(), "nnunet-demo", "brain")


def _pod(name: str, created: int, phase: str = "Running", exit_code: int | None = None) -> dict[str, Any]:
    state: dict[str, Any] = {"running": {}} if exit_code is None else {"terminated": {"exitCode": exit_code}}
    return {
        "metadata": {"name": name, "creationTimestamp": f"2026-03-01T12:00:{created:02d}Z"},
        "status": {"phase": phase, "containerStatuses": [{"state": state}]},
    }


@pytest.mark.parametrize(
    ("pods", "name"),
    [
        ([_pod("old", 1, "Failed", 1), _pod("new", 2, "Failed", 65), _pod("later", 3)], "new"),
        ([_pod("failed", 1, "Failed", 1), _pod("waits", 2, "Pending")], "failed"),
        ([_pod("done", 1, "Succeeded", 0), _pod("waits", 2, "Pending")], "waits"),
        ([_pod("done", 1, "Succeeded", 0), _pod("runs", 2)], None),
        ([], None),
    ],
)
def test_the_pod_to_blame(pods: list[dict[str, Any]], name: str | None) -> None:
    blamed = trouble.to_blame(pods)
    assert (blamed["metadata"]["name"] if blamed else None) == name
