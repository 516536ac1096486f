"""A dataset is looked at before anything long is done with it: leaks, twins, labels."""

from pathlib import Path

import nibabel
import numpy as np

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.contents import CONTENTS_FILE
from nnunet_trainer.process.files import read_json
from tests.trainer import tiny_dataset
from tests.trainer.world import World, make_world


def dataset(world: World) -> Path:
    return world.root / "nnunet/raw" / tiny_dataset.NAME


def disguise(source: Path, target: Path) -> None:
    """Write the same voxels under another name, compressed anew, as another type of number, at another place."""
    image = nibabel.load(source)
    affine = np.eye(4)
    affine[:3, 3] = 7
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj).astype(np.float64), affine), target)


def test_a_test_case_that_is_trained_on_is_refused(planned: World, tmp_path: Path) -> None:
    """Whether the training cases are read now, or were when an earlier training had them preprocessed."""
    fresh, known = make_world(tmp_path / "fresh"), planned.copy(tmp_path / "known")
    for world in (fresh, known):
        folder = dataset(world)
        disguise(folder / "imagesTr/case_02_0000.nii.gz", folder / "imagesTs/case_07_0000.nii.gz")
        disguise(folder / "labelsTr/case_02.nii.gz", folder / "labelsTs/case_07.nii.gz")
        ended = world.finish("plan")
        assert ended.code == ExitCode.WRONG_DATA, ended.log
        assert "1 of 2 test cases is a training case" in ended.report.message
        assert "imagesTs/case_07_0000.nii.gz is imagesTr/case_02_0000.nii.gz" in ended.report.message
        assert "fingerprint" not in ended.log
        assert ("verifying the dataset" in ended.log) is (world is fresh), "what is known is read again"


def test_twins_among_the_training_cases_are_told(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world")
    folder = dataset(world)
    disguise(folder / "imagesTr/case_02_0000.nii.gz", folder / "imagesTr/case_04_0000.nii.gz")
    disguise(folder / "labelsTr/case_02.nii.gz", folder / "labelsTr/case_04.nii.gz")
    ended = world.finish("plan")
    assert ended.code == 0, ended.log
    assert "to train on and to validate on: case_02 = case_04 (fold" in ended.log
    (noted,) = (world.root / "nnunet/preprocessed").glob(f"*/{CONTENTS_FILE}")
    contents = read_json(noted)
    assert sorted(contents) == [f"case_{number:02d}" for number in range(6)]
    assert contents["case_02"] == contents["case_04"]
    assert contents["case_00"]["labels"] == [0, 1, 2]
    assert len({entry["fingerprint"] for entry in contents.values()}) == 5


def test_a_label_that_occurs_nowhere_is_refused(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world")
    for path in (dataset(world) / "labelsTr").iterdir():
        image = nibabel.load(path)
        values = np.minimum(np.asanyarray(image.dataobj), 1)
        nibabel.save(nibabel.Nifti1Image(values, image.affine), path)
    ended = world.finish("plan")
    assert ended.code == ExitCode.WRONG_DATA, ended.log
    assert "core (2) of labels in dataset.json occurs in none of the 6 training cases" in ended.report.message
