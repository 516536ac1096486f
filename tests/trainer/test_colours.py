"""Pictures in colours, as nnU-Net itself takes them, named as people name them: from the plan to the scores."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

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


def test_from_the_plan_to_the_scores(tmp_path: Path) -> None:
    write_pictures(tmp_path / "nnunet/raw")
    for mount in ("preprocessed", "results"):
        (tmp_path / "nnunet" / mount).mkdir()
    configurations = {"2d_tiny": small_network("2d", [32, 32], [4, 8, 8])}
    settings = {"dataset": NAME, "planning": {"configurations": configurations}, "configuration": "2d_tiny"}
    schedule = {"epochs": 2, "iterationsPerEpoch": 10, "validationIterationsPerEpoch": 1}
    world = World(tmp_path, make_contract(**settings, schedule=schedule, folds=["0"]))
    for command in (["plan"], ["train", "--fold", "0"], ["verify"], ["evaluate"]):
        ended = world.finish(*command)
        assert ended.code == 0, ended.log
    assert "test Dice" in ended.report.message and "2 cases" in ended.report.message
    assert {path.stem for path in (world.fold() / "validation").glob("*.png")} == set(TRAINING[:2])
    summary = json.loads((world.run / "summary.json").read_text())
    assert set(summary["replicates"][0]["testByCase"]) == set(TEST) and summary["surfaceUnit"] == "px"
