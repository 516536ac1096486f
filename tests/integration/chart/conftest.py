"""A control plane of its own for the chart: these tests install and remove what others rely on."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.prepare.helm import CHART, IMAGES, helm, merged
from tests.integration.conftest import install_crds
from tests.support.api import Api, wait_for, wait_served
from tests.support.control_plane import control_plane
from tests.support.kube import Kube, Object

NAMESPACE = "nnunet-system"
CRD = "nnunettrainings.nnunet.dev"
POLICY_CRD = "nnunettrainingpolicies.nnunet.dev"
COMPARISON_CRD = "nnunetcomparisons.nnunet.dev"
TEST_SET_CRD = "nnunettestsets.nnunet.dev"
DEFINITIONS = (CRD, POLICY_CRD, COMPARISON_CRD, TEST_SET_CRD)
APART: Object = {"crds": {"install": False}}
"""Values of a release without definitions."""
LEAN: Object = {"policies": {"admission": False}}
"""Values of a release without admission policies, whose expressions the API server compiles at each installation and
upgrade, and which it may find the parameters of half a minute late."""
CLUSTER_WIDE = (
    *(f"/apis/admissionregistration.k8s.io/v1/validatingadmission{kind}" for kind in ("policies", "policybindings")),
    *(f"/apis/rbac.authorization.k8s.io/v1/cluster{kind}" for kind in ("roles", "rolebindings")),
)

CORE = ("bindings", "configmaps", "events", "namespaces", "nodes", "persistentvolumeclaims", "pods", "secrets")
GROUPS = {
    **dict.fromkeys((*CORE, "serviceaccounts"), ""),
    "clusterroles": "rbac.authorization.k8s.io",
    "jobs": "batch",
    "nnunettrainingpolicies": "nnunet.dev",
    "nnunettrainings": "nnunet.dev",
    "nnunetcomparisons": "nnunet.dev",
    "nnunettestsets": "nnunet.dev",
    "resourceclaimtemplates": "resource.k8s.io",
    "rolebindings": "rbac.authorization.k8s.io",
    "validatingadmissionpolicybindings": "admissionregistration.k8s.io",
}
"""API group of each kind that is asked about: with another one each answer would be no."""


class Site:
    """kubectl, helm and a client on one cluster."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.kube = Kube(kubectl, kubeconfig)
        self.api = Api(kubeconfig)

    def helm(self, *args: str, values: Object | None = None) -> str:
        """Run helm in the operator's namespace; raises HelmError where it refuses."""
        return helm(*args, f"--namespace={NAMESPACE}", values=values, env={"KUBECONFIG": str(self.kubeconfig)})

    def install(self, values: Object | None = None, release: str = "nnunet-operator", *args: str) -> str:
        """Install the chart and return what helm says."""
        return self.helm(
            "install", release, str(CHART), "--create-namespace", *args, values=merged(IMAGES, values or {})
        )

    def install_served(self, values: Object | None = None) -> str:
        """Install the chart without its definitions, which are served already, so that trainings are admitted at once.

        Where the definitions come with what needs them, it takes admission up to half a minute to find them. And they
        are most of what helm has to do, each time: upgrades of this release have to leave them out, too.
        """
        install_crds(self.api)
        return self.install(merged(APART, values or {}))

    def upgrade(self, values: Object | None = None) -> str:
        """Upgrade the release and return what helm says."""
        return self.helm("upgrade", "nnunet-operator", str(CHART), values=merged(IMAGES, values or {}))

    def uninstall(self, release: str = "nnunet-operator") -> str:
        """Uninstall a release and return what helm says."""
        self._wait_definitions()
        return self.helm("uninstall", release, "--wait", "--timeout=180s")

    def definitions(self) -> list[str]:
        """Return the names of the definitions that there are and that are not being deleted."""
        found = self.api.list("customresourcedefinitions", "")
        ours = (one["metadata"] for one in found if one["spec"]["group"] == "nnunet.dev")
        return [head["name"] for head in ours if "deletionTimestamp" not in head]

    def _wait_definitions(self) -> None:
        """Wait until the definitions that there are were served: for one that is deleted sooner the API server can't
        clean up at once, and tries again after a minute."""
        wait_served(self.api, *self.definitions())

    def clear(self) -> None:
        """Remove every release, what kustomize has left, and every object of ours. Definitions stay where they are."""
        self._wait_definitions()
        secrets = f"/api/v1/namespaces/{NAMESPACE}/secrets?labelSelector=owner%3Dhelm"
        releases = {secret["metadata"]["labels"]["name"] for secret in self.api.request("GET", secrets)["items"]}
        for release in sorted(releases):
            self.uninstall(release)
        for path in CLUSTER_WIDE:
            self.api.request("DELETE", f"{path}?labelSelector=app.kubernetes.io%2Fname%3Dnnunet-operator")
        for kind in (name.partition(".")[0] for name in self.definitions()):
            for head in (one["metadata"] for one in self.api.list(kind)):
                self.api.delete(kind, head.get("namespace", ""), head["name"])

    def wipe(self) -> None:
        """Remove the definitions as well."""
        self.clear()
        for name in self.definitions():
            self.api.delete("customresourcedefinitions", "", name)

        def gone() -> bool:
            return not any(self.api.get("customresourcedefinitions", "", name) for name in DEFINITIONS)

        try:
            wait_for("the definitions to be gone", gone, timeout=180)
        except AssertionError as error:
            state = self.kube.run("describe", "crd", *DEFINITIONS, check=False)[-3000:]
            raise AssertionError(f"{error}\n{state}") from None

    def namespace(self, name: str, **labels: str) -> str:
        """Make a namespace, where it does not exist yet, and return its name."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self.api.apply("namespaces", body)
        return name

    def train(self, manifest: Object | str, namespace: str) -> None:
        """Create a training. For up to 30 s after an installation admission may not know the kind of the policies."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)

        def said() -> str:
            answer = self.kube.run("apply", "-n", namespace, "-f", "-", stdin=text, check=False)
            return "" if "paramKind" in answer or "no matches for kind" in answer else answer

        answer: str = self.kube.wait("admission to know the policies", said, timeout=90)
        assert "created" in answer, answer

    def may(self, user: str, verb: str, resource: str, namespace: str = "") -> bool:
        """Ask the API server whether a user may do something; without a namespace, in all of them."""
        kind, _, subresource = resource.partition("/")
        asked = {"group": GROUPS[kind], "resource": kind, "subresource": subresource}
        return self.api.may(user, {**asked, "verb": verb, "namespace": namespace})


@pytest.fixture(scope="package")
def cluster_site() -> Iterator[Site]:
    """The control plane of the chart's tests, taken down at the end."""
    with control_plane("chart") as cluster:
        yield Site(cluster.kubectl, cluster.kubeconfig)


@pytest.fixture
def site(cluster_site: Site) -> Site:
    """A cluster without the operator and its definitions."""
    cluster_site.wipe()
    return cluster_site


@pytest.fixture
def served(cluster_site: Site) -> Site:
    """A cluster without the operator, in which its definitions are served already.

    The API server has most of the work with definitions, each time: tests that do not need them to come use this, and
    stand together.
    """
    cluster_site.clear()
    install_crds(cluster_site.api)
    return cluster_site
