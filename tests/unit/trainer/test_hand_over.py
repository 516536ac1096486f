"""Segmentations get their place when all are there, and an attempt that was killed meanwhile predicts none again."""

import os
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.prediction import RECORD_FILE, PredictionRecord
from nnunet_trainer.commands.predict import NewCases, hand_over, handed_over
from nnunet_trainer.process.files import read_json, write_json

ENDING = ".tif"
CASES = NewCases({"a": (), "b": (), "c": ()}, ENDING)
ASKED, OTHER = "a" * 64, "b" * 64
WHOLE = sorted([RECORD_FILE, *(f"{case}{end}" for case in CASES.images for end in (".json", ENDING))])


def record(asked_for: str = ASKED) -> PredictionRecord:
    return PredictionRecord(
        asked_for=asked_for,
        training="radiology/liver",
        uid="1",
        configurations=["2d"],
        checkpoints={},
        postprocessing=[],
        step_size=0.5,
        mirroring=True,
        device="cuda",
        nnunet_version="2.6.2",
        cases=sorted(CASES.images),
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where segmentations go, beside a work folder in which all are done."""
    predict(tmp_path / "work")
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def predict(work: Path, words: str = "segmentation") -> None:
    (work / "segmentations").mkdir(parents=True, exist_ok=True)
    for case in CASES.images:
        (work / f"segmentations/{case}{ENDING}").write_text(f"{words} of {case}")
        (work / f"segmentations/{case}.json").write_text("{}")


def killed_at(name: str, work: Path, target: Path, monkeypatch: pytest.MonkeyPatch, asked_for: str = ASKED) -> None:
    """Hand over until a file would get its name in the target."""
    replace = Path.replace

    def kill(self: Path, to: Path) -> Path:
        if Path(to) == target / name:
            raise KeyboardInterrupt
        return replace(self, to)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", kill)
        hand_over(CASES, work, target, record(asked_for))


@pytest.mark.parametrize("name", ["a.json", f"a{ENDING}", "b.json", f"c{ENDING}", RECORD_FILE])
def test_what_was_moved_by_an_attempt_that_was_killed_counts(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    killed_at(name, tmp_path / "work", target, monkeypatch)
    assert not (target / RECORD_FILE).exists(), "nobody takes a part for the whole"
    assert handed_over(CASES, tmp_path / "work", target, ASKED) == record()
    assert sorted(path.name for path in target.iterdir()) == WHOLE
    assert PredictionRecord.model_validate(read_json(target / RECORD_FILE)) == record()
    assert (target / f"b{ENDING}").read_text() == "segmentation of b"


def test_what_was_handed_over_is_not_predicted_again(tmp_path: Path, target: Path) -> None:
    """Killed after the record: the work folder may be there, or gone."""
    hand_over(CASES, tmp_path / "work", target, record())
    assert sorted(path.name for path in target.iterdir()) == WHOLE
    assert handed_over(CASES, tmp_path / "none", target, ASKED) == record()
    assert handed_over(CASES, tmp_path / "none", target, OTHER) is None
    assert handed_over(NewCases({"a": ()}, ENDING), tmp_path / "none", target, ASKED) is None
    (target / f"b{ENDING}").unlink()
    assert handed_over(CASES, tmp_path / "none", target, ASKED) is None


def test_nothing_is_taken_for_handed_over_that_is_not_predicted(tmp_path: Path, target: Path) -> None:
    work = tmp_path / "work"
    assert handed_over(CASES, work, target, ASKED) is None
    contents: list[Any] = [[], {}, {"record": 1}, {"record": record().to_json_dict()}]
    for content in contents:
        write_json(work / "handing_over.json", content)
        assert handed_over(CASES, work, target, ASKED) is None
    (target / RECORD_FILE).write_text("{")
    assert handed_over(CASES, work, target, ASKED) is None


def test_segmentations_of_another_prediction_are_not_taken_for_those_that_were_moved(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another model has predicted the same cases into the same folder since, in as many bytes."""
    work = tmp_path / "work"
    killed_at(RECORD_FILE, work, target, monkeypatch)
    predict(tmp_path / "other", "SEGMENTATION")
    os.utime(tmp_path / f"other/segmentations/a{ENDING}", ns=(1, 1))
    hand_over(CASES, tmp_path / "other", target, record(OTHER))
    assert handed_over(CASES, work, target, ASKED) is None
    assert handed_over(CASES, tmp_path / "other", target, OTHER) == record(OTHER)


def test_the_record_of_another_prediction_is_gone_before_the_first_segmentation(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_over(CASES, tmp_path / "work", target, record())
    predict(tmp_path / "other", "SEGMENTATION")
    killed_at("a.json", tmp_path / "other", target, monkeypatch, OTHER)
    assert handed_over(CASES, tmp_path / "work", target, ASKED) is None
