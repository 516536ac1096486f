"""Trains and scores one cell, inside the trainer image (`python3 -m hack.benchmarks.hardness.cell --help`).

What is there already is not done again, and an interrupted training goes on from its checkpoint.
"""

import argparse
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hack.benchmarks.hardness.cells import ARMS, Budget, Cell
from hack.benchmarks.hardness.dataset import write_dataset
from hack.benchmarks.hardness.tasks import TASKS, Task
from nnunet_trainer.process.files import lock, write_json
from tests.trainer.world import Ended, World, make_contract

STEP_SECONDS = 3 * 3600.0
"""No command of a cell takes that long, however busy the machine is."""


def run(cell: Cell, folder: Path) -> None:
    """Bring a cell to its result, in the task's folder."""
    with lock(folder / "dataset.lock", "dataset"):
        _prepare(folder, cell.task)
    world = World(folder, make_contract(**cell.contract()))
    # The trainer's locks and its shared preprocessed data make this safe beside other cells.
    _finish(world, "plan")
    fold = _finish(world, "train", "--fold", "0").fold
    _finish(world, "verify")
    scores = _finish(world, "evaluate").report.evaluation
    assert scores is not None
    result = {
        "settings": _settings(cell),
        "epochs": fold.epoch,
        "share": fold.epoch / cell.budget.epochs,
        "test": scores.test_mean,
        "testPerClass": scores.test_per_class,
        "testCases": scores.test_cases,
        "validation": scores.mean_validation_dice,
        "earlyStopping": fold.early_stopping.to_json_dict() if fold.early_stopping else None,
        "medianEpochSeconds": fold.median_epoch_seconds,
        "trainer": os.environ.get("TRAINER_IMAGE", ""),
    }
    path = folder / cell.result
    path.parent.mkdir(exist_ok=True)
    write_json(path, result)


def _prepare(folder: Path, task: Task) -> None:
    """Write the dataset, once for all cells."""
    raw = folder / "nnunet" / "raw"
    if (raw / task.dataset).exists():
        return
    temporary = folder / "raw.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    write_dataset(temporary, task)
    for mount in ("preprocessed", "results"):
        (folder / "nnunet" / mount).mkdir(parents=True, exist_ok=True)
    temporary.rename(raw)


def _finish(world: World, *arguments: str) -> Ended:
    ended = world.finish(*arguments, seconds=STEP_SECONDS)
    if ended.code != 0:
        raise SystemExit(f"{' '.join(arguments)} of {world.contract.name} failed: {ended.report.message}\n{ended.log}")
    return ended


def _settings(cell: Cell) -> dict[str, Any]:
    return {
        "task": cell.task.name,
        "arm": cell.arm.name,
        "seed": cell.seed,
        "epochs": cell.epochs,
        "budget": asdict(cell.budget),
    }


def main() -> None:
    """Run the cell that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("arm", choices=[arm.name for arm in ARMS])
    parser.add_argument("seed", type=int)
    parser.add_argument("--budget", type=json.loads, default={}, help="settings of the budget as JSON")
    parser.add_argument("--length", type=int, default=0, help="epochs, where another arm decides them")
    options = parser.parse_args()
    arm = next(arm for arm in ARMS if arm.name == options.arm)
    cell = Cell(TASKS[options.task], arm, options.seed, Budget(**options.budget), options.length)
    folder = options.folder / cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    run(cell, folder)


if __name__ == "__main__":
    main()
