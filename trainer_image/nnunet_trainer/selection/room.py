"""How much room the probabilities of cases take, before there are any.

nnU-Net keeps them as float32, one number for each voxel of the image and each class (background included) or region,
compressed without loss. Outside of the box to which a case is cropped they are constant and take next to nothing, and
the box is what nnU-Net's fingerprint of the dataset tells of each case.
"""

import os
from collections.abc import Mapping, Sequence
from math import ceil, prod
from pathlib import Path

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.process.failures import storage_failed
from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.paths import VALIDATION_FOLDER, RunPaths
from nnunet_trainer.scoring.probabilities import whole_probabilities
from nnunet_trainer.selection.record import keeps_probabilities, read_record

_BYTES = 4
"""Bytes of a number."""
LEAST_SHARE = 0.125
"""What compression leaves at best of the box. A network that learnt little leaves nine tenths (0.88 measured); one that
is sure of itself less, and equal parts of an image next to nothing: modelled, that comes to 0.18 where both meet."""
_GIB = 1 << 30
_NONSENSE = 1 << 60
"""Some network file systems report that much, or no blocks at all: that tells nothing."""


def needed_bytes(voxels: Sequence[int], lacking: Sequence[int], heads: int) -> tuple[int, int]:
    """Return the least and the most bytes, uncompressed, for probabilities that are not there yet.

    `voxels` are those of each case's box, `lacking` is of how many cases each network has none: of the smallest, or of
    the largest.
    """
    sizes = sorted(voxels)
    per_voxel = _BYTES * heads
    least = sum(sum(sizes[:number]) for number in lacking)
    most = sum(sum(sizes[max(0, len(sizes) - number) :]) for number in lacking)
    return per_voxel * least, per_voxel * most


def free_bytes(folder: Path) -> int | None:
    """Return the free bytes of a volume; None where it says nothing that makes sense."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return None
    total, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
    return free if 0 < total < _NONSENSE and 0 <= free <= total else None


def require_room(least: int, most: int, folder: Path, what: str, remedy: str) -> str | None:
    """Return a note where the room of the volume with the folder may not suffice, None where it does.

    Between `least` and `most` bytes are needed, uncompressed. Raises TrainerError with STORAGE_FAILED where it can't
    suffice.
    """
    free = free_bytes(folder)
    if free is None or free >= most:
        return None
    words = (
        f"the probabilities of {what} take up to {most / _GIB:.1f} GiB of the results claim, which has "
        f"{free / _GIB:.1f} GiB"
    )
    if free < LEAST_SHARE * least:
        raise storage_failed(f"{words}: too little even at the best compression ({remedy})", folder)
    return f"{words}: they may not fit, as compression leaves of them between an eighth and all ({remedy})"


def notes_on_room(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    splits: Sequence[Mapping[str, Sequence[str]]] | None,
    all_folds: int,
) -> list[str]:
    """Return a note where the results claim may have no room for the probabilities of the validation cases.

    `splits` are those in force, None where nnU-Net splits the cases into `all_folds`. Raises TrainerError with
    STORAGE_FAILED where there can't be enough: before anything is trained.
    """
    if not keeps_probabilities(contract) or read_record(paths.run) is not None:
        return []
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    home = paths.preprocessed / plan.preprocessed_key / contract.dataset
    plans = PlansManager(read_checked_plans(home / f"{plan.plans_name}.json"))
    heads = int(plans.get_label_manager(read_json(home / "dataset.json")).num_segmentation_heads)
    shapes = read_json(home / "dataset_fingerprint.json")["shapes_after_crop"]
    lacking = []
    for one in contract.by_configuration:
        there = whole_probabilities_of(one, paths, plan)
        if splits is None:
            lacking.append(max(0, ceil(len(shapes) / all_folds) * len(contract.folds) - len(there)))
        else:
            lacking.append(len({case for fold in contract.folds for case in splits[int(fold)]["val"]} - there))
    least, most = needed_bytes([prod(shape) for shape in shapes], lacking, heads)
    remedy = "without room for them, create the training with selection.ensembles: false"
    what = "the validation cases by all configurations, which selection.ensembles needs until the choice,"
    note = require_room(least, most, paths.run, what, remedy)
    return [note] if note else []


def whole_probabilities_of(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> set[str]:
    """Return the validation cases whose probabilities by the configuration at hand are there, and whole."""
    folders = [paths.fold(contract, plan.plans_name, fold) / VALIDATION_FOLDER for fold in contract.folds]
    return {case for folder in folders for case in whole_probabilities(folder)}
