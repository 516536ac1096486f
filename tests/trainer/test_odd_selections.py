"""The choice among configurations of 2D pictures, single slices, tif volumes and regions, against nnU-Net's command."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from nnunet_trainer.process.files import read_json, write_json
from tests.support.networks import small_network
from tests.support.sizes import ODD_SELECTIONS
from tests.trainer.choices import find_best_by_hand, require_same_choice, train
from tests.trainer.world import TINY_NETWORK, World, make_contract

NAME = "Dataset905_Odd"
CASES = [f"case_{number:02d}" for number in range(4)]
TEST = ["case_04", "case_05"]
PLAIN = {"background": 0, "shell": 1, "core": 2}
REGIONS = {"background": 0, "whole": [1, 2], "core": [2]}
FLAT = small_network("2d", [32, 32], [4, 8, 8])
WIDER = small_network("2d", [32, 32], [8, 8, 8])


def as_picture(values: Any, path: Path) -> None:
    Image.fromarray(values).save(path)


def as_tif(values: Any, path: Path) -> None:
    tifffile.imwrite(path, values)
    name = path.name.removesuffix(".tif").removesuffix("_0000")
    (path.parent / f"{name}.json").write_text(json.dumps({"spacing": [2.0, 1.0, 1.0]}))


def as_slice(values: Any, path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(values.T[..., None], np.diag([1.0, 1.0, 5.0, 1.0])), path)


@dataclass(frozen=True)
class Kind:
    """A kind of dataset."""

    save: Callable[[Any, Path], None]
    ending: str
    shape: tuple[int, ...]
    labels: Any
    networks: Any


KINDS = {
    "pictures of regions": Kind(as_picture, ".png", (40, 44), REGIONS, {"2d_tiny": FLAT, "2d_wider": WIDER}),
    "tif pictures": Kind(as_picture, ".tif", (40, 44), PLAIN, {"2d_tiny": FLAT, "2d_wider": WIDER}),
    "tif volumes of regions": Kind(as_tif, ".tif", (18, 34, 36), REGIONS, {"2d_tiny": FLAT, "3d_tiny": TINY_NETWORK}),
    "single slices": Kind(as_slice, ".nii.gz", (40, 44), PLAIN, {"2d_tiny": FLAT, "2d_wider": WIDER}),
}


def write_dataset(raw: Path, kind: Kind) -> None:
    """Write discs or balls with a core, and specks that are no part of any."""
    folder, random = raw / NAME, np.random.default_rng(0)
    for part, names in (("Tr", CASES), ("Ts", TEST)):
        for sub in ("images", "labels"):
            (folder / f"{sub}{part}").mkdir(parents=True)
        for name in names:
            centre = [size * random.uniform(0.4, 0.6) for size in kind.shape]
            distances = [(axis - c) ** 2 for axis, c in zip(np.indices(kind.shape), centre, strict=True)]
            distance = np.sqrt(sum(distances))
            label: Any = ((distance < 9).astype(np.uint8) + (distance < 5)).astype(np.uint8)
            values = np.choose(label, [40, 110, 180]) + random.normal(0, 12, kind.shape)
            kind.save(values.clip(0, 255).astype(np.uint8), folder / f"images{part}/{name}_0000{kind.ending}")
            kind.save(label, folder / f"labels{part}/{name}{kind.ending}")
    description = {
        "channel_names": {"0": "grey"},
        "labels": kind.labels,
        "numTraining": len(CASES),
        "file_ending": kind.ending,
        **({"regions_class_order": [1, 2]} if kind.labels is REGIONS else {}),
    }
    write_json(folder / "dataset.json", description)
    halves = [CASES[:2], CASES[2:]]
    write_json(folder / "splits_final.json", [{"train": halves[1 - fold], "val": halves[fold]} for fold in range(2)])


def make(root: Path, kind: Kind) -> World:
    write_dataset(root / "nnunet/raw", kind)
    for mount in ("preprocessed", "results"):
        (root / "nnunet" / mount).mkdir()
    contract = make_contract(
        dataset=NAME,
        planning={"configurations": kind.networks},
        configuration=next(iter(kind.networks)),
        configurations=list(kind.networks),
        schedule={"epochs": 1, "iterationsPerEpoch": 15, "validationIterationsPerEpoch": 1},
        selection={},
        seed=3,
    )
    return World(root, contract)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ODD_SELECTIONS)
def test_files_numbers_and_choice_are_those_of_nnunets_command(tmp_path: Path, kind: str) -> None:
    world = make(tmp_path / "world", KINDS[kind])
    planned = world.finish("plan")
    assert planned.code == 0, planned.log
    train(world)
    by_hand = find_best_by_hand(world, tmp_path / "by_hand")
    ended = world.finish("evaluate")
    assert ended.code == 0, ended.log
    require_same_choice(world, by_hand)
    assert len(read_json(world.run / "summary.json")["chosen"]["replicates"][0]["testByCase"]) == len(TEST)
