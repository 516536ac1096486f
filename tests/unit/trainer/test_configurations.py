"""Configurations that a training brings, merged into nnU-Net's plans."""

from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.configurations import normalizes_by_names, unavailable, with_configurations, without
from nnunet_trainer.process.failures import TrainerError
from tests.support.made_contracts import contract

PLANS = {"plans_name": "nnUNetPlans", "configurations": {"3d_fullres": {"batch_size": 2}}}


def test_whole_numbers_are_integers_whichever_client_sent_them() -> None:
    """kubectl sends 4 for 4.0 and 64 for 6.4e1; with floats nnU-Net fails when it makes a batch, on a GPU."""
    sent = {"inherits_from": "2d", "batch_size": 4.0, "patch_size": [64.0, 6.4e1], "spacing": [1.0, 1.5]}
    made = with_configurations({"plans_name": "p", "configurations": {"2d": {}}}, {"a": sent})["configurations"]["a"]
    assert repr({key: made[key] for key in ("batch_size", "patch_size", "spacing")}) == (
        "{'batch_size': 4, 'patch_size': [64, 64], 'spacing': [1, 1.5]}"
    )


def test_nulls_that_kubectl_apply_dropped_come_back() -> None:
    """nnU-Net looks up what _kw_requires_import names; kubectl apply never sends `dropout_op: null`."""
    sent = {
        "inherits_from": "3d_fullres",
        "architecture": {
            "arch_kwargs": {"conv_op": "torch.nn.Conv3d"},
            "_kw_requires_import": ["conv_op", "dropout_op"],
        },
    }
    merged = with_configurations(PLANS, {"tiny": sent})["configurations"]["tiny"]
    assert merged["architecture"]["arch_kwargs"] == {"conv_op": "torch.nn.Conv3d", "dropout_op": None}
    assert merged["architecture"]["_kw_requires_import"] == ["conv_op", "dropout_op"]


def asked(*names: str, skip: bool = False) -> Any:
    several = {"configurations": list(names)} if len(names) > 1 else {}
    return contract(configuration=names[0], skipUnavailableConfigurations=skip, **several)


@pytest.mark.parametrize(
    ("names", "skip", "expected"),
    [
        (("3d_fullres",), False, []),
        (("3d_lowres", "3d_fullres"), True, ["3d_lowres"]),
        (("3d_fullres", "3d_lowres", "3d_tiny"), True, ["3d_lowres", "3d_tiny"]),
    ],
)
def test_what_nnunet_does_not_plan_is_left_out(names: tuple[str, ...], skip: bool, expected: list[str]) -> None:
    left_out = unavailable(asked(*names, skip=skip), PLANS)
    assert left_out == expected
    left = without(asked(*names, skip=skip), left_out)
    assert (left.configuration, left.configuration_names) == ("3d_fullres", ["3d_fullres"])


@pytest.mark.parametrize(
    ("names", "skip", "words"),
    [
        (
            ("2d",),
            False,
            "configuration 2d is not in the plans for Dataset004_Hippocampus, which have 3d_fullres. Corr",
        ),
        (("2d",), True, "which have 3d_fullres. Correct configurations, or define them"),
        (("2d", "3d_fullres"), False, "3d_fullres. To train the others alone, set skipUnavailableConfigurations: true"),
        (("2d", "3d_lowres"), True, "configurations 2d, 3d_lowres are not in the plans for"),
        (("2d", "3d_lowres"), True, "so that none is left to train"),
    ],
)
def test_a_training_says_what_nnunet_planned(names: tuple[str, ...], skip: bool, words: str) -> None:
    with pytest.raises(TrainerError) as caught:
        unavailable(asked(*names, skip=skip), PLANS)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION and words in caught.value.message


@pytest.mark.parametrize(
    ("changes", "by_names"),
    [
        ({}, True),
        ({"planning": {"planner": "nnUNetPlannerResEncL", "configurations": {"2d": {"batch_size": 4}}}}, True),
        ({"planning": {"planner": "OurPlanner"}}, False),
        ({"planning": {"configurations": {"2d": {"normalization_schemes": ["NoNormalization"]}}}}, False),
        ({"planning": {"configurations": {"2d": {"preprocessor_name": "OurPreprocessor"}}}}, False),
        ({"initialWeights": {"training": {"name": "base", "fold": "0"}}}, False),
    ],
    ids=str,
)
def test_whether_channels_are_normalized_as_they_are_called(changes: dict[str, Any], by_names: bool) -> None:
    """nnU-Net's planner goes by names; settings, planners and plans of others need not."""
    assert normalizes_by_names(contract(**changes)) is by_names
