"""An attempt that another one has replaced must not write."""

import os
import pickle
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.fence import FENCE_FILE, Fence


def test_the_newest_attempt_may_write_and_no_other(tmp_path: Path) -> None:
    old = Fence(tmp_path)
    old.check()
    new = Fence(tmp_path)
    new.check()
    with pytest.raises(TrainerError) as caught:
        old.check()
    assert caught.value.code == ExitCode.PREEMPTED and "taken over" in caught.value.message
    new.check()


def test_a_folder_that_is_gone_belongs_to_nobody(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    (tmp_path / FENCE_FILE).unlink()
    with pytest.raises(TrainerError, match="removed"):
        fence.check()


def test_a_write_that_hung_while_another_attempt_took_over_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, journal = Fence(tmp_path), tmp_path / "attempts.json"
    flush = os.fsync

    def hang(fd: int) -> None:
        monkeypatch.setattr(os, "fsync", flush)
        Fence(tmp_path).write(journal, "new")

    monkeypatch.setattr(os, "fsync", hang)
    with pytest.raises(TrainerError) as caught:
        old.write(journal, "old")
    assert caught.value.code == ExitCode.PREEMPTED
    assert journal.read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [FENCE_FILE, journal.name]


def test_a_worker_process_can_say_that_another_attempt_took_over(tmp_path: Path) -> None:
    """The refusal comes from there as an object: one that can't be made anew would let its pool wait for ever."""
    fence: Fence = pickle.loads(pickle.dumps(Fence(tmp_path)))
    fence.check()
    Fence(tmp_path)
    with pytest.raises(TrainerError) as caught:
        fence.check()
    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.code, error.message, str(error)) == (ExitCode.PREEMPTED, caught.value.message, caught.value.message)


def test_two_attempts_never_write_into_the_same_file(tmp_path: Path) -> None:
    names = {Fence(tmp_path).temporary(tmp_path / "checkpoint.pth").name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith(".tmp-") and name.endswith("-checkpoint.pth") for name in names)


def test_what_an_attempt_was_writing_is_removed_by_the_next(tmp_path: Path) -> None:
    best = tmp_path / "checkpoint_best.pth"
    best.write_bytes(b"weights")
    os.link(best, Fence(tmp_path).temporary(tmp_path / "checkpoint_latest.pth"))
    (tmp_path / ".tmp-checkpoint_latest.pth").write_bytes(b"half")
    Fence(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FENCE_FILE, best.name]
    assert best.read_bytes() == b"weights"
