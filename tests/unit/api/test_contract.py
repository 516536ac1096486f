"""What the operator tells the trainer is read by images that are older than the operator."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from nnunet_api.contract import RunContract, contract_for
from nnunet_api.policy.status import AppliedPolicies
from nnunet_api.training import NnunetTrainingSpec

MINIMAL: dict[str, Any] = {
    "configuration": "3d_fullres",
    "dataset": "Dataset004_Hippocampus",
    "device": "cuda",
    "folds": ["0", "1", "2", "3", "4"],
    "name": "hippo",
    "namespace": "clinic",
    "planning": {},
    "processes": 8,
    "schedule": {},
    "trainerClass": "nnUNetTrainer",
    "uid": "0123456789",
}
"""The contract of the smallest training in the first release: there are images that know no other keys."""

DEFAULTS: dict[str, Any] = {
    "planning": {"planner": "ExperimentPlanner", "gpuMemoryTargetGB": None, "configurations": {}},
    "schedule": {
        "epochs": 1000,
        "iterationsPerEpoch": 250,
        "validationIterationsPerEpoch": 50,
        "initialLearningRate": None,
        "learningRatePolicy": None,
        "warmupEpochs": 50,
    },
    "earlyStopping": {
        "mode": "Disabled",
        "patienceEpochs": 100,
        "minDelta": 0.001,
        "minEpochs": 250,
        "annealEpochs": 50,
    },
    "evaluation": {"bestCheckpoint": False, "surfaceToleranceMm": 1.0},
    "testSet": None,
    "seed": None,
    "replicates": 1,
    "gpus": 1,
    "policy": None,
}
"""What those images take where the contract says nothing."""


def contract(**spec: Any) -> RunContract:
    made = NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset004_Hippocampus"}, **spec})
    return contract_for(made, "clinic", "hippo", "0123456789", 8)


def test_an_older_image_can_read_the_contract_of_a_training_that_uses_nothing_new() -> None:
    """A new field has to have a default, which is then left out."""
    assert json.loads(contract().to_text()) == MINIMAL


@pytest.mark.parametrize("spec", [{"configuration": "2d"}, {"configurations": ["2d"]}])
def test_an_older_image_is_told_of_one_configuration_as_ever(spec: dict[str, Any]) -> None:
    assert json.loads(contract(**spec).to_text()) == {**MINIMAL, "configuration": "2d"}


def test_several_configurations_are_no_older_images() -> None:
    """It refuses a key that it does not know, and would otherwise train one of them for all."""
    told = contract(configurations=["2d", "3d_lowres", "3d_fullres"], skipUnavailableConfigurations=True)
    assert json.loads(told.to_text()).keys() - MINIMAL.keys() == {"configurations", "skipUnavailableConfigurations"}
    left = told.model_copy(update={"left_out_configurations": ["3d_lowres"]})
    assert left.has_several and left.configuration_names == ["2d", "3d_fullres"]
    assert [key.name for one in left.by_configuration for key in one.fold_keys_of(1)[:1]] == ["2d-0", "3d_fullres-0"]


def test_an_older_image_takes_the_same_defaults() -> None:
    """A default never changes: what the operator leaves out an image takes from its own copy."""
    stated = contract().model_dump(mode="json", by_alias=True)
    assert _known(stated, DEFAULTS) == DEFAULTS
    assert _known(
        contract(testSet={}).model_dump(mode="json", by_alias=True), {"testSet": {"images": "", "labels": ""}}
    )["testSet"] == {"images": "imagesTs", "labels": "labelsTs"}


def _known(stated: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    """Return of what is stated only the keys that there were."""
    return {
        key: _known(stated[key], value) if isinstance(value, dict) and value else stated[key]
        for key, value in keys.items()
    }


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"testSet": {}}, id="a test set under nnU-Net's names"),
        pytest.param(
            {"splits": {"groupBy": "patient", "seed": 1}, "evaluation": {"subgroups": ["site"]}}, id="splits of its own"
        ),
        pytest.param({"replicates": 3, "trainer": {"seed": 0}, "resources": {"gpus": 0}}, id="zeros"),
        pytest.param(
            {"schedule": {"epochs": 5}, "earlyStopping": {"mode": "Stop", "minDelta": 0}}, id="parts of parts"
        ),
        pytest.param({"planning": {"configurations": {"a": {"patch_size": None, "b": {}}}}}, id="a user's null"),
        pytest.param({"trainOnAllCases": True, "folds": []}, id="all cases"),
    ],
)
def test_nothing_is_lost_on_the_way(spec: dict[str, Any]) -> None:
    assert RunContract.model_validate_json(contract(**spec).to_text()) == contract(**spec)


def test_the_policies_are_told_in_full() -> None:
    stated = {
        "decidedAt": "2026-01-02T03:04:05Z",
        "minEpochs": 600,
        "decisions": [{"policy": "clinical", "generation": 3, "mode": "Enforce", "outcome": "Allowed"}],
    }
    told = contract().model_copy(update={"policy": AppliedPolicies.model_validate(stated)})
    assert json.loads(told.to_text())["policy"] == stated


def test_a_field_that_comes_new_is_told_only_where_it_is_used() -> None:
    class Inner(BaseModel):
        old: int
        new: str | None = None

    class Newer(RunContract):
        inner: Inner = Inner(old=1)
        extra: bool = False

    base = contract().model_dump()
    assert json.loads(Newer.model_validate(base).to_text()) == MINIMAL
    used = Newer.model_validate(base | {"inner": {"old": 2}, "extra": True})
    assert json.loads(used.to_text()) == MINIMAL | {"inner": {"old": 2}, "extra": True}
