"""Holds the arms of a task against the full budget, inside the trainer image, as the Job of an NnunetComparison does.

The spec is that of the resource and the verdict that of `nnunet-trainer compare`. Only the operator is missing, which
would tell the trainer what the runs are: here the cells do.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hack.benchmarks.hardness.cells import ARMS, FULL, Budget, Cell
from hack.benchmarks.hardness.tasks import TASKS
from nnunet_api.comparison.contract import ComparedArm, ComparedRun, ComparisonContract
from nnunet_api.comparison.model import Arm, NnunetComparisonSpec
from nnunet_api.contract import SUMMARY_FILE
from nnunet_api.folders import run_folder
from nnunet_trainer.commands.compare import compare_runs
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run.paths import ROOT_ENV

NAMESPACE = "tests"
"""That of the cells' contracts."""


def spec_of(cells: Sequence[Cell]) -> NnunetComparisonSpec:
    """Return the comparison that the table makes of a task: each way to spend the budget is an arm."""
    names = [arm.name for arm in ARMS if any(cell.arm == arm for cell in cells)]
    trainings = {name: [cell.name for cell in cells if cell.arm.name == name] for name in names}
    lengths, modes = {cell.epochs for cell in cells}, {cell.arm.early_stopping for cell in cells}
    varies = [*(["schedule.epochs"] if len(lengths) > 1 else []), *(["earlyStopping"] if len(modes) > 1 else [])]
    return NnunetComparisonSpec(
        arms=[Arm(name=name, trainings=trainings[name]) for name in names], baseline=FULL, varies=varies
    )


def contract_of(spec: NnunetComparisonSpec, cells: Sequence[Cell], results: Path) -> ComparisonContract:
    """Return what the trainer is told of the cells' runs, which lie in a folder."""
    known = {cell.name: cell for cell in cells}

    def run(name: str) -> ComparedRun:
        cell = known[name]
        folder = run_folder(NAMESPACE, cell.name, cell.uid)
        told = cell.contract()
        return ComparedRun(
            training=name,
            uid=cell.uid,
            folder=folder,
            summary_hash=file_hash(results / folder / SUMMARY_FILE),
            configuration=told["configuration"],
            folds=told["folds"],
        )

    arms = [ComparedArm(name=arm.name, runs=[run(name) for name in arm.trainings]) for arm in spec.ordered_arms]
    return ComparisonContract(
        namespace=NAMESPACE,
        name=f"schedules-{cells[0].task.name}",
        uid="schedules",
        registration="",
        arms=arms,
        test_set=True,
        max_dice_loss=spec.max_dice_loss,
        alpha=spec.alpha,
        varies=spec.varies,
        founded=spec.varies,
    )


def with_common_seeds(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells whose seed every arm has: arms are compared with the same seeds."""
    arms = {cell.arm.name for cell in cells}
    seeds = {seed: {cell.arm.name for cell in cells if cell.seed == seed} for seed in {cell.seed for cell in cells}}
    return [cell for cell in cells if seeds[cell.seed] == arms]


def judge(folder: Path, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return what the comparison came to, in the words of the trainer's report."""
    os.environ[ROOT_ENV] = str(folder)
    report = compare_runs(contract_of(spec_of(cells), cells, folder / "nnunet" / "results"))
    assert report.comparison is not None
    return report.comparison.to_json_dict()


def as_argument(cells: Sequence[Cell]) -> str:
    """Return the cells of a task as an argument of this program."""
    budget, task = asdict(cells[0].budget), cells[0].task.name
    listed = [[cell.arm.name, cell.seed, cell.length] for cell in cells]
    return json.dumps({"task": task, "budget": budget, "cells": listed})


def from_argument(text: str) -> list[Cell]:
    """Return the cells that an argument tells of."""
    told = json.loads(text)
    arms = {arm.name: arm for arm in ARMS}
    task, budget = TASKS[told["task"]], Budget(**told["budget"])
    return [Cell(task, arms[arm], seed, budget, length) for arm, seed, length in told["cells"]]


def main() -> None:
    """Write what the comparison of the cells came to into the task's folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("cells", type=from_argument)
    options = parser.parse_args()
    folder = options.folder / options.cells[0].folder
    write_json(folder / VERDICTS, judge(folder, options.cells))


VERDICTS = "results/verdicts.json"
"""File of the verdicts inside the task's folder."""

if __name__ == "__main__":
    main()
