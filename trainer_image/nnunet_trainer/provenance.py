"""The conditions under which a fold is trained: kept in its folder, and the same for all of its attempts."""

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunet_operator.api.contract import PROVENANCE_FILE, FoldProvenance, PlanFacts
from nnunet_trainer.failures import wrong_configuration
from nnunet_trainer.files import read_json, write_json
from nnunet_trainer.fold_run import FoldRun

_HYPERPARAMETERS = (
    "initial_lr",
    "weight_decay",
    "oversample_foreground_percent",
    "probabilistic_oversampling",
    "num_iterations_per_epoch",
    "num_val_iterations_per_epoch",
    "num_epochs",
    "enable_deep_supervision",
)
"""Attributes of nnUNetTrainer that its subclasses change."""


def conditions(run: FoldRun, plan: PlanFacts, trainer: Any) -> dict[str, Any]:
    """Return all that decides what the training computes, in the form of JSON. `trainer` is not initialized yet."""
    contract = run.contract
    network = trainer.configuration_manager
    return {
        "dataset": contract.dataset,
        "datasetHash": plan.dataset_hash,
        "plansHash": plan.plans_hash,
        "splitsHash": plan.splits_hash,
        "configuration": contract.configuration,
        "fold": run.fold,
        "trainerClass": contract.trainer_class,
        "schedule": contract.schedule.to_json_dict(),
        "earlyStopping": contract.early_stopping.to_json_dict(),
        "seed": run.seed,
        "gpus": max(1, contract.gpus),
        "batchSize": int(network.batch_size),
        "patchSize": [int(size) for size in network.patch_size],
        "hyperparameters": {name: getattr(trainer, name, None) for name in _HYPERPARAMETERS},
    }


def facts(run: FoldRun, hash_: str) -> FoldProvenance:
    """Return what of the conditions the report tells."""
    import torch

    on_gpu = torch.cuda.is_available() and run.contract.device.value == "cuda"
    return FoldProvenance(
        seed=run.seed,
        device=torch.cuda.get_device_name(0) if on_gpu else platform.machine(),
        cuda_version=torch.version.cuda,
        torch_version=str(torch.__version__),
        nnunet_version=version("nnunetv2"),
        configuration_hash=hash_,
    )


def fix_conditions(run: FoldRun, stated: dict[str, Any]) -> None:
    """Write the conditions into the fold's folder, or see that they are those under which it began.

    Raises TrainerError with WRONG_CONFIGURATION for a fold with checkpoints whose conditions have changed: with another
    number of epochs, for example, the learning rate would jump.
    """
    path = run.folder / PROVENANCE_FILE
    earlier = _earlier_conditions(path)
    if any(run.folder.glob("checkpoint_*.pth")):
        # A newer version of the trainer may state more than the one that began.
        changed = sorted(key for key in stated.keys() & earlier.keys() if stated[key] != earlier[key])
        if changed:
            was = "; ".join(f"{key} was {json.dumps(earlier[key])}, is {json.dumps(stated[key])}" for key in changed)
            raise wrong_configuration(
                f"fold {run.name} began under other conditions ({was[:1500]}), and there are checkpoints. A training "
                "can't change its conditions on its way: create a new one"
            )
    run.provenance = facts(run, conditions_hash(stated))
    environment = {name: value for name, value in sorted(os.environ.items()) if name.startswith("nnUNet_")}
    content = {"conditions": stated, "environment": environment, **run.provenance.to_json_dict()}
    write_json(path, content)


def conditions_hash(stated: dict[str, Any]) -> str:
    """Return the SHA-256 of the conditions."""
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def _earlier_conditions(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)["conditions"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    return content if isinstance(content, dict) else {}
