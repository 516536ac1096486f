"""Nobody gets further by a comparison that makes trainings than by creating them: not people, not the operator."""

from typing import Any

import pytest

from tests.integration.policy.bypass import stopped_by_admission
from tests.integration.policy.support import MERGE, OPERATOR, Answer, Gate
from tests.integration.policy.test_reading import reading
from tests.support.api import Object
from tests.support.builders import comparison, training

GATE, GUARD = "nnunet-templates", "nnunet-operator-account"
TEMPLATE: Object = {"spec": {"dataset": {"name": "Dataset004_Hippocampus"}, "testSet": {}}}
ARMS: list[Object] = [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}]
EVERYTHING = [{"apiGroups": ["nnunet.dev"], "resources": ["nnunetcomparisons"], "verbs": ["*"]}]


def templated(namespace: str, **spec: Any) -> Object:
    return comparison(namespace, **{"template": TEMPLATE, "arms": ARMS, **spec})


def compare(gate: Gate, body: Object, as_: str) -> Answer:
    path = gate.client.path("nnunetcomparisons", body["metadata"]["namespace"])
    return gate.ask("POST", f"{path}?dryRun=All", body, as_)


def test_who_may_not_train_has_nothing_trained_and_nothing_resumed(gate: Gate, namespace: str) -> None:
    gate.allow("carl", EVERYTHING, namespace)
    answer = compare(gate, templated(namespace), "carl")
    stopped_by_admission(answer, GATE)
    assert "spec.template: carl may not create nnunettrainings in namespace" in answer.message
    assert compare(gate, comparison(namespace), "carl").ok, "what others have trained may be compared"
    gate.client.create("nnunetcomparisons", templated(namespace, suspend=True))
    path = gate.client.path("nnunetcomparisons", namespace, "shorter")
    answer = gate.ask("PATCH", path, {"spec": {"suspend": False}}, "carl", MERGE)
    stopped_by_admission(answer, GATE)
    assert "carl may not suspend or resume nnunettrainings" in answer.message
    assert gate.ask("PATCH", path, {"spec": {"ttlSecondsAfterFinished": 60}}, "carl", MERGE).ok


def test_who_may_create_and_not_change_trainings_suspends_none(gate: Gate, namespace: str) -> None:
    """Trainings that a former comparison of the name has made are suspended with it when it is created."""
    gate.allow("cora", EVERYTHING, namespace)
    trainings = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"]}
    gate.allow("cora", [{**trainings, "verbs": ["create"]}], namespace)
    assert compare(gate, templated(namespace), "cora").ok
    answer = compare(gate, templated(namespace, suspend=True), "cora")
    stopped_by_admission(answer, GATE)
    assert "cora may not suspend or resume nnunettrainings" in answer.message
    gate.allow("cora", [{**trainings, "verbs": ["patch"]}], namespace)
    assert compare(gate, templated(namespace, suspend=True), "cora").ok


@pytest.mark.parametrize("place", ["template", "patch"])
@pytest.mark.parametrize("way", ["variable", "files"])
@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
def test_no_template_reads_secrets_for_somebody_else(
    gate: Gate, namespace: str, resource: str, way: str, place: str
) -> None:
    """Not for an administrator either: nobody asks again when the operator creates the training."""
    reads = reading(resource, "others", way)
    places: dict[str, Object] = {
        "template": {"template": {"spec": {**TEMPLATE["spec"], **reads}}},
        "patch": {"arms": [{"name": "a", "patch": reads}, ARMS[1]]},
    }
    answer = compare(gate, templated(namespace, **places[place]), "")
    stopped_by_admission(answer, GATE)
    assert "can't name Secrets or ConfigMaps" in answer.message


@pytest.mark.parametrize(
    "patch", [{"trainer": 1}, {"trainer": {"env": {"a": 1}}}, {"trainer": {"env": [1]}}, {"podTemplate": []}]
)
def test_a_patch_of_any_form_is_judged(gate: Gate, namespace: str, patch: Any) -> None:
    """It is the operator that says what is wrong with it."""
    answer = compare(gate, templated(namespace, arms=[{"name": "a", "patch": patch}, ARMS[1]]), "")
    assert answer.ok, answer.message


def test_a_template_is_bounded_with_its_patches(gate: Gate, namespace: str) -> None:
    """They are open: whoever may create some could otherwise fill the operator's memory."""
    large = {"name": "a", "patch": {"planning": {"configurations": {"x": {"architecture": {"y": "z" * 66_000}}}}}}
    answer = compare(gate, templated(namespace, arms=[large, ARMS[1]]), "")
    assert "characters, may have at most 65536" in answer.message


def test_the_operator_makes_trainings_of_comparisons_alone_under_the_same_gates(gate: Gate, namespace: str) -> None:
    """Policies hold for what it makes, and it may read nothing."""
    ours = training(namespace, "shorter-long", testSet={})
    stopped_by_admission(gate.create(ours, OPERATOR), GUARD)
    ours["metadata"]["labels"] = {"nnunet.dev/comparison": "shorter"}
    assert gate.create(ours, OPERATOR).ok
    reads = training(namespace, "shorter-long", **reading("secrets", "others", "variable"))
    stopped_by_admission(gate.create({**reads, "metadata": ours["metadata"]}, OPERATOR), "nnunet-reading")
    gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000, "allowedPriorityClasses": ["low"]})
    urgent = training(namespace, "shorter-long", testSet={}, podTemplate={"priorityClassName": "urgent"})
    answer = gate.create({**urgent, "metadata": ours["metadata"]}, OPERATOR)
    assert answer.denial[0] == "nnunet-policy-enforce" and "spec.schedule.epochs is 10" in answer.message
    assert "spec.podTemplate.priorityClassName is urgent, must be one of low" in answer.message


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({"spec": {"suspend": True}}, True),
        ({"spec": {"maxParallelFolds": 2}}, False),
        ({"spec": {"suspend": True, "queueName": "fast"}}, False),
        ({"metadata": {"labels": {"nnunet.dev/comparison": "another"}}}, False),
    ],
)
def test_the_operator_suspends_trainings_of_comparisons_and_nothing_else(
    gate: Gate, namespace: str, change: Object, passes: bool
) -> None:
    ours = training(namespace, "shorter-long")
    ours["metadata"]["labels"] = {"nnunet.dev/comparison": "shorter"}
    assert gate.create(ours, dry_run=False).ok and gate.create(training(namespace), dry_run=False).ok
    answer = gate.ask("PATCH", gate.path(namespace, "shorter-long"), change, OPERATOR, MERGE)
    if passes:
        assert answer.ok, answer.message
    else:
        stopped_by_admission(answer, GUARD)
    stopped_by_admission(gate.ask("PATCH", gate.path(namespace), change, OPERATOR, MERGE), GUARD)
