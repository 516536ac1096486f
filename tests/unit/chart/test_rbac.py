"""The operator's rights: what it uses and nothing else."""

from typing import Any

import pytest

from hack.prepare.helm import Object
from nnunet_cli.lint.surroundings import READER
from tests.support.chart import render
from tests.unit.chart.test_render import find

Rules = list[dict[str, Any]]

OPERATOR = {
    # It creates those of comparisons, and changes whether they are suspended: admission lets it do no more.
    ("nnunet.dev", "nnunettrainings"): {"get", "list", "watch", "create", "patch", "delete"},
    ("nnunet.dev", "nnunettrainings/status"): {"patch"},
    ("nnunet.dev", "nnunettrainings/finalizers"): {"update"},
    ("nnunet.dev", "nnunetcomparisons"): {"get", "list", "watch", "delete"},
    ("nnunet.dev", "nnunetcomparisons/status"): {"patch"},
    ("nnunet.dev", "nnunetcomparisons/finalizers"): {"update"},
    ("nnunet.dev", "nnunettestsets"): {"get", "list", "watch", "create"},
    ("nnunet.dev", "nnunettestsets/status"): {"patch"},
    ("nnunet.dev", "nnunettrainings/jobs"): {"create"},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("", "pods"): {"list", "watch"},
    ("", "events"): {"list", "create"},
    ("kueue.x-k8s.io", "workloads"): {"list"},
}
CLUSTER = {
    ("nnunet.dev", "nnunettrainingpolicies"): {"get", "list", "watch"},
    ("nnunet.dev", "nnunettrainingpolicies/status"): {"patch"},
    ("", "namespaces"): {"get", "list", "watch"},
}
"""Besides, for what is in no namespace."""
READ = {"get", "list", "watch"}


def granted(rules: Rules) -> dict[tuple[str, str], set[str]]:
    """Return the verbs by (API group, resource)."""
    out: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        assert set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                out.setdefault((group, resource), set()).update(rule["verbs"])
    return out


def test_the_operator_may_do_what_it_does() -> None:
    assert granted(find(render(), "ClusterRole")["rules"]) == OPERATOR | CLUSTER


def test_a_confined_operator_may_do_it_in_its_namespaces() -> None:
    objects = render({"watch": {"namespaces": ["a", "b"]}})
    assert granted(find(objects, "Role", namespace="b")["rules"]) == OPERATOR
    assert granted(find(objects, "ClusterRole")["rules"]) == CLUSTER
    events = find(objects, "Role", "nnunet-operator-policy-events", "default")
    assert granted(events["rules"]) == {("", "events"): {"create"}}


@pytest.mark.parametrize("values", [{}, {"watch": {"namespaces": ["a"]}}])
def test_no_wildcards_and_no_secrets(values: Object) -> None:
    for role in render(values):
        if role["kind"] in ("Role", "ClusterRole"):
            rules = role.get("rules", [])  # none where it is put together from others
            words = {word for rule in rules for part in rule.values() for word in part}
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
        ("nnunet.dev", name): READ
        for name in (
            "nnunettrainings",
            "nnunettrainings/status",
            "nnunetcomparisons",
            "nnunetcomparisons/status",
            "nnunettestsets",
            "nnunettrainingpolicies",
            "nnunettrainingpolicies/status",
        )
    }
    assert granted(edit["rules"]) == {
        ("nnunet.dev", name): {"create", "update", "patch", "delete", "deletecollection"}
        for name in ("nnunettrainings", "nnunetcomparisons")
    }


TRAINER = {
    ("nnunet.dev", "nnunettrainings"): READ | {"create", "update", "patch", "delete"},
    ("nnunet.dev", "nnunettrainings/status"): {"get"},
    ("nnunet.dev", "nnunetcomparisons"): READ | {"create", "update", "patch", "delete"},
    ("nnunet.dev", "nnunetcomparisons/status"): {"get"},
    ("nnunet.dev", "nnunettestsets"): READ,
    ("batch", "jobs"): READ,
    ("", "pods"): READ,
    ("", "pods/log"): READ,
    ("", "events"): READ,
    ("", "resourcequotas"): {"get", "list"},
    ("", "persistentvolumeclaims"): {"get", "list"},
    ("", "namespaces"): {"get"},
    ("kueue.x-k8s.io", "workloads"): {"get", "list"},
    ("kueue.x-k8s.io", "localqueues"): {"get", "list"},
}
POLICY_ADMIN = {
    ("nnunet.dev", "nnunettrainingpolicies"): READ | {"create", "update", "patch", "delete"},
    ("nnunet.dev", "nnunettrainingpolicies/status"): {"get"},
    ("", "namespaces"): READ | {"patch"},
}


def test_everybody_may_read_the_definition_of_trainings_and_nothing_else() -> None:
    role = find(render(), "ClusterRole", "nnunet-operator-definition-view")
    (rule,) = role["rules"]
    assert granted([rule]) == {("apiextensions.k8s.io", "customresourcedefinitions"): {"get"}}
    assert rule["resourceNames"] == ["nnunettrainings.nnunet.dev"]
    binding = find(render(), "ClusterRoleBinding", "nnunet-operator-definition-view")
    assert [subject["name"] for subject in binding["subjects"]] == ["system:authenticated"]


@pytest.mark.parametrize(("role", "rights"), [("trainer", TRAINER), ("policy-admin", POLICY_ADMIN)])
def test_who_trains_does_not_decide_by_which_rules(role: str, rights: dict[tuple[str, str], set[str]]) -> None:
    assert granted(find(render(), "ClusterRole", f"nnunet-{role}-base")["rules"]) == rights


def test_who_reads_policies_reads_nothing_else() -> None:
    rights = granted(find(render(), "ClusterRole", READER)["rules"])
    assert rights == {("nnunet.dev", "nnunettrainingpolicies"): READ, ("", "namespaces"): {"get", "list"}}


def test_auditors_only_look() -> None:
    rights = granted(find(render(), "ClusterRole", "nnunet-auditor-base")["rules"])
    assert all(verbs == READ for verbs in rights.values())
    assert {("nnunet.dev", "nnunettrainingpolicies"), ("", "namespaces"), ("", "events")} < rights.keys()


@pytest.mark.parametrize("name", ["trainer", "policy-admin", "auditor"])
def test_roles_are_put_together_from_those_with_their_label(name: str) -> None:
    objects = render()
    role, base = (find(objects, "ClusterRole", f"nnunet-{name}{part}") for part in ("", "-base"))
    (selector,) = role["aggregationRule"]["clusterRoleSelectors"]
    assert selector["matchLabels"].items() <= base["metadata"]["labels"].items()
    assert "rules" not in role, "Helm would write over what Kubernetes has put together"
