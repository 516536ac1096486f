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
from tests.support.api import Object
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


def test_counting_looks_back_is_stopped_by_rbac_and_admission(gate: Gate, clinical: str) -> None:
    """By who edits the namespace, and by who may write all kinds of the group, as roles with resources: ["*"] say."""
    path = gate.client.path("nnunettestsets", clinical)
    metadata = {"name": "sha256-7", "namespace": clinical}
    body = {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTestSet",
        "metadata": metadata,
        "spec": {"imagesHash": "7" * 64},
    }
    stopped_by_rbac(gate.ask("POST", path, body, "erin"), "create", "nnunettestsets")
    assert gate.ask("POST", path, body).ok
    counted = {"status": {"total": 7}}
    assert gate.ask("PATCH", f"{path}/sha256-7/status", counted, type_=MERGE).ok
    back = {"status": {"total": 1}}
    stopped_by_rbac(gate.ask("PATCH", f"{path}/sha256-7/status", back, "erin", MERGE), "patch", "nnunettestsets/status")
    stopped_by_rbac(gate.ask("DELETE", f"{path}/sha256-7", None, "erin"), "delete", "nnunettestsets")
    rules = [{"apiGroups": ["nnunet.dev"], "resources": ["nnunettestsets", "nnunettestsets/status"], "verbs": ["*"]}]
    gate.allow("otto", rules, clinical)
    asked = {"verb": "patch", "group": "nnunet.dev", "resource": "nnunettestsets", "subresource": "status"}
    gate.wait_allowed("otto", {**asked, "namespace": clinical})
    for answer in (
        gate.ask("POST", path, {**body, "metadata": {**metadata, "name": "x"}}, "otto"),
        gate.ask("PATCH", f"{path}/sha256-7/status", back, "otto", MERGE),
        gate.ask("PATCH", f"{path}/sha256-7/status", back, "", MERGE),
    ):
        stopped_by_admission(answer, "nnunet-test-sets")
    stopped_by_schema(
        gate.ask("PATCH", f"{path}/sha256-7", {"spec": {"imagesHash": "8" * 64}}, "", MERGE), "spec can't change"
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ('"podTemplate":{"volumes":[{"name":"t","projected":{"sources":[]}}]}', "give one of configMap and secret"),
        ('"podTemplate":{"volumes":[{"name":"t","hostPath":{"path":"/"}}]}', "give one of configMap and secret"),
        (
            '"trainer":{"seed":1,"env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}',
            "give one of secretKeyRef and configMapKeyRef",
        ),
    ],
)
def test_a_token_and_what_else_a_pod_could_read_is_stopped_by_schema(
    gate: Gate, clinical: str, spec: str, words: str
) -> None:
    stopped_by_schema(raw(gate, clinical, spec), words)


def test_what_is_named_beside_what_is_allowed_is_dropped(gate: Gate, clinical: str) -> None:
    """Nothing of a pod but what the schema knows reaches the operator."""
    token = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    volume = {"name": "t", "configMap": {"name": "a"}, **token}
    more = {"automountServiceAccountToken": True, "hostNetwork": True, "initContainers": [], "volumes": [volume]}
    answer = gate.create(training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1}, podTemplate=more), "erin")
    assert answer.ok, answer.message
    pod = answer.body["spec"]["podTemplate"]
    assert not pod.keys() & {"automountServiceAccountToken", "hostNetwork", "initContainers"}
    assert pod["volumes"] == [{"name": "t", "configMap": {"name": "a", "optional": False}}]


def test_a_comparison_reaches_into_no_other_namespace(gate: Gate, clinical: str) -> None:
    body: Object = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetComparison", "metadata": {"name": "x"}}
    path = gate.client.path("nnunetcomparisons", clinical) + "?dryRun=All"
    for name in ("other/long", "../other/long", "/nnunet/results/other", ".."):
        arms = [{"name": "a", "trainings": [name]}, {"name": "b", "trainings": ["short"]}]
        stopped_by_schema(gate.ask("POST", path, {**body, "spec": {"arms": arms}}, "erin"), "arms[0].trainings[0]")
    arms = [{"name": "a", "namespace": "other", "trainings": ["long"]}, {"name": "b", "trainings": ["short"]}]
    answer = gate.ask("POST", path, {**body, "spec": {"arms": arms, "claimName": "postgres"}}, "erin")
    assert answer.ok, answer.message
    assert "claimName" not in answer.body["spec"] and "namespace" not in answer.body["spec"]["arms"][0]
