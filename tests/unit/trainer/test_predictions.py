"""Which predictions of an earlier attempt count, and which are made again."""

import gzip
import os
from pathlib import Path

import pytest

from nnunet_trainer.dataset.identity import prediction_inputs
from nnunet_trainer.scoring.predictions import INPUTS_FILE, fresh_ones

ENDING = ".nii.gz"
INPUTS = {"a": "1", "b": "2"}


def predicted(folder: Path, *cases: str) -> None:
    for case in cases:
        (folder / f"{case}{ENDING}").write_bytes(gzip.compress(b"segmentation"))


def left(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(ENDING) for path in folder.glob(f"*{ENDING}"))


def test_what_an_interruption_left_is_kept(tmp_path: Path) -> None:
    assert fresh_ones(tmp_path, ENDING, INPUTS) == set()
    predicted(tmp_path, "a")
    (tmp_path / f".tmp-b{ENDING}").write_text("half")
    assert fresh_ones(tmp_path, ENDING, INPUTS) == {"a"}
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("keep", [0, 10])
def test_a_prediction_that_was_cut_short_is_made_again(tmp_path: Path, keep: int) -> None:
    fresh_ones(tmp_path, ENDING, INPUTS)
    predicted(tmp_path, "a", "b")
    os.truncate(tmp_path / f"a{ENDING}", keep)
    assert fresh_ones(tmp_path, ENDING, INPUTS) == {"b"}
    assert left(tmp_path) == ["b"]


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        (INPUTS, ["a", "b"]),
        (INPUTS | {"a": "replaced"}, ["b"]),
        ({"b": "2"}, ["b"]),
        ({"a": "other model", "b": "other model"}, []),
    ],
    ids=["nothing changed", "an image was replaced", "a case was removed", "a fold was trained again"],
)
def test_stale_predictions_are_removed(tmp_path: Path, now: dict[str, str], kept: list[str]) -> None:
    fresh_ones(tmp_path, ENDING, INPUTS)
    predicted(tmp_path, "a", "b")
    assert sorted(fresh_ones(tmp_path, ENDING, now)) == kept
    assert left(tmp_path) == kept
    predicted(tmp_path, *now)
    assert sorted(fresh_ones(tmp_path, ENDING, now)) == sorted(now), "the new inputs are not remembered"


@pytest.mark.parametrize("content", [None, "", "{"])
def test_predictions_of_unknown_origin_are_removed(tmp_path: Path, content: str | None) -> None:
    predicted(tmp_path, "a", "b")
    if content is not None:
        (tmp_path / INPUTS_FILE).write_text(content)
    assert fresh_ones(tmp_path, ENDING, INPUTS) == set()
    assert left(tmp_path) == []


def test_inputs_are_the_images_and_the_checkpoints(tmp_path: Path) -> None:
    image, checkpoint = tmp_path / "image", tmp_path / "checkpoint_final.pth"
    image.write_text("1")
    checkpoint.write_text("weights")
    cases = {"a": [image], "b": [image, image]}
    plain = prediction_inputs(cases, [checkpoint], 2)
    assert prediction_inputs(cases, [checkpoint], 1) == plain
    assert plain["a"] != plain["b"]
    os.utime(checkpoint, (1, 1))
    trained_again = prediction_inputs(cases, [checkpoint], 2)
    assert trained_again["a"] != plain["a"] and trained_again["b"] != plain["b"]
    image.write_text("2")
    assert prediction_inputs(cases, [checkpoint], 2)["a"] != trained_again["a"]
