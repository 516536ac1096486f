"""Following a training: what is printed without a terminal, and when it ends."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from hack.demo import follow, trouble
from hack.localcluster import ClusterError
from nnunet_cli.kube.watched import Event, Watched, watched

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


def _follow(look: Callable[[], Watched], seconds: float = 10, sign: Callable[[], str] = str) -> str:
    console = Console(file=io.StringIO(), width=80)
    follow.follow(look, console, follow.Patience(seconds, sign))
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


class _Clock:
    """Each look is ten seconds after the one before."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _: float) -> None:
        self.now += 10


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(follow, "time", clock)
    return clock


def _epochs(number: int) -> Watched:
    folds = [{"fold": "0", "phase": "Running", "epoch": number, "epochsTarget": 80}]
    return watched({**TRAINING, "status": {"phase": "Training", "folds": folds, "conditions": []}}, [])


def test_a_training_that_gets_on_is_waited_for(clock: _Clock) -> None:
    """However long it takes: 80 epochs of a minute and a half, with a patience of two."""
    looks = [_epochs(number // 9) for number in range(80 * 9)]
    assert "all done" in _follow(_looks(*looks, _state("Completed", complete=True)), seconds=120)
    assert clock.now == 80 * 90


def test_one_that_only_its_log_shows_at_work_is_waited_for(clock: _Clock) -> None:
    """Preprocessing and validation change nothing in the status."""
    looks = [_epochs(80)] * 100
    said = lambda: f"predicting case {clock.now // 100}"  # noqa: E731
    assert "all done" in _follow(_looks(*looks, _state("Completed", complete=True)), seconds=120, sign=said)


@pytest.mark.parametrize("looks", [[_epochs(3)], [_state("Pending"), _state("WaitingForGPU")]], ids=["same", "in turn"])
def test_one_that_stands_still_is_given_up(clock: _Clock, looks: list[Watched]) -> None:
    """What is said tells how far it came; two states in turn are no progress either."""
    with pytest.raises(follow.StandsStill, match=r"nothing new for 2 min.*: (Training|Pending|WaitingForGPU)"):
        _follow(_looks(*looks * 1000), seconds=120)
    assert clock.now <= 160


class _Logs:
    def __init__(self, answer: str | Exception) -> None:
        self._answer = answer

    def run(self, *args: str) -> str:
        assert args[0] == "logs" and "--selector=nnunet.dev/training=brain" in args
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def test_a_pod_without_a_log_says_nothing() -> None:
    assert follow.last_words(_Logs("epoch 3"), "nnunet-demo", "brain") == "epoch 3"
    assert follow.last_words(_Logs(ClusterError("container is creating")), "nnunet-demo", "brain") == ""


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
