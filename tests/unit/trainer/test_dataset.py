"""Each thing that can be wrong with a dataset's files is named, with what to do."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier

import pytest

from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.training import TestSet
from nnunet_trainer.dataset import raw as looks
from nnunet_trainer.dataset.identity import dataset_hash, prediction_inputs
from nnunet_trainer.dataset.raw import check_test_set, check_test_set_whole, load_dataset
from nnunet_trainer.process.failures import TrainerError

NAME = "Dataset004_Hippocampus"
NOBODY = 65534
FIVE = ["0", "1", "2", "3", "4"]


def make(raw: Path, cases: int = 6, channels: int = 2) -> Path:
    """Write the files of a complete dataset with a test set of two; their contents don't matter."""
    folder = raw / NAME
    for part, numbers in (("Tr", range(cases)), ("Ts", range(90, 92))):
        (folder / f"images{part}").mkdir(parents=True)
        (folder / f"labels{part}").mkdir()
        for number in numbers:
            for channel in range(channels):
                (folder / f"images{part}" / f"c_{number:02d}_{channel:04d}.nii.gz").touch()
            (folder / f"labels{part}" / f"c_{number:02d}.nii.gz").touch()
    describe(folder, numTraining=cases)
    return folder


def describe(folder: Path, **changes: object) -> None:
    content: dict[str, object] = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "anterior": 1, "posterior": 2},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    content |= changes
    (folder / "dataset.json").write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def test_complete_dataset(tmp_path: Path) -> None:
    make(tmp_path)
    dataset = load_dataset(tmp_path, NAME, FIVE)
    assert sorted(dataset.cases) == [f"c_{number:02d}" for number in range(6)]
    assert [path.name for path in dataset.cases["c_03"].images] == ["c_03_0000.nii.gz", "c_03_0001.nii.gz"]
    assert dataset.channels == 2
    assert len(dataset.files()) == 1 + 6 * 3
    assert "labelsTr/c_00.nii.gz" in dataset.files()
    assert sorted(check_test_set(dataset, TestSet())) == ["c_90", "c_91"]


def remove(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def touch(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).touch()


def write(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text)

    return change


def empty(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()

    return change


GOOD_SPLIT = '{"train": ["c_00"], "val": ["c_01"]}'

DAMAGE: list[tuple[str, Callable[[Path], None], list[str]]] = [
    ("no dataset.json", remove("dataset.json"), ["has no dataset.json"]),
    ("not JSON", write("dataset.json", "{"), ["not valid JSON"]),
    ("not an object", write("dataset.json", "[]"), ["must hold an object"]),
    ("no file ending", lambda f: describe(f, file_ending=None), ["file_ending is missing"]),
    ("no channels", lambda f: describe(f, channel_names=None), ["channel_names is missing"]),
    ("v1 labels", lambda f: describe(f, labels={"0": "background"}), ["labels.background is None", "nnU-Net v1"]),
    ("gap in labels", lambda f: describe(f, labels={"background": 0, "a": 2}), ["has the values 0, 2, must"]),
    ("count", lambda f: describe(f, numTraining=7), ["numTraining is 7", "6 training cases"]),
    ("label", remove("labelsTr/c_01.nii.gz"), ["1 of 6 training cases", "labelsTr/c_01.nii.gz"]),
    (
        "all labels",
        remove(*(f"labelsTr/c_{number:02d}.nii.gz" for number in range(6))),
        ["6 of 6", "c_04.nii.gz and 1 more"],
    ),
    ("channel", remove("imagesTr/c_01_0001.nii.gz"), ["1 image is missing", "imagesTr/c_01_0001.nii.gz"]),
    ("extra channel", touch("imagesTr/c_01_0002.nii.gz"), ["2 channels", "c_01_0002.nii.gz"]),
    ("stranger", touch("imagesTr/readme.nii.gz"), ["channel's number", "imagesTr/readme.nii.gz"]),
    ("other ending", lambda f: describe(f, file_ending=".mha"), ["no file CASE_0000.mha"]),
    ("no labels folder", empty("labelsTr"), ["no folder labelsTr"]),
    ("numTraining as text", lambda f: describe(f, numTraining="6"), ["numTraining is '6', must be the number"]),
    (
        "cases as a list",
        lambda f: describe(f, dataset=[]),
        ["dataset.json: dataset is []", "must map", "leave dataset"],
    ),
    ("no listed cases", lambda f: describe(f, dataset={}, numTraining=0), ["dataset is {}", "add the cases"]),
    ("a case as text", lambda f: describe(f, dataset={"c": "x"}), ["dataset.c has images missing", "a list of paths"]),
    (
        "images as text",
        lambda f: describe(f, dataset={"c": {"images": "imagesTr/c_00_0000.nii.gz", "label": "x"}}),
        ["dataset.c has images 'imagesTr/c_00_0000.nii.gz'", "a list of paths"],
    ),
    (
        "label as a list",
        lambda f: describe(f, dataset={"c": {"images": ["a", "b"], "label": ["x"]}}),
        ["label ['x']", "label, a path"],
    ),
    (
        "a listed case without a channel",
        lambda f: describe(f, dataset={"c": {"images": ["a"], "label": "x"}}),
        ["dataset.c has 1 image, must have 2, one for each channel"],
    ),
    ("splits are not JSON", write("splits_final.json", "{"), ["splits_final.json is not valid JSON", "remove it"]),
    ("splits as an object", write("splits_final.json", GOOD_SPLIT), ["is {'train': ['c_00']", "must be a list"]),
    ("no splits", write("splits_final.json", "[]"), ["splits_final.json is [], must be a list"]),
    ("a split as a list", write("splits_final.json", '[["c"]]'), ["fold 0", "train is missing", "remove the file"]),
    (
        "lists of lists",
        write("splits_final.json", f'[{GOOD_SPLIT}, {{"train": [["c_00"]], "val": ["c_01"]}}]'),
        ["fold 1", "train is [['c_00']], must be a list of names"],
    ),
    (
        "a split as text",
        write("splits_final.json", '[{"train": ["c_00"], "val": "c_01"}]'),
        ["fold 0", "val is 'c_01', must be a list"],
    ),
    ("broken splits", write("splits_final.json", '[{"train": []}]'), ["splits_final.json", "val"]),
    ("only background", lambda f: describe(f, labels={"background": 0}), ["only background"]),
    (
        "foreign splits",
        write("splits_final.json", f'[{GOOD_SPLIT}, {{"train": ["c_00"], "val": ["z"]}}]'),
        ["fold 1", "1 case is not in the dataset: z"],
    ),
    (
        "no validation cases",
        write("splits_final.json", '[{"train": ["c_00"], "val": []}]'),
        ["splits_final.json", "fold 0", "val is empty", "c_00"],
    ),
    (
        "no training cases",
        write("splits_final.json", f'[{GOOD_SPLIT}, {{"train": [], "val": ["c_01"]}}]'),
        ["fold 1", "train is empty", "c_01"],
    ),
    (
        "overlapping splits",
        write("splits_final.json", f'[{GOOD_SPLIT}, {{"train": ["c_00", "c_01"], "val": ["c_01", "c_02"]}}]'),
        ["fold 1", "1 case is in train and in val: c_01"],
    ),
]


@pytest.mark.parametrize(("change", "words"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
def test_damage_is_named(tmp_path: Path, change: Callable[[Path], None], words: list[str]) -> None:
    change(make(tmp_path))
    with pytest.raises(TrainerError) as caught:
        load_dataset(tmp_path, NAME, FIVE)
    assert caught.value.code == ExitCode.WRONG_DATA
    for word in words:
        assert word in caught.value.message


def test_no_listed_cases_are_refused_where_all_are_trained_on(tmp_path: Path) -> None:
    describe(make(tmp_path), dataset={}, numTraining=0)
    with pytest.raises(TrainerError, match=r"dataset is \{\}") as caught:
        load_dataset(tmp_path, NAME, ["all"])
    assert caught.value.code == ExitCode.WRONG_DATA


def test_files_that_were_cut_short_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(TrainerError, match=r"18 files are cut short or damaged: imagesTr/c_00_0000.nii.gz") as caught:
        load_dataset(tmp_path, NAME, FIVE).check_whole(1)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_files_of_the_test_set_that_were_cut_short_are_named(tmp_path: Path) -> None:
    make(tmp_path)
    dataset = load_dataset(tmp_path, NAME, FIVE)
    with pytest.raises(TrainerError, match=r"6 files are cut short or damaged: imagesTs/c_90_0000.nii.gz") as caught:
        check_test_set_whole(dataset, check_test_set(dataset, TestSet()), 2)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_wrong_name_lists_what_is_there(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(TrainerError, match=f"holds {NAME}. Did you mean {NAME}.*dataset.claimName"):
        load_dataset(tmp_path, "Dataset004_Hipocampus", FIVE)
    with pytest.raises(TrainerError, match="no folder at all"):
        load_dataset(tmp_path / "nothing", NAME, FIVE)


def test_too_few_cases_for_five_folds(tmp_path: Path) -> None:
    make(tmp_path, cases=4)
    describe(tmp_path / NAME, numTraining=4)
    with pytest.raises(TrainerError, match=r"4 training cases.*at least 5.*trainOnAllCases"):
        load_dataset(tmp_path, NAME, FIVE)
    assert len(load_dataset(tmp_path, NAME, ["all"]).cases) == 4


def test_cases_that_are_trained_on_more_often_are_kept_and_told_of(tmp_path: Path) -> None:
    folder = make(tmp_path, cases=3)
    describe(folder, numTraining=3)
    splits = [{"train": ["c_00", "c_01"], "val": ["c_02"]}, {"train": ["c_01", "c_01", "c_02"], "val": ["c_00"]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    dataset = load_dataset(tmp_path, NAME, ["0", "1"])
    assert dataset.splits == splits
    (note,) = dataset.notes
    assert note.startswith("splits_final.json, fold 1 (the first is 0): train has c_01 more than once")


def test_own_splits_decide_which_folds_there_are(tmp_path: Path) -> None:
    folder = make(tmp_path, cases=3)
    describe(folder, numTraining=3)
    splits = [{"train": ["c_00", "c_01"], "val": ["c_02"]}, {"train": ["c_01", "c_02"], "val": ["c_00"]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    dataset = load_dataset(tmp_path, NAME, ["0", "1"])
    assert dataset.splits == splits
    assert "splits_final.json" in dataset.files()
    with pytest.raises(TrainerError, match=r"fold 4 does not exist.*2 folds") as caught:
        load_dataset(tmp_path, NAME, ["0", "4"])
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_cases_listed_in_dataset_json(tmp_path: Path) -> None:
    folder = make(tmp_path)
    entries = {
        f"x{number}": {
            "images": [f"imagesTr/c_{number:02d}_{channel:04d}.nii.gz" for channel in range(2)],
            "label": f"labelsTr/c_{number:02d}.nii.gz",
        }
        for number in range(6)
    }
    describe(folder, dataset=entries)
    assert sorted(load_dataset(tmp_path, NAME, FIVE).cases) == [f"x{number}" for number in range(6)]
    (folder / "imagesTr/c_05_0001.nii.gz").unlink()
    with pytest.raises(TrainerError, match=r"1 image is missing: .*c_05_0001.nii.gz"):
        load_dataset(tmp_path, NAME, FIVE)


TIF = {"file_ending": ".tif"}


def make_tif(raw: Path) -> Path:
    folder = make(raw)
    for path in list(folder.glob("*/*.nii.gz")):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".tif")))
    describe(folder, **TIF)
    return folder


@pytest.mark.parametrize("sidecar", ["imagesTr/c_03.json", "labelsTr/c_03.json"])
def test_a_spacing_beside_a_tif_is_a_part_of_the_dataset(tmp_path: Path, sidecar: str) -> None:
    """nnU-Net's Tiff3DIO reads it: without it a training with a corrected spacing took the data of the wrong one."""
    folder = make_tif(tmp_path)
    hashes = [dataset_hash(load_dataset(tmp_path, NAME, FIVE).files(), 2)]
    for spacing in (5, 3):
        (folder / sidecar).write_text(json.dumps({"spacing": [spacing, 1, 1]}))
        hashes.append(dataset_hash(load_dataset(tmp_path, NAME, FIVE).files(), 2))
    (folder / "imagesTr/readme.json").write_text("{}")
    assert dataset_hash(load_dataset(tmp_path, NAME, FIVE).files(), 2) == hashes[-1]
    assert len(set(hashes)) == 3


def test_a_spacing_beside_a_tif_of_the_test_set_makes_another_prediction(tmp_path: Path) -> None:
    folder = make_tif(tmp_path)
    images = {name: case.images for name, case in check_test_set(load_dataset(tmp_path, NAME, FIVE), TestSet()).items()}
    plain = prediction_inputs(images, [], 2)
    (folder / "labelsTs/c_90.json").write_text("the network never sees it")
    assert prediction_inputs(images, [], 2) == plain
    (folder / "imagesTs/c_90.json").write_text(json.dumps({"spacing": [5, 1, 1]}))
    corrected = prediction_inputs(images, [], 2)
    assert corrected["c_90"] != plain["c_90"] and corrected["c_91"] == plain["c_91"]


def test_headers_without_voxels_are_refused(tmp_path: Path) -> None:
    folder = make(tmp_path)
    for path in list(folder.glob("*/*.nii.gz")):
        path.rename(path.with_name(path.name.replace(".nii.gz", ".nrrd"))).write_bytes(b"NRRD0004\n\n")
    describe(folder, file_ending=".nrrd")
    (folder / "labelsTr/c_03.nrrd").write_bytes(b"NRRD0004\ntype: float\ndata file: c_03.raw\n")
    (folder / "imagesTs/c_90_0001.nrrd").write_bytes(b"NRRD0004\ntype: float\ndatafile: LIST\na.raw\n")
    dataset = load_dataset(tmp_path, NAME, FIVE)
    with pytest.raises(TrainerError, match=r"1 file is a header .*: labelsTr/c_03.nrrd \(c_03.raw\).*as one file"):
        dataset.check_whole(1)
    with pytest.raises(TrainerError, match=r"imagesTs/c_90_0001.nrrd \(LIST\)"):
        check_test_set_whole(dataset, check_test_set(dataset, TestSet()), 2)


TEST_SET_DAMAGE: list[tuple[str, TestSet, Callable[[Path], None], str]] = [
    ("folder", TestSet(images="imagesTest"), lambda folder: None, "imagesTest.*testSet.images"),
    ("label", TestSet(), remove("labelsTs/c_90.nii.gz"), "1 of 2 test cases: labelsTs/c_90.nii.gz"),
    ("channel", TestSet(), remove("imagesTs/c_91_0001.nii.gz"), "imagesTs/c_91_0001.nii.gz"),
]


@pytest.mark.parametrize(
    ("test_set", "change", "pattern"), [case[1:] for case in TEST_SET_DAMAGE], ids=[case[0] for case in TEST_SET_DAMAGE]
)
def test_incomplete_test_set(tmp_path: Path, test_set: TestSet, change: Callable[[Path], None], pattern: str) -> None:
    change(make(tmp_path))
    with pytest.raises(TrainerError, match=pattern) as caught:
        check_test_set(load_dataset(tmp_path, NAME, FIVE), test_set)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_named() -> None:
    assert named({"b", "a"}) == "a, b"
    assert named([str(number) for number in range(8)]) == "0, 1, 2, 3, 4 and 3 more"


@pytest.mark.parametrize("question", ["_is_closed", "stands_for", "is_cut_short"])
def test_files_on_a_slow_share_are_opened_beside_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    make(tmp_path)
    files, together = load_dataset(tmp_path, NAME, FIVE), Barrier(3, timeout=60)
    asked = getattr(looks, question)

    def slow(path: Path) -> object:
        if path.name != "dataset.json":
            # Three at a time, which the 18 images and labels can be divided by.
            together.wait()
        return asked(path)

    monkeypatch.setattr(looks, question, slow)
    with pytest.raises(TrainerError, match="18 files are cut short"):
        files.check_whole(3)


def test_all_files_that_may_not_be_read_are_named() -> None:
    """The pod's user is not who has copied the dataset; pytest's own folders are closed to anybody else."""
    with TemporaryDirectory() as raw:
        folder = make(Path(raw))
        dataset = load_dataset(Path(raw), NAME, FIVE)
        Path(raw).chmod(0o755)
        for name in ("imagesTr/c_01_0000.nii.gz", "labelsTr/c_04.nii.gz"):
            (folder / name).chmod(0o600)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        else:
            (folder / "imagesTr/c_01_0000.nii.gz").chmod(0)
            (folder / "labelsTr/c_04.nii.gz").chmod(0)
        try:
            with pytest.raises(TrainerError) as caught:
                dataset.check_whole(1)
        finally:
            if is_root:
                os.seteuid(0)
    assert caught.value.code == ExitCode.STORAGE_FAILED
    told = caught.value.message
    assert "may not read 2 files of it: imagesTr/c_01_0000.nii.gz, labelsTr/c_04.nii.gz. Let it" in told, told
