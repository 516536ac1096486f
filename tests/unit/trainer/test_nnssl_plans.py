"""What a checkpoint of nnssl says of the network that it begins, and the plans that are made of it."""

from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.checked_plans import check_plans
from nnunet_trainer.dataset.nnssl_plans import read_adaptation, require_patches, word
from nnunet_trainer.process.failures import TrainerError
from tests.support.nnssl import adaptation_plan, tiny_arguments

UNET = "dynamic_network_architectures.architectures.unet."
USED = "pretrain_plan__configurations__onemmiso"
PLANNED: dict[str, Any] = {
    "dataset_name": "Dataset004_Hippocampus",
    "plans_name": "nnUNetPlans",
    "transpose_forward": [0, 1, 2],
    "configurations": {
        "2d": {"spacing": [0.5, 0.5]},
        "3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 3,
            "patch_size": [40, 56, 40],
            "median_image_size_in_voxels": [36, 50, 35],
            "spacing": [2.0, 0.5, 1.0],
            "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
            "use_mask_for_norm": [False, True],
            "architecture": {"network_class_name": UNET + "PlainConvUNet", "arch_kwargs": {}},
            "batch_dice": True,
        },
        "3d_lowres": {"spacing": [2.0, 2.0, 2.0], "next_stage": "3d_cascade_fullres"},
    },
}
"""As nnU-Net plans for a dataset, with less in it."""


def test_plans_are_nnunets_with_the_network_the_patches_and_the_spacing_of_the_pretraining() -> None:
    """As by nnUNetv2_preprocess_like_nnssl -am like_pretrained: what else nnU-Net has planned stays, batch size too."""
    adapted = read_adaptation(adaptation_plan()).adapted(PLANNED)
    check_plans(adapted, "plans")
    assert adapted["plans_name"] == "ptPlans" and adapted["transpose_forward"] == [0, 1, 2]
    assert list(adapted["configurations"]) == ["3d_fullres"], "no other is of this network"
    found = adapted["configurations"]["3d_fullres"]
    arguments = tiny_arguments() | {"kernel_sizes": [[3, 3, 3]] * 3}
    assert found == {
        "data_identifier": "ptPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 3,
        "patch_size": [16, 16, 16],
        "median_image_size_in_voxels": [72, 25, 35],
        "spacing": [1, 1, 1],
        "normalization_schemes": ["ZScoreNormalization", "ZScoreNormalization"],
        "use_mask_for_norm": [False, True],
        "architecture": {
            "network_class_name": UNET + "ResidualEncoderUNet",
            "arch_kwargs": arguments,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": True,
    }
    assert PLANNED["configurations"]["3d_fullres"]["patch_size"] == [40, 56, 40], "what nnU-Net planned is untouched"


@pytest.mark.parametrize(
    ("name", "arguments", "network", "stages"),
    [
        ("ResEncL", None, "ResidualEncoderUNet", 6),
        ("ResidualEncoderUNet", tiny_arguments(), "ResidualEncoderUNet", 3),
        (UNET + "ResidualEncoderUNet", tiny_arguments(), "ResidualEncoderUNet", 3),
        ("ResEncL", tiny_arguments(), "ResidualEncoderUNet", 6),
    ],
)
def test_networks_that_nnssl_names(name: str, arguments: Any, network: str, stages: int) -> None:
    plan = adaptation_plan(architecture_plans__arch_class_name=name, architecture_plans__arch_kwargs=arguments)
    found = read_adaptation(plan)
    check_plans(found.sketch(2), "plans")
    assert found.name == name and found.architecture["network_class_name"] == UNET + network
    assert found.architecture["arch_kwargs"]["n_stages"] == stages
    assert found.sketch(2)["configurations"]["3d_fullres"]["normalization_schemes"] == ["ZScoreNormalization"] * 2


class Saved:
    """An array, which nnssl saves as a tensor."""

    def tolist(self) -> list[float]:
        """Return its numbers."""
        return [0.5, 1.0, 1.0]


def test_numbers_in_any_form_that_nnssl_saves() -> None:
    found = read_adaptation(
        adaptation_plan(**{USED + "__spacing": Saved(), "recommended_downstream_patchsize": [32.0, 64, 96]})
    )
    assert (found.spacing, found.patch_size) == ([0.5, 1.0, 1.0], [32, 64, 96])


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("architecture_plans__arch_class_name", "PrimusM", "is 'PrimusM': networks that can begin are ResEncL"),
        ("architecture_plans__arch_class_name", "NoSkipResEncL", "networks without skip connections are not"),
        ("architecture_plans__arch_class_name", None, "arch_class_name of the checkpoint is missing"),
        ("architecture_plans__arch_class_name", "subprocess.Popen", "networks that can begin are"),
        ("architecture_plans__arch_kwargs", None, "arch_kwargs of the checkpoint is missing: give the arguments"),
        ("architecture_plans", None, r"nnssl_adaptation_plan\.architecture_plans of the checkpoint is missing"),
        ("architecture_plans__arch_kwargs__nonlin", object(), "is no plain data"),
        ("pretrain_plan", [1], r"pretrain_plan of the checkpoint is \[1\]"),
        ("pretrain_plan__configurations", {}, "pretrain_plan.configurations of the checkpoint is {}"),
        (USED, 3, "configurations.onemmiso of the checkpoint is 3"),
        (USED + "__spacing", [1, 1], "a spacing has three lengths"),
        (USED + "__spacing", [1, 1, 0], "a spacing has three lengths"),
        (USED + "__spacing", [1, 1, float("nan")], "a spacing has three lengths"),
        (USED + "__spacing", [1, 1, True], "a spacing has three lengths"),
        ("recommended_downstream_patchsize", None, "patchsize of the checkpoint is missing: a patch has three"),
        ("recommended_downstream_patchsize", [16, 16], "a patch has three lengths"),
        ("recommended_downstream_patchsize", [16, 16, 16.5], "a patch has three lengths"),
        ("recommended_downstream_patchsize", [16, 16, -16], "a patch has three lengths"),
        ("pretrain_num_input_channels", 0, "give the number of channels"),
        ("pretrain_num_input_channels", True, "give the number of channels"),
        ("key_to_encoder", None, r"key_to_encoder of the checkpoint is missing.*add_adaptation_plan"),
        ("key_to_stem", "", "key_to_stem of the checkpoint is ''"),
        ("key_to_stem", "a..b", "key_to_stem of the checkpoint is"),
        ("keys_to_in_proj", [], r"keys_to_in_proj of the checkpoint is \[\]"),
        ("keys_to_in_proj", "encoder", "keys_to_in_proj of the checkpoint is 'encoder'"),
    ],
)
def test_what_is_missing_or_of_no_use_is_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(TrainerError, match=words) as caught:
        read_adaptation(adaptation_plan(**{path: value}))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert caught.value.message.startswith("spec.initialWeights: nnssl_adaptation_plan")


def test_what_would_be_called_is_refused_as_in_all_plans() -> None:
    plan = adaptation_plan(architecture_plans__arch_kwargs__nonlin="subprocess.getoutput")
    with pytest.raises(TrainerError, match=r"nonlin is 'subprocess\.getoutput'"):
        check_plans(read_adaptation(plan).sketch(1), "plans")


def test_a_dataset_of_slices_is_refused() -> None:
    with pytest.raises(TrainerError, match="nnU-Net plans no 3d_fullres for this dataset"):
        read_adaptation(adaptation_plan()).adapted({**PLANNED, "configurations": {"2d": {}}})


@pytest.mark.parametrize("change", [{USED + "__spacing": None}, {USED + "__spacing_style": "noresample"}])
def test_a_pretraining_that_has_not_resampled_names_no_spacing(change: dict[str, Any]) -> None:
    """What the training gives itself counts; without it the spacing that nnU-Net has planned would count untold."""
    adaptation = read_adaptation(adaptation_plan(**change))
    settings = adaptation.sketch(1)["configurations"]["3d_fullres"]
    with pytest.raises(TrainerError, match=r"names no spacing: give planning\.configurations\.3d_fullres\.spacing"):
        require_patches(settings)
    require_patches(settings | {"spacing": [1, 1, 1]})
    assert adaptation.adapted(PLANNED)["configurations"]["3d_fullres"]["spacing"] == [2.0, 0.5, 1.0]


def test_patches_go_through_the_network() -> None:
    settings = read_adaptation(adaptation_plan()).sketch(1)["configurations"]["3d_fullres"]
    require_patches(settings | {"patch_size": [4, 8, 12]})
    with pytest.raises(TrainerError, match="makes 18 voxels of axis 1 smaller by 4: give a patch_size"):
        require_patches(settings | {"patch_size": [16, 18, 16]})


@pytest.mark.parametrize(
    ("said", "told"),
    [("BaseMAETrainer", "BaseMAETrainer"), ("a\n b", "a b"), ("x" * 999, "x" * 128), ("", None), (3, None)],
)
def test_what_a_checkpoint_says_of_itself_is_bounded(said: Any, told: str | None) -> None:
    assert word(said) == told
