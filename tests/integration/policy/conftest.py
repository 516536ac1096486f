"""A control plane of its own: what is installed here would refuse what other tests do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.localcluster import Cluster
from hack.prepare.helm import ROOT
from tests.integration.chart.conftest import Site
from tests.integration.conftest import restart_controllers
from tests.integration.policy.bypass import LABEL
from tests.integration.policy.support import Gate
from tests.support.control_plane import control_plane

VALUES = {"policies": {"clinical": {"create": False}}}


@pytest.fixture(scope="package")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the API server keeps by the audit policy of manifests/."""
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="package")
def gate_cluster(audit_log: Path) -> Iterator[Cluster]:
    """The control plane, taken down at the end."""
    rules = ROOT / "manifests" / "policies" / "audit-policy.yaml"
    arguments = (f"--audit-policy-file={rules}", f"--audit-log-path={audit_log}")
    with control_plane("policy", arguments) as made:
        yield made


@pytest.fixture(scope="package")
def installed(gate_cluster: Cluster) -> Gate:
    """The chart, as it is installed, without the policy that comes with it."""
    gate = Gate(Site(gate_cluster.kubectl, gate_cluster.kubeconfig), gate_cluster.kubeconfig)
    install(gate)
    restart_controllers(gate_cluster)
    return gate


def install(gate: Gate) -> None:
    """Install the chart and wait until its admission policies act."""
    gate.site.install_served(VALUES)
    gate.active()


@pytest.fixture
def gate(installed: Gate) -> Iterator[Gate]:
    """The installed chart; policies are gone after the test."""
    yield installed
    installed.clear()


@pytest.fixture
def namespace(gate: Gate) -> str:
    """A namespace for which no policy is yet."""
    return gate.namespace()


@pytest.fixture
def clinical(gate: Gate) -> str:
    """A clinical namespace in which erin has `edit` and ned may do all to namespaces, and a policy for it."""
    namespace = gate.namespace(clinical="true")
    gate.bind("erin", "edit", namespace)
    gate.wait_allowed(
        "erin", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": namespace}
    )
    everything = ["namespaces", "namespaces/status", "namespaces/finalize"]
    gate.allow("ned", [{"apiGroups": [""], "resources": everything, "verbs": ["*"]}])
    rules = {"minEpochs": 1001, "requireSeed": True}
    gate.write("house", namespaceSelector={"matchLabels": {LABEL: "true"}}, rules=rules)
    return namespace
