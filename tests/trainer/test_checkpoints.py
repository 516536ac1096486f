"""Checkpoints on disk: what is there survives whatever interrupts the write of the next."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process import files
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.fence import FENCE_FILE, Fence
from nnunet_trainer.run.paths import BEST, FINAL, LATEST, PREVIOUS
from nnunet_trainer.training import checkpoints


def saves(content: bytes) -> Callable[[str], int]:
    """Return what saves a checkpoint: as torch does, into whatever file has that name."""
    return lambda name: Path(name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != FENCE_FILE}


@pytest.mark.parametrize("whose", ["own", "of an earlier version"])
def test_a_link_that_a_kill_left_does_not_lead_a_save_into_the_best_checkpoint(tmp_path: Path, whose: str) -> None:
    best, latest = tmp_path / BEST, tmp_path / LATEST
    best.write_bytes(b"best")
    fence = Fence(tmp_path)
    # Killed between the link and the rename.
    os.link(best, fence.temporary(latest) if whose == "own" else files.temporary_path(latest))
    if whose != "own":
        fence = Fence(tmp_path)
    checkpoints.write_checkpoint(latest, saves(b"newer"), fence)
    assert contents(tmp_path) == {BEST: b"best", LATEST: b"newer"}


def test_a_link_is_one_checkpoint_under_two_names_until_the_next_save(tmp_path: Path) -> None:
    fence, best, latest = Fence(tmp_path), tmp_path / BEST, tmp_path / LATEST
    checkpoints.write_checkpoint(best, saves(b"1"), fence)
    assert checkpoints.link_checkpoint(best, latest, fence, tmp_path / PREVIOUS)
    assert best.samefile(latest)
    checkpoints.write_checkpoint(latest, saves(b"2"), fence, tmp_path / PREVIOUS)
    assert contents(tmp_path) == {BEST: b"1", PREVIOUS: b"1", LATEST: b"2"}


@pytest.mark.parametrize("instant", ["before the write", "after the write", "in the flush"])
def test_a_save_that_hung_while_another_attempt_took_over_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    latest, previous = tmp_path / LATEST, tmp_path / PREVIOUS
    old = Fence(tmp_path)
    checkpoints.write_checkpoint(latest, saves(b"1"), old, previous)
    flush = files.fsync_file

    def take_over() -> None:
        monkeypatch.setattr(checkpoints, "fsync_file", flush)
        checkpoints.write_checkpoint(latest, saves(b"new 2"), Fence(tmp_path), previous)

    def save(name: str) -> None:
        if instant == "before the write":
            take_over()
        Path(name).write_bytes(b"old 2")
        if instant == "after the write":
            take_over()

    def hang(path: Path) -> None:
        flush(path)
        take_over()

    if instant == "in the flush":
        monkeypatch.setattr(checkpoints, "fsync_file", hang)
    with pytest.raises(TrainerError) as caught:
        checkpoints.write_checkpoint(latest, save, old, previous)
    assert caught.value.code == ExitCode.PREEMPTED and "another attempt has taken over" in caught.value.message
    assert contents(tmp_path) == {PREVIOUS: b"1", LATEST: b"new 2"}


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), RuntimeError("PytorchStreamWriter failed")], ids=repr
)
def test_a_save_that_fails_after_another_attempt_took_over_is_no_failure_of_the_volume(
    tmp_path: Path, error: Exception
) -> None:
    old = Fence(tmp_path)

    def save(name: str) -> None:
        Path(name).write_bytes(b"old")
        Fence(tmp_path)
        raise error

    with pytest.raises(TrainerError) as caught:
        checkpoints.write_checkpoint(tmp_path / LATEST, save, old)
    assert caught.value.code == ExitCode.PREEMPTED
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("epochs", "loaded", "named"),
    [
        ({LATEST: 3, PREVIOUS: None, BEST: 1}, LATEST, []),
        ({LATEST: 3, PREVIOUS: 2, BEST: None}, LATEST, []),
        ({LATEST: None, PREVIOUS: 2, BEST: 1}, PREVIOUS, [LATEST]),
        ({LATEST: None, PREVIOUS: 2, BEST: None}, PREVIOUS, [LATEST, BEST]),
        ({LATEST: None, PREVIOUS: None, BEST: 3}, BEST, [LATEST]),
        ({FINAL: None, PREVIOUS: 4, BEST: 2}, PREVIOUS, [FINAL]),
        ({FINAL: 4, PREVIOUS: None, BEST: None}, FINAL, []),
    ],
    ids=str,
)
def test_damaged_checkpoints_are_named_only_where_another_one_took_their_place(
    tmp_path: Path, epochs: dict[str, int | None], loaded: str, named: list[str]
) -> None:
    for name, epoch in epochs.items():
        if epoch is None:
            (tmp_path / name).write_bytes(b"damaged")
        else:
            torch.save({"current_epoch": epoch}, tmp_path / name)
    found, damaged = checkpoints.readable_checkpoints(tmp_path)
    assert found[0].path.name == loaded
    assert checkpoints.passed_over(damaged, loaded) == named
