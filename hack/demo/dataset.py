"""A small MRI dataset in nnU-Net's raw format, without a download: `python -m hack.demo.dataset FOLDER`.

nilearn's wheel carries the MNI ICBM152 2009a template (T1 image, grey and white matter probability maps; 1 mm).
Blocks of it that do not overlap become cases, with grey and white matter as the classes to find.

Real anatomy, but all of one averaged head, and labels that follow from the maps: good to see the machinery work,
no ground for any claim about accuracy.
"""

import argparse
import functools
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

NAME = "Dataset501_MNI"
LABELS = {"background": 0, "grey_matter": 1, "white_matter": 2}
TRAINING_CASES = 15
TEST_CASES = 3
ENDING = ".nii.gz"

BLOCK = (40, 48, 40)
"""Voxels of 1 mm in one case."""
MARGIN = 20
"""Voxels at the edge of the template that hold no brain."""
LEAST_BRAIN = 0.3
"""Share of grey and white matter that makes a block worth a case."""
NOISE = 6.0
"""Standard deviation of the noise that makes an average of 152 heads look like one scan (the image spans 0 to 255)."""
SEED = 0

Box = tuple[slice, slice, slice]


def write_dataset(raw: Path) -> Path:
    """Write the dataset into `raw` (nnU-Net's nnUNet_raw) and return its folder; always the same files.

    Raises FileNotFoundError where nilearn is not installed or no longer brings the template.
    """
    image, affine, segmentation = _template()
    random = np.random.default_rng(SEED)
    boxes = list(_boxes(segmentation))
    random.shuffle(boxes)
    folder = raw / NAME
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, corner in enumerate(boxes[: TRAINING_CASES + TEST_CASES]):
        part = "Tr" if number < TRAINING_CASES else "Ts"
        box = _box(corner)
        placed = affine @ _translation(corner)
        noisy = image[box] + random.normal(0, NOISE, BLOCK)
        _save(noisy.astype(np.float32), placed, folder / f"images{part}" / f"mni_{number:02d}_0000{ENDING}")
        _save(segmentation[box], placed, folder / f"labels{part}" / f"mni_{number:02d}{ENDING}")
    description = {
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": TRAINING_CASES,
        "file_ending": ENDING,
        "description": "Blocks of one averaged head (MNI ICBM152 2009a). Shows the machinery; proves no accuracy.",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder


@functools.cache
def _template() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the image, its affine and its segmentation; reading them takes seconds."""
    image, affine = _load("t1")
    return image, affine, _segment(_load("gm")[0] / 255, _load("wm")[0] / 255)


def _load(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels (float32) and affine of one of the template's images: t1, gm or wm."""
    # Not through nilearn's API: importing it takes seconds, and it resamples.
    package = importlib.util.find_spec("nilearn")
    folders = package.submodule_search_locations if package else None
    if not folders:
        raise FileNotFoundError("nilearn is not installed: run `make venv`")
    path = Path(folders[0], "datasets", "data", f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: this release of nilearn does not bring the template")
    loaded = nibabel.load(path)
    return np.asarray(loaded.dataobj, dtype=np.float32), loaded.affine


def _segment(grey: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Return the class that is more probable than not in each voxel."""
    segmentation: np.ndarray = np.zeros(grey.shape, np.uint8)
    segmentation[grey > 0.5] = LABELS["grey_matter"]
    segmentation[(white > 0.5) & (white >= grey)] = LABELS["white_matter"]
    return segmentation


def _boxes(segmentation: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield the corners of the blocks of a grid that hold enough brain."""
    axes = [
        range(MARGIN, size - MARGIN - block + 1, block) for size, block in zip(segmentation.shape, BLOCK, strict=True)
    ]
    for x in axes[0]:
        for y in axes[1]:
            for z in axes[2]:
                if np.mean(segmentation[_box((x, y, z))] > 0) > LEAST_BRAIN:
                    yield x, y, z


def _box(corner: tuple[int, int, int]) -> Box:
    x, y, z = (slice(start, start + block) for start, block in zip(corner, BLOCK, strict=True))
    return x, y, z


def _translation(corner: tuple[int, int, int]) -> np.ndarray:
    matrix: np.ndarray = np.eye(4)
    matrix[:3, 3] = corner
    return matrix


def _save(values: np.ndarray, affine: np.ndarray, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def main() -> None:
    """Write the dataset into the folder that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo.dataset", description=__doc__.splitlines()[0])
    parser.add_argument("raw", type=Path, help="folder that plays the part of nnUNet_raw")
    folder = write_dataset(parser.parse_args().raw)
    print(f"{folder}: {TRAINING_CASES} training cases, {TEST_CASES} test cases")


if __name__ == "__main__":
    main()
