"""The training's own configurations in nnU-Net's plans; findings of the verification."""

from typing import Any

import pytest

from nnunet_operator.api.exit_codes import ExitCode
from nnunet_trainer.failures import TrainerError
from nnunet_trainer.integrity import findings
from nnunet_trainer.plan import with_configurations

PLANS: dict[str, Any] = {
    "plans_name": "nnUNetPlans",
    "configurations": {"2d": {"batch_size": 12}, "3d_fullres": {"batch_size": 2, "patch_size": [64, 64, 64]}},
}


def test_a_new_configuration_and_a_changed_one() -> None:
    extra: dict[str, dict[str, Any]] = {
        "big": {"inherits_from": "3d_fullres", "batch_size": 4},
        "2d": {"batch_size": 6},
    }
    merged = with_configurations(PLANS, extra)
    assert merged["configurations"] == {
        "2d": {"batch_size": 6},
        "3d_fullres": {"batch_size": 2, "patch_size": [64, 64, 64]},
        "big": {"inherits_from": "3d_fullres", "batch_size": 4},
    }
    assert PLANS["configurations"]["2d"] == {"batch_size": 12}, "the argument must not change"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"a": {"inherits_from": "3d_fulres"}}, "inherits_from 3d_fulres is not in the plans.*2d, 3d_fullres"),
        ({"a": {"inherits_from": "a"}}, "a -> a"),
        ({"a": {"inherits_from": "b"}, "b": {"inherits_from": "a"}}, "a -> b -> a"),
    ],
)
def test_inheritance_that_leads_nowhere(extra: dict[str, dict[str, Any]], words: str) -> None:
    with pytest.raises(TrainerError, match=words) as caught:
        with_configurations(PLANS, extra)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_findings_of_the_verification() -> None:
    text = (
        "Using <class> as reader/writer\n"
        "Error: Unexpected labels found in file /raw/labelsTr/a.nii.gz.\nExpected: [0, 1]\nFound: [0 7]\n"
        "Error: Shape mismatch between segmentation and corresponding images. \nShape images: (1, 2). \n\n"
        "other lines\n"
    )
    found = findings(text)
    assert "a.nii.gz. Expected: [0, 1] Found: [0 7]; Error: Shape mismatch" in found
    assert "other" not in found
    assert "and 2 more in the log" in findings(text.replace("other", "\n" + "Error: x\n\n" * 3))
