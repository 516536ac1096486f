"""Weights to begin with: whether they fit, the plans that come with them, and how they get into a network.

Loading is nnU-Net's own (`load_pretrained_weights`), and so is taking over the plans; but for what a checkpoint brings
along beside numbers, of which nothing is run. What nnssl has pretrained is another form, which nnU-Net does not know:
`pretrained`, `nnssl_plans`.
"""

import hashlib
import inspect
import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.initial_weights import (
    MAX_NOT_TAKEN,
    NNSSL,
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
from nnunet_trainer.dataset.nnssl_plans import ADAPTATION, Adaptation, read_adaptation, require_patches, word
from nnunet_trainer.dataset.raw import RawDataset
from nnunet_trainer.dataset.seen_cases import SeenCases, read_seen
from nnunet_trainer.process.failures import TrainerError, may_be_damage, one_line, wrong_configuration
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import RunPaths
from nnunet_trainer.run.restricted import load_restricted, only_restricted_loads
from nnunet_trainer.training import pretrained
from nnunet_trainer.training.fit import require_finite, require_fit, shapes_of

log = logging.getLogger(__name__)

_HEADS = ".seg_layers."
"""In the names of the layers that give the segmentation: nnU-Net never takes them over (load_pretrained_weights)."""
_PLACEHOLDER = "Dataset000_InitialWeights"
"""Dataset of which the plans are, for nnU-Net's function: the name in the checkpoint is somebody else's word."""


@dataclass(frozen=True)
class Weights:
    """Weights that fit, and what came with them."""

    facts: InitialWeightsFacts
    plans: dict[str, Any]
    """nnU-Net's plans of the training that they are from; of a pretraining, as much as it says of plans."""
    seen: SeenCases | None
    """The cases that they have seen; None where that is not known."""
    description: Path
    """dataset.json of the dataset that is trained on."""
    adaptation: Adaptation | None = None
    """How a pretraining with nnssl begins a network; None for weights with whole plans."""
    notes: list[str] = field(default_factory=list)
    """What is to be told of them."""

    @property
    def plans_hash(self) -> str:
        """SHA-256 of the plans."""
        return hashlib.sha256(json.dumps(self.plans, sort_keys=True).encode()).hexdigest()

    @property
    def bring_plans(self) -> bool:
        """Whether nothing is to be planned, as whole plans come with them."""
        return self.adaptation is None

    def adapt_plans(self, planned: Path) -> str:
        """Write plans beside those that nnU-Net has made, for the network of the pretraining; return their name."""
        assert self.adaptation is not None, "whole plans are taken over"
        plans = self.adaptation.adapted(read_json(planned))
        check_plans(plans, f"the plans by {ADAPTATION} of spec.initialWeights")
        name = str(plans["plans_name"])
        write_json(planned.with_name(f"{name}.json"), plans)
        return name

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
    content, weights = _read(path)
    adaptation = read_adaptation(content[ADAPTATION]) if ADAPTATION in content else None
    plans = adaptation.sketch(dataset.channels) if adaptation else content["init_args"]["plans"]
    check_plans(plans, "the plans in the checkpoint of spec.initialWeights")
    merged = with_configurations(plans, contract.planning.configurations)
    if contract.configuration not in merged["configurations"]:
        raise wrong_configuration(
            f"configuration {contract.configuration} is not in the plans of spec.initialWeights, which have "
            f"{', '.join(sorted(merged['configurations']))[:500]}. Name one of them, or define it under "
            "planning.configurations"
        )
    network, channels = _network(contract, dataset, trainer, merged, adaptation)
    if adaptation:
        taken = pretrained.begin_with(network, adaptation, weights, channels)
        random = pretrained.at_random(network, taken)
    else:
        taken, random = _require_all_fit(network, weights)
    log.info("%d layers begin with these weights; at random: %s", len(taken), ", ".join(random))
    seen = read_seen(path.parent)
    epochs = content.get("current_epoch")
    facts = InitialWeightsFacts.model_validate(
        {
            **_source(contract, paths, digest).model_dump(),
            **(_said_of_pretraining(content, adaptation) if adaptation else {}),
            "sha256": digest,
            "epochs_in_checkpoint": epochs if type(epochs) is int else None,
            "not_taken": [name[:256] for name in random[:MAX_NOT_TAKEN]],
            "known_cases": seen is not None,
        }
    )
    notes = _notes(adaptation, channels) if adaptation else []
    return Weights(facts, plans, seen, dataset.folder / "dataset.json", adaptation, notes)


def load(trainer: Any, paths: RunPaths, plan: PlanFacts) -> None:
    """Put the weights into the network of a trainer that has no checkpoint to go on from.

    Raises TrainerError with CHECKPOINT_UNUSABLE where the file is not the one that planning has looked at.
    """
    if plan.initial_weights is None:
        raise wrong_configuration(f"planning has found no initial weights: {_gone()}")
    if not trainer.was_initialized:
        trainer.initialize()
    path = checkpoint_of(paths)
    if not path.is_file():
        raise wrong_configuration(f"{path} is missing: {_gone()}")
    with only_restricted_loads({path: plan.initial_weights.sha256}, "Delete the training and create it anew") as read:
        if plan.initial_weights.form == NNSSL:
            _load_pretrained(trainer, read(path))
        else:
            _load_own(trainer, path)
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


def _load_own(trainer: Any, path: Path) -> None:
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    load_pretrained_weights(trainer.network, str(path))


def _load_pretrained(trainer: Any, content: Mapping[str, Any]) -> None:
    network = trainer.network
    for wrapped_in in ("module", "_orig_mod"):  # by several GPUs, by torch.compile
        network = getattr(network, wrapped_in, network)
    channels = trainer.num_input_channels
    pretrained.begin_with(network, read_adaptation(content[ADAPTATION]), content["network_weights"], channels)


def _said_of_pretraining(content: Mapping[str, Any], adaptation: Adaptation) -> dict[str, Any]:
    """Return what a checkpoint of nnssl says of where it is from."""
    method = word(content.get("trainer_name"))
    names = {"architecture": adaptation.name, "pretrained_by": method, "pretrained_on": adaptation.dataset}
    return {"form": NNSSL, **names}


def _notes(adaptation: Adaptation, channels: int) -> list[str]:
    if not pretrained.is_repeated(adaptation, channels):
        return []
    return [f"the initial weights are of images of one channel: their first layer is repeated for each of {channels}"]


def _read(path: Path) -> tuple[Mapping[str, Any], Mapping[str, torch.Tensor]]:
    """Return what is in a checkpoint, of which nothing is run, and its weights."""
    try:
        content = load_restricted(path)
        weights = content["network_weights"]
        if ADAPTATION not in content:
            plans = content["init_args"]["plans"]
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
            f"spec.initialWeights: the file is no checkpoint of nnU-Net v2 or nnssl ({one_line(str(error))[:300]}). "
            f"Give checkpoint_final.pth of one of their trainings; one of nnssl has {ADAPTATION} in it, which nnssl's "
            "utilities/add_adaptation_plan.py adds to older ones"
        ) from error
    return content, weights


def _require_all_fit(network: Any, weights: Mapping[str, torch.Tensor]) -> tuple[list[str], list[str]]:
    """Return which layers of a network nnU-Net takes over, and which begin at random."""
    wanted = shapes_of(network.state_dict())
    taken = [name for name in wanted if _HEADS not in name]
    require_fit({name: wanted[name] for name in taken}, shapes_of(weights))
    require_finite(weights)
    return taken, sorted(wanted.keys() - set(taken))


def _network(
    contract: RunContract, dataset: RawDataset, trainer: Any, plans: dict[str, Any], adaptation: Adaptation | None
) -> tuple[Any, int]:
    """Return the network that will be trained, as the trainer class builds it, and how many channels it takes."""
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(plans)
    found = manager.get_configuration(contract.configuration)
    build = trainer.build_network_architecture
    with must_be_usable(f"configuration {contract.configuration} of spec.initialWeights"):
        if adaptation:
            require_patches(found.configuration)
        channels = determine_num_input_channels(manager, found, dataset.description)
        heads = manager.get_label_manager(dataset.description).num_segmentation_heads
        if "plans_manager" in inspect.signature(build).parameters:
            network = build(manager, found, channels, heads, True)
        else:
            name, arguments = found.network_arch_class_name, found.network_arch_init_kwargs
            network = build(name, arguments, found.network_arch_init_kwargs_req_import, channels, heads, True)
    return network, channels
