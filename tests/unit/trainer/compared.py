"""Runs on a volume, as evaluations leave them, and what the operator tells of them."""

import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnunet_api.comparison.contract import ComparedArm, ComparedRun, ComparisonContract
from nnunet_api.folders import run_folder
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run.provenance import conditions_hash

LABELS = {"background": 0, "liver": 1, "tumour": 2}
MODEL = "Dataset004_Hippocampus/nnUNetTrainer__nnUNetPlans__3d_fullres"
REPLICATES = 3
CASES = 28
"""Two for each of 14 patients: of 13 and fewer, with ties, SciPy takes half a second for a p value."""


Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]
"""Changes summary.json, and provenance.json of each fold, before they are written."""


class Volume:
    """A results claim with runs on it."""

    def __init__(self, root: Path) -> None:
        self._results = root / "nnunet/results"

    def run(
        self,
        name: str,
        loss: float = 0.0,
        epochs: int = 1000,
        *,
        test_set: bool = True,
        change: Change = lambda summary, folds: None,
    ) -> ComparedRun:
        """Write a run whose tumour is `loss` worse, of three replicates of two folds; return what is told of it.

        `change` may change summary.json, and provenance.json of each fold, before they are written.
        """
        uid = f"{name}-0123456789"
        folder = run_folder("imaging", name, uid)
        names = [(fold, number) for number in range(1, REPLICATES + 1) for fold in ("0", "1")]
        summary = _summary(folder, loss, test_set)
        folds = [_provenance(fold, epochs) for fold, _ in names]
        change(summary, folds)
        write_path = self._results / folder
        hashes = {}
        for (fold, number), content in zip(names, folds, strict=True):
            place = write_path / f"replicate-{number}" / MODEL / f"fold_{fold}"
            place.mkdir(parents=True)
            write_json(place / "provenance.json", content)
            hashes[f"{fold}-r{number}"] = file_hash(place / "provenance.json")
        write_json(write_path / "summary.json", {"provenanceHashes": hashes, **summary})
        return ComparedRun(
            training=name,
            uid=uid,
            folder=folder,
            summary_hash=file_hash(write_path / "summary.json"),
            configuration_hash=conditions_hash(folds[0]["conditions"]),
            configuration="3d_fullres",
            folds=[f"{fold}-r{number}" for fold, number in names],
        )

    def checkpoints(self, run: ComparedRun, epochs: int, seconds: float) -> None:
        """Write the final checkpoint of each fold of a run, as torch would, whose moving average goes up by 0.001."""
        logged = {
            "ema_fg_dice": [epoch / 1000 for epoch in range(1, epochs + 1)],
            "epoch_start_timestamps": [1000.0 * epoch for epoch in range(epochs)],
            "epoch_end_timestamps": [1000.0 * epoch + seconds for epoch in range(epochs)],
        }
        for folder in self.path(run, "").rglob("fold_*"):
            with zipfile.ZipFile(folder / "checkpoint_final.pth", "w") as archive:
                archive.writestr("archive/data.pkl", pickle.dumps({"logging": logged}, protocol=2))

    def path(self, run: ComparedRun, name: str = "summary.json") -> Path:
        """Return a file of a run."""
        return self._results / run.folder / name


def of_patients(cases_each: int = 2, of: Callable[[int], int] = lambda number: number) -> Change:
    """Return a change by which so many cases after each other are of one patient, by the numbers that `of` gives."""

    def change(summary: dict[str, Any], _: list[dict[str, Any]]) -> None:
        by_case = {f"case_{case:02}": of(case // cases_each) for case in range(CASES)}
        summary["patients"] = {"column": "patient", "byCase": by_case}

    return change


def told(*runs: ComparedRun, **changes: Any) -> ComparisonContract:
    """Return the contract of a comparison of these runs, each an arm, the first the baseline."""
    settings: dict[str, Any] = {
        "namespace": "imaging",
        "name": "shorter",
        "uid": "u-1",
        "registration": "d" * 64,
        "arms": [ComparedArm(name=run.training, runs=[run]) for run in runs],
        "test_set": True,
        "max_dice_loss": 0.01,
        "varies": ["schedule.epochs"],
        "founded": ["schedule.epochs"],
    }
    return ComparisonContract(**settings | changes)


def _summary(folder: str, loss: float, test_set: bool) -> dict[str, Any]:
    conditions: dict[str, Any] = {
        "labels": LABELS,
        "metric": {"implementation": "nnunetv2", "version": "2.8.1", "surfaceTolerance": 1.0},
    }
    if test_set:
        conditions["testSet"] = {"imagesHash": "a" * 64, "labelsHash": "b" * 64}
        conditions["inference"] = {"checkpoint": "checkpoint_final.pth", "postprocessing": "none", "mirroring": True}
    return {
        "conditions": conditions,
        "patients": {"column": "", "byCase": {}},
        "replicates": [_replicate(folder, number, loss, test_set) for number in range(1, REPLICATES + 1)],
    }


def _replicate(folder: str, number: int, loss: float, test_set: bool) -> dict[str, Any]:
    # The same cases are as hard in each arm; a replicate has a little luck of its own.
    luck = random.Random(f"{folder} {number}").gauss(0, 0.001)
    hard = random.Random("cases")
    cases = {
        f"case_{case:02}": (0.9 + hard.gauss(0, 0.02) + luck, 0.7 + hard.gauss(0, 0.05) + luck - loss)
        for case in range(CASES)
    }
    content: dict[str, Any] = {"replicate": number, "seed": number, "modelPath": f"{folder}/replicate-{number}/{MODEL}"}
    if test_set:
        content["testByCase"] = {
            case: {
                "liver": {"dice": liver, "nsd": liver, "hd95Mm": 2.0},
                "tumour": {"dice": tumour, "nsd": tumour, "hd95Mm": 5.0},
            }
            for case, (liver, tumour) in cases.items()
        }
        return content
    content["validationByCase"] = {
        f"{fold}-r{number}": {
            case: {"liver": liver, "tumour": tumour}
            for place, (case, (liver, tumour)) in enumerate(cases.items())
            if place % 2 == fold
        }
        for fold in (0, 1)
    }
    return content


def _provenance(fold: str, epochs: int) -> dict[str, Any]:
    return {
        "conditions": {
            "dataset": "Dataset004_Hippocampus",
            "datasetHash": "c" * 64,
            "plansHash": "d" * 64,
            "splitsHash": "e" * 64,
            "fold": fold,
            "seed": 1,
            "batchSize": 2,
            "patchSize": [64, 64, 64],
            "hyperparameters": {"num_epochs": epochs, "initial_lr": 0.01},
        },
        "environment": {"nnUNet_results": f"/somewhere/{epochs}", "nnUNet_compile": "f"},
        "software": [{"nnunetVersion": "2.8.1", "torchVersion": "2.9", "device": "A100"}],
    }
