"""Who holds dangerous rights: how rules of roles are read, and whose they are."""

from typing import Any

import pytest

from nnunet_cli.rights.dangers import found_in
from nnunet_cli.rights.holders import Subject, holders


def rule(groups: str, resources: str, verbs: str, *names: str) -> dict[str, Any]:
    lists = {"apiGroups": groups.split(",") if groups else [""], "resources": resources.split(), "verbs": verbs.split()}
    return {**lists, "resourceNames": list(names)} if names else lists


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (rule("*", "*", "*"), {"everything"}),
        (rule("nnunet.dev", "nnunettrainings", "*"), set()),  # what nnunet-trainer has
        (rule("nnunet.dev", "*", "*"), {"training-status", "act-as-operator", "policies"}),
        (rule("nnunet.dev", "*/status", "patch"), {"training-status", "policies"}),
        (rule("nnunet.dev", "nnunettrainings/*", "patch"), set()),  # no pattern of Kubernetes
        (rule("*", "*/status", "update"), {"training-status", "policies", "pod-status", "job-status", "nodes"}),
        (rule("", "pods", "get list watch delete"), set()),
        (rule("", "pods pods/log", "create"), {"pods"}),
        (rule("", "pods/exec", "get"), {"enter-pods"}),
        (rule("", "pods", "*"), {"pods"}),  # and no subresource
        (rule("batch", "jobs", "create"), {"pods-by-jobs"}),
        (rule("extensions", "jobs", "create"), set()),
        (rule("rbac.authorization.k8s.io", "clusterroles", "bind", "edit"), {"give-rights"}),
        (rule("", "serviceaccounts", "impersonate"), {"impersonate"}),
        ({"nonResourceURLs": ["*"], "verbs": ["*"]}, set()),
    ],
)
def test_rules_are_read_as_kubernetes_reads_them(given: dict[str, Any], expected: set[str]) -> None:
    assert {danger.name for danger in found_in(given, everywhere=True)} == expected


def test_a_binding_in_a_namespace_gives_nothing_outside_of_it() -> None:
    given = rule("*", "nnunettrainingpolicies nodes/proxy persistentvolumes namespaces pods", "create patch")
    assert {danger.name for danger in found_in(given, everywhere=False)} == {"namespaces", "pods"}


def role(kind: str, name: str, *rules: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": list(rules)}


def binding(kind: str, name: str, of: str, to: str, *subjects: dict[str, str], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"kind": kind, "metadata": metadata, "roleRef": {"kind": of, "name": to}, "subjects": list(subjects)}


ANN = {"kind": "User", "name": "ann"}
BOT = {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}


def test_bindings_and_roles_are_put_together() -> None:
    roles = [
        role("ClusterRole", "all", rule("*", "*", "*")),
        role("ClusterRole", "edit", rule("", "pods", "create"), rule("", "pods/exec", "create")),
        role("Role", "edit", rule("", "secrets", "get", "one"), namespace="a"),
    ]
    bindings = [
        binding("RoleBinding", "r1", "ClusterRole", "edit", ANN, BOT, namespace="a"),
        binding("RoleBinding", "r2", "Role", "edit", ANN, namespace="a"),
        binding("RoleBinding", "r3", "Role", "edit", ANN, namespace="b"),  # there is none of this name there
        binding("ClusterRoleBinding", "c1", "ClusterRole", "all", {"kind": "Group", "name": "root"}),
        binding("RoleBinding", "r4", "ClusterRole", "edit", {"kind": "Group", "name": "root"}, namespace="a"),
        binding("ClusterRoleBinding", "c2", "ClusterRole", "none", ANN),
        {"kind": "RoleBinding", "metadata": {"name": "r5", "namespace": "a"}, "roleRef": {"kind": "Role", "name": "x"}},
    ]
    assert [(h.subject.words, h.namespace, h.danger.name, h.only, h.by) for h in holders(roles, bindings)] == [
        ("Group root", "", "everything", (), "ClusterRoleBinding c1 -> ClusterRole all"),
        ("ServiceAccount ci/bot", "a", "pods", (), "RoleBinding r1 -> ClusterRole edit"),
        ("ServiceAccount ci/bot", "a", "enter-pods", (), "RoleBinding r1 -> ClusterRole edit"),
        ("User ann", "a", "pods", (), "RoleBinding r1 -> ClusterRole edit"),
        ("User ann", "a", "enter-pods", (), "RoleBinding r1 -> ClusterRole edit"),
        ("User ann", "a", "secrets", ("one",), "RoleBinding r2 -> Role edit"),
    ]


@pytest.mark.parametrize(
    ("subject", "of_kubernetes"),
    [
        (Subject("User", "system:kube-scheduler"), True),
        (Subject("Group", "system:nodes"), True),
        (Subject("ServiceAccount", "job-controller", "kube-system"), True),
        (Subject("Group", "system:masters"), False),
        (Subject("Group", "system:authenticated"), False),
        (Subject("Group", "system:serviceaccounts"), False),
        (Subject("User", "system:anonymous"), False),
        (Subject("ServiceAccount", "nnunet-operator", "nnunet-operator"), False),
    ],
)
def test_only_accounts_of_kubernetes_itself_are_left_out(subject: Subject, of_kubernetes: bool) -> None:
    assert subject.of_kubernetes is of_kubernetes
