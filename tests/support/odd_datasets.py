"""Datasets that people really have, a few kB each, and what planning and `dataset check` have to say of them.

Used by tests/unit, without a reader of nnU-Net, and by tests/trainer, with all of them.
"""

import gzip
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.spoilt_datasets import (
    CASES,
    FOREIGN,
    SHAPE,
    describe,
    hidden,
    image,
    image_of,
    infinite,
    label,
    label_of,
    labelled,
    linked,
    linked_inside,
    linked_outside,
    listed,
    marked,
    meta,
    mixed,
    named_by,
    one_after_the_other,
    png,
    renamed,
    save_nifti,
    split,
    tabled,
    two_channels,
    two_forms,
)


@dataclass(frozen=True)
class Odd:
    """A dataset and the verdict on it."""

    what: str
    spoil: Callable[[Path], object]
    words: str = ""
    """What both programs say of it, in part; nothing where it is in order."""
    read: bool = False
    """Whether planning finds it only when it reads the files."""
    seen_by_check: bool = True
    """Whether `dataset check` finds it, which reads headers of NIfTI files at most."""
    note: str = ""
    """What is told of it, in part, where it is taken nevertheless."""


def _affine(**entries: float) -> np.ndarray:
    affine = np.eye(4)
    for place, value in entries.items():
        affine[int(place[1]), int(place[2])] = value
    return affine


REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}

ODD = [
    Odd("in order", lambda f: None),
    Odd("regions in order", lambda f: describe(f, labels=REGIONS, regions_class_order=[1, 2])),
    Odd(
        "regions exchanged",
        lambda f: describe(f, labels=REGIONS, regions_class_order=[2, 1]),
        "label 2, in whole and core, is written as 1 by core, which is in whole. Set regions_class_order to [1, 2]",
    ),
    Odd("channels the wrong way round", lambda f: describe(f, channel_names={"MRI": 0}), "name the channels by number"),
    Odd("a channel without a name", lambda f: describe(f, channel_names={"0": 1}), "must give each channel a name"),
    Odd(
        "channels out of order",
        one_after_the_other(
            lambda f: two_channels(f, lambda p: None), lambda f: describe(f, channel_names={"1": "T2", "0": "CT"})
        ),
        "must have its channels in order: 0, 1",
    ),
    Odd("an ending with a path", lambda f: describe(f, file_ending="./../x.nii.gz"), "must be an ending with its dot"),
    Odd("two files for an image", lambda f: describe(f, file_ending=".mhd"), "header and voxels in two files"),
    Odd("named one by one", listed),
    Odd("a foreign name", named_by(FOREIGN), "the name of a case must not have /"),
    Odd("a name with a backslash", named_by("a\\b"), "the name of a case must not have /"),
    Odd("a name that is up", named_by(".."), "must not be empty or begin with a dot"),
    Odd("a hidden name", named_by(".hidden"), "must not be empty or begin with a dot"),
    Odd("a name with a newline", named_by("a\nb"), "must not have control characters"),
    Odd("a name of any script", named_by("Müller 王.v1_0000")),
    Odd("a variable", lambda f: listed(f, images=["imagesTr/$HOME.nii.gz"]), "write paths out, without $"),
    Odd("another ending", lambda f: listed(f, images=["imagesTr/c0.mhd"]), "must name files .nii.gz"),
    Odd("an absolute path", lambda f: listed(f, label="/etc/passwd.nii.gz"), "/etc/passwd.nii.gz"),
    Odd(
        "out of the claim",
        one_after_the_other(linked_outside, lambda f: listed(f, images=["../../elsewhere.nii.gz"])),
        "lie outside",
    ),
    Odd("a link out of the claim", linked_outside, "1 file lies outside of"),
    Odd("a link inside the claim", linked_inside),
    Odd("a link to nowhere", lambda f: linked(f, "/data/pacs/x.nii.gz"), "imagesTr/c3_0000.nii.gz -> /data/pacs/x"),
    Odd("no splits at all", lambda f: (f / "splits_final.json").write_text("[]"), "is [], must be a list with a split"),
    Odd(
        "splits of other things",
        lambda f: (f / "splits_final.json").write_text('[{"train": [1], "val": ["c0"]}]'),
        "train is [1], must be a list of names",
    ),
    Odd(
        "a file that was cut short",
        lambda f: image(f).write_bytes(image(f).read_bytes()[:-20]),
        "1 file is cut short",
    ),
    Odd("hidden files", hidden, "1 hidden file in imagesTr, taken for images by nnU-Net"),
    Odd("colours in a file", lambda f: png(f, 3)),
    Odd("grey for colours", lambda f: png(f, 1), "imagesTr/c0_0000.png: 1 instead of 3", True, False),
    Odd("a file of colours too many", lambda f: png(f, 3, 1), "3 instead of 1", True, False),
    Odd(
        "mirrored",
        lambda f: save_nifti(label(f), label_of(), _affine(a00=-1)),
        "labelsTr/c3.nii.gz lies up to 10 vo",
        True,
    ),
    Odd("shifted", lambda f: save_nifti(label(f), label_of(), _affine(a03=1)), "up to 1 voxels away", True),
    Odd("a label by the other form of the header", two_forms),
    Odd("an image without a place", lambda f: save_nifti(image(f), image_of(3), placed=False)),
    Odd("an axis of length 1 behind", lambda f: save_nifti(image(f), image_of(3, (*SHAPE, 1)))),
    Odd("shifted by rounding", lambda f: save_nifti(label(f), label_of(), _affine(a03=0.001))),
    Odd(
        "another spacing", lambda f: save_nifti(label(f), label_of(), _affine(a00=2)), "has the spacing 2 x 1 x 1", True
    ),
    Odd("spacing by rounding", lambda f: save_nifti(label(f), label_of(), _affine(a00=1.0000002))),
    Odd("another size", lambda f: save_nifti(label(f), label_of((6, 7, 9))), "has 6 x 7 x 9 voxels", True),
    Odd("4 axes", lambda f: save_nifti(image(f), image_of(3, (*SHAPE, 2))), "c3_0000.nii.gz has 4 axes", True),
    Odd(
        "a channel of another size",
        lambda f: two_channels(f, lambda p: save_nifti(p, image_of(0, (6, 7, 9)))),
        "imagesTr/c3_0001.nii.gz has 6 x 7 x 9 voxels, imagesTr/c3_0000.nii.gz has 6 x 7 x 8",
        True,
    ),
    Odd(
        "a channel in another place",
        lambda f: two_channels(f, lambda p: save_nifti(p, image_of(0), _affine(a23=9))),
        "imagesTr/c3_0001.nii.gz lies up to 9 voxels away",
        True,
    ),
    Odd("a sheared case", lambda f: mixed(f, 3), "2 files can't be read by SimpleITKIO, others can", True),
    Odd("a sheared first case", lambda f: mixed(f, 0), "2 files can't be read by SimpleITKIO, others can", True),
    Odd("all sheared", lambda f: mixed(f, *range(CASES))),
    Odd("infinite voxels", infinite, "imagesTr/c3_0000.mha has 3", True, False),
    Odd("another format", meta),
    Odd(
        "an unknown label",
        lambda f: save_nifti(label(f), label_of() * 3),
        "c3.nii.gz has 3, 6 (labels has",
        True,
        False,
    ),
    # What is missing, too much, or named otherwise.
    Odd("a case without a label", lambda f: label(f).unlink(), "labelsTr/c3.nii.gz"),
    Odd("a case without an image", lambda f: image(f).unlink(), "numTraining is 5, but there are 4 training cases"),
    Odd("a label without an image", lambda f: save_nifti(f / "labelsTr/c9.nii.gz", label_of())),
    Odd("another number of cases", lambda f: describe(f, numTraining=9), "numTraining is 9, but there are 5 training"),
    Odd("no folder of labels", lambda f: shutil.rmtree(f / "labelsTr"), "there is no folder labelsTr"),
    Odd(
        "a folder for an image",
        lambda f: one_after_the_other(Path.unlink, Path.mkdir)(image(f)),
        "imagesTr/c3_0000.nii.gz",
    ),
    Odd("an image without a number", lambda f: image(f).rename(f / "imagesTr/c3.nii.gz"), "imagesTr/c3.nii.gz"),
    Odd("a number of three digits", lambda f: image(f).rename(f / "imagesTr/c3_000.nii.gz"), "imagesTr/c3_000.nii.gz"),
    Odd("channels from 1 on", lambda f: image(f).rename(f / "imagesTr/c3_0001.nii.gz"), "imagesTr/c3_0001.nii.gz"),
    Odd(
        "an ending in capitals", lambda f: image(f).rename(f / "imagesTr/c3_0000.NII.GZ"), "there are 4 training cases"
    ),
    Odd("files of others beside", lambda f: (f / "imagesTr/Thumbs.db").write_text("x")),
    Odd("cases named by DICOM", lambda f: renamed(f, "1.2.840." * 24)),
    # Files that are no images.
    Odd("an empty file", lambda f: image(f).write_bytes(b""), "1 file is cut short or damaged: imagesTr/c3_0000"),
    Odd(
        "an image that is not compressed",
        lambda f: image(f).write_bytes(gzip.decompress(image(f).read_bytes())),
        "1 file is cut short or damaged: imagesTr/c3_0000.nii.gz",
    ),
    Odd(
        "text for an image", lambda f: image(f).write_bytes(gzip.compress(b"no image")), "imagesTr/c3_0000.nii.gz", True
    ),
    # dataset.json.
    Odd("no dataset.json", lambda f: (f / "dataset.json").unlink(), "no dataset.json"),
    Odd("half a dataset.json", lambda f: (f / "dataset.json").write_text("{"), "valid JSON: Expecting property name"),
    Odd("a list for it", lambda f: (f / "dataset.json").write_text("[]"), "must hold an object, not a list"),
    Odd("a byte order mark", lambda f: marked(f / "dataset.json"), "valid JSON: Unexpected UTF-8 BOM"),
    Odd(
        "a gap in the labels", lambda f: labelled(f, rim=1, core=3), "has the values 0, 1, 3, must have those from 0 on"
    ),
    Odd(
        "a negative label", lambda f: labelled(f, rim=-1, core=2), "has the values -1, 0, 2, must have those from 0 on"
    ),
    Odd("two labels of one number", lambda f: labelled(f, rim=1, core=1), "labels.rim and labels.core are both 1"),
    Odd("the ignore label last", lambda f: labelled(f, rim=1, core=2, ignore=3)),
    Odd("the ignore label in between", lambda f: labelled(f, ignore=1, core=2), "has the values 0, 2, must have those"),
    Odd("no background", lambda f: describe(f, labels={"rim": 1, "core": 2}), "labels.background is None, must be 0"),
    Odd(
        "labels of nnU-Net v1",
        lambda f: describe(f, labels={"0": "background", "1": "rim", "2": "core"}),
        "nnU-Net v1 had names and values the other way round",
    ),
    # Splits.
    Odd("splits of other cases", lambda f: split(f, ["c0", "c1"], ["c77"]), "1 case is not in the dataset: c77"),
    Odd("splits that overlap", lambda f: split(f, ["c0", "c1"], ["c1"]), "1 case is in train and in val: c1"),
    # cases.csv.
    Odd("a table of cases", lambda f: tabled(f, "c0,1\nc1,1\nc2,2\nc3,2\nc4,3\n")),
    Odd("somebody else's table", lambda f: (f / "cases.csv").write_text("id,patient\n1,1\n")),
    Odd(
        "a patient on both sides",
        lambda f: tabled(f, "c0,1\nc1,2\nc2,1\nc3,3\nc4,2\n"),
        "2 patients are on both sides of a fold, by cases.csv: validated on c2 with c0 (fold 0), c4 with c1 (fold 0)",
    ),
    Odd("a case without a row", lambda f: tabled(f, "c0,1\nc1,1\nc2,2\nc3,2\n"), "has no row for 1 training case: c4"),
    Odd(
        "zeros that were lost", lambda f: tabled(f, "c0,1\nc1,01\nc2,2\nc3,2\nc4,3\n"), "may be one value written in 2"
    ),
    Odd("a case with two rows", lambda f: tabled(f, "c0,1\nc0,2\n"), "line 3: 'c0' has a row in line 2 already"),
    Odd(
        "a table in another encoding",
        lambda f: (f / "cases.csv").write_bytes("case,patient\nc0,Ä\n".encode("latin-1")),
        "cases.csv is not in UTF-8, from line 2 on",
    ),
    Odd("an image of zeros", lambda f: save_nifti(image(f), image_of(3) * 0)),
]
