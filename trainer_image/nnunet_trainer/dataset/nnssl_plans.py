"""Plans for weights that were pretrained with nnssl, from what its checkpoints say of themselves. No torch in here.

Read in nnssl (`AdaptationPlan`, which `AbstractBaseTrainer.save_checkpoint` writes) and in the branch of nnU-Net by
which its authors fine-tune, nnssl_finetuning_inclusion (`nnUNetv2_preprocess_like_nnssl`): nnU-Net plans as always; of
its 3d_fullres, network, patch size and spacing are replaced by those of the pretraining, and each channel is normalized
by its z-scores. nnU-Net 2.8.1 has none of that.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.initial_weights import LONGEST_WORD
from nnunet_api.plan_rules import IMPORTED_ARGUMENTS
from nnunet_trainer.process.failures import TrainerError, one_line, wrong_configuration

ADAPTATION = "nnssl_adaptation_plan"
"""Key in a checkpoint by which nnssl's form is known."""
CONFIGURATION = "3d_fullres"
"""The only configuration that there is with such weights."""
PLANS_NAME = "ptPlans"
"""How the plans are called: the first part of the name that nnssl's authors give them."""
_NORMALIZATION = "ZScoreNormalization"
_NETWORKS = "dynamic_network_architectures.architectures.unet."
_BY_NAME, _BY_ARGUMENTS = "ResEncL", "ResidualEncoderUNet"
_RES_ENC_L: dict[str, Any] = {
    "n_stages": 6,
    "features_per_stage": [32, 64, 128, 256, 320, 320],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3]] * 6,
    "strides": [[1, 1, 1], *[[2, 2, 2]] * 5],
    "n_blocks_per_stage": [1, 3, 4, 6, 6, 6],
    "n_conv_per_stage_decoder": [1] * 5,
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
"""The network that nnssl calls ResEncL: a name in its checkpoints, and not written out; what is, is not looked at."""
_KEY = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*"
_SAVED_ANEW = (
    "Was it written by nnssl? Its checkpoints hold that; one from before there were adaptation plans gets one by "
    "nnssl's utilities/add_adaptation_plan.py"
)
_OWN_SPACING = f"give planning.configurations.{CONFIGURATION}.spacing"


@dataclass(frozen=True)
class Adaptation:
    """How the encoder of a pretraining begins a network of nnU-Net."""

    name: str
    """What nnssl calls the network."""
    architecture: dict[str, Any]
    """The network in the form of nnU-Net's plans."""
    patch_size: list[int]
    """Voxels of a patch, as the pretraining recommends them."""
    spacing: list[float] | None
    """Millimetres of a voxel; None where the pretraining has not resampled."""
    channels: int
    """Channels of the images of the pretraining."""
    encoder: str
    """In the names of weights: where the encoder begins."""
    stem: str
    """The same of its first layers."""
    first_layers: tuple[str, ...]
    """Names of the layer that takes the channels; it may have several."""
    dataset: str | None
    """Dataset of the pretraining."""

    def sketch(self, channels: int) -> dict[str, Any]:
        """Return plans without what depends on the images, to look at the network before anything is planned."""
        settings = self._settings([_NORMALIZATION] * channels)
        return {
            "plans_name": PLANS_NAME,
            "label_manager": "LabelManager",
            "configurations": {CONFIGURATION: settings},
        }

    def adapted(self, plans: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plans that nnU-Net has made, for this network.

        Raises TrainerError with WRONG_CONFIGURATION where nnU-Net plans no network for volumes.
        """
        planned = plans["configurations"].get(CONFIGURATION)
        if planned is None:
            raise wrong_configuration(
                f"spec.initialWeights: the weights are of a network for volumes, and nnU-Net plans no {CONFIGURATION} "
                "for this dataset, whose images are slices. Leave initialWeights out"
            )
        settings = {**planned, **self._settings([_NORMALIZATION] * len(planned["normalization_schemes"]))}
        before, after = planned["spacing"], settings["spacing"]
        settings["median_image_size_in_voxels"] = [
            voxels * old / new
            for voxels, old, new in zip(planned["median_image_size_in_voxels"], before, after, strict=True)
        ]
        return {**plans, "plans_name": PLANS_NAME, "configurations": {CONFIGURATION: settings}}

    def _settings(self, normalization: list[str]) -> dict[str, Any]:
        return {
            "data_identifier": f"{PLANS_NAME}_{CONFIGURATION}",
            "preprocessor_name": "DefaultPreprocessor",
            "patch_size": self.patch_size,
            **({"spacing": self.spacing} if self.spacing else {}),
            "normalization_schemes": normalization,
            "architecture": self.architecture,
        }


def read_adaptation(content: Any) -> Adaptation:
    """Return what stands under `ADAPTATION` in a checkpoint, whoever wrote it.

    What the network is made of is not judged here, but as all plans are (`check_plans`).

    Raises TrainerError with WRONG_CONFIGURATION for what is missing or of no use.
    """
    try:
        plan = json.loads(json.dumps(content, default=_numbers))
    except (TypeError, ValueError, RecursionError) as error:
        raise wrong_configuration(
            f"spec.initialWeights: {ADAPTATION} of the checkpoint is no plain data ({one_line(str(error))[:200]}). "
            f"{_SAVED_ANEW}"
        ) from error
    architecture = _object(plan, "", "architecture_plans")
    pretraining = _object(plan, "", "pretrain_plan")
    configurations = _object(pretraining, "pretrain_plan.", "configurations")
    if not configurations:
        raise _fault("pretrain_plan.configurations", configurations, _SAVED_ANEW)
    # nnssl keeps the one that it has trained with, and its authors' own reader takes the first.
    name, used = next(iter(configurations.items()))
    network = architecture.get("arch_class_name")
    return Adaptation(
        name=str(network)[:LONGEST_WORD],
        architecture=_architecture(network, architecture.get("arch_kwargs")),
        patch_size=_patch_size(plan.get("recommended_downstream_patchsize")),
        spacing=_spacing(f"pretrain_plan.configurations.{name}", used),
        channels=_channels(plan.get("pretrain_num_input_channels")),
        encoder=_key(plan, "key_to_encoder"),
        stem=_key(plan, "key_to_stem"),
        first_layers=_keys(plan.get("keys_to_in_proj")),
        dataset=word(pretraining.get("dataset_name")),
    )


def word(value: Any) -> str | None:
    """Return what a checkpoint says of itself, cut to a bounded length; None for anything but text."""
    return one_line(value)[:LONGEST_WORD] or None if isinstance(value, str) else None


def require_patches(settings: Mapping[str, Any]) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where a configuration has no spacing, or patches that do not fit.

    nnU-Net's planner lets patches be divided by what the network halves them; here somebody else has chosen them.
    """
    if settings.get("spacing") is None:
        raise wrong_configuration(
            "spec.initialWeights: the pretraining has not resampled its images, so the checkpoint names no spacing: "
            f"{_OWN_SPACING}, or define a configuration that inherits from {CONFIGURATION} and has one"
        )
    strides = settings["architecture"]["arch_kwargs"].get("strides")
    for axis, length in enumerate(settings["patch_size"]):
        try:
            factor = math.prod(stride if isinstance(stride, int) else stride[axis] for stride in strides)
        except (TypeError, IndexError):
            continue  # building the network says what is wrong with it
        if length % factor:
            raise wrong_configuration(
                f"spec.initialWeights: patches of {' x '.join(map(str, settings['patch_size']))} voxels do not go "
                f"through the network, which makes {length} voxels of axis {axis} smaller by {factor}: give a "
                f"patch_size in planning.configurations.{CONFIGURATION} of multiples of {factor}"
            )


def _architecture(name: Any, arguments: Any) -> dict[str, Any]:
    short = name.removeprefix(_NETWORKS) if isinstance(name, str) else ""
    if short == _BY_NAME:
        arguments = _RES_ENC_L
    elif short != _BY_ARGUMENTS:
        raise _fault(
            "architecture_plans.arch_class_name",
            name,
            f"networks that can begin are {_BY_NAME} and {_BY_ARGUMENTS}. nnU-Net 2.8.1 has nothing that takes over "
            "weights of others: transformers (Primus) need their positional embedding fitted to the patch, networks "
            "without skip connections are not nnU-Net's, and of plain U-Nets nnssl can't write the arguments. Use a "
            "checkpoint of ResEncL",
        )
    elif not isinstance(arguments, dict):
        raise _fault("architecture_plans.arch_kwargs", arguments, f"give the arguments of {short}. {_SAVED_ANEW}")
    return {
        "network_class_name": _NETWORKS + _BY_ARGUMENTS,
        "arch_kwargs": dict(arguments),
        "_kw_requires_import": [argument for argument in IMPORTED_ARGUMENTS if argument in arguments],
    }


def _patch_size(value: Any) -> list[int]:
    lengths = [int(one) if isinstance(one, float) and one.is_integer() else one for one in _sequence(value)]
    if len(lengths) != 3 or not all(type(one) is int and 0 < one <= 4096 for one in lengths):
        raise _fault("recommended_downstream_patchsize", value, f"a patch has three lengths in voxels. {_SAVED_ANEW}")
    return lengths


def _spacing(path: str, used: Any) -> list[float] | None:
    if not isinstance(used, Mapping):
        raise _fault(path, used, _SAVED_ANEW)
    value = used.get("spacing")
    if value is None or used.get("spacing_style") == "noresample":
        return None
    lengths = _sequence(value)
    if len(lengths) != 3 or not all(type(one) in (int, float) and 0 < one < math.inf for one in lengths):
        raise _fault(f"{path}.spacing", value, f"a spacing has three lengths in millimetres. {_SAVED_ANEW}")
    return [float(one) for one in lengths]


def _channels(value: Any) -> int:
    if type(value) is not int or not 0 < value <= 1024:
        raise _fault("pretrain_num_input_channels", value, f"give the number of channels. {_SAVED_ANEW}")
    return value


def _key(plan: Mapping[str, Any], field: str) -> str:
    value = plan.get(field)
    if not (isinstance(value, str) and re.fullmatch(_KEY, value)):
        raise _fault(field, value, f"give where in network_weights it lies, such as encoder.stages. {_SAVED_ANEW}")
    return value


def _keys(value: Any) -> tuple[str, ...]:
    names = _sequence(value)
    if not names or not all(isinstance(one, str) and re.fullmatch(_KEY, one) for one in names):
        raise _fault("keys_to_in_proj", value, f"give the names of the layer that takes the channels. {_SAVED_ANEW}")
    return tuple(names)


def _object(content: Any, path: str, field: str) -> Mapping[str, Any]:
    value = content.get(field) if isinstance(content, Mapping) else None
    if not isinstance(value, Mapping):
        raise _fault(f"{path}{field}", value, _SAVED_ANEW)
    return value


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _numbers(value: Any) -> Any:
    """Return an array or a tensor as a list: nnssl makes tensors of arrays that it saves."""
    if callable(listed := getattr(value, "tolist", None)):
        return listed()
    raise TypeError(f"{type(value).__name__} is none")


def _fault(path: str, value: Any, remedy: str) -> TrainerError:
    told = "missing" if value is None else one_line(repr(value))[:100]
    return wrong_configuration(f"spec.initialWeights: {ADAPTATION}.{path} of the checkpoint is {told}: {remedy}")
