"""The models refuse what the CRD refuses, and read what it accepts."""

from typing import Any

import pytest
from pydantic import ValidationError

from nnunet_api.contract import contract_for
from nnunet_api.folders import run_folder
from nnunet_api.resources import Resources
from nnunet_api.schedule import STANDARD_EPOCHS
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import NnunetTrainingSpec


def spec(**changes: Any) -> dict[str, Any]:
    return {"dataset": {"name": "Dataset004_Hippocampus"}, **changes}


def test_the_smallest_training_is_nnunets_standard() -> None:
    parsed = NnunetTrainingSpec.model_validate(spec())
    assert parsed.schedule.epochs == STANDARD_EPOCHS == 1000
    assert (parsed.schedule.iterations_per_epoch, parsed.schedule.initial_learning_rate) == (250, None)
    assert parsed.fold_names == ["0", "1", "2", "3", "4"]
    assert parsed.trainer.class_name == "nnUNetTrainer"
    assert parsed.configuration_names == ["3d_fullres"]
    assert parsed.resources.of("3d_fullres") is parsed.resources


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"dataset": {"name": "Hippocampus"}}, "dataset.name"),
        ({"dataset": {"name": "Dataset004_Hippocampus", "claim": "x"}}, "dataset.claim"),
        ({"schedule": {"epochs": 0}}, "schedule.epochs"),
        ({"schedule": {"initialLearningRate": 0}}, "schedule.initialLearningRate"),
        ({"folds": [50]}, "folds.0"),
        ({"resources": {"memory": "lots"}}, "resources.memory"),
        ({"resources": {"cpu": -1}}, "resources.cpu"),
        ({"resources": {"cpu": True}}, "resources.cpu"),
        ({"configuration": "3d fullres"}, "configuration"),
        ({"trainer": {"className": "a.b"}}, "trainer.className"),
        ({"maxParallelFolds": 0}, "maxParallelFolds"),
        ({"maxParallelFolds": 51}, "maxParallelFolds"),
        ({"sparkles": True}, "sparkles"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        NnunetTrainingSpec.model_validate(spec(**changes))
    assert field in {".".join(str(part) for part in error["loc"]) for error in caught.value.errors()}


def test_quantities_may_be_plain_numbers() -> None:
    assert NnunetTrainingSpec.model_validate(spec(resources={"cpu": 8})).resources.cpu == "8"


def test_all_cases_is_nnunets_fold_all() -> None:
    assert NnunetTrainingSpec.model_validate(spec(trainOnAllCases=True, folds=[])).fold_names == ["all"]


def test_a_status_of_a_newer_operator_is_read() -> None:
    status = NnunetTrainingStatus.model_validate({"phase": "Training", "somethingNew": {"a": 1}})
    assert status.phase == "Training"


def test_status_survives_a_round_trip() -> None:
    stored = {
        "phase": "Training",
        "conditions": [
            {
                "type": "Complete",
                "status": "False",
                "reason": "NotComplete",
                "message": "",
                "lastTransitionTime": "2026-01-02T03:04:05Z",
            }
        ],
        "folds": [
            {
                "fold": "0",
                "phase": "Running",
                "epoch": 3,
                "epochsTarget": 10,
                "attempts": 1,
                "lostEpochs": 0,
                "stallRestarts": 0,
            }
        ],
    }
    again = NnunetTrainingStatus.model_validate(stored).to_json_dict()
    assert again["conditions"] == stored["conditions"]
    assert again["folds"] == stored["folds"]


def test_a_new_training_of_the_same_name_gets_a_folder_of_its_own() -> None:
    assert run_folder("ns", "hippo", "0123456789") == "ns/hippo-01234567"
    assert run_folder("ns", "hippo", "0123456789") != run_folder("ns", "hippo", "9876543210")
    longest = [run_folder("ns", f"{'x' * 252}{tail}", "0123456789") for tail in "ab"]
    assert len(set(longest)) == 2 and max(len(path.split("/")[1]) for path in longest) <= 255


def test_the_contract_carries_what_the_trainer_needs() -> None:
    parsed = NnunetTrainingSpec.model_validate(spec(folds=[2], schedule={"epochs": 300}))
    contract = contract_for(parsed, "ns", "hippo", "0123456789", processes=3)
    assert contract.folds == ["2"]
    assert contract.schedule.epochs == 300
    assert contract.run_folder == "ns/hippo-01234567"
    assert type(contract).model_validate_json(contract.model_dump_json(by_alias=True)) == contract


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, ["3d_fullres"]),
        ({"configuration": "2d"}, ["2d"]),  # as a former operator stored it
        ({"configurations": ["2d"]}, ["2d"]),
        ({"configurations": ["3d_lowres", "2d"]}, ["3d_lowres", "2d"]),
    ],
)
def test_one_place_says_what_is_trained(spec: dict[str, Any], names: list[str]) -> None:
    parsed = NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset001_A"}, "folds": [0], **spec})
    assert parsed.configuration_names == names
    assert [key.of_several for key in parsed.fold_keys] == [len(names) > 1] * len(names)


def test_resources_may_differ_by_configuration() -> None:
    own = {"2d": {"cpu": 16, "memory": "8Gi"}}
    parsed = Resources.model_validate({"memory": "64Gi", "cpuLimit": 16, "configurations": own})
    found = parsed.of("2d")
    assert (found.cpu, found.memory, found.cpu_limit, found.gpus) == ("16", "8Gi", "16", 1)
    assert parsed.of("3d_fullres") is parsed
