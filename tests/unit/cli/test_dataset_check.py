"""nnunetctl dataset check on real folders: everything that is wrong, in words, at once."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnunet_api.dataset.labels import label_problems
from nnunet_trainer.dataset.labels import declared_labels
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.process.failures import TrainerError
from tests.support.command import Command

NAME = "Dataset004_Hippo"
DESCRIPTION = {
    "channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "head": 1, "tail": 2},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


def save(path: Path, shape: tuple[int, ...] = (4, 5, 6), spacing: float = 1.0, affine: Any = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([spacing, 1, 1, 1]) if affine is None else affine
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine), path)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Five cases of two channels, one test case without a label."""
    return Path(shutil.copytree(made, tmp_path / NAME))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / NAME
    for number in range(5):
        for channel in range(2):
            save(folder / "imagesTr" / f"case_{number}_{channel:04d}.nii.gz")
        save(folder / "labelsTr" / f"case_{number}.nii.gz")
    for channel in range(2):
        save(folder / "imagesTs" / f"test_{channel:04d}.nii.gz")
    describe(folder)
    return folder


def describe(folder: Path, **changes: Any) -> None:
    content = {key: value for key, value in {**DESCRIPTION, **changes}.items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(content))


def test_one_in_order(folder: Path, nnunet: Command) -> None:
    run = nnunet("dataset", "check", str(folder))
    assert (run.code, run.err) == (0, "")
    assert run.out == f"{NAME}: in order\n  5 training cases, 1 test case, 2 channels\n"
    assert nnunet("dataset", "check", str(folder), "-o", "json").data == {
        "name": NAME,
        "trainingCases": 5,
        "testCases": 1,
        "channels": 2,
        "problems": [],
        "notes": [],
    }


def test_a_dot_for_a_folder(folder: Path, nnunet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert nnunet("dataset", "check", ".").code == 0


CASES: list[tuple[str, Callable[[Path], Any], str]] = [
    ("no dataset.json", lambda f: (f / "dataset.json").unlink(), "there is no dataset.json"),
    ("no JSON", lambda f: (f / "dataset.json").write_text("{"), "dataset.json is no valid JSON"),
    ("a list", lambda f: (f / "dataset.json").write_text("[]"), "must hold an object, not a list"),
    ("no ending", lambda f: describe(f, file_ending=None), "dataset.json: file_ending is missing"),
    ("an ending without its dot", lambda f: describe(f, file_ending="nii"), "file_ending is 'nii', must be an ending"),
    ("no channels", lambda f: describe(f, channel_names=None), "dataset.json: channel_names is missing"),
    ("channels by name", lambda f: describe(f, channel_names={"T1": 0}), "must name the channels by number from 0"),
    ("channels from 1", lambda f: describe(f, channel_names={"1": "T1"}), "by number from 0"),
    ("no labels", lambda f: describe(f, labels=None), "dataset.json: labels is missing"),
    (
        "labels by number",
        lambda f: describe(f, labels={"0": "background"}),
        "labels.background is None, must be 0 (nnU-Net v1",
    ),
    (
        "a gap",
        lambda f: describe(f, labels={"background": 0, "a": 1, "b": 3}),
        "labels has the values 0, 1, 3, must have those from 0 on",
    ),
    ("a word", lambda f: describe(f, labels={"background": 0, "a": "x"}), "labels.a is 'x', must be a whole number"),
    (
        "regions without an order",
        lambda f: describe(f, labels={"background": 0, "all": [1, 2], "core": 2}),
        "regions_class_order is None, must have a number for each of all, core",
    ),
    (
        "images as text",
        lambda f: describe(f, numTraining=1, dataset={"c": {"images": "imagesTr/c", "label": "labelsTr/c"}}),
        "dataset.c has images 'imagesTr/c' and label 'labelsTr/c': it needs images, a list of paths",
    ),
    ("a wrong count", lambda f: describe(f, numTraining=9), "numTraining is 9, but there are 5 training cases"),
    ("no count", lambda f: describe(f, numTraining="5"), "numTraining is '5', must be the number"),
    (
        "a missing channel",
        lambda f: (f / "imagesTr" / "case_1_0001.nii.gz").unlink(),
        "1 image is missing for the 2 channels of dataset.json: imagesTr/case_1_0001.nii.gz",
    ),
    (
        "a channel too many",
        lambda f: save(f / "imagesTr" / "case_1_0002.nii.gz"),
        "of channels that dataset.json, with 2 channels, does not name: imagesTr/case_1_0002.nii.gz",
    ),
    ("a missing label", lambda f: (f / "labelsTr" / "case_2.nii.gz").unlink(), "no label: labelsTr/case_2.nii.gz"),
    ("no channel's number", lambda f: save(f / "imagesTr" / "x.nii.gz"), "_0000.nii.gz: imagesTr/x.nii.gz"),
    ("another ending", lambda f: describe(f, file_ending=".nrrd"), "imagesTr holds no file CASE_0000.nrrd"),
    ("no folder", lambda f: (f / "labelsTr").rename(f / "labels"), "there is no folder labelsTr"),
    ("a test channel", lambda f: (f / "imagesTs" / "test_0001.nii.gz").unlink(), "imagesTs/test_0001.nii.gz"),
    ("no test label", lambda f: (f / "labelsTs").mkdir(), "1 case has no label: labelsTs/test.nii.gz"),
    (
        "another shape",
        lambda f: save(f / "labelsTr" / "case_0.nii.gz", (4, 5, 7)),
        "labelsTr/case_0.nii.gz has 4 x 5 x 7 voxels, imagesTr/case_0_0000.nii.gz has 4 x 5 x 6",
    ),
    (
        "another spacing",
        lambda f: save(f / "imagesTr" / "case_0_0001.nii.gz", spacing=2.0),
        "imagesTr/case_0_0001.nii.gz has the spacing 2 x 1 x 1, imagesTr/case_0_0000.nii.gz has 1 x 1 x 1",
    ),
    (
        "another place",
        lambda f: save(f / "labelsTr" / "case_0.nii.gz", affine=np.diag([-1, 1, 1, 1])),
        "labelsTr/case_0.nii.gz lies up to 6 voxels away from imagesTr/case_0_0000.nii.gz: direction (-1, 0, 0)",
    ),
    (
        "several channels in a file",
        lambda f: save(f / "imagesTr" / "case_0_0000.nii.gz", (4, 5, 6, 2)),
        "imagesTr/case_0_0000.nii.gz has 4 axes: give each channel a file of its own",
    ),
    (
        "no image",
        lambda f: (f / "labelsTr" / "case_0.nii.gz").write_bytes(b"no gzip"),
        "labelsTr/case_0.nii.gz can't be read",
    ),
    (
        "a split of strangers",
        lambda f: (f / "splits_final.json").write_text('[{"train": ["case_0"], "val": ["nobody"]}]'),
        "fold 0 (the first is 0): 1 case is not in the dataset: nobody",
    ),
    (
        "a split with overlap",
        lambda f: (f / "splits_final.json").write_text('[{"train": ["case_0"], "val": ["case_0"]}]'),
        "fold 0 (the first is 0): 1 case is in train and in val: case_0",
    ),
    (
        "an empty split",
        lambda f: (f / "splits_final.json").write_text('[{"train": ["case_0"], "val": []}]'),
        "fold 0 (the first is 0): val is empty",
    ),
    ("no split", lambda f: (f / "splits_final.json").write_text("{}3"), "splits_final.json is no valid JSON"),
]


@pytest.mark.parametrize(("spoil", "said"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_said(folder: Path, nnunet: Command, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(folder)
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and said in run.out, run.out


def test_a_wrong_name_too_few_cases_and_a_push_that_is_refused(folder: Path, nnunet: Command) -> None:
    for number in (3, 4):
        for path in folder.glob(f"*/case_{number}*"):
            path.unlink()
    describe(folder, numTraining=3)
    other = folder.rename(folder.with_name("Hippo"))
    run = nnunet("dataset", "check", str(other), "-o", "json")
    assert run.code == 1
    assert [problem.split(":")[0] for problem in run.data["problems"]] == [
        "the folder is called Hippo, must be DatasetNNN_Name with three digits",
        "there are 3 training cases, five folds need 5",
    ]
    run = nnunet("dataset", "push", str(other))
    assert run.code == 1 and "Hippo: 2 to put right" in run.err and "nothing was sent" in run.err
    assert nnunet("dataset", "push", str(other), "--no-check").code == 3, "there is no cluster here"


def test_cases_that_dataset_json_names_one_by_one(folder: Path, nnunet: Command) -> None:
    images = ["imagesTr/case_0_0000.nii.gz", "imagesTr/case_0_0001.nii.gz"]
    cases = {f"c{number}": {"images": images, "label": "labelsTr/case_0.nii.gz"} for number in range(5)}
    describe(folder, dataset=cases)
    assert nnunet("dataset", "check", str(folder)).code == 0
    cases["c1"] = {"images": images, "label": "labelsTr/gone.nii.gz"}
    describe(folder, dataset=cases)
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and "1 case has no label: labelsTr/gone.nii.gz" in run.out
    cases["c1"] = {"images": images[:1], "label": "labelsTr/gone.nii.gz"}
    describe(folder, dataset=cases)
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and "dataset.c1 has 1 image, must have 2" in run.out


def test_a_label_alone_is_in_nobodys_way(folder: Path, nnunet: Command) -> None:
    save(folder / "labelsTr" / "x.nii.gz")
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 0 and "note: 1 label has no image: labelsTr/x.nii.gz" in run.out


NOT_PLANNINGS = (
    "test channel",
    "no test label",
    "another shape",
    "another spacing",
    "another place",
    "several channels in a file",
    "no image",
)
"""Looked at by planning elsewhere: where there is a spec.testSet, and in the files themselves."""


@pytest.mark.parametrize(
    "spoil",
    [pytest.param(spoil, id=what) for what, spoil, _ in CASES if not what.endswith(NOT_PLANNINGS)],
)
def test_what_is_refused_here_planning_refuses(folder: Path, spoil: Callable[[Path], Any]) -> None:
    load_dataset(folder.parent, NAME, ["0"])
    spoil(folder)
    with pytest.raises(TrainerError):
        load_dataset(folder.parent, NAME, ["0"])


def test_headers_of_other_formats_are_not_read_and_that_is_said(folder: Path, nnunet: Command) -> None:
    describe(folder, file_ending=".nii.gz.mha")
    for path in folder.glob("*/*.nii.gz"):
        path.rename(path.with_name(f"{path.name}.mha"))
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 0 and "note: the headers were not read: files .nii.gz.mha are not NIfTI" in run.out


def test_readers_that_reorient_compare_after_that(folder: Path, nnunet: Command) -> None:
    """The same place, stored in another order of axes."""
    affine = np.array([[0, 0, -1, 5], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    save(folder / "labelsTr" / "case_0.nii.gz", (5, 6, 4), affine=affine)
    save_as = {"imagesTr/case_0_0000.nii.gz": (4, 5, 6), "imagesTr/case_0_0001.nii.gz": (4, 5, 6)}
    for name, shape in save_as.items():
        save(folder / name, shape, affine=np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert nnunet("dataset", "check", str(folder)).code == 1
    describe(folder, overwrite_image_reader_writer="NibabelIOWithReorient")
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 0, run.out


@pytest.mark.parametrize("which", [0, 3])
def test_sheared_axes_of_some_files(folder: Path, nnunet: Command, which: int) -> None:
    """ITK can't read them: nnU-Net takes another reader for all, or fails, by which case comes first."""
    affine = np.eye(4)
    affine[0, 1] = 0.2

    def shear(number: int) -> None:
        for path in folder.glob(f"*/case_{number}*"):
            image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine)
            image.header["qform_code"] = 0
            nibabel.save(image, path)

    shear(which)
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and "3 files can't be read by SimpleITKIO, others can" in run.out, run.out
    assert f"labelsTr/case_{which}.nii.gz has sheared axes" in run.out
    describe(folder, overwrite_image_reader_writer="NibabelIO")
    assert nnunet("dataset", "check", str(folder)).code == 0


def test_headers_without_voxels(folder: Path, nnunet: Command) -> None:
    describe(folder, file_ending=".nrrd")
    for path in folder.glob("*/*.nii.gz"):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".nrrd"))).write_bytes(b"NRRD0004\n\n")
    assert nnunet("dataset", "check", str(folder)).code == 0
    (folder / "labelsTr" / "case_3.nrrd").write_bytes(b"NRRD0004\ndata file: case_3.raw\n")
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and "1 file is a header whose voxels are in another file" in run.out
    assert "labelsTr/case_3.nrrd (case_3.raw)" in run.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nowhere"], "nowhere is no folder"),
        (["push", "nowhere"], "nowhere is no folder"),
        (["ls", "--sub-path", "../x"], "must be a path inside the claim"),
    ],
)
def test_wrong_usage(nnunet: Command, arguments: list[str], said: str) -> None:
    run = nnunet("dataset", *arguments)
    assert (run.code, run.out) == (2, "") and said in run.err, run


VALUES = st.one_of(
    st.integers(-1, 4), st.booleans(), st.sampled_from(["1", "x", None, 1.7, 2.0]), st.lists(st.integers(0, 3))
)
DESCRIPTIONS = st.fixed_dictionaries(
    {"labels": st.dictionaries(st.sampled_from(["background", "a", "b", "c", "ignore"]), VALUES)},
    optional={"regions_class_order": st.lists(st.integers(0, 3), max_size=4)},
)


@given(DESCRIPTIONS)
@example({"labels": {"background": 0, "a": 1, "ignore": 2}})
@example({"labels": {"background": 0, "a": [1, 2], "b": 2}, "regions_class_order": [1, 2]})
@example({"labels": {"background": 0, "a": [1], "b": 2, "ignore": True}})
def test_labels_are_taken_here_if_and_only_if_the_trainer_takes_them(description: dict[str, Any]) -> None:
    problems = list(label_problems(description))
    try:
        declared_labels(description)
    except TrainerError as error:
        assert problems, error
    else:
        assert not problems


def test_links_that_lead_out_are_named_at_once(folder: Path, nnunet: Command) -> None:
    """The README of a dataset that was downloaded could be any file of this machine."""
    secret = folder.parent.parent / "kubeconfig"
    secret.write_text("token")
    (folder / "README.txt").symlink_to(secret)
    for name, target in (("imagesTs/test_0000.nii.gz", "/data/pacs/t.nii.gz"), ("labelsTr/case_0.nii.gz", secret)):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
    run = nnunet("dataset", "check", str(folder))
    said = f"2 files lie outside of {folder.parent}, where the claim would end: README.txt ({secret}), labelsTr/case_0"
    assert run.code == 1 and said in run.out and "--follow-links" in run.out, run.out
    assert "1 file is a link to what is not there: imagesTs/test_0000.nii.gz -> /data/pacs" in run.out
    followed = nnunet("dataset", "check", str(folder), "--follow-links")
    assert "README" not in followed.out and "imagesTs/test_0000.nii.gz -> /data/pacs" in followed.out, followed.out


@pytest.mark.parametrize(("labelled", "spacings", "refused"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_a_test_set_is_judged_apart(
    folder: Path, nnunet: Command, labelled: bool, spacings: int, refused: bool
) -> None:
    """As planning does: of other scanners, and only where there are labels to score it by."""
    shutil.rmtree(folder / "imagesTs")
    for number in range(7):
        spacing = 1000.0 if number % spacings == 0 else 1.0
        for channel in range(2):
            save(folder / "imagesTs" / f"test_{number}_{channel:04d}.nii.gz", spacing=spacing)
        if labelled:
            save(folder / "labelsTs" / f"test_{number}.nii.gz", spacing=spacing)
    run = nnunet("dataset", "check", str(folder))
    assert (run.code, "the median is" in run.out) == (int(refused), refused), run.out


def test_a_table_of_cases(folder: Path, nnunet: Command) -> None:
    """All of it at once; what a training could still get wrong is noted."""
    rows = ["case;patient;site", *(f"case_{number};{number // 2};{'Ab'[number % 2]}" for number in range(5)), "x;9;a"]
    (folder / "cases.csv").write_text("\n".join(rows))
    run = nnunet("dataset", "check", str(folder), "-o", "json")
    assert run.code == 0
    unknown, several = run.data["notes"]
    assert unknown == "cases.csv has 1 row of no training case and no test case: x"
    assert several.startswith("2 patients have several cases: case_0 and case_1, case_2 and case_3.")
    assert "set spec.splits.groupBy: patient in the training" in several


def test_the_same_patient_in_the_test_set(folder: Path, nnunet: Command) -> None:
    save(folder / "labelsTs" / "test.nii.gz")
    rows = ["case,patient", *(f"case_{number},{number}" for number in range(4))]
    (folder / "cases.csv").write_text("\n".join(rows))
    out = nnunet("dataset", "check", str(folder)).out
    assert "no row for 1 training case: case_4" in out and "no row for 1 test case: test" in out
    (folder / "cases.csv").write_text("\n".join([*rows, "case_4,7", "test,3"]))
    run = nnunet("dataset", "check", str(folder))
    assert run.code == 1 and "1 patient is in the test set and among the training cases" in run.out
    assert "test with case_3" in run.out
