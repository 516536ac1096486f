"""Networks of three stages that a CPU trains in no time, as configurations for `spec.planning.configurations`."""

from collections.abc import Sequence
from typing import Any


def small_network(
    inherits_from: str, patch_size: Sequence[int], features: Sequence[int], convolutions: int = 1, batch_size: int = 2
) -> dict[str, Any]:
    """Return a configuration with a plain U-Net of 2 or 3 dimensions, as many as the patch has.

    Deep supervision needs three stages: with two, nnU-Net's weights for it are 0/0. `features` are those of each stage,
    `convolutions` how many each stage has.
    """
    dimensions, stages = len(patch_size), len(features)
    return {
        "inherits_from": inherits_from,
        "patch_size": list(patch_size),
        "batch_size": batch_size,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": stages,
                "features_per_stage": list(features),
                "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
                "kernel_sizes": [[3] * dimensions] * stages,
                "strides": [[1] * dimensions, *[[2] * dimensions] * (stages - 1)],
                "n_conv_per_stage": [convolutions] * stages,
                "n_conv_per_stage_decoder": [convolutions] * (stages - 1),
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
                "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
