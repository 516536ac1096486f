"""Under which conditions scores were made, as summary.json keeps it."""

from pathlib import Path

import pytest

from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.scoring import conditions as module
from nnunet_trainer.scoring.conditions import TestSetHashes, held_out_hashes, stated_conditions
from nnunet_trainer.scoring.ensemble import HeldOut


def held_out(
    root: Path, image: bytes = b"image", label: bytes = b"label", name: str = "a", ending: str = ".nii.gz"
) -> HeldOut:
    root.mkdir()
    paths = root / f"{name}_0000{ending}", root / f"label_{name}{ending}"
    for path, content in zip(paths, (image, label), strict=True):
        path.write_bytes(content)
    return HeldOut({name: Case((paths[0],), paths[1])}, ending)


def test_another_test_set_has_other_hashes(tmp_path: Path) -> None:
    first = held_out_hashes(held_out(tmp_path / "1"), 1)
    assert held_out_hashes(held_out(tmp_path / "2"), 1) == first, "wherever it lies"
    image = held_out_hashes(held_out(tmp_path / "3", image=b"other"), 1)
    assert image.images != first.images and image.labels == first.labels
    label = held_out_hashes(held_out(tmp_path / "4", label=b"other"), 1)
    assert label.images == first.images and label.labels != first.labels
    assert label.contents == first.contents and image.contents != first.contents
    renamed = held_out_hashes(held_out(tmp_path / "5", name="b"), 1)
    assert renamed != first and renamed.contents == first.contents, "looked at is what it holds, whatever its name"


def test_the_spacing_beside_an_image_counts(tmp_path: Path) -> None:
    first = held_out(tmp_path / "1", ending=".tif")
    before = held_out_hashes(first, 1)
    (tmp_path / "1" / "a.json").write_text('{"spacing": [1, 1, 1]}')
    after = held_out_hashes(first, 1)
    assert after.images != before.images and after.contents == before.contents


def test_without_a_test_set_nothing_is_said_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nnunet_version", lambda: "2.8.1")
    alone = stated_conditions({"liver": 1}, 1.0, {}, None)
    assert sorted(alone) == ["labels", "metric"] and alone["metric"]["version"] == "2.8.1"
    inference = {"checkpoint": "checkpoint_final.pth", "mirrorAxes": [0]}
    both = stated_conditions({"liver": 1}, 1.0, inference, TestSetHashes("i", "l", "c"))
    assert both["testSet"] == {"imagesHash": "i", "labelsHash": "l"}
    assert both["mirrorAxes"] == [0], "the trainer class decides them: they may differ with it"
    assert both["inference"] == {"checkpoint": "checkpoint_final.pth"}
