"""The demo dataset: complete in nnU-Net's raw format, the same each time, with something to find in each case."""

import hashlib
import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from hack.demo import dataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write_dataset(tmp_path_factory.mktemp("raw"))


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(("part", "cases"), [("Tr", dataset.TRAINING_CASES), ("Ts", dataset.TEST_CASES)])
def test_every_case_has_an_image_and_a_label_of_the_same_geometry(folder: Path, part: str, cases: int) -> None:
    labels = sorted((folder / f"labels{part}").iterdir())
    assert len(labels) == len(list((folder / f"images{part}").iterdir())) == cases
    for path in labels:
        label = nibabel.load(path)
        image = nibabel.load(folder / f"images{part}" / path.name.replace(".nii.gz", "_0000.nii.gz"))
        assert image.shape == label.shape == dataset.BLOCK
        assert np.array_equal(image.affine, label.affine)
        assert set(np.unique(np.asarray(label.dataobj))) == set(dataset.LABELS.values()), path.name


def test_the_cases_do_not_overlap(folder: Path) -> None:
    corners = {tuple(nibabel.load(path).affine[:3, 3]) for path in folder.glob("labelsT?/*")}
    assert len(corners) == dataset.TRAINING_CASES + dataset.TEST_CASES
    for axis, block in enumerate(dataset.BLOCK):
        starts = sorted({corner[axis] for corner in corners})
        assert all(later - earlier >= block for earlier, later in itertools.pairwise(starts)), f"axis {axis}: {starts}"


def test_the_description_is_what_nnunet_asks_for(folder: Path) -> None:
    description = json.loads((folder / "dataset.json").read_text())
    assert folder.name == "Dataset501_MNI"
    assert description["numTraining"] == 15
    assert description["channel_names"] == {"0": "MRI"}
    assert description["labels"] == {"background": 0, "grey_matter": 1, "white_matter": 2}
    assert description["file_ending"] == ".nii.gz"


def test_writing_it_again_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    # Trainings share preprocessed data by the content of the dataset: another hash would preprocess again.
    again = dataset.write_dataset(tmp_path)
    assert _hashes(again) == _hashes(folder)
    dataset.write_dataset(tmp_path)
    assert _hashes(again) == _hashes(folder)


def test_a_nilearn_without_the_template_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dataset._template.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="make venv"):
        dataset.write_dataset(tmp_path)
