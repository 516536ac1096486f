"""Weights to begin with: whether they fit, the plans that come with them, and how they get into a network.

Loading is nnU-Net's own (`load_pretrained_weights`), and so is taking over the plans; but for what a checkpoint brings
along beside numbers, of which nothing is run.
"""

import hashlib
import inspect
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.initial_weights import (
    MAX_NOT_TAKEN,
    WEIGHTS_ENV,
    WEIGHTS_FILE,
    WEIGHTS_FOLDER,
    InitialWeightsFacts,
    WeightsSource,
)
from nnunet_api.training import DEFAULT_PLANNER
from nnunet_trainer.dataset.checked_plans import check_plans
from nnunet_trainer.dataset.configurations import must_be_usable, with_configurations
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import RawDataset
from nnunet_trainer.dataset.seen_cases import SeenCases, read_seen
from nnunet_trainer.process.failures import TrainerError, may_be_damage, one_line, wrong_configuration
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import RunPaths
from nnunet_trainer.run.restricted import load_restricted, only_restricted_loads

log = logging.getLogger(__name__)

_HEADS = ".seg_layers."
"""In the names of the layers that give the segmentation: nnU-Net never takes them over (load_pretrained_weights)."""
_PLACEHOLDER = "Dataset000_InitialWeights"
"""Dataset of which the plans are, for nnU-Net's function: the name in the checkpoint is somebody else's word."""
_SHOWN = 3
_REMEDY = (
    "Begin with a training whose images have as many channels and whose network is the same, name its configuration, "
    "or leave initialWeights out"
)


@dataclass(frozen=True)
class Weights:
    """Weights that fit, and what came with them."""

    facts: InitialWeightsFacts
    plans: dict[str, Any]
    """nnU-Net's plans of the training that they are from."""
    seen: SeenCases | None
    """The cases that they have seen; None where that is not known."""
    description: Path
    """dataset.json of the dataset that is trained on."""

    @property
    def plans_hash(self) -> str:
        """SHA-256 of the plans."""
        return hashlib.sha256(json.dumps(self.plans, sort_keys=True).encode()).hexdigest()

    def take_over_plans(self, dataset: str, preprocessed: Path) -> str:
        """Let nnU-Net write the plans for a dataset under nnUNet_preprocessed; return their name."""
        from nnunetv2.experiment_planning.plans_for_pretraining.move_plans_between_datasets import (
            move_plans_between_datasets,
        )

        name = str(self.plans["plans_name"])
        # As planning does, which this takes the place of.
        shutil.copyfile(self.description, preprocessed / dataset / "dataset.json")
        source = preprocessed / _PLACEHOLDER
        source.mkdir(exist_ok=True)
        write_json(source / f"{name}.json", self.plans)
        move_plans_between_datasets(_PLACEHOLDER, dataset, name)
        shutil.rmtree(source)
        return name


def checkpoint_of(paths: RunPaths) -> Path:
    """Return where the operator's own image has put the checkpoint."""
    return paths.run / WEIGHTS_FOLDER / WEIGHTS_FILE


def examine(contract: RunContract, paths: RunPaths, dataset: RawDataset, trainer: Any) -> Weights | None:
    """Return the weights that a training begins with, None for random ones.

    Raises TrainerError with WRONG_CONFIGURATION for what is no checkpoint of nnU-Net, or of another network.
    """
    if contract.initial_weights is None:
        return None
    if contract.planning.planner != DEFAULT_PLANNER or contract.planning.gpu_memory_target_gb is not None:
        raise wrong_configuration(
            "the plans come with spec.initialWeights: leave planning.planner and planning.gpuMemoryTargetGB out"
        )
    path = checkpoint_of(paths)
    try:
        paths.own_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise wrong_configuration(f"{path} is missing, which is copied before planning: {_gone()}") from error
    digest = file_hash(path)
    plans, weights, epochs = _read(path)
    check_plans(plans, "the plans in the checkpoint of spec.initialWeights")
    merged = with_configurations(plans, contract.planning.configurations)
    if contract.configuration not in merged["configurations"]:
        raise wrong_configuration(
            f"configuration {contract.configuration} is not in the plans of spec.initialWeights, which have "
            f"{', '.join(sorted(merged['configurations']))[:500]}. Name one of them, or define it under "
            "planning.configurations"
        )
    network = _shapes_of_network(contract, dataset, trainer, merged)
    heads = _require_fit(network, {name: tuple(value.shape) for name, value in weights.items()})
    _require_finite(weights)
    log.info("%d layers begin with these weights; at random: %s", len(network) - len(heads), ", ".join(heads))
    seen = read_seen(path.parent)
    known = _source(contract, paths, digest).model_dump()
    facts = InitialWeightsFacts.model_validate(
        {
            **known,
            "sha256": digest,
            "epochs_in_checkpoint": epochs,
            "not_taken": [name[:256] for name in heads[:MAX_NOT_TAKEN]],
            "known_cases": seen is not None,
        }
    )
    return Weights(facts, plans, seen, dataset.folder / "dataset.json")


def load(trainer: Any, paths: RunPaths, plan: PlanFacts) -> None:
    """Put the weights into the network of a trainer that has no checkpoint to go on from.

    Raises TrainerError with CHECKPOINT_UNUSABLE where the file is not the one that planning has looked at.
    """
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    if plan.initial_weights is None:
        raise wrong_configuration(f"planning has found no initial weights: {_gone()}")
    if not trainer.was_initialized:
        trainer.initialize()
    path = checkpoint_of(paths)
    if not path.is_file():
        raise wrong_configuration(f"{path} is missing: {_gone()}")
    with only_restricted_loads({path: plan.initial_weights.sha256}, "Delete the training and create it anew"):
        load_pretrained_weights(trainer.network, str(path))
    log.info("begins with the weights of %s (SHA-256 %s)", path, plan.initial_weights.sha256)


def _gone() -> str:
    return "was the folder of the run changed? Delete the training and create it anew"


def _source(contract: RunContract, paths: RunPaths, digest: str) -> WeightsSource:
    """Return what is known of where the checkpoint is from: by the operator, or by planning before."""
    if told := os.environ.get(WEIGHTS_ENV):
        return WeightsSource.model_validate_json(told)
    try:
        earlier = PlanFacts.model_validate(read_json(paths.plan_result)).initial_weights
    except (FileNotFoundError, ValueError):
        earlier = None
    if earlier is None:
        raise wrong_configuration(f"where the initial weights are from is not known any more: {_gone()}")
    if earlier.sha256 != digest:
        raise wrong_configuration(f"the copy of the initial weights was replaced since planning: {_gone()}")
    return earlier


def _read(path: Path) -> tuple[dict[str, Any], Mapping[str, Any], int | None]:
    """Return plans, weights and finished epochs in a checkpoint, of which nothing is run."""
    try:
        content = load_restricted(path)
        plans, weights = content["init_args"]["plans"], content["network_weights"]
        epochs = content.get("current_epoch")
        json.dumps(plans)
        if not (isinstance(plans, dict) and isinstance(plans.get("plans_name"), str)):
            raise ValueError("it has no plans with a name")
        if not (isinstance(weights, Mapping) and weights):
            raise ValueError("it has no weights")
        if strange := [name for name, value in weights.items() if not isinstance(value, torch.Tensor)]:
            raise ValueError(f"{strange[0]} is no tensor")
    except Exception as error:
        if isinstance(error, TrainerError) or not may_be_damage(error):
            raise
        raise wrong_configuration(
            f"spec.initialWeights: the file is no checkpoint of nnU-Net v2 ({one_line(str(error))[:300]}). Give "
            "checkpoint_final.pth of one of its trainings"
        ) from error
    return plans, weights, epochs if type(epochs) is int else None


def _shapes_of_network(
    contract: RunContract, dataset: RawDataset, trainer: Any, plans: dict[str, Any]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of all weights of the network that will be trained, as the trainer class builds it."""
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    found = manager.get_configuration(contract.configuration)
    build = trainer.build_network_architecture
    with must_be_usable(f"configuration {contract.configuration} of spec.initialWeights"):
        channels = determine_num_input_channels(manager, found, dataset.description)
        heads = manager.get_label_manager(dataset.description).num_segmentation_heads
        if "plans_manager" in inspect.signature(build).parameters:
            network = build(manager, found, channels, heads, True)
        else:
            name, arguments = found.network_arch_class_name, found.network_arch_init_kwargs
            network = build(name, arguments, found.network_arch_init_kwargs_req_import, channels, heads, True)
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def _require_fit(network: Mapping[str, Sequence[int]], weights: Mapping[str, Sequence[int]]) -> list[str]:
    """Return the layers that begin at random. Raises TrainerError where others are not there, or of another shape."""
    wanted = {name: shape for name, shape in network.items() if _HEADS not in name}
    wrong = [f"{name} is missing" for name in wanted if name not in weights]
    wrong += [
        f"{name} has {_shape(weights[name])} in place of {_shape(shape)}"
        for name, shape in wanted.items()
        if name in weights and tuple(weights[name]) != tuple(shape)
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise wrong_configuration(
            f"spec.initialWeights: the weights do not fit the network: {', '.join(wrong[:_SHOWN])}{more}. {_REMEDY}"
        )
    return sorted(name for name in network if _HEADS in name)


def _shape(lengths: Sequence[int]) -> str:
    return "x".join(map(str, lengths)) or "one number"


def _require_finite(weights: Mapping[str, torch.Tensor]) -> None:
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise wrong_configuration(f"spec.initialWeights: {name} holds what is no finite number. {_REMEDY}")
