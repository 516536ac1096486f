"""A test's wait: how long it lasts, and what it says."""

import itertools
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.support import api
from tests.support.api import wait_for


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that goes on by what is slept, and by nothing else."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    yield now


def test_it_returns_what_has_come() -> None:
    looks = iter((None, "", 7))
    assert wait_for("seven", lambda: next(looks), poll=0) == 7


def test_it_says_what_it_waited_for_and_what_there_was(clock: list[float]) -> None:
    with pytest.raises(AssertionError, match=r"for the moon; last: ''\nit is cloudy"):
        wait_for("the moon", str, 0.05, lambda: "it is cloudy", poll=0.01)


def test_what_moves_has_more_time_and_what_stands_still_has_none(clock: list[float]) -> None:
    changes = itertools.count()
    assert wait_for("what is late", lambda: clock[0] > 10, 2, seen=lambda: next(changes), poll=0.1)
    assert 10 < clock[0] < 11
    with pytest.raises(AssertionError, match="without a change for what never comes"):
        wait_for("what never comes", bool, 2, seen=lambda: "always the same", poll=0.1)
    assert 12 < clock[0] < 15


def test_what_moves_and_never_gets_there_has_an_end(clock: list[float]) -> None:
    changes = itertools.count()
    with pytest.raises(AssertionError, match="for what never comes"):
        wait_for("what never comes", bool, 2, seen=lambda: next(changes), longer=30, poll=0.1)
    assert 32 < clock[0] < 33
