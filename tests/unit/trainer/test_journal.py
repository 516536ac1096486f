"""Attempts and lost epochs across every way an attempt can end."""

from pathlib import Path

import pytest

from nnunet_operator.api.contract import FoldFacts
from nnunet_trainer.journal import JOURNAL_FILE, Journal, read_journal, write_journal


def attempt(journal: Journal, checkpoint: int | None, begin: int) -> Journal:
    """Play one attempt: load a checkpoint (None: killed before that), then begin epochs up to `begin`."""
    journal = journal.attempt_started()
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
