"""A test's wait: how long it lasts, and what it says."""

import itertools
import time

import pytest

from tests.support.api import wait_for


def test_it_returns_what_has_come() -> None:
    looks = iter((None, "", 7))
    assert wait_for("seven", lambda: next(looks), poll=0) == 7


def test_it_says_what_it_waited_for_and_what_there_was() -> None:
    with pytest.raises(AssertionError, match=r"for the moon; last: ''\nit is cloudy"):
        wait_for("the moon", str, 0.05, lambda: "it is cloudy", poll=0)


def test_what_moves_has_more_time_and_what_stands_still_has_none() -> None:
    began, changes = time.monotonic(), itertools.count()
    late = lambda: time.monotonic() > began + 1  # noqa: E731
    assert wait_for("what is late", late, 0.2, seen=lambda: next(changes), poll=0.01)
    with pytest.raises(AssertionError, match="without a change for what never comes"):
        wait_for("what never comes", bool, 0.2, seen=lambda: "always the same", poll=0.01)


def test_what_moves_and_never_gets_there_has_an_end() -> None:
    changes = itertools.count()
    with pytest.raises(AssertionError, match="for what never comes"):
        wait_for("what never comes", bool, 0.2, seen=lambda: next(changes), longer=0.3, poll=0.01)
