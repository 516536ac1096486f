"""Who may do what, asked from the API server itself."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from tests.integration.chart.conftest import APART, NAMESPACE, Site
from tests.support.api import wait_for
from tests.support.small_training import training

OPERATOR = f"system:serviceaccount:{NAMESPACE}:nnunet-operator"
NEEDED = [
    ("list", "nnunettrainings"),
    ("watch", "nnunettrainings"),
    ("delete", "nnunettrainings"),
    ("patch", "nnunettrainings/status"),
    ("list", "nnunetcomparisons"),
    ("patch", "nnunetcomparisons/status"),
    ("create", "nnunettestsets"),
    ("patch", "nnunettestsets/status"),
    ("create", "nnunettrainings"),
    ("patch", "nnunettrainings"),
    ("create", "jobs"),
    ("delete", "jobs"),
    ("watch", "pods"),
    ("list", "events"),
    ("create", "events"),
]
FORBIDDEN = [
    ("patch", "events"),
    ("get", "pods"),
    ("get", "secrets"),
    ("list", "secrets"),
    ("get", "configmaps"),
    ("update", "nnunettrainings"),
    ("patch", "nnunetcomparisons"),
    ("delete", "nnunettestsets"),
    ("patch", "jobs"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("create", "serviceaccounts/token"),
    ("create", "rolebindings"),
]


@pytest.fixture(scope="module")
def installed(cluster_site: Site) -> Site:
    """The chart with its defaults: the operator watches all namespaces."""
    cluster_site.clear()
    cluster_site.install_served()
    wait_for("its rights to be in force", lambda: cluster_site.may(OPERATOR, "list", "nnunettrainings"))
    return cluster_site


@pytest.fixture(scope="module")
def confined(installed: Site) -> Iterator[Site]:
    """The operator confined to the namespace `imaging`."""
    installed.namespace("imaging")
    installed.upgrade({**APART, "watch": {"namespaces": ["imaging"]}})
    may = partial(installed.may, OPERATOR)

    def in_force() -> bool:
        here, there = may("list", "nnunettrainings", "imaging"), may("create", "events", "default")
        return here and there and not may("list", "nnunettrainings")

    wait_for("its rights to be in force", in_force)
    yield installed
    installed.upgrade(APART)


@pytest.mark.parametrize(("verb", "resource"), NEEDED)
def test_the_operator_may_everywhere(installed: Site, verb: str, resource: str) -> None:
    assert installed.may(OPERATOR, verb, resource)


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_the_operator_may_nowhere(installed: Site, verb: str, resource: str) -> None:
    assert not installed.may(OPERATOR, verb, resource)
    assert not installed.may(OPERATOR, verb, resource, NAMESPACE)


def bind(site: Site, role: str, user: str, namespace: str) -> None:
    """Give a user a ClusterRole in a namespace, or everywhere."""
    site.kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": user} | ({"namespace": namespace} if namespace else {}),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
    )


def test_people_with_edit_run_trainings_and_people_with_view_look_at_them(installed: Site) -> None:
    site, namespace = installed, installed.namespace("group-a")
    bind(site, "edit", "erin", namespace)
    bind(site, "view", "vic", namespace)
    site.kube.wait(
        "the roles to be aggregated", lambda: site.may("erin", "create", "nnunettrainings", namespace), timeout=90
    )
    manifest = json.dumps(training("first", namespace))

    refused = site.kube.run("apply", "-f", "-", "--as=vic", stdin=manifest, check=False)
    assert 'User "vic" cannot create resource "nnunettrainings"' in refused
    site.kube.run("apply", "-f", "-", "--as=erin", stdin=manifest)
    assert "first" in site.kube.run("get", "nnt", "-n", namespace, "--as=vic")
    for user, answer in {"vic": "no", "erin": "yes"}.items():
        asked = ["auth", "can-i", "create", "nnunettrainings", f"--namespace={namespace}", f"--as={user}"]
        assert site.kube.run(*asked, check=False).split()[-1] == answer, "kubectl and the client are told the same"
        assert site.may(user, "create", "nnunettrainings", namespace) == (answer == "yes")

    suspend = ["patch", "nnt", "first", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}']
    assert "cannot patch" in site.kube.run(*suspend, "--as=vic", check=False)
    site.kube.run(*suspend, "--as=erin")
    lie = ["patch", "nnt", "first", "-n", namespace, "--type=merge", "--subresource=status"]
    lie += ["-p", '{"status":{"phase":"Completed"}}']
    assert "cannot patch" in site.kube.run(*lie, "--as=erin", check=False)
    assert not site.may("erin", "list", "nnunettrainings")
    site.kube.run("delete", "nnt", "first", "-n", namespace, "--as=erin")


ASKED = [
    ("create", "nnunettrainings"),
    ("patch", "nnunettrainings"),
    ("delete", "nnunettrainings"),
    ("get", "nnunettrainings"),
    ("patch", "nnunettrainings/status"),
    ("create", "nnunetcomparisons"),
    ("delete", "nnunetcomparisons"),
    ("get", "nnunetcomparisons"),
    ("patch", "nnunetcomparisons/status"),
    ("get", "nnunettestsets"),
    ("create", "nnunettestsets"),
    ("delete", "nnunettestsets"),
    ("patch", "nnunettestsets/status"),
    ("create", "nnunettrainings/jobs"),
    ("get", "pods/log"),
    ("create", "pods/exec"),
    ("create", "pods/attach"),
    ("patch", "pods/ephemeralcontainers"),
    ("create", "pods/eviction"),
    ("patch", "pods/resize"),
    ("create", "pods/binding"),
    ("create", "pods/portforward"),
    ("create", "pods/proxy"),
    ("patch", "pods/status"),
    ("patch", "jobs/status"),
    ("delete", "pods"),
    ("patch", "pods"),
    ("create", "bindings"),
    ("create", "serviceaccounts/token"),
    ("impersonate", "serviceaccounts"),
    ("get", "nodes/proxy"),
    ("create", "resourceclaimtemplates"),
    ("create", "persistentvolumeclaims"),
    ("create", "nnunettrainings/secrets"),
    ("create", "nnunettrainings/configmaps"),
    ("create", "pods"),
    ("list", "pods"),
    ("create", "jobs"),
    ("patch", "jobs"),
    ("delete", "jobs"),
    ("list", "jobs"),
    ("list", "events"),
    ("get", "secrets"),
    ("list", "nnunettrainingpolicies"),
    ("create", "nnunettrainingpolicies"),
    ("update", "nnunettrainingpolicies"),
    ("delete", "nnunettrainingpolicies"),
    ("patch", "nnunettrainingpolicies/status"),
    ("list", "namespaces"),
    ("patch", "namespaces"),
    ("delete", "namespaces"),
    ("list", "validatingadmissionpolicybindings"),
    ("delete", "validatingadmissionpolicybindings"),
    ("create", "clusterroles"),
]
TRAINS = {
    *(f"{verb} nnunettrainings" for verb in ("create", "patch", "delete", "get")),
    *(f"{verb} nnunetcomparisons" for verb in ("create", "delete", "get")),
    *("get nnunettestsets", "get pods/log", "list pods", "list jobs", "list events"),
}
DECIDES = {
    *(f"{verb} nnunettrainingpolicies" for verb in ("list", "create", "update", "delete")),
    *("list namespaces", "patch namespaces"),
}
LOOKS = {"list nnunettrainingpolicies", "list validatingadmissionpolicybindings"}
LOOKS |= {f"get {resource}" for resource in ("nnunettrainings", "nnunetcomparisons", "nnunettestsets")}
LOOKS |= {f"list {resource}" for resource in ("pods", "jobs", "events", "namespaces")}


@pytest.mark.parametrize(("role", "rights"), [("trainer", TRAINS), ("policy-admin", DECIDES), ("auditor", LOOKS)])
def test_who_trains_who_decides_and_who_looks(installed: Site, role: str, rights: set[str]) -> None:
    """Each role bound in the whole cluster: so nothing but the role is missing."""
    user = f"person-{role}"
    bind(installed, f"nnunet-{role}", user, "")
    verb, resource = min(rights).split()
    installed.kube.wait("the role to be put together", lambda: installed.may(user, verb, resource), timeout=90)
    assert {f"{verb} {resource}" for verb, resource in ASKED if installed.may(user, verb, resource)} == rights


def test_a_role_of_ones_own_adds_to_them(installed: Site) -> None:
    more = {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["list"]}
    label = {"nnunet.dev/aggregate-to-trainer": "true"}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [more]}
    installed.kube.apply({**role, "metadata": {"name": "test-more", "labels": label}})
    namespace = installed.namespace("group-b")
    bind(installed, "nnunet-trainer", "tom", namespace)

    def added() -> bool:
        return installed.may("tom", "list", "persistentvolumeclaims", namespace)

    installed.kube.wait("the role to be put together", added, timeout=90)
    installed.upgrade(APART)
    assert added(), "an upgrade leaves what Kubernetes has put together"
    installed.kube.run("delete", "clusterrole", "test-more")


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_kubernetes_own_roles_read_policies_and_never_write_them(installed: Site, role: str) -> None:
    user = f"everywhere-{role}"
    bind(installed, role, user, "")
    read = lambda: installed.may(user, "get", "nnunettrainingpolicies")  # noqa: E731
    installed.kube.wait("the roles to be aggregated", read, timeout=90)
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert not installed.may(user, verb, "nnunettrainingpolicies"), verb


# From here on the operator is confined.


@pytest.mark.parametrize(("verb", "resource"), NEEDED)
def test_a_confined_operator_may_in_its_namespace_alone(confined: Site, verb: str, resource: str) -> None:
    assert confined.may(OPERATOR, verb, resource, "imaging")
    on_policies = (verb, resource) == ("create", "events")  # Kubernetes keeps Events on them in `default`
    assert confined.may(OPERATOR, verb, resource, "default") is on_policies
    assert not confined.may(OPERATOR, verb, resource, NAMESPACE)
    assert not confined.may(OPERATOR, verb, resource)


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_a_confined_operator_may_no_more_than_before(confined: Site, verb: str, resource: str) -> None:
    assert not confined.may(OPERATOR, verb, resource, "imaging")
