"""Which variables no training may set."""

import pytest

from nnunet_api.environment import is_refused


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
