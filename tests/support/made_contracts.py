"""Builders for the trainer's unit tests."""

from pathlib import Path
from typing import Any

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_trainer.run.paths import RunPaths
from tests.support.plan_facts import PLAN_FACTS


def contract(**changes: Any) -> RunContract:
    """Return a contract with nnU-Net's standard settings."""
    settings: dict[str, Any] = {
        "namespace": "imaging",
        "name": "hippocampus",
        "uid": "0123456789abcdef",
        "dataset": "Dataset004_Hippocampus",
        "planning": {},
        "configuration": "3d_fullres",
        "folds": ["0", "1", "2", "3", "4"],
        "schedule": {},
        "trainerClass": "nnUNetTrainer",
        "device": "cuda",
        "processes": 8,
    }
    return RunContract.model_validate(settings | changes)


def policy(**changes: Any) -> dict[str, Any]:
    """Return what the policies came to for a training: one is enforced and asks for 600 epochs."""
    decision = {"policy": "clinical", "generation": 3, "mode": "Enforce", "outcome": "Allowed"}
    return {"decidedAt": "2026-01-02T03:04:05Z", "minEpochs": 600, "decisions": [decision]} | changes


def exception(**changes: Any) -> dict[str, Any]:
    """Return an exception under which the training ran."""
    settings = {
        "policy": "clinical",
        "minEpochs": 300,
        "liftedRules": ["requireSeed"],
        "reason": "the scanner is gone and no case can be added",
        "ticket": "QM-17",
        "approvedBy": "dr.x@example.org",
        "expiresAt": "2027-01-01T00:00:00Z",
    }
    return settings | changes


def paths_of(run: RunContract, root: Path) -> RunPaths:
    """Return the paths of a run whose mounts are in this folder."""
    results = root / "nnunet/results"
    return RunPaths(root / "nnunet/raw", root / "nnunet/preprocessed", results, results / run.run_folder)


def plan_facts(**changes: Any) -> PlanFacts:
    """Return what planning noted."""
    return PLAN_FACTS.model_copy(update=changes)
