"""Pictures in colours, as nnU-Net itself takes them, named as people name them: from the plan to the scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnunet_api.exit_codes import ExitCode
from tests.support.networks import small_network
from tests.trainer.world import World, make_contract

NAME = "Dataset902_Pictures"
TRAINING = ("a b", "scan.v1", "Müller", "王", "c_0000", "1.2.840.10008")
TEST = ("test ü", "t.2")
SHAPE = (40, 44)


def write_pictures(raw: Path) -> None:
    """Red discs on what is green, in one file each for all three channels; one picture has none."""
    folder = raw / NAME
    random = np.random.default_rng(0)
    for part, names in (("Tr", TRAINING), ("Ts", TEST)):
        for sub in (f"images{part}", f"labels{part}"):
            (folder / sub).mkdir(parents=True)
        for name in names:
            row, column = random.uniform(12, 28, 2)
            rows, columns = np.indices(SHAPE)
            disc = (rows - row) ** 2 + (columns - column) ** 2 < (0 if name == TRAINING[0] else 64)
            colours = np.where(disc[..., None], [200, 60, 40], [40, 120, 60]) + random.normal(0, 10, (*SHAPE, 3))
            Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(folder / f"images{part}/{name}_0000.png")
            Image.fromarray(disc.astype(np.uint8)).save(folder / f"labels{part}/{name}.png")
    description = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": {"background": 0, "disc": 1},
        "numTraining": len(TRAINING),
        "file_ending": ".png",
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    split = {"train": list(TRAINING[2:]), "val": list(TRAINING[:2])}
    (folder / "splits_final.json").write_text(json.dumps([split]))


def of_pictures(root: Path, **network: Any) -> World:
    """Return a world with the pictures, and a training by a small network with changes."""
    write_pictures(root / "nnunet/raw")
    for mount in ("preprocessed", "results"):
        (root / "nnunet" / mount).mkdir()
    configurations = {"2d_tiny": small_network("2d", [32, 32], [4, 8, 8]) | network}
    settings = {"dataset": NAME, "planning": {"configurations": configurations}, "configuration": "2d_tiny"}
    schedule = {"epochs": 2, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 1}
    return World(root, make_contract(**settings, schedule=schedule, folds=["0"]))


@pytest.mark.parametrize("normalized", [True, False], ids=["as it is called", "otherwise"])
def test_more_than_colours_can_be_is_refused_where_they_are_normalized_as_such(
    tmp_path: Path, normalized: bool
) -> None:
    world = of_pictures(tmp_path, **({} if normalized else {"normalization_schemes": ["ZScoreNormalization"]}))
    folder = tmp_path / "nnunet/raw" / NAME
    for path in folder.glob("images*/*.png"):
        with Image.open(path) as picture:
            grey: Any = np.asarray(picture, dtype=np.uint16)[..., 0] * 200
        Image.fromarray(grey).save(path)
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(description | {"channel_names": {"0": "rgb_to_0_1"}}))
    ended = world.finish("plan")
    assert ended.code == (ExitCode.WRONG_DATA if normalized else 0), ended.log
    words = "nnU-Net divides them by 255" if normalized else "and its channel is called as one of colours"
    assert words in ended.log


def test_from_the_plan_to_the_scores(tmp_path: Path) -> None:
    world = of_pictures(tmp_path)
    for command in (["plan"], ["train", "--fold", "0"], ["verify"], ["evaluate"]):
        ended = world.finish(*command)
        assert ended.code == 0, ended.log
    assert "test Dice" in ended.report.message and "2 cases" in ended.report.message
    assert {path.stem for path in (world.fold() / "validation").glob("*.png")} == set(TRAINING[:2])
    summary = json.loads((world.run / "summary.json").read_text())
    assert set(summary["replicates"][0]["testByCase"]) == set(TEST) and summary["surfaceUnit"] == "px"
