"""The early-stopping rule, epoch by epoch."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.schedule import EarlyStopping
from nnunet_trainer.run.journal import Journal
from nnunet_trainer.training.early_stopping import end_of, fires_at, judge, judge_proven

NAN = math.nan


def rule(**changes: Any) -> EarlyStopping:
    settings = {"mode": "Stop", "patienceEpochs": 3, "minDelta": 0.01, "minEpochs": 1, "annealEpochs": 4}
    return EarlyStopping.model_validate(settings | changes)


@pytest.mark.parametrize(
    ("ema", "changes", "fires"),
    [
        ([], {}, None),
        ([0.1, 0.2, 0.3, 0.4, 0.5], {}, None),
        ([0.1, 0.5, 0.5, 0.5], {}, None),
        ([0.1, 0.5, 0.5, 0.5, 0.5], {}, 5),
        # Rising, but by less than minDelta from the best that counted: no improvement.
        ([0.5, 0.505, 0.509, 0.51], {}, 4),
        ([0.5, 0.505, 0.511, 0.512, 0.513, 0.514], {}, 6),
        ([0.5, 0.4, 0.3, 0.2], {"minEpochs": 6}, None),
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.0], {"minEpochs": 6}, 6),
        # An improvement before minEpochs starts the count anew.
        ([0.5, 0.4, 0.3, 0.2, 0.6, 0.6], {"minEpochs": 6}, None),
        # Epochs without a number count neither way.
        ([0.5, NAN, NAN, NAN, NAN, 0.5, 0.5], {}, None),
        ([0.5, NAN, 0.5, NAN, 0.5, 0.5], {}, 6),
        ([NAN, NAN, NAN, NAN], {}, None),
    ],
)
def test_fires(ema: list[float], changes: dict[str, Any], fires: int | None) -> None:
    assert fires_at(ema, ema, rule(**changes)) == fires


FLAT = [0.5] * 4


@pytest.mark.parametrize(
    ("mode", "finished", "state", "epoch", "end", "saved"),
    [
        ("Disabled", 10, "Disabled", None, None, None),
        ("Stop", 3, "Watching", None, None, None),
        ("Stop", 4, "Stopped", 4, 4, 6),
        ("Anneal", 4, "Annealing", 4, 8, 2),
        ("Anneal", 7, "Annealing", 4, 8, 2),
        ("Anneal", 8, "Stopped", 4, 8, 2),
        ("Observe", 4, "Observed", 4, None, 6),
        ("Observe", 10, "Observed", 4, None, 6),
    ],
)
def test_verdict(mode: str, finished: int, state: str, epoch: int | None, end: int | None, saved: int | None) -> None:
    history = [0.5] * finished
    found = judge(history, history, rule(mode=mode), epochs=10)
    assert (found.state, found.epoch, found.end_epoch, found.epochs_saved) == (state, epoch, end, saved)


def test_a_tail_ends_with_the_schedule() -> None:
    found = judge(FLAT, FLAT, rule(mode="Anneal"), epochs=6)
    assert (found.end_epoch, found.epochs_saved) == (6, 0)


def test_observe_tells_what_stopping_would_have_cost() -> None:
    history = [0.5, 0.5, 0.5, 0.5, 0.5, 0.6, 0.62]
    found = judge(history, history, rule(mode="Observe"), epochs=7)
    assert found.epoch == 4 and found.ema_gain == pytest.approx(0.12) and found.epochs_saved == 3
    assert judge(history[:-1], history[:-1], rule(mode="Observe"), epochs=7).ema_gain is None


def test_a_plateau_at_the_very_end_decides_nothing() -> None:
    found = judge(FLAT, FLAT, rule(), epochs=4)
    assert (found.state, found.end_epoch) == (EarlyStoppingState.WATCHING, None)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), max_size=60), st.integers(1, 8), st.integers(1, 30))
def test_what_comes_later_never_moves_a_verdict(values: list[float], patience: int, at_least: int) -> None:
    """A restart sees a longer or a shorter history; the verdict is the same as soon as there is one."""
    watched = rule(patienceEpochs=patience, minEpochs=at_least)
    whole = fires_at(values, values, watched)
    for finished in range(len(values) + 1):
        seen = fires_at(values[:finished], values[:finished], watched)
        assert seen == (whole if whole is not None and whole <= finished else None)
    assert whole is None or whole >= max(at_least, patience)


@pytest.mark.parametrize(
    ("mode", "floor", "finished", "state", "epoch", "end", "suppressed"),
    [
        ("Stop", 0, 4, "Stopped", 4, 4, None),
        ("Stop", 4, 4, "Stopped", 4, 4, None),
        ("Stop", 6, 3, "Watching", None, None, None),
        ("Stop", 6, 4, "Watching", None, None, 4),
        ("Stop", 6, 5, "Watching", None, None, 4),
        ("Stop", 6, 6, "Stopped", 6, 6, 4),
        ("Anneal", 6, 5, "Watching", None, None, 4),
        ("Anneal", 6, 6, "Annealing", 6, 10, 4),
        ("Anneal", 6, 10, "Stopped", 6, 10, 4),
        ("Anneal", 9, 9, "Annealing", 9, 12, 4),
        # As long as the schedule, or longer: no early stop is left.
        ("Stop", 12, 12, "Watching", None, None, 4),
        ("Anneal", 99, 12, "Watching", None, None, 4),
        ("Stop", 6, 12, "Stopped", 6, 6, 4),
        ("Observe", 6, 4, "Observed", 4, None, None),
        ("Disabled", 6, 12, "Disabled", None, None, None),
    ],
)
def test_the_rule_ends_nothing_before_the_floor(
    mode: str, floor: int, finished: int, state: str, epoch: int | None, end: int | None, suppressed: int | None
) -> None:
    history = [0.5] * finished
    found = judge(history, history, rule(mode=mode), epochs=12, floor=floor)
    assert (found.state, found.epoch, found.end_epoch, found.suppressed_epoch) == (state, epoch, end, suppressed)


def test_a_plateau_that_is_over_before_the_floor_ends_nothing() -> None:
    history = [0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9]
    found = judge(history, history, rule(), epochs=12, floor=6)
    assert (found.state, found.suppressed_epoch) == (EarlyStoppingState.WATCHING, 4)
    found = judge([*history, 0.9], [*history, 0.9], rule(), epochs=12, floor=6)
    assert (found.state, found.epoch, found.suppressed_epoch) == (EarlyStoppingState.STOPPED, 9, 4)


def test_a_rule_that_asks_for_more_than_the_floor_is_not_suppressed() -> None:
    found = judge([0.5] * 8, [0.5] * 8, rule(minEpochs=8), epochs=12, floor=6)
    assert (found.epoch, found.suppressed_epoch) == (8, None)


def test_a_plateau_with_the_last_epoch_is_not_suppressed_either() -> None:
    assert judge(FLAT, FLAT, rule(), epochs=4, floor=6).suppressed_epoch is None
    assert judge(FLAT, FLAT, rule(), epochs=5, floor=6).suppressed_epoch == 4


HISTORIES = st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), min_size=40, max_size=40)
RULES = st.builds(
    rule,
    mode=st.sampled_from(["Stop", "Anneal"]),
    patienceEpochs=st.integers(1, 6),
    minEpochs=st.integers(1, 30),
    annealEpochs=st.integers(1, 12),
)


@given(HISTORIES, RULES, st.integers(0, 50))
def test_a_restart_at_any_epoch_comes_to_the_same_end(values: list[float], watched: EarlyStopping, floor: int) -> None:
    epochs = len(values)
    whole = judge(values, values, watched, epochs, floor)
    end = end_of(whole, epochs)
    assert end >= min(floor, epochs)
    for finished in range(end + 1):
        seen = judge(values[:finished], values[:finished], watched, epochs, floor)
        known = whole.epoch if whole.epoch is not None and whole.epoch <= finished else None
        assert seen.epoch == known and (end_of(seen, epochs) == end or known is None)
        held_back = whole.suppressed_epoch
        if held_back is not None and held_back < finished:
            assert seen.suppressed_epoch == held_back


ATTEMPTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=6)
"""For each attempt: what the policies ask for, how many epochs it trains before it is killed, and how many are lost."""


@given(HISTORIES, RULES, ATTEMPTS, st.integers(0, 50))
def test_policies_that_change_between_attempts(
    values: list[float], watched: EarlyStopping, attempts: list[tuple[int, int, int]], asked_later: int
) -> None:
    """No attempt ends below what it was told, none trains beyond its end, and what comes out is proven whenever."""
    epochs, finished, journal, asked = len(values), 0, Journal(), 0

    def end() -> int:
        return end_of(judge(values[:finished], values[:finished], watched, epochs, journal.floor), epochs)

    for number, (asked, trains, loses) in enumerate(attempts, 1):
        finished = max(0, finished - loses)
        journal = journal.with_floor(asked, finished)
        assert end() >= finished, "an attempt would end with a history that is longer than its verdict"
        last = number == len(attempts)
        while finished < end() and (last or trains > 0):
            finished, trains = finished + 1, trains - 1
    assert finished == end() >= min(asked, epochs)
    verdict = judge_proven(values[:finished], values[:finished], watched, epochs, asked_later)
    assert end_of(verdict, epochs) == finished
    # What the operator holds the proof against.
    assert finished == epochs or (verdict.epoch is not None and verdict.epoch >= watched.min_epochs)
    assert verdict.epoch is None or watched.end_of(verdict.epoch, epochs) == finished


def test_a_verdict_that_is_taken_back_starts_its_tail_anew() -> None:
    """The first attempt has begun to anneal at 4; then policies ask for 7."""
    flat, watched = [0.5] * 6, rule(mode="Anneal")
    assert judge(flat, flat, watched, 20).end_epoch == 8
    journal = Journal().with_floor(7, finished=6)
    assert journal.floor == 7
    assert judge(flat, flat, watched, 20, journal.floor).state is EarlyStoppingState.WATCHING
    found = judge([0.5] * 7, [0.5] * 7, watched, 20, journal.floor)
    assert (found.epoch, found.end_epoch, found.suppressed_epoch) == (7, 11, 4)


@pytest.mark.parametrize(
    ("before", "asked", "finished", "floor"),
    [
        pytest.param(0, 0, 5, 0, id="no policy"),
        pytest.param(0, 8, 5, 8, id="a new policy"),
        pytest.param(8, 8, 5, 8, id="nothing changed"),
        pytest.param(8, 9, 5, 9, id="more is asked for"),
        pytest.param(8, 3, 5, 5, id="less is asked for: from now on"),
        pytest.param(8, 6, 5, 6, id="less is asked for, and that is still ahead"),
        pytest.param(8, 3, 9, 8, id="less is asked for, and the floor was reached"),
        pytest.param(8, 3, 0, 3, id="the fold begins anew"),
    ],
)
def test_floor_of_an_attempt(before: int, asked: int, finished: int, floor: int) -> None:
    assert Journal(floor=before).with_floor(asked, finished).floor == floor
