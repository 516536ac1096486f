"""Which variables no training may set."""

import pytest

from nnunet_api.environment import is_refused, value_fault


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("LD_PRELOAD", True),
        ("LD_AUDIT", True),
        ("PYTHONPATH", True),
        ("PYTHONWARNINGS", True),
        ("BROWSER", True),
        ("PATH", True),
        ("HOME", True),
        ("BASH_ENV", True),
        ("MPLBACKEND", True),
        ("ITK_AUTOLOAD_PATH", True),
        ("NVIDIA_VISIBLE_DEVICES", True),
        ("NCCL_NET_PLUGIN", True),
        ("NCCL_DEBUG", False),
        ("RDMAV_DRIVERS", True),
        ("nnUNet_results", True),
        ("NNUNET_RUN_PROVEN", True),
        ("PYTORCH_ALLOC_CONF", False),
        ("NVIDIA_TF32_OVERRIDE", False),
        ("CUDA_VISIBLE_DEVICES", False),
        ("nnUNet_extTrainer", False),
        ("MY_PATH", False),
        ("HOMES", False),
    ],
)
def test_what_leads_to_other_code_is_refused(name: str, refused: bool) -> None:
    assert is_refused(name) is refused


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("nnUNet_n_proc_DA", "auto", "nnUNet_n_proc_DA is 'auto', must be a whole number"),
        ("nnUNet_n_proc_DA", "", "must be a whole number"),
        ("nnUNet_n_proc_DA", "-1", "must be a whole number"),
        ("nnUNet_n_proc_DA", "8\n", "must be a whole number"),
        ("nnUNet_n_proc_DA", "0", ""),
        ("nnUNet_n_proc_DA", "28", ""),
        ("nnUNet_def_n_proc", "0", "from 1"),
        ("nnUNet_def_n_proc", "4", ""),
        ("nnUNet_compile", "yes", "must be true or false"),
        ("nnUNet_compile", "on", "must be true or false"),
        ("nnUNet_compile", "f", ""),
        ("nnUNet_compile", "TRUE", ""),
        ("nnUNet_wandb_enabled", "yes", "must be 0 or 1"),
        ("OURS", "yes", ""),
    ],
)
def test_values_that_nnunet_can_not_read_are_named(name: str, value: str, said: str) -> None:
    fault = value_fault(name, value)
    assert said in fault and bool(said) == bool(fault)
