"""A task as a dataset in nnU-Net's raw format."""

import json
from pathlib import Path

import nibabel
import numpy as np

from hack.benchmarks.hardness.shapes import Array
from hack.benchmarks.hardness.tasks import LABELS, Task, draw_case

ENDING = ".nii.gz"


def write_dataset(raw: Path, task: Task) -> Path:
    """Write training and test cases into `raw` (nnU-Net's nnUNet_raw) and return the dataset's folder."""
    folder = raw / task.dataset
    for part in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(task.seed)
    for number in range(task.training_cases + task.test_cases):
        part = "Tr" if number < task.training_cases else "Ts"
        image, label = draw_case(task, random)
        _save(image, folder / f"images{part}" / f"case_{number:03d}_0000{ENDING}")
        _save(label, folder / f"labels{part}" / f"case_{number:03d}{ENDING}")
    description = {
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": task.training_cases,
        "file_ending": ENDING,
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def _save(values: Array, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
