"""Builders for the trainer's unit tests."""

from typing import Any

from nnunet_operator.api.contract import RunContract


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
