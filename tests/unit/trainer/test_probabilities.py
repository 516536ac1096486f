"""Probabilities of cases: which of them are whole, what becomes of damaged ones, and how much room all take."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.scoring.probabilities import remove_probabilities, shape_of, whole_probabilities
from nnunet_trainer.selection.merging import mean_of_damageable
from nnunet_trainer.selection.room import needed_bytes, require_room, whole_probabilities_of
from tests.support.made_contracts import contract, paths_of
from tests.support.plan_facts import PLAN_FACTS

GIB = 1 << 30
RUN = contract(configuration="2d", configurations=["2d", "3d_fullres"], folds=["0", "1"], testSet={}, selection={})


def save(path: Path, name: str = "probabilities", dtype: Any = np.float32) -> Path:
    np.savez_compressed(path, **{name: np.ones((3, 4, 5, 6), dtype)})
    return path


def test_probabilities_are_known_by_their_header(tmp_path: Path) -> None:
    assert shape_of(save(tmp_path / "a.npz")) == (3, 4, 5, 6)
    save(tmp_path / "b.npz", dtype=np.float16)
    save(tmp_path / "other.npz", name="softmax")
    save(tmp_path / "whole_numbers.npz", dtype=np.int64)
    save(tmp_path / "objects.npz", dtype=object)
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:-20])
    (tmp_path / "empty.npz").write_bytes(b"")
    assert whole_probabilities(tmp_path) == {"a", "b"}
    with pytest.raises(ValueError, match=r"cut\.npz is not whole"):
        shape_of(tmp_path / "cut.npz")


def average(files: list[str]) -> Any:
    """Load and average as nnU-Net does."""
    return sum(np.load(path)["probabilities"] for path in files) / len(files)


def damage_data(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200:230] = b"\xff" * 30
    path.write_bytes(content)


def look_encrypted(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def hold_no_number(path: Path) -> None:
    np.savez_compressed(path, probabilities=np.full((3, 4, 5, 6), np.nan, np.float32))


@pytest.mark.parametrize("damage", [damage_data, look_encrypted, hold_no_number])
def test_damaged_probabilities_are_removed_and_predicted_again(tmp_path: Path, damage: Any) -> None:
    good, bad = save(tmp_path / "good.npz"), tmp_path / "bad.npz"
    np.savez_compressed(bad, probabilities=np.random.default_rng(1).random((3, 4, 5, 6), np.float32))
    assert mean_of_damageable(average, [str(good), str(bad)]).shape == (3, 4, 5, 6)
    damage(bad)
    with pytest.raises(TrainerError, match=r"bad\.npz .* The file was removed: suspend and resume") as refused:
        mean_of_damageable(average, [str(good), str(bad)])
    assert refused.value.code == ExitCode.CHECKPOINT_UNUSABLE and good.exists() and not bad.exists()


def test_probabilities_with_a_damaged_header_are_not_whole(tmp_path: Path) -> None:
    np.savez_compressed(
        path := tmp_path / "a.npz", probabilities=np.random.default_rng(1).random((3, 4, 5, 6), np.float32)
    )
    content = bytearray(path.read_bytes())
    content[48:120] = b"\xff" * 72
    path.write_bytes(content)
    look_encrypted(save(tmp_path / "b.npz"))
    assert whole_probabilities(tmp_path) == set()


def test_the_end_of_probabilities_leaves_segmentations_alone(tmp_path: Path) -> None:
    save(tmp_path / "a.npz")
    for name in ("a.pkl", ".tmp-a.npz", "a.nii.gz", "summary.json"):
        (tmp_path / name).write_bytes(b"x")
    assert remove_probabilities([tmp_path, tmp_path / "none"]) > 2
    assert {path.name for path in tmp_path.iterdir()} == {"a.nii.gz", "summary.json"}


class Volume:
    """Stands for a volume with so many blocks of one GiB."""

    f_frsize = GIB

    def __init__(self, total: int, free: int) -> None:
        self.f_blocks, self.f_bavail = total, free


@pytest.mark.parametrize(
    ("total", "free", "lacking", "outcome"),
    [
        (100, 50, [1] * 10, "fits"),
        (100, 20, [1] * 10, "note"),
        (100, 1, [1] * 10, "note"),
        (100, 4, [2] * 10, "refused"),
        (100, 6, [2] * 10, "note"),
        (100, 5, [1, 0, 0], "fits"),
        (100, 0, [0] * 10, "fits"),
        (0, 0, [2] * 10, "fits"),
        (1 << 31, 1, [2] * 10, "fits"),
        (10, 100, [2] * 10, "fits"),
    ],
    ids=[
        "enough",
        "maybe",
        "the small case may be the one",
        "never",
        "at best",
        "nearly all there",
        "all there",
        "no blocks",
        "endless",
        "more than all",
    ],
)
def test_room_is_looked_at_where_the_volume_makes_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, lacking: list[int], outcome: str
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Volume(total, free))
    least, most = needed_bytes([1024 * 1024 * 256, 1], lacking, 4)
    assert 4 * sum(lacking) * GIB >= most >= least
    if outcome == "refused":
        with pytest.raises(TrainerError) as refused:
            require_room(least, most, tmp_path, "cases", "or without")
        assert refused.value.code == ExitCode.STORAGE_FAILED
        assert all(said in refused.value.message for said in ("up to 40.0 GiB", "4.0 GiB", "Enlarge", "or without"))
        return
    note = require_room(least, most, tmp_path, "cases", "or without")
    assert (note is None) == (outcome == "fits"), note


def test_probabilities_that_are_there_need_no_room(tmp_path: Path) -> None:
    paths = paths_of(RUN, tmp_path)
    one = RUN.by_configuration[0]
    for fold, case in (("0", "a"), ("1", "b"), ("1", ".tmp-c")):
        folder = paths.fold(one, PLAN_FACTS.plans_name, fold) / "validation"
        folder.mkdir(parents=True, exist_ok=True)
        save(folder / f"{case}.npz")
    assert whole_probabilities_of(one, paths, PLAN_FACTS) == {"a", "b"}
    assert whole_probabilities_of(RUN.by_configuration[1], paths, PLAN_FACTS) == set()
