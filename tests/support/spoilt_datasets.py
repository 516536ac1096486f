"""A small dataset, and what can be done to one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

NAME = "Dataset904_Odd"
SHAPE = (6, 7, 8)
CASES = 5
FOREIGN = "../../../Dataset004_X-36cf42f9bc4f9548/Dataset004_X/gt_segmentations/c0"


def image_of(number: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    values: np.ndarray = np.random.default_rng(number).normal(100, 10, shape).astype(np.float32)
    return values


def label_of(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    label: np.ndarray = np.zeros(shape, np.uint8)
    label[2:4, 2:4] = 1
    label[3, 3] = 2
    return label


def save_nifti(
    path: Path, array: np.ndarray, affine: Any = None, sheared: bool = False, qform: Any = None, placed: bool = True
) -> None:
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    if sheared:
        image.header["qform_code"] = 0
    if qform is not None:
        image.set_qform(qform, code=1)
    if not placed:
        image.set_qform(None, 0)
        image.set_sform(None, 0)
    nibabel.save(image, path)


def save_meta(path: Path, array: np.ndarray) -> None:
    """Write a .mha, x first in memory."""
    kind = {"float32": "MET_FLOAT", "uint8": "MET_UCHAR"}[str(array.dtype)]
    sizes = " ".join(map(str, array.shape))
    header = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nElementSpacing = 1 1 1\nDimSize = {sizes}\n"
    path.write_bytes(f"{header}ElementType = {kind}\nElementDataFile = LOCAL\n".encode() + array.tobytes(order="F"))


def two_forms(folder: Path) -> None:
    """ITK takes the qform of the image, and the label was saved by who took its sform."""
    save_nifti(image(folder), image_of(3), np.eye(4), qform=np.diag([-1.0, -1.0, 1.0, 1.0]))
    save_nifti(label(folder), label_of())


def describe(folder: Path, **changes: Any) -> None:
    content: dict[str, Any] = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "rim": 1, "core": 2},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content | changes))


def make(raw: Path) -> Path:
    """Write a dataset that is in order."""
    folder = raw / NAME
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True)
    for number in range(CASES):
        save_nifti(folder / f"imagesTr/c{number}_0000.nii.gz", image_of(number))
        save_nifti(folder / f"labelsTr/c{number}.nii.gz", label_of())
    describe(folder)
    return folder


def image(folder: Path, number: int = 3) -> Path:
    return folder / f"imagesTr/c{number}_0000.nii.gz"


def label(folder: Path, number: int = 3) -> Path:
    return folder / f"labelsTr/c{number}.nii.gz"


def listed(folder: Path, **changes: Any) -> None:
    """Name the cases one by one, with changes of the first."""
    entries = {
        f"c{n}": {"images": [f"imagesTr/c{n}_0000.nii.gz"], "label": f"labelsTr/c{n}.nii.gz"} for n in range(CASES)
    }
    entries["c0"] |= changes
    describe(folder, dataset=entries)


def named_by(name: str) -> Callable[[Path], None]:
    """Give the first listed case a name."""

    def spoil(folder: Path) -> None:
        listed(folder)
        content = json.loads((folder / "dataset.json").read_text())
        content["dataset"][name] = content["dataset"].pop("c0")
        (folder / "dataset.json").write_text(json.dumps(content))

    return spoil


def mixed(folder: Path, *numbers: int) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.2
    for number in numbers:
        save_nifti(image(folder, number), image_of(number), affine, sheared=True)
        save_nifti(label(folder, number), label_of(), affine, sheared=True)


def two_channels(folder: Path, second: Callable[[Path], object]) -> None:
    describe(folder, channel_names={"0": "T1", "1": "T2"})
    for number in range(CASES):
        save_nifti(image(folder, number).with_name(f"c{number}_0001.nii.gz"), image_of(number + 50))
    second(folder / "imagesTr/c3_0001.nii.gz")


def meta(folder: Path) -> None:
    """Let all files be .mha."""
    for number in range(CASES):
        image(folder, number).unlink()
        label(folder, number).unlink()
        save_meta(folder / f"imagesTr/c{number}_0000.mha", image_of(number))
        save_meta(folder / f"labelsTr/c{number}.mha", label_of())
    describe(folder, file_ending=".mha")


def infinite(folder: Path) -> None:
    meta(folder)
    values = image_of(3)
    values[1, 1, 1], values[2, 2, 2], values[0, 0, 0] = np.inf, -np.inf, np.nan
    save_meta(folder / "imagesTr/c3_0000.mha", values)


def png(folder: Path, bands: int, names: int = 3) -> None:
    """Let all files be slices as PNG, with red, green and blue in one file or grey."""
    from PIL import Image

    for number in range(CASES):
        image(folder, number).unlink()
        label(folder, number).unlink()
        grey = image_of(number, (16, 18)).clip(0, 255).astype(np.uint8)
        values = grey if bands == 1 else np.stack([grey] * bands, -1)
        Image.fromarray(values).save(folder / f"imagesTr/c{number}_0000.png")
        Image.fromarray(label_of((16, 18))).save(folder / f"labelsTr/c{number}.png")
    describe(folder, file_ending=".png", channel_names={str(n): f"band {n}" for n in range(names)})


def hidden(folder: Path) -> None:
    for path in [image(folder), label(folder)]:
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07Mac OS X")


def linked(folder: Path, target: str) -> None:
    image(folder).unlink()
    image(folder).symlink_to(target)


def linked_outside(folder: Path) -> None:
    outside = folder.parent.parent / "elsewhere.nii.gz"
    image(folder).rename(outside)
    image(folder).symlink_to(outside)


def linked_inside(folder: Path) -> None:
    other = folder.parent / "Dataset905_Other"
    other.mkdir()
    image(folder).rename(other / "x.nii.gz")
    image(folder).symlink_to("../../Dataset905_Other/x.nii.gz")


def one_after_the_other(*spoils: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for each in spoils:
            each(folder)

    return spoil


def renamed(folder: Path, prefix: str) -> None:
    """Put something before the names of all cases."""
    for number in range(CASES):
        for path in (image(folder, number), label(folder, number)):
            path.rename(path.with_name(prefix + path.name))


def marked(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def labelled(folder: Path, **labels: int) -> None:
    describe(folder, labels={"background": 0, **labels})


def split(folder: Path, train: list[str], val: list[str]) -> None:
    (folder / "splits_final.json").write_text(json.dumps([{"train": train, "val": val}]))


def tabled(folder: Path, rows: str) -> None:
    """Name the patients, in a dataset that is split into its first two cases and the others."""
    split(folder, ["c0", "c1"], ["c2", "c3", "c4"])
    (folder / "cases.csv").write_text(f"case,patient\n{rows}")
