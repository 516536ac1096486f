"""What admission says to a training, by rule and by mode."""

import json
from typing import Any

import pytest

from nnunet_api.policy.advice import STOP_ADVICE
from nnunet_api.policy.names import is_allowed_image
from tests.integration.policy.broken_rules import LONG, RULES
from tests.integration.policy.generated import IMAGES, LEADING_OUT, REPOSITORIES
from tests.integration.policy.support import APPLY, DIGEST, MERGE, Answer, Gate, end_soon, exception, in_time
from tests.support.api import Object, wait_for
from tests.support.builders import training

REMEDY = ": change the training, or ask those who may write the policy for an exception"
STANDARD: dict[str, Any] = {"schedule": {"epochs": 1000}}


def said(answer: Answer) -> set[str]:
    """Return the names of the admission policies that warned."""
    return {warning.split("'")[1] for warning in answer.warnings}


@pytest.fixture(scope="module")
def of_modes(installed: Gate) -> dict[str, str]:
    """A namespace for each mode of a policy, in which nothing is made."""
    return {mode: installed.namespace() for mode in ("Enforce", "Warn", "Audit")}


@pytest.mark.parametrize("rule", RULES)
def test_a_broken_rule(gate: Gate, of_modes: dict[str, str], rule: str) -> None:
    rules, spec, text = RULES[rule]
    for mode, namespace in of_modes.items():
        gate.put(f"house-{mode.lower()}", mode=mode, namespaces=[namespace], rules=rules)
    gate.settle()
    answers = {mode: gate.create(training(namespace, **{**STANDARD, **spec})) for mode, namespace in of_modes.items()}

    message = f"policy house-enforce: {text}{REMEDY}"
    assert (answers["Enforce"].status, answers["Enforce"].denial) == (403, ("nnunet-policy-enforce", message))
    assert answers["Enforce"].warned("nnunet-policy-warn") == [message]
    assert answers["Warn"].ok
    assert answers["Warn"].warned("nnunet-policy-warn") == [f"policy house-warn: {text}{REMEDY}"]
    assert answers["Audit"].ok
    assert said(answers["Audit"]) == set()


def test_what_keeps_all_rules_passes_without_a_word(gate: Gate, namespace: str) -> None:
    rules: Object = {}
    for one, _, _ in RULES.values():
        rules = {**one, **rules, "earlyStopping": {**rules.get("earlyStopping", {}), **one.get("earlyStopping", {})}}
    gate.write("house", namespaces=[namespace], rules=rules)
    kept: dict[str, Any] = {
        "schedule": {"epochs": 1001, "iterationsPerEpoch": 251},
        "trainer": {"image": DIGEST, "seed": 0, "className": LONG[0]},
        "testSet": {},
        "configurations": ["2d"],
        "replicates": 3,
        "maxParallelFolds": 2,
    }
    answer = gate.create(training(namespace, **kept))
    assert (answer.ok, answer.warnings) == (True, ())


def test_images_are_of_the_same_repositories_for_admission_and_the_operator(gate: Gate, namespace: str) -> None:
    """Each image against each entry: what is a tag, a port or somebody else's folder."""
    for number, entry in enumerate(REPOSITORIES):
        gate.put(f"p{number}", mode="Warn", namespaces=[namespace], rules={"allowedImages": [entry]})
    gate.settle()
    for image in filter(None, [*IMAGES, *LEADING_OUT]):
        said = gate.create(training(namespace, **{**STANDARD, "trainer": {"image": image}})).warned(
            "nnunet-policy-warn"
        )
        broken = {REPOSITORIES[int(message.split(":")[0].removeprefix("policy p"))] for message in said}
        assert broken == {entry for entry in REPOSITORIES if not is_allowed_image(image, [entry])}, image


def test_all_denials_are_shown_though_one_is_returned(gate: Gate, namespace: str) -> None:
    gate.put("first", namespaces=[namespace], rules={"minEpochs": 2000})
    gate.write("second", namespaces=[namespace], rules={"requireSeed": True, "requireTestSet": True})
    answer = gate.create(training(namespace, **STANDARD))
    messages = [
        f"policy first: spec.schedule.epochs is 1000, must be at least 2000{REMEDY}",
        "policy second: spec.trainer.seed is not set, must be a number; "
        f"spec.testSet is not set, must name the folders of the test cases{REMEDY}",
    ]
    assert answer.denial[1] in messages
    assert answer.warned("nnunet-policy-warn") == messages


def test_an_exception_lifts_rules_and_lowers_both_minima(gate: Gate, namespace: str) -> None:
    rules = {"minEpochs": 1000, "earlyStopping": {"minEpochs": 500}, "requireSeed": True}
    granted = exception(namespace, minEpochs=100, liftedRules=["requireSeed"])
    gate.write("house", namespaces=[namespace], rules=rules, exceptions=[granted])
    short: dict[str, Any] = {"schedule": {"epochs": 100}, "earlyStopping": {"mode": "Anneal", "minEpochs": 100}}
    assert gate.create(training(namespace, **short)).ok
    assert not gate.create(training(namespace, "other", **short)).ok, "it is for one training"
    answer = gate.create(
        training(namespace, schedule={"epochs": 99}, earlyStopping={"mode": "Anneal", "minEpochs": 99})
    )
    assert answer.denial[1] == (
        "policy house: spec.schedule.epochs is 99, must be at least 100; "
        f"spec.earlyStopping.minEpochs is 99, must be at least 100{REMEDY}"
    )


def test_an_exception_without_a_minimum_lowers_none(gate: Gate, namespace: str) -> None:
    gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000}, exceptions=[exception(namespace)])
    assert "must be at least 1000" in gate.create(training(namespace)).message


def change(gate: Gate, namespace: str, patch: Object) -> Answer:
    return gate.ask("PATCH", gate.path(namespace), patch, type_=MERGE)


@pytest.fixture
def running(gate: Gate, namespace: str) -> str:
    """A namespace with a training that is older than the policy which it breaks."""
    gate.settle()
    assert gate.create(training(namespace), dry_run=False).ok
    gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000})
    assert not gate.create(training(namespace, "another")).ok
    return namespace


def test_what_lets_go_of_a_training_always_passes(gate: Gate, running: str) -> None:
    for patch in (
        {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.org/held"]}},
        {"spec": {"suspend": True}},
        {"spec": {"retryLimit": 9}},
    ):
        assert change(gate, running, patch).ok, patch
    assert gate.ask("DELETE", gate.path(running)).ok
    assert change(gate, running, {"metadata": {"finalizers": []}}).ok
    assert gate.ask("GET", gate.path(running)).status == 404


def test_what_goes_on_with_a_training_is_judged(gate: Gate, running: str) -> None:
    denied = change(gate, running, {"spec": {"retryLimit": 9}})
    assert denied.denial[0] == "nnunet-policy-enforce"
    assert denied.warned("nnunet-policy-warn") == [denied.denial[1]]
    assert change(gate, running, {"spec": {"suspend": True}}).ok
    assert "must be at least 1000" in change(gate, running, {"spec": {"suspend": False}}).message
    gate.write("house", namespaces=[running], rules={"minEpochs": 10})
    assert change(gate, running, {"spec": {"suspend": False}}).ok


def test_an_exception_holds_on_updates_as_well(gate: Gate, running: str) -> None:
    granted = exception(running, minEpochs=10)
    gate.write("house", namespaces=[running], rules={"minEpochs": 1000}, exceptions=[granted])
    assert change(gate, running, {"spec": {"retryLimit": 9}}).ok

    def write(end: str) -> None:
        ends = {**granted, "expiresAt": end}
        gate.put("house", namespaces=[running], rules={"minEpochs": 1000}, exceptions=[ends])

    end_soon(write)
    gate.settle()
    assert "must be at least 1000" in change(gate, running, {"spec": {"retryLimit": 8}}).message


def test_without_a_clock_no_exception_counts(gate: Gate, running: str) -> None:
    gate.write("house", namespaces=[running], rules={"minEpochs": 1000}, exceptions=[exception(running, minEpochs=10)])
    body = gate.done("GET", gate.path(running))
    body["metadata"]["managedFields"] = [{}]
    body["spec"]["retryLimit"] = 9
    assert "must be at least 1000" in gate.ask("PUT", gate.path(running), body).message


def test_what_is_complete_is_left_alone(gate: Gate, running: str) -> None:
    condition = {"type": "Complete", "status": "True", "reason": "TrainingComplete", "message": ""}
    condition |= {"lastTransitionTime": in_time()}
    gate.done("PATCH", f"{gate.path(running)}/status", {"status": {"conditions": [condition]}}, type_=MERGE)
    assert change(gate, running, {"spec": {"ttlSecondsAfterFinished": 60}}).ok


def test_a_clinical_namespace_without_any_policy_takes_no_training(gate: Gate, namespace: str) -> None:
    gate.clear()
    clinical, other = gate.namespace(clinical="true"), gate.namespace(clinical="no")
    for free in (namespace, other):
        assert gate.create(training(free)).ok
    denied = gate.create(training(clinical))
    assert not denied.ok
    assert "no params found for policy binding with `Deny` parameterNotFoundAction" in denied.message
    policy, binding = "nnunet-clinical-needs-a-policy", "nnunet-there-is-none-ask-those-who-write-policies"
    assert f"'{policy}' with binding '{binding}' denied request" in denied.message, "they are all that we can say"


def test_what_is_in_it_can_be_let_go_of(gate: Gate) -> None:
    clinical = gate.namespace(clinical="true")
    gate.settle()
    assert gate.create(training(clinical), dry_run=False).ok
    gate.clear()
    assert change(gate, clinical, {"spec": {"suspend": True}, "metadata": {"finalizers": ["example.org/held"]}}).ok
    assert gate.ask("DELETE", gate.path(clinical)).ok
    assert change(gate, clinical, {"metadata": {"finalizers": []}}).ok


def test_apply_is_judged_as_create_is(gate: Gate, namespace: str) -> None:
    gate.write("house", namespaces=[namespace], rules={"minEpochs": 1000})
    query = "?fieldManager=x&dryRun=All"
    answer = gate.ask("PATCH", gate.path(namespace) + query, training(namespace), type_=APPLY)
    assert answer.denial[0] == "nnunet-policy-enforce"


def test_advice_comes_without_any_policy(gate: Gate, namespace: str) -> None:
    answer = gate.create(training(namespace, schedule={"epochs": 300}, earlyStopping={"mode": "Stop"}))
    assert answer.ok
    assert answer.warned("nnunet-advice") == [
        STOP_ADVICE,
        "spec.schedule: 300 epochs of 250 iterations are 30 % of nnU-Net's standard schedule (1000 of 250). Shorter "
        "schedules usually lose 1-3 % Dice, more on hard tasks, and generalise worse. Compare it with the standard "
        "under the same conditions, on the test set, before anyone relies on the model",
    ]
    assert gate.create(training(namespace, **STANDARD)).warnings == ()


def test_kubectl_shows_it_in_words(gate: Gate, namespace: str) -> None:
    gate.write("house", namespaces=[namespace], rules={"requireSeed": True})
    shown = gate.site.kube.run("create", "-f", "-", stdin=json.dumps(training(namespace, **STANDARD)), check=False)
    assert "Error from server (Forbidden)" in shown
    assert f"policy house: spec.trainer.seed is not set, must be a number{REMEDY}" in shown


def test_no_expression_of_the_admission_policies_is_doubted(gate: Gate) -> None:
    """The API server checks their types against the schemas, some time after they were written."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def checked() -> list[Object]:
        items: list[Object] = gate.done("GET", path)["items"]
        return items if all("typeChecking" in item.get("status", {}) for item in items) else []

    found = wait_for("the types to be checked", checked)
    assert "nnunet-sizes" in {item["metadata"]["name"] for item in found}
    assert [item["status"]["typeChecking"] for item in found] == [{}] * len(found)
