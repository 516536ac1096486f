"""Checkpoints in the form in which nnssl saves them, of a network that a CPU trains in no time.

Keys and structure are those of nnssl's `AdaptationPlan.serialize` and `AbstractBaseTrainer.save_checkpoint`.
"""

from collections.abc import Sequence
from typing import Any

STAGES = 3
FEATURES = (4, 8, 8)


def tiny_arguments(features: Sequence[int] = FEATURES) -> dict[str, Any]:
    """Return the arguments of a small residual encoder U-Net, as `DynamicArchitecturePlans` has them."""
    stages = len(features)
    return {
        "n_stages": stages,
        "features_per_stage": list(features),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [(3, 3, 3)] * stages,
        "strides": [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)],
        "n_blocks_per_stage": [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.modules.activation.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def adaptation_plan(**changes: Any) -> dict[str, Any]:
    """Return a serialized `AdaptationPlan`, with other values at the paths that `changes` names with __ for dots."""
    plan: dict[str, Any] = {
        "architecture_plans": {
            "arch_class_name": "ResidualEncoderUNet",
            "arch_kwargs": tiny_arguments(),
            "arch_kwargs_requiring_import": ["conv_op", "norm_op", "nonlin"],
        },
        "pretrain_plan": {
            "dataset_name": "Dataset745_OpenMind",
            "plans_name": "nnsslPlans",
            "original_median_spacing_after_transp": [1, 1, 1],
            "image_reader_writer": "NibabelIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "configurations": {
                "onemmiso": {
                    "data_identifier": "nnsslPlans_onemmiso",
                    "preprocessor_name": "DefaultPreprocessor",
                    "spacing_style": "onemmiso",
                    "normalization_schemes": ["ZScoreNormalization"],
                    "use_mask_for_norm": [False],
                    "resampling_fn_data": "resample_data_or_seg_to_shape",
                    "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
                    "resampling_fn_mask": "resample_data_or_seg_to_shape",
                    "resampling_fn_mask_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
                    "spacing": [1, 1, 1],
                    "patch_size": (160, 160, 160),
                }
            },
            "experiment_planner_used": "ExperimentPlanner",
        },
        "pretrain_num_input_channels": 1,
        "recommended_downstream_patchsize": (16, 16, 16),
        "key_to_encoder": "encoder.stages",
        "key_to_stem": "encoder.stem",
        "keys_to_in_proj": ("encoder.stem.convs.0.conv", "encoder.stem.convs.0.all_modules.0"),
        "key_to_lpe": None,
    }
    for path, value in changes.items():
        *folders, name = path.split("__")
        inner = plan
        for folder in folders:
            inner = inner[folder]
        inner[name] = value
    return plan


def checkpoint(weights: Any, plan: dict[str, Any], device: Any = "cuda") -> dict[str, Any]:
    """Return what `save_checkpoint` saves of a network with these weights; `device` is a `torch.device` there."""
    return {
        "network_weights": weights,
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01, "momentum": 0.99, "params": [0]}]},
        "grad_scaler_state": None,
        "logging": {"train_losses": [0.5, 0.25], "val_losses": [0.5, 0.25], "lrs": [0.01, 0.005]},
        "_best_ema": None,
        "current_epoch": 1000,
        "init_args": {
            "plan": plan["pretrain_plan"],
            "configuration_name": "onemmiso",
            "fold": "all",
            "pretrain_json": {"collection_name": "OpenMind", "datasets": {}},
            "device": device,
        },
        "trainer_name": "BaseMAETrainer_BS8",
        "nnssl_adaptation_plan": plan,
    }
