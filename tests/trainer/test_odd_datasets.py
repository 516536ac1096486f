"""Datasets that people really have, read by nnU-Net's readers: planning's verdict, as `dataset check` gives it."""

import gzip
import logging
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.contents import notes_on
from nnunet_trainer.dataset.examination import Examiner
from nnunet_trainer.dataset.integrity import (
    all_findings,
    choose_reader,
    told_of,
    verify_test_cases,
    verify_training_cases,
)
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.process.failures import TrainerError
from tests.support.odd_corpus import CORPUS
from tests.support.odd_datasets import Odd
from tests.support.spoilt_datasets import (
    CASES,
    NAME,
    SHAPE,
    describe,
    image,
    image_of,
    label,
    label_of,
    make,
    mixed,
    save_nifti,
)

READ = [odd for odd in CORPUS if odd.read or not odd.words]
"""What is refused by its names is told by tests/unit."""


def said_of(raw: Path) -> str:
    """Return why planning refuses a dataset; nothing where it goes on. Without workers, which take seconds to start."""
    try:
        dataset = load_dataset(raw, NAME, ["0"])
        dataset.check_whole(1)
        choice = choose_reader(dataset)
    except TrainerError as error:
        assert error.code == ExitCode.WRONG_DATA
        return error.message
    examine = Examiner(choice, dataset.channels, dataset.labels.values, dataset.folder, dataset.colours)
    examined = [examine(case) for case in dataset.cases.values()]
    told = told_of(all_findings(examined, choice), choice, dataset.cases, dataset.folder)
    assert told or all(found.contents for found in examined)
    return told


def notes_on_it(raw: Path) -> str:
    """Return what planning notes of a dataset that it takes."""
    dataset = load_dataset(raw, NAME, ["0"])
    examine = Examiner(choose_reader(dataset), dataset.channels, dataset.labels.values, dataset.folder, dataset.colours)
    examined = {name: examine(case).contents for name, case in dataset.cases.items()}
    return "; ".join(notes_on(dataset, {name: contents for name, contents in examined.items() if contents}, []))


@pytest.mark.parametrize("odd", READ, ids=[odd.what for odd in READ])
def test_the_verdict(tmp_path: Path, odd: Odd) -> None:
    folder = make(tmp_path / "raw")
    odd.spoil(folder)
    told = said_of(folder.parent)
    assert odd.words in told and bool(odd.words) == bool(told), told
    if odd.note:
        told = notes_on_it(folder.parent)
        assert odd.note in told, told


def test_all_offenders_are_named_at_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    for number in range(CASES):
        save_nifti(label(folder, number), label_of() * (3 if number % 2 else 1), [*AWAY] if number % 2 == 0 else None)
    image(folder, 1).write_bytes(b"no image")
    assert "1 file is cut short or damaged: imagesTr/c1_0000.nii.gz" in said_of(folder.parent)
    image(folder, 1).write_bytes(gzip.compress(b"no image, but a whole file"))
    with pytest.raises(TrainerError) as caught:
        verify_training_cases(load_dataset(folder.parent, NAME, ["0"]), processes=1)
    told = caught.value.message
    assert told.startswith(f"the dataset of {NAME} can't be used: ")
    assert "1 file can't be read: imagesTr/c1_0000.nii.gz" in told
    assert "3 files lie on another grid" in told and "1 label image has values" in told
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


def test_what_is_odd_about_all_cases_is_noted_once(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    affine = [[0.0007, 0, 0, 0], [0, 0.0007, 0, 0], [0, 0, 0.0007, 0], [0, 0, 0, 1]]
    for number in range(CASES):
        save_nifti(image(folder, number), image_of(number), affine)
        save_nifti(label(folder, number), label_of(), affine)
    contents = verify_training_cases(load_dataset(folder.parent, NAME, ["0"]), processes=1)
    (note,) = [note for case in contents.values() for note in case.notes]
    assert "most images are 0.0007 long: surface distances are told as mm" in note


def tif(folder: Path, shapes: dict[int, tuple[int, ...]] | None = None) -> None:
    """Let all files be volumes as .tif."""
    import tifffile

    for number in range(CASES):
        image(folder, number).unlink()
        label(folder, number).unlink()
        shape = (shapes or {}).get(number, SHAPE)
        tifffile.imwrite(folder / f"imagesTr/c{number}_0000.tif", image_of(number, shape), photometric="minisblack")
        tifffile.imwrite(folder / f"labelsTr/c{number}.tif", label_of(shape), photometric="minisblack")
    describe(folder, file_ending=".tif")


def test_volumes_as_tif_have_a_reader_whichever_comes_first(tmp_path: Path) -> None:
    """nnU-Net tries a reader of slices first, which takes a volume with three columns for red, green and blue."""
    folder = make(tmp_path / "raw")
    tif(folder)
    assert not said_of(folder.parent)
    for number in (0, 3):
        folder = make(tmp_path / str(number))
        tif(folder, {number: (6, 7, 3)})
        told = said_of(folder.parent)
        assert "can't be read by NaturalImage2DIO, others can" in told or "Only 3D images" in told, told
        assert '"overwrite_image_reader_writer": "Tiff3DIO"' in told
        describe(folder, file_ending=".tif", overwrite_image_reader_writer="Tiff3DIO")
        assert not said_of(folder.parent)


def test_a_spacing_for_the_image_alone(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    tif(folder)
    for number in range(CASES):
        (folder / f"imagesTr/c{number}.json").write_text('{"spacing": [5, 1, 1]}')
        if number != 3:
            (folder / f"labelsTr/c{number}.json").write_text('{"spacing": [5, 1, 1]}')
    assert "labelsTr/c3.tif has the spacing 1 x 1 x 1, imagesTr/c3_0000.tif has 1 x 1 x 5" in said_of(folder.parent)
    (folder / "labelsTr/c3.json").write_text('{"spacing": [5, 1, 1]}')
    assert not said_of(folder.parent)


def test_an_image_in_several_files(tmp_path: Path) -> None:
    """An OME-TIFF names the files that the rest of it is in: no hash of the one would cover them."""
    import tifffile

    folder = make(tmp_path / "raw")
    tif(folder)
    planes = "".join(
        f'<TiffData FirstZ="{first}" IFD="0" PlaneCount="3"><UUID FileName="{name}">urn:uuid:{uuid}</UUID></TiffData>'
        for first, name, uuid in ((0, "c3_0000.tif", "a"), (3, "rest.ome", "b"))
    )
    sizes = 'SizeX="8" SizeY="7" SizeZ="6" SizeC="1" SizeT="1"'
    for name, uuid in (("c3_0000.tif", "a"), ("rest.ome", "b")):
        description = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{uuid}">'
            f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="float" {sizes}>'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(
            folder / "imagesTr" / name,
            image_of(3, (3, 7, 8)),
            photometric="minisblack",
            metadata=None,
            description=description,
        )
    assert "imagesTr/c3_0000.tif takes voxels from other files (OME-TIFF)" in said_of(folder.parent)


SPACED = '{"spacing": [5, 1, 1]}'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({f"c{n}.json": SPACED for n in range(CASES)}, ""),
        ({"c3.json": SPACED}, "4 cases have no spacing beside the image, where others have one: imagesTr/c0.json"),
        ({"c3_0000.json": SPACED}, "1 spacing is where no reader looks: imagesTr/c3_0000.json"),
        ({"c3.json": '{"spacing": ["5,0", "1", "1"]}'}, "2 files give no spacing: imagesTr/c3.json has spacing ['5,0'"),
        ({"c3.json": '{"spacing": [5, 1]}'}, "imagesTr/c3.json has spacing [5, 1]"),
        ({"c3.json": '{"spacing": [0, 1, 1]}'}, "imagesTr/c3.json has spacing [0, 1, 1]"),
        ({"c3.json": '{"spacing": [true, 1, 1]}'}, "imagesTr/c3.json has spacing [True, 1, 1]"),
        ({"c3.json": '{"Spacing": [5, 1, 1]}'}, "imagesTr/c3.json does not say spacing"),
        ({"c3.json": '{"spacing": [5, 1, 1], "spacing": [1, 1, 1]}'}, "'spacing' is given twice"),
        ({"c3.json": "5 1 1"}, "imagesTr/c3.json is not valid JSON"),
    ],
)
def test_spacings_beside_volumes(tmp_path: Path, files: dict[str, str], words: str) -> None:
    folder = make(tmp_path / "raw")
    tif(folder)
    for name, text in files.items():
        (folder / "imagesTr" / name).write_text(text)
        (folder / "labelsTr" / name.replace("_0000", "")).write_text(text)
    told = said_of(folder.parent)
    assert words in told and bool(words) == bool(told), told


def test_all_that_can_not_be_read_is_named_also_where_it_comes_first(tmp_path: Path) -> None:
    folder = make(tmp_path / "raw")
    for number in (0, 3):
        image(folder, number).write_bytes(gzip.compress(b"no image, but a whole file"))
    told = said_of(folder.parent)
    assert "2 files can't be read: imagesTr/c0_0000.nii.gz" in told and "imagesTr/c3_0000.nii.gz" in told
