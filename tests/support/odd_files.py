"""Image files that people really have, and that readers take for something else than they are."""

import gzip
import math
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from tests.support.odd_datasets import Odd
from tests.support.spoilt_datasets import (
    CASES,
    SHAPE,
    describe,
    image,
    image_of,
    label,
    label_of,
    meta,
    one_after_the_other,
    png,
    save_nifti,
    two_channels,
)

NAN, INF = math.nan, math.inf


def header(kind: str, at: int, *values: float | bytes, both: bool = False) -> Callable[[Path], None]:
    """Write into the header of an image, or of an image and its label, what no library would."""

    def spoil(folder: Path) -> None:
        for path in (image(folder), label(folder))[: 1 + both]:
            content = bytearray(gzip.decompress(path.read_bytes()))
            struct.pack_into(f"<{kind}", content, at, *values)
            path.write_bytes(gzip.compress(bytes(content)))

    return spoil


def voxels(make: Callable[[], np.ndarray], of: Callable[[Path], Path] = image) -> Callable[[Path], None]:
    return lambda folder: save_nifti(of(folder), make())


def labelled(dtype: str, **changes: float) -> Callable[[Path], None]:
    """Save a label image of a type, with the value that is given for one voxel, or added to all of the foreground."""

    def spoil(folder: Path) -> None:
        values: np.ndarray = label_of().astype(dtype)
        if "voxel" in changes:
            values[0, 0, 0] = changes["voxel"]
        values[values > 0] += changes.get("more", 0)
        save_nifti(label(folder), values)

    return spoil


def repacked(change: Callable[[bytes], bytes], compressed: bool = True) -> Callable[[Path], None]:
    """Change the contents of an image behind its compression, or the compressed stream."""

    def spoil(folder: Path) -> None:
        content = image(folder).read_bytes()
        content = gzip.compress(change(gzip.decompress(content))) if compressed else change(content)
        image(folder).write_bytes(content)

    return spoil


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at:][1:]


def plain(folder: Path) -> None:
    """Let all files be .nii."""
    for path in [*folder.glob("*/*.nii.gz")]:
        path.with_name(path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    describe(folder, file_ending=".nii")


def in_capitals(folder: Path) -> None:
    for path in [*folder.glob("*/*.nii.gz")]:
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    describe(folder, file_ending=".NII.GZ")


def cut(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def compressed_meta(folder: Path) -> None:
    """A .mha that says that it is compressed, and is not: ITK makes an image of whatever is in its memory."""
    meta(folder)
    path = folder / "imagesTr/c3_0000.mha"
    path.write_bytes(path.read_bytes().replace(b"BinaryData = True", b"BinaryData = True\nCompressedData = True"))


def second_version(folder: Path) -> None:
    nibabel.save(nibabel.Nifti2Image(image_of(3), np.eye(4)), image(folder))


def colours(folder: Path) -> None:
    values: np.ndarray = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), image(folder))


def metres(folder: Path) -> None:
    for path, values in ((image(folder), image_of(3)), (label(folder), label_of())):
        save_nifti(path, values, np.diag([1e-3, 1e-3, 1e-3, 1]))


def microns(folder: Path, cases: int = 1, label_too: bool = True) -> None:
    """Save some cases in another unit of length, which ITK converts; without their labels, by a slip."""
    length = 1e3 if label_too else 1.0
    for number in range(3, 3 + cases):
        files = [(image(folder, number % CASES), image_of(number)), (label(folder, number % CASES), label_of())]
        for path, values in files if label_too else files[:1]:
            written = nibabel.Nifti1Image(values, np.diag([length, length, length, 1]))
            written.header.set_xyzt_units("micron")
            nibabel.save(written, path)


def tif(folder: Path) -> None:
    """Let all files be volumes as .tif, but for an image that is a single slice."""
    for number in range(CASES):
        for path, values in ((image(folder, number), image_of(number)), (label(folder, number), label_of())):
            first, *others = map(Image.fromarray, values if (number, path) != (3, image(folder)) else values[:1])
            path.unlink()
            first.save(path.with_name(path.name.replace(".nii.gz", ".tif")), save_all=True, append_images=others)
    describe(folder, file_ending=".tif")


def two_spacings(folder: Path) -> None:
    """The voxels of an image and its label are 5 mm thick by their place, and 1 mm by the spacing."""
    for path, values in ((image(folder), image_of(3)), (label(folder), label_of())):
        save_nifti(path, values, np.diag([1, 1, 5, 1]), sheared=True)
    header("3f", 80, 1, 1, 1, both=True)(folder)


def turned_picture(folder: Path) -> None:
    png(folder, 1, 1)
    path, exif = folder / "imagesTr/c3_0000.png", Image.Exif()
    exif[274] = 6
    with Image.open(path) as picture:
        picture.load()
    picture.save(path, exif=exif)


def unbounded_notes(folder: Path) -> None:
    header("f", 108, 0.0)(folder)
    header("B", 348, 1)(folder)


def noted(said: int) -> Callable[[Path], None]:
    """Put a note of 32 bytes before the voxels, which says that it has another length."""

    def spoil(folder: Path) -> None:
        content = gzip.decompress(image(folder).read_bytes())
        note = struct.pack("<2i24s", said, 6, b"taken on a Monday")
        image(folder).write_bytes(gzip.compress(content[:348] + b"\1\0\0\0" + note + content[352:]))
        header("f", 108, 352.0 + len(note))(folder)

    return spoil


def one_slice(folder: Path) -> None:
    save_nifti(image(folder), image_of(3, SHAPE[:2]))
    save_nifti(label(folder), label_of(SHAPE[:2]))


def sagittal(folder: Path) -> None:
    for number in range(CASES):
        save_nifti(image(folder, number), image_of(number, (1, 16, 18)))
        save_nifti(label(folder, number), label_of((6, 16, 18))[3:4])


def again(folder: Path) -> None:
    """The second channel of a case is a copy of the first."""
    two_channels(folder, lambda path: path.write_bytes(image(folder).read_bytes()))


def masks(folder: Path) -> None:
    """An organ that is known is the second channel, and all that is labelled in the cases without a tumour."""
    two_channels(folder, lambda path: None)
    for number in range(CASES):
        mask = label_of().clip(0, 1)
        save_nifti(image(folder, number).with_name(f"c{number}_0001.nii.gz"), mask)
        save_nifti(label(folder, number), label_of() if number == 0 else mask)
    describe(folder, channel_names={"0": "CT", "1": "noNorm"}, labels={"background": 0, "liver": 1, "tumour": 2})


HEADER = "1 NIfTI file has a header that no two readers take in the same way: imagesTr/c3_0000.nii.gz "
BOTH = "2 NIfTI files have headers that no two readers take in the same way: imagesTr/c3_0000.nii.gz "
SHORT = "1 file is cut short or damaged: imagesTr/c3_0000.nii.gz"
DAMAGED = "1 file can't be read: imagesTr/c3_0000.nii.gz: is damaged: its checksum does not fit"

ODD_FILES = [
    Odd("a spacing of 0", header("f", 80, 0.0, both=True), f"{BOTH}has the spacing 0 x 1 x 1"),
    Odd("a spacing that is none", header("f", 84, NAN), f"{HEADER}has the spacing 1 x nan x 1"),
    Odd("a spacing below 0", header("f", 80, -1.0)),
    Odd("a place that is none", header("f", 292, NAN, both=True), f"{BOTH}has a place that is no number (sform)"),
    Odd("a unit of length that NIfTI does not know", header("B", 123, 5, both=True)),
    Odd("units that are none", header("B", 123, 255)),
    Odd("a unit of time that NIfTI does not know", header("B", 123, 66)),
    Odd(
        "micrometres, with a unit of time that NIfTI does not know",
        header("B", 123, 67),
        "labelsTr/c3.nii.gz has the spacing 1 x 1 x 1, imagesTr/c3_0000.nii.gz has 0.001 x 0.001 x 0.001",
        True,
    ),
    Odd("no scale", header("2f", 112, NAN, NAN)),
    Odd("a scale of 0", header("2f", 112, 0.0, 5.0)),
    Odd("half a scale", header("2f", 112, 1.0, NAN), f"{HEADER}has scl_slope 1 with scl_inter nan"),
    Odd("voxels nowhere", header("f", 108, NAN), f"{HEADER}has vox_offset nan"),
    Odd("voxels at infinity", header("f", 108, INF), f"{HEADER}has vox_offset inf"),
    Odd("voxels behind gigabytes of notes", header("f", 108, 2.0**31), f"{HEADER}has vox_offset 2.14748e+09"),
    Odd("voxels where they are if nothing is said", header("f", 108, 0.0)),
    Odd("notes without an end", unbounded_notes, f"{HEADER}has notes behind its header, and vox_offset 0"),
    Odd("a note", noted(32)),
    Odd("a note that says that it is longer", noted(2**30), f"{HEADER}has a note of 1073741824 bytes"),
    Odd("a note that says that it has no length", noted(0), f"{HEADER}has a note of 0 bytes"),
    Odd("voxels behind the end", header("f", 108, 1000.0), SHORT),
    Odd("an axis of 0", header("h", 42, 0), f"{HEADER}has 0 x 7 x 8 voxels"),
    Odd("an axis below 0", header("h", 42, -6), f"{HEADER}has -6 x 7 x 8 voxels"),
    Odd("no axes", header("h", 40, 0), f"{HEADER}has no voxels"),
    Odd("nine axes", header("h", 40, 9), f"{HEADER}has no voxels"),
    Odd("a hundred terabytes", header("3h", 42, 30000, 30000, 30000), SHORT),
    Odd("another number of bits", header("h", 72, 8), f"{HEADER}says 8 bits a voxel for numbers of 32"),
    Odd("Analyze", header("4s", 344, b"\0\0\0\0"), f"{HEADER}is no NIfTI file but one of Analyze"),
    Odd("half of a pair", header("4s", 344, b"ni1\0"), f"{HEADER}is no NIfTI file but one of Analyze"),
    Odd("complex numbers", voxels(lambda: image_of(3).astype(np.complex64)), f"{HEADER}holds complex numbers"),
    Odd("colours in a NIfTI file", colours, f"{HEADER}holds colours, not one number a voxel"),
    Odd("NIfTI-2 among others", second_version, "1 file can't be read by SimpleITKIO, others can", True),
    Odd("fewer voxels than the header says", repacked(lambda content: content[:-100]), SHORT),
    Odd("more behind the voxels", repacked(lambda content: content + bytes(100))),
    Odd("rubbish behind the stream", repacked(lambda content: content + b"rubbish", compressed=False), SHORT),
    Odd("compressed twice", repacked(gzip.compress), "imagesTr/c3_0000.nii.gz", True),
    Odd(
        "a pointer of Git LFS",
        lambda f: image(f).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
        "1 file is no image: imagesTr/c3_0000.nii.gz (a pointer of Git LFS: git lfs pull). Fetch the images themselves",
    ),
    Odd(
        "a page of a web server",
        one_after_the_other(
            lambda f: png(f, 1, 1), lambda f: (f / "labelsTr/c3.png").write_text("\n<!DOCTYPE html><html>Sign in")
        ),
        "1 file is no image: labelsTr/c3.png (a page of a web server, such as one that asks to sign in)",
    ),
    Odd(
        "a label for an image",
        lambda f: image(f).write_bytes(label(f).read_bytes()),
        "1 image holds what its label image holds: imagesTr/c3_0000.nii.gz is labelsTr/c3.nii.gz. Put the images",
        True,
        False,
    ),
    Odd(
        "the mask of an organ for a channel",
        masks,
        note="imagesTr/c4_0001.nii.gz is labelsTr/c4.nii.gz, voxel for voxel, and other channels are not",
        seen_by_check=False,
    ),
    Odd(
        "a channel that is always the label",
        one_after_the_other(masks, lambda f: shutil.copy(label(f, 0), image(f, 0).with_name("c0_0001.nii.gz"))),
        "5 images hold what their label images hold: imagesTr/c0_0001.nii.gz is labelsTr/c0.nii.gz; imagesTr/c1_0001",
        True,
        False,
    ),
    Odd(
        "a label for each image of a case",
        one_after_the_other(
            lambda f: two_channels(f, lambda path: path.write_bytes(label(f).read_bytes())),
            lambda f: image(f).write_bytes(label(f).read_bytes()),
        ),
        "2 images hold what their label images hold: imagesTr/c3_0000.nii.gz is labelsTr/c3.nii.gz",
        True,
        False,
    ),
    Odd(
        "nothing in image and label",
        one_after_the_other(voxels(lambda: label_of() * 0), voxels(lambda: label_of() * 0, label)),
    ),
    Odd(
        "colours that are none",
        one_after_the_other(
            lambda f: png(f, 1, 1),
            lambda f: describe(f, file_ending=".png", channel_names={"0": "RGB_to_0_1"}),
            lambda f: Image.fromarray(np.full((16, 18), 300, np.uint16)).save(f / "imagesTr/c3_0000.png"),
        ),
        "1 image of a channel rgb_to_0_1 has values outside of 0 to 255: imagesTr/c3_0000.png has 300 to 300",
        True,
        False,
    ),
    Odd(
        "two spacings in a header",
        two_spacings,
        note="imagesTr/c3_0000.nii.gz has the spacing 1 x 1 x 1, and 1 x 1 x 5 by its place (sform); SimpleITKIO takes",
        seen_by_check=False,
    ),
    Odd(
        "a picture that is to be turned",
        turned_picture,
        note="imagesTr/c3_0000.png says that it is to be turned before it is shown (EXIF)",
        seen_by_check=False,
    ),
    # Some reader takes them, and no reader is what is wrong.
    Odd("a wrong checksum", repacked(lambda content: flipped(content, -6), False), DAMAGED, True, False),
    Odd("a wrong byte", repacked(lambda content: flipped(content, len(content) // 2), False), DAMAGED, True, False),
    Odd("a .mha with a damaged stream", compressed_meta, "1 file is cut short or damaged: imagesTr/c3_0000.mha"),
    Odd("plain NIfTI", plain),
    Odd(
        "plain NIfTI, cut short",
        one_after_the_other(plain, cut("labelsTr/c3.nii")),
        "1 file is cut short or damaged: labelsTr/c3.nii",
    ),
    Odd("all in capitals", in_capitals),
    Odd(
        "in capitals, cut short",
        one_after_the_other(in_capitals, cut("imagesTr/c3_0000.NII.GZ")),
        "1 file is cut short or damaged: imagesTr/c3_0000.NII.GZ",
    ),
    Odd(
        "metres among millimetres", metres, "c3_0000.nii.gz has the spacing 0.001 x 0.001 x 0.001, the median is", True
    ),
    Odd("micrometres among millimetres", microns),
    Odd("micrometres everywhere", lambda f: microns(f, cases=CASES)),
    Odd(
        "micrometres, by a reader that takes the numbers as they are",
        one_after_the_other(microns, lambda f: describe(f, overwrite_image_reader_writer="NibabelIO")),
        "c3_0000.nii.gz has the spacing 1000 x 1000 x 1000, the median is",
        True,
    ),
    Odd(
        "another unit for the image than for the label",
        lambda f: microns(f, label_too=False),
        "labelsTr/c3.nii.gz has the spacing 1 x 1 x 1, imagesTr/c3_0000.nii.gz has 0.001 x 0.001 x 0.001",
        True,
    ),
    Odd("a slice among volumes", one_slice, "imagesTr/c3_0000.nii.gz has 2 axes, most have 3", True),
    Odd("a slice among tif volumes", tif, "1 file can't be read: imagesTr/c3_0000.tif: Only 3D", True, False),
    Odd("slices along another axis", sagittal, note="is one voxel thick, and not along the axis", seen_by_check=False),
    Odd(
        "an image of one value",
        voxels(lambda: image_of(3) * 0 + 5),
        note="the same value everywhere (5)",
        seen_by_check=False,
    ),
    Odd("twice the same channel", again, note="c3_0001.nii.gz holds the same as", seen_by_check=False),
    Odd("values too large", voxels(lambda: image_of(3) * np.float32(1e30)), "too large to be normalized", True, False),
    Odd(
        "values beyond single precision",
        voxels(lambda: image_of(3).astype(float) * 1e300),
        "c3_0000.nii.gz has 336",
        True,
        False,
    ),
    Odd(
        "an image with holes",
        voxels(lambda: np.where(label_of() == 2, NAN, image_of(3)).astype(np.float32)),
        note="has 8 voxels that are not finite",
        seen_by_check=False,
    ),
    Odd("labels as numbers with a point", labelled("float32")),
    Odd("labels with a sign", labelled("int16")),
    Odd("labels of 64 bits", labelled("float64")),
    Odd("labels by rounding", labelled("float32", more=1e-6), "c3.nii.gz has 1.0000009", True, False),
    Odd("a label below 0", labelled("int16", voxel=-1), "labelsTr/c3.nii.gz has -1 (labels has 0, 1, 2)", True, False),
    Odd("a label in another byte", labelled("uint16", more=256), "has 257, 258 (labels has 0, 1, 2)", True, False),
    Odd("half a label", labelled("float32", voxel=0.5), "labelsTr/c3.nii.gz has 0.5 (labels", True, False),
    Odd("a label that is none", labelled("float32", voxel=NAN), "labelsTr/c3.nii.gz has 1. Replace NaN", True, False),
    Odd("slices with a fourth colour", lambda f: png(f, 4, 4)),
]
