"""Names, links and descriptions that people really write, and that nnU-Net takes for something else than they mean."""

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

from tests.support.odd_datasets import REGIONS, Odd
from tests.support.spoilt_datasets import (
    describe,
    image,
    label,
    listed,
    marked,
    one_after_the_other,
    split,
    two_channels,
)


def rewritten(old: str, new: str) -> Callable[[Path], None]:
    """Change the text of dataset.json."""

    def spoil(folder: Path) -> None:
        path = folder / "dataset.json"
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new, 1))

    return spoil


def whole(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "dataset.json").write_text(text)


def twins(*names: str) -> Callable[[Path], None]:
    """Add cases of these names."""

    def spoil(folder: Path) -> None:
        for name in names:
            shutil.copy(image(folder), folder / f"imagesTr/{name}_0000.nii.gz")
            shutil.copy(label(folder), folder / f"labelsTr/{name}.nii.gz")
        describe(folder, numTraining=5 + len(names))

    return spoil


def splits(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "splits_final.json").write_text(text)


def linked_splits(folder: Path, target: str) -> None:
    """A link: where nothing is behind it, nnU-Net would make splits of its own."""
    outside = folder.parent.parent / "splits.json"
    outside.write_text(json.dumps([{"train": ["c0", "c1"], "val": ["c2"]}]))
    (folder / "splits_final.json").symlink_to(target.format(outside=outside))


def pipe(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return spoil


def same_file(folder: Path) -> None:
    """Both channels of a case are one file."""
    two_channels(folder, lambda path: None)
    entries = {
        f"c{n}": {
            "images": [f"imagesTr/c{n}_0000.nii.gz", f"imagesTr/c{n}_000{n != 1:d}.nii.gz"],
            "label": f"labelsTr/c{n}.nii.gz",
        }
        for n in range(5)
    }
    describe(folder, channel_names={"0": "T1", "1": "T2"}, dataset=entries)


def both_channels(folder: Path, **changed: list[str]) -> None:
    """Name the cases and their two channels one by one, with the images of some of them."""
    two_channels(folder, lambda path: None)
    images = {f"c{n}": [f"imagesTr/c{n}_000{channel}.nii.gz" for channel in range(2)] for n in range(5)}
    entries = {
        case: {"images": paths, "label": f"labelsTr/{case}.nii.gz"} for case, paths in (images | changed).items()
    }
    describe(folder, channel_names={"0": "T1", "1": "T2"}, dataset=entries)


def folder_per_modality(folder: Path) -> None:
    """Each modality has a folder, and names end in the number of the case, of as many digits as a channel's."""
    two_channels(folder, lambda path: None)
    entries = {}
    for n in range(5):
        files = [f"t1/BRATS_000{n}.nii.gz", f"t2/BRATS_000{n}.nii.gz", f"seg/BRATS_000{n}.nii.gz"]
        sources = [image(folder, n), image(folder, n).with_name(f"c{n}_0001.nii.gz"), label(folder, n)]
        for file, source in zip(files, sources, strict=True):
            (folder / file).parent.mkdir(exist_ok=True)
            source.rename(folder / file)
        entries[f"BRATS_000{n}"] = {"images": files[:2], "label": files[2]}
    describe(folder, channel_names={"0": "T1", "1": "T2"}, dataset=entries)


LABELS = {"background": 0, "rim": 1, "core": 2}
NFC, NFD = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
LATIN = json.dumps({"labels": {"background": 0, "Müll": 1}}, ensure_ascii=False).encode("latin-1")

ODD_DESCRIPTIONS = [
    # dataset.json.
    Odd(
        "a key twice",
        rewritten("}", '}, "labels": {"background": 0}, "x": {}'),
        "'labels' is given twice in one object",
    ),
    Odd("a label twice", rewritten('"rim": 1', '"rim": 2, "rim": 1'), "'rim' is given twice in one object"),
    Odd("a case twice", one_after_the_other(listed, rewritten('"c1": {', '"c0": {')), "'c0' is given twice"),
    Odd("a comma too many", rewritten('"numTraining": 5', '"numTraining": 5,'), "valid JSON"),
    Odd("a comment", rewritten("{", "// ours\n{"), "valid JSON: Expecting value"),
    Odd(
        "another encoding", lambda f: (f / "dataset.json").write_bytes(LATIN), "valid JSON: 'utf-8' codec can't decode"
    ),
    Odd("not a number", lambda f: describe(f, numTraining=float("nan")), "valid JSON: NaN is no number"),
    Odd("half of a character", rewritten('"rim"', '"ri\\ud83dm"'), "half of a character (\\ud83d)"),
    Odd("too deep", whole("[" * 100_000), "valid JSON: it is nested too deeply"),
    Odd("a number of any length", whole('{"numTraining": ' + "9" * 5000 + "}"), "valid JSON: Exceeds the limit"),
    Odd(
        "a folder for dataset.json",
        one_after_the_other(lambda f: (f / "dataset.json").unlink(), lambda f: (f / "dataset.json").mkdir()),
        "dataset.json is there and is no file",
    ),
    Odd("a pipe for dataset.json", pipe("dataset.json"), "dataset.json is there and is no file"),
    Odd("a number of cases with a point", lambda f: describe(f, numTraining=5.0), "numTraining is 5.0, must be"),
    Odd("an ending in capitals alone", lambda f: describe(f, file_ending=".NII.GZ"), "holds no file CASE_0000.NII.GZ"),
    Odd("half an ending", lambda f: describe(f, file_ending=".gz"), "5 files in imagesTr without a channel's number"),
    Odd("a channel's name with a blank", lambda f: describe(f, channel_names={"0": "CT "}), "channel_names has 'CT '"),
    Odd(
        "a CT by another name",
        lambda f: describe(f, channel_names={"0": "CT scan"}),
        note="only what is called CT is normalized as CT",
    ),
    Odd(
        "a normalization by another name",
        lambda f: describe(f, channel_names={"0": "noNormalization"}),
        note="is called 'noNormalization', which is no normalization that nnU-Net knows, and is normalized by zscore",
    ),
    Odd("no normalization", lambda f: describe(f, channel_names={"0": "noNorm"})),
    Odd(
        "a channel's number with a zero",
        lambda f: describe(f, channel_names={"00": "MRI"}),
        "name the channels by number",
    ),
    Odd(
        "a reader that is a number",
        lambda f: describe(f, overwrite_image_reader_writer=5),
        "overwrite_image_reader_writer is 5, must be the name",
    ),
    Odd(
        "a reader of pictures for volumes",
        lambda f: describe(f, overwrite_image_reader_writer="NaturalImage2DIO"),
        "overwrite_image_reader_writer is NaturalImage2DIO, which can't read files .nii.gz",
    ),
    Odd(
        "a reader of volumes for pictures",
        lambda f: describe(f, file_ending=".png", overwrite_image_reader_writer="NibabelIO"),
        "overwrite_image_reader_writer is NibabelIO, which can't read files .png",
    ),
    Odd(
        "no reader",
        lambda f: describe(f, overwrite_image_reader_writer=None),
        "overwrite_image_reader_writer is None, must be",
    ),
    # Labels.
    Odd(
        "Ignore",
        lambda f: describe(f, labels={**LABELS, "Ignore": 3}),
        "labels has 'Ignore', which nnU-Net takes for a class",
    ),
    Odd(
        "a label without a name",
        lambda f: describe(f, labels={"background": 0, " ": 1, "core": 2}),
        "has ' ' for a name",
    ),
    Odd("ignore as text", lambda f: describe(f, labels={**LABELS, "ignore": "3"}), "labels.ignore is '3', must be 3"),
    Odd(
        "labels as text",
        lambda f: describe(f, labels={"background": "0", "rim": "1"}),
        "labels.background is '0', must be 0",
    ),
    Odd(
        "labels in lists of lists",
        lambda f: describe(f, labels={**LABELS, "rim": [[1]]}),
        "labels.rim is [[1]], must be",
    ),
    Odd(
        "too short an order",
        lambda f: describe(f, labels=REGIONS, regions_class_order=[1]),
        "regions_class_order is [1], must have",
    ),
    Odd(
        "too long an order",
        lambda f: describe(f, labels=REGIONS, regions_class_order=[1, 2, 3]),
        "is [1, 2, 3], must have",
    ),
    Odd(
        "a label of any size",
        lambda f: describe(f, labels={**LABELS, "core": 10**30}),
        "must have those from 0 on without",
    ),
    # Names.
    Odd("cases by capitals alone", twins("C3"), "by capitals or by the form of an accent alone: C3 and c3"),
    Odd("cases by accents alone", twins(NFC, NFD), "the form of an accent alone: Mu\\u0308ller and M\\xfcller"),
    Odd(
        "another form of Unicode for the label",
        one_after_the_other(
            lambda f: image(f).rename(f / f"imagesTr/{NFC}_0000.nii.gz"),
            lambda f: label(f).rename(f / f"labelsTr/{NFD}.nii.gz"),
        ),
        f"labelsTr/{NFC}.nii.gz",
    ),
    Odd(
        "a channel's number for a label", lambda f: label(f).rename(f / "labelsTr/c3_0000.nii.gz"), "labelsTr/c3.nii.gz"
    ),
    Odd(
        "a second channel that is missing",
        lambda f: two_channels(f, Path.unlink),
        "1 image is missing for the 2 channels",
    ),
    Odd(
        "a first channel that is missing",
        lambda f: two_channels(f, lambda p: image(f).unlink()),
        "imagesTr/c3_0000.nii.gz",
    ),
    Odd(
        "the same image without compression",
        lambda f: shutil.copy(image(f), f / "imagesTr/c3_0000.nii"),
        "imagesTr/c3_0000.nii.gz has c3_0000.nii beside it, the voxels of which ITK would read",
    ),
    Odd(
        "an image of another format",
        lambda f: shutil.copy(image(f), f / "imagesTr/c3_0000.mha"),
        note="1 image without the ending .nii.gz, and not read: imagesTr/c3_0000.mha",
    ),
    # One by one.
    Odd("one file for two channels", same_file, "dataset.c1 names a file twice"),
    Odd("the image for a label", lambda f: listed(f, label="imagesTr/c0_0000.nii.gz"), "dataset.c0 names a file twice"),
    Odd(
        "one label for two cases",
        lambda f: listed(f, label="labelsTr/c1.nii.gz"),
        note="one file stands for several: c0: labelsTr/c1.nii.gz and c1: labelsTr/c1.nii.gz",
    ),
    Odd("channels one by one", both_channels),
    Odd("a folder for each modality", folder_per_modality),
    Odd(
        "channels of one case in another order",
        lambda f: both_channels(f, c1=["imagesTr/c1_0001.nii.gz", "imagesTr/c1_0000.nii.gz"]),
        "lists the channels 0000, 0001 of most cases in this order, and others of c1 (0001, 0000)",
    ),
    Odd(
        "a channel of another case",
        lambda f: both_channels(f, c1=["imagesTr/c1_0000.nii.gz", "imagesTr/c2_0001.nii.gz"]),
        note="dataset.c1 has a file that is called as those of c2 are: c2",
    ),
    Odd(
        "the label of another case",
        one_after_the_other(
            listed,
            rewritten("labelsTr/c1", "labelsTr/x"),
            rewritten("labelsTr/c2", "labelsTr/c1"),
            rewritten("labelsTr/x", "labelsTr/c2"),
        ),
        note="dataset.c1 has a file that is called as those of c2 are: c2",
    ),
    # Splits.
    Odd("a case twice in val", lambda f: split(f, ["c0", "c1"], ["c2", "c2"]), "val has c2 more than once"),
    Odd(
        "a case twice in train",
        lambda f: split(f, ["c0", "c1", "c1"], ["c2"]),
        note="splits_final.json, fold 0 (the first is 0): train has c1 more than once: nnU-Net trains on such",
    ),
    Odd("an empty val", lambda f: split(f, ["c0", "c1"], []), "val is empty"),
    Odd("splits of files", lambda f: split(f, ["c0.nii.gz"], ["c1.nii.gz"]), "2 cases are not in the dataset"),
    Odd(
        "splits with a byte order mark",
        one_after_the_other(lambda f: split(f, ["c0"], ["c1"]), lambda f: marked(f / "splits_final.json")),
        "valid JSON: Unexpected UTF-8 BOM",
    ),
    Odd(
        "a key of the splits twice", splits('[{"train": ["c0"], "val": ["c1"], "val": ["c2"]}]'), "'val' is given twice"
    ),
    Odd(
        "splits behind a link to nowhere",
        lambda f: linked_splits(f, "nowhere.json"),
        "1 file is a link to what is not there: splits_final.json",
    ),
    Odd("splits out of the claim", lambda f: linked_splits(f, "{outside}"), "1 file lies outside of"),
    Odd("a pipe for the splits", pipe("splits_final.json"), "splits_final.json is there and is no file"),
    Odd(
        "a folder for the splits",
        lambda f: (f / "splits_final.json").mkdir(),
        "splits_final.json is there and is no file",
    ),
    Odd("null for the splits", splits("null"), "splits_final.json is null, must be a list"),
    Odd("null for the cases", lambda f: describe(f, dataset=None), "dataset is null, must map the name"),
    # Links and devices.
    Odd(
        "a device for an image",
        one_after_the_other(lambda f: image(f).unlink(), lambda f: image(f).symlink_to("/dev/zero")),
        "imagesTr/c3_0000.nii.gz -> /dev/zero",
    ),
    Odd("a pipe for an image", pipe("imagesTr/c3_0000.nii.gz"), "imagesTr/c3_0000.nii.gz"),
    Odd(
        "a link to itself",
        one_after_the_other(lambda f: image(f).unlink(), lambda f: image(f).symlink_to("c3_0000.nii.gz")),
        "1 file is a link to what is not there",
    ),
    Odd(
        "a file for a folder",
        one_after_the_other(lambda f: shutil.rmtree(f / "imagesTr"), lambda f: (f / "imagesTr").touch()),
        "there is no folder imagesTr",
    ),
]
