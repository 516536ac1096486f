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
    wait_for("the namespace to be gone", lambda: gate.ask("GET", f"/api/v1/namespaces/{free}").status == 404, 40)


def test_who_writes_policies_may_label_and_delete_namespaces_to_the_end(gate: Gate, clinical: str) -> None:
    gate.bind("pia", "nnunet-policy-admin")
    gate.allow("pia", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]}])
    path = f"/api/v1/namespaces/{clinical}"
    assert gate.ask("PATCH", path, {"metadata": {"labels": {"nnunet.dev/site": "a"}}}, "pia", MERGE).ok
    assert gate.ask("DELETE", path, None, "pia").ok
    wait_for("the namespace to be gone", lambda: gate.ask("GET", path).status == 404, 40)
