"""Images that are sent to be predicted, and segmentations that come back: what fits, whole, and nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from nnunet_api.prediction import RECORD_FILE, PredictionRecord
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.predict.images import images_on_claim, local_images
from nnunet_cli.predict.places import Local, OnClaim
from nnunet_cli.predict.work import do, fetch, is_done, send
from tests.support.pipes import LocalVolume

DESCRIPTION = {"channel_names": {"0": "T1", "1": "T2"}, "file_ending": ".nii.gz", "labels": {"background": 0, "a": 1}}
Change = Callable[[Path], Any]


def refused(work: Callable[[], Any]) -> CliError:
    with pytest.raises(CliError) as caught:
        work()
    return caught.value


def image(path: Path, value: float = 1.0, shape: tuple[int, ...] = (3, 4, 5)) -> None:
    nibabel.save(nibabel.Nifti1Image(np.full(shape, value, np.float32), np.eye(4)), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images with two channels each."""
    path = tmp_path / "images"
    path.mkdir()
    for case in ("a", "b"):
        for channel in range(2):
            image(path / f"{case}_000{channel}.nii.gz", channel + 1)
    (path / "notes.txt").write_text("private")
    (path / ".hidden_0000.nii.gz").write_text("x")
    return path


def test_only_images_are_sent(folder: Path) -> None:
    found = local_images(Local(folder), DESCRIPTION, follow_links=False)
    assert found.cases == ("a", "b")
    assert [file.name for file in found.files] == [f"{case}_000{channel}.nii.gz" for case in "ab" for channel in "01"]


def lack(folder: Path) -> None:
    (folder / "a_0001.nii.gz").unlink()
    (folder / "b_0000.nii.gz").unlink()


def cut(folder: Path) -> None:
    for case in "ab":
        path = folder / f"{case}_0000.nii.gz"
        path.write_bytes(path.read_bytes()[:-20])


def shift(folder: Path) -> None:
    image(folder / "a_0001.nii.gz", shape=(9, 4, 5))


def rename(folder: Path) -> None:
    (folder / "a_0000.nii.gz").rename(folder / "a.nii.gz")


def link(folder: Path) -> None:
    (folder / "a_0000.nii.gz").rename(folder.parent / "elsewhere.nii.gz")
    (folder / "a_0000.nii.gz").symlink_to(folder.parent / "elsewhere.nii.gz")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lack, ("a_0001.nii.gz", "b_0000.nii.gz", "are missing for the 2 channels")),
        (cut, ("2 files are cut short or damaged: a_0000.nii.gz, b_0000.nii.gz",)),
        (shift, ("a_0001.nii.gz", "Resample")),
        (rename, ("without a channel's number", "a.nii.gz")),
        (link, ("outside of", "--follow-links")),
    ],
)
def test_images_that_do_not_fit_are_all_named_and_not_sent(folder: Path, change: Change, said: tuple[str, ...]) -> None:
    change(folder)
    error = refused(lambda: local_images(Local(folder), DESCRIPTION, follow_links=False))
    assert error.exit_code == ExitCode.FOUND
    for words in said:
        assert words in str(error), str(error)


def test_links_are_followed_where_that_is_meant(folder: Path) -> None:
    link(folder)
    assert len(local_images(Local(folder), DESCRIPTION, follow_links=True).files) == 4


def test_names_on_a_claim_are_held_against_the_same_rules() -> None:
    names = ["a_0000.nii.gz", "a_0001.nii.gz", "sub/b_0000.nii.gz", "readme.txt"]
    place = OnClaim("imaging", "in")
    assert images_on_claim(place, names, DESCRIPTION) == (("a",), ("a_0000.nii.gz", "a_0001.nii.gz"))
    error = refused(lambda: images_on_claim(place, names[1:], DESCRIPTION))
    assert "imaging:in can't be predicted" in str(error) and "a_0000.nii.gz" in str(error)
    assert "holds no file CASE_0000.nii.gz" in str(refused(lambda: images_on_claim(place, [], DESCRIPTION)))
    assert "file_ending" in str(refused(lambda: images_on_claim(place, names, {})))


WORK = "clinic/predictions_hippo-f1234567"
OUT = f"{WORK}/segmentations"


def segment(root: Path, *cases: str, asked_for: str = "a" * 64) -> None:
    """Leave what the trainer leaves."""
    record = PredictionRecord(
        asked_for=asked_for,
        training="clinic/hippo",
        uid="u",
        configurations=["2d"],
        checkpoints={},
        postprocessing=[],
        step_size=0.5,
        mirroring=True,
        device="cpu",
        nnunet_version="2.8.1",
        cases=list(cases),
    )
    for case in cases:
        (root / OUT / f"{case}.nii.gz").write_bytes(case.encode() * 100_000)
    (root / OUT / RECORD_FILE).write_text(json.dumps(record.to_json_dict()))


def test_images_are_sent_segmentations_fetched_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    volume, target = LocalVolume(tmp_path / "claim"), tmp_path / "out"
    volume.root.mkdir()
    target.mkdir()
    send(volume, WORK, local_images(Local(folder), DESCRIPTION, follow_links=False).files)
    sent = {path.name for path in (volume.root / WORK / "images").iterdir()}
    assert sent == {f"{case}_000{channel}.nii.gz" for case in "ab" for channel in "01"}
    assert not is_done(volume, OUT, "a" * 64, ("a", "b"), ".nii.gz")
    segment(volume.root, "a", "b")
    (volume.root / OUT / "stranger.sh").write_text("x")
    assert is_done(volume, OUT, "a" * 64, ("a", "b"), ".nii.gz")
    for asked_for, cases in (("b" * 64, ("a", "b")), ("a" * 64, ("a",))):
        assert not is_done(volume, OUT, asked_for, cases, ".nii.gz")
    fetch(volume, OUT, ("a", "b"), ".nii.gz", target)
    assert sorted(path.name for path in target.iterdir()) == ["a.nii.gz", "b.nii.gz", RECORD_FILE]
    assert (target / "b.nii.gz").read_bytes() == b"b" * 100_000
    do(volume, "remove", WORK)
    do(volume, "remove", WORK)
    assert [path.name for path in (volume.root / "clinic").iterdir()] == []


def test_a_segmentation_that_is_gone_or_can_not_be_written_is_told(tmp_path: Path) -> None:
    volume, target = LocalVolume(tmp_path / "claim"), tmp_path / "out"
    (volume.root / OUT).mkdir(parents=True)
    segment(volume.root, "a", "b")
    (volume.root / OUT / "b.nii.gz").unlink()
    assert not is_done(volume, OUT, "a" * 64, ("a", "b"), ".nii.gz"), "it is made again"
    assert "such as b.nii.gz" in str(refused(lambda: fetch(volume, OUT, ("a", "b"), ".nii.gz", tmp_path)))
    error = refused(lambda: fetch(volume, OUT, ("a",), ".nii.gz", target))
    assert error.exit_code == ExitCode.USAGE and "can't be written" in str(error)
    (volume.root / OUT / RECORD_FILE).write_text("{")
    assert "is no JSON" in str(refused(lambda: is_done(volume, OUT, "a" * 64, ("a",), ".nii.gz")))


@pytest.mark.parametrize("name", ["clinic/hippo-12345678", "clinic", ".", "predictions_x-f1234567/../clinic", "links"])
def test_nothing_else_is_removed(tmp_path: Path, name: str) -> None:
    volume = LocalVolume(tmp_path)
    (tmp_path / "clinic/hippo-12345678").mkdir(parents=True)
    (tmp_path / "predictions_x-f1234567").mkdir()
    if name == "links":
        shutil.move(tmp_path / "predictions_x-f1234567", tmp_path / "target")
        (tmp_path / "predictions_x-f1234567").symlink_to(tmp_path / "target")
        name = "predictions_x-f1234567"
    refused(lambda: do(volume, "remove", name))
    assert (tmp_path / "clinic/hippo-12345678").is_dir()


def test_a_folder_is_made_through_no_link_and_over_no_file(tmp_path: Path) -> None:
    volume = LocalVolume(tmp_path)
    do(volume, "make", "a/b")
    do(volume, "make", "a/b")
    assert (tmp_path / "a/b").is_dir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert "is no folder" in str(refused(lambda: do(volume, "make", "file")))
    assert "links are not followed" in str(refused(lambda: do(volume, "make", "link/x")))
