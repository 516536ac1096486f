"""The operator's rights: what it uses and nothing else."""

from typing import Any

import pytest

from tests.tools.helm import Object, render
from tests.unit.chart.test_render import find

Rules = list[dict[str, Any]]

OPERATOR = {
    ("nnunet.dev", "nnunettrainings"): {"get", "list", "watch", "delete"},
    ("nnunet.dev", "nnunettrainings/status"): {"patch"},
    ("nnunet.dev", "nnunettrainings/finalizers"): {"update"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("", "pods"): {"list", "watch"},
    ("", "events"): {"list", "create"},
}


def granted(rules: Rules) -> dict[tuple[str, str], set[str]]:
    """Return the verbs by (API group, resource)."""
    out: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                out.setdefault((group, resource), set()).update(rule["verbs"])
    return out


@pytest.mark.parametrize(
    ("values", "kind", "namespace"),
    [({}, "ClusterRole", None), ({"watch": {"namespaces": ["a", "b"]}}, "Role", "b")],
)
def test_the_operator_may_do_what_it_does(values: Object, kind: str, namespace: str | None) -> None:
    assert granted(find(render(values), kind, namespace=namespace)["rules"]) == OPERATOR


@pytest.mark.parametrize("values", [{}, {"watch": {"namespaces": ["a"]}}])
def test_no_wildcards_and_no_secrets(values: Object) -> None:
    for role in render(values):
        if role["kind"] in ("Role", "ClusterRole"):
            words = {word for rule in role["rules"] for part in rule.values() for word in part}
            assert not {"*", "secrets", "configmaps", "escalate", "bind", "impersonate", "pods/exec"} & words


def test_people_get_rights_on_trainings_with_kubernetes_own_roles() -> None:
    objects = render()
    view = find(objects, "ClusterRole", "nnunet-operator-trainings-view")
    edit = find(objects, "ClusterRole", "nnunet-operator-trainings-edit")
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    assert {key.removeprefix(prefix) for key in view["metadata"]["labels"] if key.startswith(prefix)} == {
        "view",
        "edit",
        "admin",
    }
    assert {key.removeprefix(prefix) for key in edit["metadata"]["labels"] if key.startswith(prefix)} == {
        "edit",
        "admin",
    }
    assert granted(view["rules"]) == {
        ("nnunet.dev", "nnunettrainings"): {"get", "list", "watch"},
        ("nnunet.dev", "nnunettrainings/status"): {"get", "list", "watch"},
    }
    assert granted(edit["rules"]) == {
        ("nnunet.dev", "nnunettrainings"): {"create", "update", "patch", "delete", "deletecollection"}
    }
