"""What is said of the findings in a dataset. That they are found, tests/trainer/test_odd_datasets.py shows."""

from nnunet_api.dataset.geometry import Grid
from nnunet_trainer.dataset.examination import Examined, Finding, Kind, ReaderChoice
from nnunet_trainer.dataset.integrity import all_findings, described


class SimpleITKIO: ...


class NibabelIO: ...


class Tiff3DIO: ...


SHEARED = Finding(Kind.OTHER_READER, "imagesTr/a_0000.nii.gz: ITK only supports orthonormal direction cosines")
ITK = ReaderChoice(SimpleITKIO, later=(NibabelIO,))
GRID = Grid((2, 2, 2), (1.0, 1.0, 1.0))
NIBABEL = ReaderChoice(NibabelIO, first=SimpleITKIO)


def test_findings_come_by_kind_with_their_remedy() -> None:
    told = described(
        [
            Finding(Kind.VOXELS, "imagesTr/a_0000.mha has 3"),
            Finding(Kind.LABELS, "labelsTr/a.mha has 7 (labels has 0, 1)"),
            Finding(Kind.VOXELS, "imagesTr/b_0000.mha has 1"),
        ],
        ITK,
    )
    assert told == (
        "2 images have voxels that are not finite numbers: imagesTr/a_0000.mha has 3; imagesTr/b_0000.mha has 1. "
        "Replace NaN and infinity by values that make sense for the images; 1 label image has values that labels of "
        "dataset.json does not: labelsTr/a.mha has 7 (labels has 0, 1). Correct the label images, or labels in "
        "dataset.json"
    )


def test_many_findings_leave_room_for_the_remedy() -> None:
    told = described([Finding(Kind.VOXELS, f"imagesTr/case_{number:03d}.mha has 3") for number in range(500)], ITK)
    assert "500 images" in told and "more in the log of this pod. Replace NaN" in told and len(told) < 1000


def test_the_same_is_said_whichever_case_comes_first() -> None:
    assert described([SHEARED], ITK) == described([SHEARED], NIBABEL)
    assert "can't be read by SimpleITKIO, others can" in described([SHEARED], ITK)
    assert '"overwrite_image_reader_writer": "NibabelIO"' in described([SHEARED], ITK)


def test_a_reader_that_can_read_no_case_is_no_choice() -> None:
    """NaturalImage2DIO comes first for .tif, and volumes are none of its."""
    volume = Examined((SHEARED,), by_first=False)
    choice = ReaderChoice(Tiff3DIO, first=SimpleITKIO)
    assert all_findings([volume, volume], choice) == []
    assert all_findings([volume, Examined(name="b", grid=GRID)], choice) == [SHEARED]
    # What it alone can read, a slice among volumes, makes it no choice either.
    slice_ = Finding(Kind.UNREADABLE, "imagesTr/c_0000.tif: Only 3D images are supported")
    assert all_findings([volume, Examined((slice_,))], choice) == [slice_]
    other = Finding(Kind.VOXELS, "x has 1")
    assert all_findings([Examined((SHEARED, other), by_first=False)], choice) == [other]


def test_a_channel_that_is_always_the_label_is_nothing_to_learn_from() -> None:
    """Where cases are tested alone, they may all be without what the label image has more."""
    mask, healthy, empty = Examined(answers={}), Examined(answers={1: "b_0001 is b"}), Examined()
    assert all_findings([mask, healthy, empty], ITK) == []
    assert all_findings([healthy, empty], ITK) == [Finding(Kind.SAME, "b_0001 is b")]
    assert all_findings([healthy, empty], ITK, learned=False) == []
    assert all_findings([empty], ITK) == []
