"""Ways around the policies by the training itself, and what stops each."""

import json

import pytest

from tests.integration.policy.bypass import stopped_by_admission, stopped_by_rbac, stopped_by_schema
from tests.integration.policy.support import (
    APPLY,
    MERGE,
    Answer,
    Gate,
)
from tests.support.builders import training


def raw(gate: Gate, namespace: str, spec: str, as_: str = "erin") -> Answer:
    """Create a training from text, which may say what no parser would write."""
    metadata = json.dumps({"name": "raw", "namespace": namespace})
    head = '"apiVersion":"nnunet.dev/v1alpha1","kind":"NnunetTraining"'
    text = f'{{{head},"metadata":{metadata},"spec":{{"dataset":{{"name":"Dataset001_A"}},{spec}}}}}'
    return gate.ask("POST", gate.client.path("nnunettrainings", namespace), text, as_)


@pytest.mark.parametrize("query", ["", "?dryRun=All", "?fieldValidation=Ignore"])
def test_create_is_stopped_by_admission(gate: Gate, clinical: str, query: str) -> None:
    path = gate.client.path("nnunettrainings", clinical) + query
    stopped_by_admission(gate.ask("POST", path, training(clinical), "erin"), "nnunet-policy-enforce")


def test_a_generated_name_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    body = training(clinical)
    body["metadata"] = {"generateName": "hippo", "namespace": clinical}
    stopped_by_admission(gate.create(body, "erin"), "nnunet-policy-enforce")


def test_server_side_apply_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    answer = gate.ask("PATCH", gate.path(clinical) + "?fieldManager=x", training(clinical), "erin", APPLY)
    stopped_by_admission(answer, "nnunet-policy-enforce")


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ("1e3", "must be written as a whole number"),
        ("2000.0", "must be written as a whole number"),
        ("2e400", ""),
        ('"2000"', "must be of type integer"),
        ("1e30", "less than or equal to 100000"),
        ("99999999999999999999999", ""),
        ("-5", "greater than or equal to 1"),
        ("true", "spec.schedule.epochs in body must be"),
        ("[2000]", "must be of type integer"),
    ],
)
def test_epochs_that_are_no_number_of_epochs_are_stopped_by_schema(
    gate: Gate, clinical: str, epochs: str, words: str
) -> None:
    stopped_by_schema(raw(gate, clinical, f'"trainer":{{"seed":1}},"schedule":{{"epochs":{epochs}}}'), words)


@pytest.mark.parametrize(
    "spec",
    [
        '"schedule":{"epochs":null}',
        '"schedule":null',
        '"schedule":{}',
        '"trainer":null,"schedule":{"epochs":2000}',
        '"trainer":{"seed":null},"schedule":{"epochs":2000}',
        '"schedule":null,"earlyStopping":null,"trainer":null,"resources":null,"folds":null,"suspend":null',
        '"schedule":{"epochs":2000},"schedule":{"epochs":10},"trainer":{"seed":1}',
        '"schedule":{"epochs":2000,"epochs":10},"trainer":{"seed":1}',
        '"suspend":true,"schedule":{"epochs":10}',
    ],
)
def test_null_missing_and_double_blocks_are_stopped_by_admission(gate: Gate, clinical: str, spec: str) -> None:
    """Null is the default, of two the last counts: what is judged is what would be stored."""
    stopped_by_admission(raw(gate, clinical, spec), "nnunet-policy-enforce")


def test_shortening_later_is_stopped_by_schema(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    assert gate.create(good, "erin", dry_run=False).ok
    for patch, words in (
        ({"schedule": {"epochs": 10}}, "schedule can't change"),
        ({"schedule": None}, "schedule can't change"),
        ({"earlyStopping": {"mode": "Stop", "minEpochs": 1}}, "earlyStopping can't change"),
        ({"trainer": {"seed": None}}, "trainer can't change"),
    ):
        stopped_by_schema(gate.ask("PATCH", gate.path(clinical), {"spec": patch}, "erin", MERGE), words)


def test_writing_the_status_is_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    lie = {"status": {"phase": "Completed"}}
    created = gate.create(good | lie, "erin", dry_run=False)
    assert created.ok
    assert "status" not in created.body, "it is dropped from what is created"
    through = gate.ask("PATCH", gate.path(clinical), lie, "erin", MERGE)
    assert "status" not in through.body, "and from what is changed"
    stopped_by_rbac(
        gate.ask("PATCH", f"{gate.path(clinical)}/status", lie, "erin", MERGE), "patch", "nnunettrainings/status"
    )


def test_defining_anything_under_an_allowed_name_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    """1000 epochs of such a configuration cost as little as 40 of the real one, and keep every other rule."""
    gate.write("house", namespaces=[clinical], rules={"allowedConfigurations": ["3d_fullres", "mine"]})
    tiny = {"patch_size": [16, 16, 16]}
    for configuration, own in (
        ("3d_fullres", {"3d_fullres": tiny}),
        ("mine", {"mine": {"inherits_from": "3d_fullres", **tiny}}),
        ("3d_fullres", {"3d_fullres": {"inherits_from": "2d"}, "2d": tiny}),
    ):
        body = training(clinical, configuration=configuration, planning={"configurations": own})
        answer = gate.create(body, "erin")
        stopped_by_admission(answer, "nnunet-policy-enforce")
        assert f"spec.planning.configurations sets {min(own)}" in answer.message
    assert gate.create(training(clinical, planning={"configurations": {}}), "erin").ok
