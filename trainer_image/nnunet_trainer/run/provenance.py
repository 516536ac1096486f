"""The conditions under which a fold is trained: kept in its folder, and the same for all of its attempts."""

import hashlib
import json
import logging
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nnunet_api.contract import IMAGE_DIGEST_ENV, IMAGE_ENV, PROVENANCE_FILE, PlanFacts
from nnunet_api.facts import FoldProvenance
from nnunet_trainer.process.failures import wrong_configuration
from nnunet_trainer.process.files import read_json, to_json
from nnunet_trainer.process.installed import nnunet_version, torch_version
from nnunet_trainer.run.fold_run import FoldRun

log = logging.getLogger(__name__)

MAX_SOFTWARE = 50
"""Changes of the software that a fold's folder tells of: the first one, and the newest."""
_SOFTWARE = ("image", "imageDigest", "nnunetVersion", "torchVersion", "cudaVersion", "device", "torchCompile")
"""What a part of the training ran with, by the keys of provenance.json."""
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
        **({"previousStage": contract.previous_stage, "learntFrom": run.learnt_from} if run.learnt_from else {}),
        "trainerClass": contract.trainer_class,
        "schedule": contract.schedule.to_json_dict(),
        "earlyStopping": contract.early_stopping.to_json_dict(),
        "seed": run.seed,
        "gpus": max(1, contract.gpus),
        "batchSize": int(network.batch_size),
        "patchSize": [int(size) for size in network.patch_size],
        **({"initialWeightsHash": plan.initial_weights.sha256} if plan.initial_weights else {}),
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
        torch_version=torch_version(),
        torch_compile=run.torch_compile,
        data_read_from=run.data_read_from,
        nnunet_version=nnunet_version(),
        configuration_hash=hash_,
    )


def fix_conditions(run: FoldRun, stated: dict[str, Any]) -> None:
    """Write the conditions into the fold's folder, or see that they are those under which it began.

    Raises TrainerError with WRONG_CONFIGURATION for a fold with checkpoints whose conditions have changed: with another
    number of epochs, for example, the learning rate would jump.
    """
    path = run.folder / PROVENANCE_FILE
    before = _content(path)
    earlier = _object(before.get("conditions"))
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
    content = {"conditions": stated, "environment": environment, **_image(), **run.provenance.to_json_dict()}
    run.fence.write(path, to_json({**content, "software": _software(before, content)}))


def tell_data_read_from(run: FoldRun, where: str | None) -> None:
    """Say, from now on, where nnU-Net reads from: in the fold's folder, and in what is published next."""
    if run.provenance is None or run.data_read_from == where:
        return
    run.data_read_from = where
    run.provenance = run.provenance.model_copy(update={"data_read_from": where})
    path = run.folder / PROVENANCE_FILE
    run.fence.write(path, to_json({**_content(path), **run.provenance.to_json_dict()}))


def _image() -> dict[str, str]:
    """Return the image as the operator has told it: a container can't see its own."""
    names = {"image": IMAGE_ENV, "imageDigest": IMAGE_DIGEST_ENV}
    return {key: value for key, name in names.items() if (value := os.environ.get(name))}


def _software(before: dict[str, Any], content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return with what the fold was trained, in order: an entry for each attempt that found something else."""
    kept = before.get("software")
    # One from before there was a list: what it says at the top is its first entry.
    known = [entry for entry in kept if isinstance(entry, dict)] if isinstance(kept, list) else [_told(before)]
    known = [entry for entry in known if _told(entry)]
    now = _told(content)
    if known and _told(known[-1]) == now:
        return known
    if known:
        was = _told(known[-1])
        # What only one of them knows may be the same.
        changed = [f"{key} was {was[key]}, is {now[key]}" for key in was.keys() & now.keys() if was[key] != now[key]]
        if changed:
            log.warning("this fold goes on with other software: %s", "; ".join(sorted(changed)))
    known.append({"since": datetime.now(UTC).isoformat(timespec="seconds"), **now})
    return known if len(known) <= MAX_SOFTWARE else [known[0], *known[1 - MAX_SOFTWARE :]]


def _told(content: dict[str, Any]) -> dict[str, Any]:
    return {key: content[key] for key in _SOFTWARE if content.get(key) is not None}


def conditions_hash(stated: dict[str, Any]) -> str:
    """Return the SHA-256 of the conditions."""
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()


def _content(path: Path) -> dict[str, Any]:
    try:
        return _object(read_json(path))
    except (FileNotFoundError, ValueError):
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
