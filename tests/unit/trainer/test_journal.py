"""Attempts and lost epochs across every way an attempt can end."""

from pathlib import Path

import pytest

from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.journal import JOURNAL_FILE, Journal, read_journal, write_journal


def attempt(journal: Journal, checkpoint: int | None, begin: int) -> Journal:
    """Play one attempt: load a checkpoint (None: killed before that), then begin epochs up to `begin`."""
    journal = journal.attempt_started(now=1000.0 * (journal.attempts + 1))
    if checkpoint is None:
        return journal
    journal = journal.resumed(checkpoint)
    for epoch in range(checkpoint, begin):
        journal = journal.epoch_started(epoch)
    return journal


@pytest.mark.parametrize(
    ("attempts", "lost"),
    [
        pytest.param([(0, 10)], 0, id="uninterrupted"),
        pytest.param([(0, 4), (3, 10)], 1, id="killed in the fourth epoch"),
        pytest.param([(0, 4), (4, 10)], 0, id="stopped right after the fourth"),
        pytest.param([(0, 4), (2, 10)], 2, id="latest checkpoint damaged"),
        pytest.param([(0, 4), (None, 0), (3, 10)], 1, id="second attempt killed while loading"),
        pytest.param([(0, 4), (3, 3), (3, 10)], 1, id="second attempt killed before its first epoch"),
        pytest.param([(0, 4), (3, 4), (3, 10)], 2, id="killed twice in the same epoch"),
        pytest.param([(0, 10), (10, 10)], 0, id="killed in the validation"),
    ],
)
def test_lost_epochs(attempts: list[tuple[int | None, int]], lost: int) -> None:
    journal = Journal()
    for checkpoint, begin in attempts:
        journal = attempt(journal, checkpoint, begin)
    assert (journal.attempts, journal.lost_epochs) == (len(attempts), lost)


@pytest.mark.parametrize(
    ("saved", "last_sign", "held", "lost"),
    [
        pytest.param(None, 130, 30, 30, id="killed before anything was saved"),
        pytest.param(150, 170, 70, 20, id="killed after the last checkpoint"),
        pytest.param(150, 140, 50, 0, id="the sign of life is older than the checkpoint"),
        pytest.param(150, None, 50, 0, id="no sign of life"),
        pytest.param(150, 150, 50, 0, id="ended with everything saved"),
    ],
)
def test_time_held_and_lost(saved: float | None, last_sign: float | None, held: float, lost: float) -> None:
    first = Journal().attempt_started(now=100)
    first = first if saved is None else first.durable(saved)
    second = first.attempt_started(now=5000, last_sign=last_sign).durable(5010)
    facts = second.with_facts(FoldFacts(fold="0", epoch=1, epochs_target=2)).facts
    assert facts is not None and (facts.held_seconds, facts.lost_seconds) == (held + 10, lost)


@pytest.mark.parametrize(
    ("epoch", "begun", "end_epoch", "lost"),
    [
        pytest.param(9, 10, None, 20, id="in the last epoch"),
        pytest.param(10, 10, None, 0, id="in the validation"),
        pytest.param(4, 4, 4, 0, id="in the validation after an early stop"),
        pytest.param(4, 5, None, 20, id="in an epoch on the way"),
    ],
)
def test_a_kill_in_the_validation_loses_no_time(epoch: int, begun: int, end_epoch: int | None, lost: float) -> None:
    stopping = EarlyStopFacts(state=EarlyStoppingState.STOPPED, end_epoch=end_epoch) if end_epoch else None
    facts = FoldFacts(fold="0", epoch=epoch, epochs_target=10, early_stopping=stopping)
    killed = Journal(began=100, saved=150, begun=begun, facts=facts).attempt_started(now=5000, last_sign=170)
    assert (killed.earlier_seconds, killed.lost_seconds) == (70, lost)


def test_facts_carry_the_counts_and_survive(tmp_path: Path) -> None:
    journal = Journal(attempts=2, lost_epochs=3, begun=7)
    journal = journal.with_facts(FoldFacts(fold="0", epoch=6, epochs_target=10, ema_pseudo_dice=0.5))
    write_journal(tmp_path, journal)
    again = read_journal(tmp_path)
    assert again == journal
    assert again.facts is not None
    assert (again.facts.attempts, again.facts.lost_epochs, again.facts.epoch) == (2, 3, 6)
    assert [path.name for path in tmp_path.iterdir()] == [JOURNAL_FILE]


@pytest.mark.parametrize("content", ["", "{", '{"attempts": "many"}'])
def test_damaged_journal_does_not_stop_the_training(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / JOURNAL_FILE).write_text(content)
    assert read_journal(tmp_path) == Journal()
    assert JOURNAL_FILE in caplog.text
