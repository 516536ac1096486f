"""Ways around the policies by labels of the namespace, and what stops each."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.policy.bypass import LABEL, stopped_by_admission
from tests.integration.policy.support import APPLY, JSON_PATCH, MERGE, STRATEGIC, Gate
from tests.support.api import Object, wait_for

POINTER = "/metadata/labels/nnunet.dev~1clinical"


def current(gate: Gate, namespace: str) -> Object:
    return gate.done("GET", f"/api/v1/namespaces/{namespace}")


def unlabelled(gate: Gate, namespace: str) -> Object:
    body = current(gate, namespace)
    del body["metadata"]["labels"][LABEL]
    return body


def applied(namespace: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {LABEL: "no"}}}


NONE: Object = {"metadata": {"labels": {LABEL: None}}}
WAYS: dict[str, Callable[[Gate, str], tuple[str, str, Any, str]]] = {
    "merge patch, removed": lambda _, n: ("PATCH", "", NONE, MERGE),
    "merge patch, changed": lambda _, n: ("PATCH", "", {"metadata": {"labels": {LABEL: "false"}}}, MERGE),
    "merge patch, all labels null": lambda _, n: ("PATCH", "", {"metadata": {"labels": None}}, MERGE),
    "merge patch, another added": lambda _, n: ("PATCH", "", {"metadata": {"labels": {"nnunet.dev/x": "1"}}}, MERGE),
    "JSON patch, removed": lambda _, n: ("PATCH", "", [{"op": "remove", "path": POINTER}], JSON_PATCH),
    "JSON patch, replaced": lambda _, n: ("PATCH", "", [{"op": "replace", "path": POINTER, "value": ""}], JSON_PATCH),
    "JSON patch, moved": lambda _, n: (
        "PATCH",
        "",
        [{"op": "move", "from": POINTER, "path": "/metadata/labels/mine"}],
        JSON_PATCH,
    ),
    "strategic patch": lambda _, n: ("PATCH", "", NONE, STRATEGIC),
    "strategic patch, replace directive": lambda _, n: (
        "PATCH",
        "",
        {"metadata": {"labels": {"$patch": "replace"}}},
        STRATEGIC,
    ),
    "PUT": lambda gate, n: ("PUT", "", unlabelled(gate, n), "application/json"),
    "server-side apply": lambda _, n: ("PATCH", "?fieldManager=x&force=true", applied(n), APPLY),
    "status, merge patch": lambda _, n: ("PATCH", "/status", NONE, MERGE),
    "status, PUT": lambda gate, n: ("PUT", "/status", unlabelled(gate, n), "application/json"),
    "status, apply": lambda _, n: ("PATCH", "/status?fieldManager=x&force=true", applied(n), APPLY),
    "finalize, PUT": lambda gate, n: ("PUT", "/finalize", unlabelled(gate, n), "application/json"),
    "delete, to make it anew": lambda _, n: ("DELETE", "", None, "application/json"),
}


@pytest.mark.parametrize("way", WAYS)
def test_leaving_the_policy_by_the_namespaces_label_is_stopped_by_admission(
    gate: Gate, clinical: str, way: str
) -> None:
    method, tail, body, type_ = WAYS[way](gate, clinical)
    answer = gate.ask(method, f"/api/v1/namespaces/{clinical}{tail}", body, "ned", type_)
    stopped_by_admission(answer, "nnunet-namespace-labels")
    assert "ask those who may update nnunettrainingpolicies" in answer.message
    assert current(gate, clinical)["metadata"]["labels"][LABEL] == "true"


def test_a_new_namespace_with_a_label_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    metadata = {"generateName": "new-", "labels": {"nnunet.dev/site": "a"}}
    stopped_by_admission(
        gate.ask("POST", "/api/v1/namespaces", {"metadata": metadata}, "ned"), "nnunet-namespace-labels"
    )


def test_other_labels_and_namespaces_are_free(gate: Gate, clinical: str) -> None:
    path = f"/api/v1/namespaces/{clinical}"
    other = {"metadata": {"labels": {"team": "a"}, "annotations": {"nnunet.dev/x": "1"}}}
    assert gate.ask("PATCH", path, other, "ned", MERGE).ok
    assert gate.ask("PUT", f"{path}/finalize", current(gate, clinical), "ned").ok
    free = gate.namespace()
    assert gate.ask("DELETE", f"/api/v1/namespaces/{free}", None, "ned").ok
    wait_for("the namespace to be gone", lambda: gate.ask("GET", f"/api/v1/namespaces/{free}").status == 404)


ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
MORE: dict[str, tuple[Any, str]] = {
    "Pod Security off": ({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}, "metadata.labels"),
    "a label of another policy, changed": ({"labels": {"team": "b"}}, "metadata.labels"),
    "a label of another policy, dropped": ({"labels": {"team": None}}, "metadata.labels"),
    "all labels dropped": ({"labels": None}, "metadata.labels"),
    "one of ours and another": ({"labels": {LABEL: "false", "team": "b"}}, "metadata.labels"),
    "nodes by an annotation": ({"annotations": {ANNOTATION: "a=b"}}, "metadata.annotations"),
    "an annotation under our name": ({"annotations": {"nnunet.dev/x": "1"}}, "metadata.annotations"),
    "a finalizer": ({"finalizers": ["example.org/held"]}, "metadata.finalizers"),
}


@pytest.fixture
def pia(gate: Gate) -> str:
    """Who writes policies, by the chart's role alone."""
    gate.bind("pia", "nnunet-policy-admin")
    gate.wait_allowed("pia", {"verb": "update", "group": "nnunet.dev", "resource": "nnunettrainingpolicies"})
    gate.wait_allowed("pia", {"verb": "patch", "group": "", "resource": "namespaces"})
    return "pia"


@pytest.mark.parametrize("what", MORE)
def test_who_writes_policies_is_stopped_by_admission_from_changing_more_of_a_namespace(
    gate: Gate, clinical: str, pia: str, what: str
) -> None:
    metadata, words = MORE[what]
    path = f"/api/v1/namespaces/{clinical}"
    gate.done("PATCH", path, {"metadata": {"labels": {"team": "a"}}}, type_=MERGE)
    answer = gate.ask("PATCH", path, {"metadata": metadata}, pia, MERGE)
    stopped_by_admission(answer, "nnunet-namespace-labels")
    assert (
        f"{words}: pia may change labels under nnunet.dev/ of namespace {clinical} and nothing else" in answer.message
    )


def test_who_writes_policies_is_stopped_by_admission_in_namespaces_without_a_policy(gate: Gate, pia: str) -> None:
    metadata, _ = MORE["Pod Security off"]
    answer = gate.ask("PATCH", "/api/v1/namespaces/kube-system", {"metadata": metadata}, pia, MERGE)
    stopped_by_admission(answer, "nnunet-namespace-labels")


@pytest.mark.parametrize("value", ["true", "false", None])
def test_who_writes_policies_labels_namespaces(gate: Gate, clinical: str, pia: str, value: str | None) -> None:
    labels = {"metadata": {"labels": {LABEL: value}}}
    for namespace in (clinical, gate.namespace()):
        assert gate.ask("PATCH", f"/api/v1/namespaces/{namespace}", labels, pia, MERGE).ok


def test_who_writes_no_policies_or_may_update_namespaces_is_free_as_before(gate: Gate, clinical: str, pia: str) -> None:
    """Controllers of other projects may have the right to patch alone."""
    gate.allow("carl", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["patch", "get"]}])
    change = {"metadata": {"labels": {"team": "b"}, "annotations": {ANNOTATION: "a=b"}}}
    path = f"/api/v1/namespaces/{clinical}"
    assert gate.ask("PATCH", f"{path}?dryRun=All", change, "carl", MERGE).ok
    assert gate.ask("PATCH", f"{path}?dryRun=All", change, type_=MERGE).ok


def test_who_writes_policies_may_label_and_delete_namespaces_to_the_end(gate: Gate, clinical: str) -> None:
    gate.bind("paula", "nnunet-policy-admin")
    gate.allow("paula", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]}])
    path = f"/api/v1/namespaces/{clinical}"
    assert gate.ask("PATCH", path, {"metadata": {"labels": {"nnunet.dev/site": "a"}}}, "paula", MERGE).ok
    assert gate.ask("DELETE", path, None, "paula").ok
    wait_for("the namespace to be gone", lambda: gate.ask("GET", path).status == 404)
