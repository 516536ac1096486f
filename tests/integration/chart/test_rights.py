"""Who may do what, asked from the API server itself."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.builders import training
from tests.integration.chart.conftest import NAMESPACE, Site

OPERATOR = f"system:serviceaccount:{NAMESPACE}:nnunet-operator"
NEEDED = [
    ("list", "nnunettrainings"),
    ("watch", "nnunettrainings"),
    ("delete", "nnunettrainings"),
    ("patch", "nnunettrainings/status"),
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
    ("patch", "nnunettrainings"),
    ("create", "nnunettrainings"),
    ("patch", "jobs"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "pods/exec"),
    ("get", "pods/log"),
    ("create", "serviceaccounts/token"),
    ("create", "rolebindings"),
]


@pytest.fixture(scope="module")
def installed(cluster_site: Site) -> Iterator[Site]:
    """The chart with its defaults: the operator watches all namespaces."""
    cluster_site.wipe()
    cluster_site.install()
    yield cluster_site
    cluster_site.wipe()


@pytest.fixture(scope="module")
def confined(installed: Site) -> Iterator[Site]:
    """The operator confined to the namespace `imaging`."""
    installed.namespace("imaging")
    installed.upgrade({"watch": {"namespaces": ["imaging"]}})
    yield installed
    installed.upgrade()


@pytest.mark.parametrize(("verb", "resource"), NEEDED)
def test_the_operator_may_everywhere(installed: Site, verb: str, resource: str) -> None:
    assert installed.may(OPERATOR, verb, resource)


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_the_operator_may_nowhere(installed: Site, verb: str, resource: str) -> None:
    assert not installed.may(OPERATOR, verb, resource)
    assert not installed.may(OPERATOR, verb, resource, NAMESPACE)


def bind(site: Site, role: str, user: str, namespace: str) -> None:
    """Give a user one of Kubernetes' own roles in a namespace."""
    site.kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": user, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
    )


def test_people_with_edit_run_trainings_and_people_with_view_look_at_them(installed: Site) -> None:
    site, namespace = installed, installed.namespace("group-a")
    bind(site, "edit", "erin", namespace)
    bind(site, "view", "vic", namespace)
    site.kube.wait(
        "the roles to be aggregated", lambda: site.may("erin", "create", "nnunettrainings", namespace), timeout=20
    )
    manifest = json.dumps(training("first", namespace))

    refused = site.kube.run("apply", "-f", "-", "--as=vic", stdin=manifest, check=False)
    assert 'User "vic" cannot create resource "nnunettrainings"' in refused
    site.kube.run("apply", "-f", "-", "--as=erin", stdin=manifest)
    assert "first" in site.kube.run("get", "nnt", "-n", namespace, "--as=vic")

    suspend = ["patch", "nnt", "first", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}']
    assert "cannot patch" in site.kube.run(*suspend, "--as=vic", check=False)
    site.kube.run(*suspend, "--as=erin")
    lie = ["patch", "nnt", "first", "-n", namespace, "--type=merge", "--subresource=status"]
    lie += ["-p", '{"status":{"phase":"Completed"}}']
    assert "cannot patch" in site.kube.run(*lie, "--as=erin", check=False)
    assert not site.may("erin", "list", "nnunettrainings")
    site.kube.run("delete", "nnt", "first", "-n", namespace, "--as=erin")


# From here on the operator is confined.


@pytest.mark.parametrize(("verb", "resource"), NEEDED)
def test_a_confined_operator_may_in_its_namespace_alone(confined: Site, verb: str, resource: str) -> None:
    assert confined.may(OPERATOR, verb, resource, "imaging")
    assert not confined.may(OPERATOR, verb, resource, "default")
    assert not confined.may(OPERATOR, verb, resource, NAMESPACE)
    assert not confined.may(OPERATOR, verb, resource)


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_a_confined_operator_may_no_more_than_before(confined: Site, verb: str, resource: str) -> None:
    assert not confined.may(OPERATOR, verb, resource, "imaging")
