"""Datasets that people really have, read by nnU-Net's readers: planning's verdict, as `dataset check` gives it."""

import gzip
import logging
from pathlib import Path

import pytest

from nnunet_operator.api.exit_codes import ExitCode
from nnunet_trainer.dataset import load_dataset
from nnunet_trainer.examination import Examiner
from nnunet_trainer.failures import TrainerError
from nnunet_trainer.integrity import all_findings, choose_reader, described, verify_test_cases, verify_training_cases
from tests.odd_datasets import (
    CASES,
    NAME,
    ODD,
    Odd,
    describe,
    image,
    label,
    label_of,
    make,
    mixed,
    save_nifti,
)

READ = [odd for odd in ODD if odd.read or not odd.words]
"""What is refused by its names is told by tests/unit."""


def said_of(raw: Path) -> str:
    """Return why planning refuses a dataset; nothing where it goes on. Without workers, which take seconds to start."""
    try:
        dataset = load_dataset(raw, NAME, ["0"])
        dataset.check_whole()
        choice = choose_reader(dataset)
    except TrainerError as error:
        assert error.code == ExitCode.WRONG_DATA
        return error.message
    examine = Examiner(choice, dataset.channels, dataset.labels.values, dataset.folder)
    examined = [examine(case) for case in dataset.cases.values()]
    findings = all_findings(examined, choice)
    assert findings or all(found.contents for found in examined)
    return described(findings, choice)


@pytest.mark.parametrize("odd", READ, ids=[odd.what for odd in READ])
def test_the_verdict(tmp_path: Path, odd: Odd) -> None:
    folder = make(tmp_path / "raw")
    odd.spoil(folder)
    told = said_of(folder.parent)
    assert odd.words in told and bool(odd.words) == bool(told), told


def test_all_offenders_are_named_at_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    for number in range(CASES):
        save_nifti(label(folder, number), label_of() * (3 if number % 2 else 1), [*AWAY] if number % 2 == 0 else None)
    image(folder, 1).write_bytes(b"no image")
    assert "1 files are cut short or damaged: imagesTr/c1_0000.nii.gz" in said_of(folder.parent)
    image(folder, 1).write_bytes(gzip.compress(b"no image, but a whole file"))
    with pytest.raises(TrainerError) as caught:
        verify_training_cases(load_dataset(folder.parent, NAME, ["0"]), processes=1)
    told = caught.value.message
    assert told.startswith(f"the dataset of {NAME} can't be used: ")
    assert "1 files can't be read: imagesTr/c1_0000.nii.gz" in told
    assert "3 files lie on another grid" in told and "1 label images have values" in told
    for number in (0, 2, 3, 4):
        assert f"labelsTr/c{number}.nii.gz" in told


AWAY = [[1, 0, 0, 20], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("numbers", [(0,), (3,)], ids=["first", "another"])
def test_the_way_round_sheared_axes_works(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    folder = make(tmp_path / "raw")
    mixed(folder, *numbers)
    assert f"imagesTr/c{numbers[0]}_0000.nii.gz: ITK only supports orthonormal" in said_of(folder.parent)
    describe(folder, overwrite_image_reader_writer="NibabelIO")
    assert not said_of(folder.parent)


def test_the_reader_is_told_and_the_test_set_is_read_by_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A test set whose first case would let nnU-Net take another reader."""
    folder = make(tmp_path / "raw")
    dataset = load_dataset(folder.parent, NAME, ["0"])
    caplog.set_level(logging.INFO)
    assert choose_reader(dataset).reader.__name__ == "SimpleITKIO"
    assert "images are read by SimpleITKIO: the first of nnU-Net's readers for .nii.gz" in caplog.text
    cases = dict(dataset.cases)
    assert len(verify_test_cases(dataset, cases, 1)) == CASES
    mixed(folder, 0)
    later = load_dataset(folder.parent, NAME, ["0"])
    assert choose_reader(later).reader.__name__ == "NibabelIO"
    assert "SimpleITKIO can't: ITK only supports orthonormal" in caplog.text
    choice_of_training = {name: case for name, case in later.cases.items() if name != "c0"}
    with pytest.raises(TrainerError, match=r"the test set of .* 2 files can't be read by SimpleITKIO"):
        # As if c0 were a test case: the training cases decide.
        verify_test_cases(type(later)(folder, later.description, choice_of_training, None), later.cases, 1)


def test_a_reader_that_nnunet_does_not_have(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    describe(folder, overwrite_image_reader_writer="NibabelOI")
    assert "overwrite_image_reader_writer is 'NibabelOI', and nnU-Net has no such reader" in said_of(folder.parent)
