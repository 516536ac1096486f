"""A tiny dataset in nnU-Net's format, with something in it that a small network learns in seconds."""

import json
from pathlib import Path

import nibabel
import numpy as np

NAME = "Dataset901_Shells"
LABELS = {"background": 0, "shell": 1, "core": 2}
SHAPE = (22, 24, 23)
"""Windows of 16 voxels, nnU-Net's by half of them, cover it by two in each direction: predicting takes longest."""
BENCHED = (30, 34, 32)
"""Shape of the cases that benchmarks train on: what is told in docs/benchmarks was measured with it."""
ENDING = ".nii.gz"
LARGE = 30
"""Voxels of a side from which on what is in it grows by whole factors only."""


def write_dataset(
    raw: Path, training: int = 6, test: int = 2, name: str = NAME, shape: tuple[int, int, int] = SHAPE
) -> Path:
    """Write the dataset into nnUNet_raw and return its folder."""
    folder = raw / name
    for sub in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / sub).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(training + test):
        part = "Tr" if number < training else "Ts"
        image, label = _case(random, shape)
        _save(image, folder / f"images{part}" / f"case_{number:02d}_0000{ENDING}")
        _save(label, folder / f"labels{part}" / f"case_{number:02d}{ENDING}")
    description = {
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": training,
        "file_ending": ENDING,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def _case(random: np.random.Generator, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A bright core in a dimmer shell, at a random place, in noise."""
    unit = min(shape) // LARGE or min(shape) / LARGE
    centre = [random.uniform(12 * unit, size - 12 * unit) for size in shape]
    distance = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)))
    radius = unit * random.uniform(8, 11)
    label: np.ndarray = np.zeros(shape, np.uint8)
    label[distance < radius] = 1
    label[distance < radius / 2] = 2
    image = np.choose(label, [0.0, 60.0, 120.0]) + random.normal(0, 12, shape)
    return image.astype(np.float32), label


def _save(values: np.ndarray, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
