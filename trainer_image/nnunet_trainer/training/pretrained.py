"""The encoder of a pretraining with nnssl, put into a network of nnU-Net.

As nnssl's authors do when they fine-tune (`PretrainedTrainer.load_pretrained_weights`, in a branch of nnU-Net): encoder
and stem are taken over whole, what comes after them begins at random. Where the pretraining had images of one channel
and there are several, the first layer is repeated for each of them and divided by their number.
"""

from collections.abc import Mapping
from typing import Any

import torch

from nnunet_trainer.dataset.nnssl_plans import Adaptation
from nnunet_trainer.process.failures import TrainerError, wrong_configuration
from nnunet_trainer.training.fit import refuse, require_finite, require_fit, shapes_of

_REMEDY = (
    "Give no architecture and no trainer class with a network of its own, take another checkpoint of nnssl, or leave "
    "initialWeights out"
)
_KEYS = ("key_to_encoder", "key_to_stem")


def begin_with(network: Any, adaptation: Adaptation, weights: Mapping[str, torch.Tensor], channels: int) -> list[str]:
    """Put the encoder into a network for images of so many channels; return the names of what was put there.

    A layer that has several names counts once.

    Raises TrainerError with WRONG_CONFIGURATION where it does not fit, before anything is put there.
    """
    weights = _for_channels(adaptation, weights, channels)
    parts = {}
    for key, theirs in zip(_KEYS, (adaptation.encoder, adaptation.stem), strict=True):
        own = getattr(network, key, None)
        if not isinstance(own, str):
            raise wrong_configuration(
                f"spec.initialWeights: the network that {type(network).__name__} is does not say where its encoder "
                f"lies ({key}), as those of dynamic_network_architectures do. {_REMEDY}"
            )
        parts[own] = _part(weights, theirs, key)
    for own, part in parts.items():
        wanted = network.get_submodule(own).state_dict()
        named = {f"{own}.{name}": value for name, value in part.items()}
        require_fit({f"{own}.{name}": tuple(value.shape) for name, value in wanted.items()}, shapes_of(named), _REMEDY)
        refuse([f"{name} is not in it" for name in named if name.removeprefix(f"{own}.") not in wanted], _REMEDY)
        require_finite(named, _REMEDY)
    for own, part in parts.items():
        network.get_submodule(own).load_state_dict(part)
    for own, part in parts.items():
        _require_put(network.get_submodule(own), part, own)
    return [name for name, _ in network.named_parameters() if name.startswith(tuple(f"{own}." for own in parts))]


def at_random(network: Any, taken: list[str]) -> list[str]:
    """Return the parts of a network that begin at random, as the first two parts of the names of their layers."""
    begun = set(taken)
    return sorted({".".join(name.split(".")[:2]) for name, _ in network.named_parameters() if name not in begun})


def is_repeated(adaptation: Adaptation, channels: int) -> bool:
    """Tell whether the first layer is repeated for the channels of the images."""
    return channels != adaptation.channels


def _for_channels(
    adaptation: Adaptation, weights: Mapping[str, torch.Tensor], channels: int
) -> Mapping[str, torch.Tensor]:
    """Return the weights with a first layer that takes as many channels as the images have."""
    if not is_repeated(adaptation, channels):
        return weights
    if adaptation.channels != 1:
        raise wrong_configuration(
            f"spec.initialWeights: the pretraining had images of {adaptation.channels} channels, and the dataset's "
            f"have {channels}. Only a first layer of one channel can be repeated for several. Use a checkpoint that "
            f"was pretrained with 1 or {channels}, or leave initialWeights out"
        )
    names = [f"{name}.weight" for name in adaptation.first_layers]
    if missing := [name for name in names if name not in weights or weights[name].ndim < 2]:
        raise wrong_configuration(
            f"spec.initialWeights: {missing[0]}, by keys_to_in_proj the layer that takes the channels, is no layer in "
            f"the checkpoint. {_REMEDY}"
        )
    first = weights[names[0]]
    for name in names:
        if not torch.equal(weights[name], first):
            raise _two_values(name)
    repeated = first.repeat(1, channels, *[1] * (first.ndim - 2)) / channels
    return {**weights, **dict.fromkeys(names, repeated)}


def _part(weights: Mapping[str, torch.Tensor], theirs: str, key: str) -> dict[str, torch.Tensor]:
    """Return the weights below a name, by what comes after it."""
    prefix = f"{theirs}."
    part = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    if not part:
        raise wrong_configuration(
            f"spec.initialWeights: by {key} layers lie under {theirs}, and the checkpoint has none there. {_REMEDY}"
        )
    return part


def _require_put(module: Any, part: Mapping[str, torch.Tensor], own: str) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where a layer has other numbers than it was given.

    Some layers have two names: which of two values they would get is the order in which torch puts them there.
    """
    for name, value in module.state_dict().items():
        if not torch.equal(value, part[name].to(value)):
            raise _two_values(f"{own}.{name}")


def _two_values(name: str) -> TrainerError:
    return wrong_configuration(
        f"spec.initialWeights: {name} has two names in the network, and different numbers under each in the "
        f"checkpoint. {_REMEDY}"
    )
