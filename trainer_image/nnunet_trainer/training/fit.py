"""Whether weights fit the network that will begin with them."""

from collections.abc import Mapping, Sequence

import torch

from nnunet_trainer.process.failures import wrong_configuration

REMEDY = (
    "Begin with a training whose images have as many channels and whose network is the same, name its configuration, "
    "or leave initialWeights out"
)
_SHOWN = 3


def require_fit(
    wanted: Mapping[str, Sequence[int]], weights: Mapping[str, Sequence[int]], remedy: str = REMEDY
) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where a layer is not there, or of another shape."""
    wrong = [f"{name} is missing" for name in wanted if name not in weights]
    wrong += [
        f"{name} has {_shape(weights[name])} in place of {_shape(shape)}"
        for name, shape in wanted.items()
        if name in weights and tuple(weights[name]) != tuple(shape)
    ]
    refuse(wrong, remedy)


def refuse(wrong: Sequence[str], remedy: str = REMEDY) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for what does not fit, of which the first few are named."""
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise wrong_configuration(
            f"spec.initialWeights: the weights do not fit the network: {', '.join(wrong[:_SHOWN])}{more}. {remedy}"
        )


def require_finite(weights: Mapping[str, torch.Tensor], remedy: str = REMEDY) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for weights that are no finite numbers."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise wrong_configuration(f"spec.initialWeights: {name} holds what is no finite number. {remedy}")


def shapes_of(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of weights by their names."""
    return {name: tuple(value.shape) for name, value in weights.items()}


def _shape(lengths: Sequence[int]) -> str:
    return "x".join(map(str, lengths)) or "one number"
