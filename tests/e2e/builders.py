"""Small trainings for the tests: real nnU-Net, a tiny network, few iterations, on the CPU."""

from typing import Any

TINY_NETWORK: dict[str, Any] = {
    "inherits_from": "3d_fullres",
    "batch_size": 2,
    "patch_size": [32, 32, 32],
    "architecture": {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 8, 16],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3], [3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
            "n_conv_per_stage": [1, 1, 1],
            "n_conv_per_stage_decoder": [1, 1],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    },
}

DATASET = "Dataset501_MNI"


def training(name: str, namespace: str, epochs: int = 2, iterations: int = 2, **spec: Any) -> dict[str, Any]:
    """Return an NnunetTraining of fold 0 on the tiny network; `spec` replaces whole fields of the spec."""
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "dataset": {"name": DATASET},
            "planning": {"configurations": {"3d_tiny": TINY_NETWORK}},
            "configuration": "3d_tiny",
            "folds": [0],
            "schedule": {
                "epochs": epochs,
                "iterationsPerEpoch": iterations,
                "validationIterationsPerEpoch": 1,
            },
            "trainer": {"device": "cpu"},
            "resources": {
                "gpus": 1,
                "cpu": "200m",
                "memory": "2Gi",
                "sharedMemory": "512Mi",
                "preprocessing": {"cpu": "200m", "memory": "2Gi"},
            },
            **spec,
        },
    }
