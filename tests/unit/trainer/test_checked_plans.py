"""Plans are checked before anything of nnU-Net is built from them."""

from pathlib import Path
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.checked_plans import check_plans, read_checked_plans
from nnunet_trainer.dataset.configurations import with_configurations
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from tests.support.networks import small_network
from tests.unit.api.test_plan_rules import changed

NETWORK = small_network("3d_fullres", [16, 16, 16], [4, 8, 8])
PLANS: dict[str, Any] = {
    "dataset_name": "Dataset004_Hippocampus",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "label_manager": "LabelManager",
    "experiment_planner_used": "nnUNetPlannerResEncM",
    "configurations": {"3d_fullres": {"data_identifier": "nnUNetPlans_3d_fullres", "batch_size": 2}, "3d": NETWORK},
}


def test_plans_of_nnunet_pass() -> None:
    check_plans(PLANS, "plans")


def test_a_file_that_somebody_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    write_json(path, PLANS)
    assert read_checked_plans(path) == PLANS
    forged = changed("architecture.arch_kwargs.nonlin", "subprocess.getoutput", NETWORK)
    write_json(path, {**PLANS, "configurations": {"3d": forged}})
    with pytest.raises(TrainerError) as caught:
        read_checked_plans(path)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    for word in (str(path), "configurations.3d.architecture.arch_kwargs.nonlin", "'subprocess.getoutput'", "torch.nn"):
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"data_identifier": "/nnunet/results/ns/victim"}, "planning.configurations.mine.data_identifier"),
        ({"data_identifier": "nnUNetPlans_3d_fullres"}, "leave it out"),
        (changed("architecture.arch_kwargs.nonlin", "os.system", NETWORK), "mine.architecture.arch_kwargs.nonlin"),
        ({"architecture": {"arch_kwargs": {}, "_kw_requires_import": "conv_op"}}, "_kw_requires_import"),
    ],
    ids=["path", "name", "code", "no list"],
)
def test_configurations_of_the_training_are_refused_before_they_are_merged(settings: Any, where: str) -> None:
    with pytest.raises(TrainerError, match=where) as caught:
        with_configurations(PLANS, {"mine": settings})
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_what_a_planner_wrote_is_checked_too() -> None:
    plans = {**PLANS, "configurations": {"2d": {"data_identifier": "../../other"}}}
    with pytest.raises(TrainerError, match=r"configurations\.2d\.data_identifier is '\.\./\.\./other'"):
        with_configurations(plans, {})


def test_each_configuration_of_the_training_has_data_of_its_own() -> None:
    extra = {"big": {"inherits_from": "3d_fullres"}, "bigger": {"inherits_from": "big"}, "3d_fullres": {}}
    found = with_configurations(PLANS, extra)["configurations"]
    assert {name: found[name]["data_identifier"] for name in extra} == {
        "big": "nnUNetPlans_big",
        "bigger": "nnUNetPlans_bigger",
        "3d_fullres": "nnUNetPlans_3d_fullres",
    }
