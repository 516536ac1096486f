"""The policy that comes with the chart: there from the beginning, and from then on nobody's but those who write it."""

from collections.abc import Iterator

import pytest

from hack.prepare.helm import CHART, ROOT, merged
from tests.integration.chart.conftest import APART, CRD, LEAN, NAMESPACE, POLICY_CRD
from tests.integration.conftest import install_crds
from tests.integration.policy.conftest import VALUES, install
from tests.integration.policy.support import MERGE, POLICIES, Gate, exception
from tests.support.api import Object, wait_for, wait_served
from tests.support.builders import training

CLINICAL = f"{POLICIES}/clinical"
ALONE = merged(APART, LEAN)
"""Values of a release in which little but this policy is new to the API server."""
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def lent(installed: Gate) -> Iterator[Gate]:
    """The cluster; after these tests all is as it was."""
    installed.clear()
    yield installed
    installed.site.wipe()
    install(installed)


@pytest.fixture
def defined(emptied: Gate) -> Gate:
    """A cluster without the operator, whose definitions do not come and go with each release: that costs seconds."""
    install_crds(emptied.site.api)
    return emptied


@pytest.fixture
def emptied(lent: Gate) -> Gate:
    """A cluster without the operator and the definitions."""
    lent.site.wipe()
    return lent


def clinical(gate: Gate) -> Object:
    spec: Object = gate.done("GET", CLINICAL)["spec"]
    return spec


def edited(gate: Gate) -> Object:
    """Change it as those who write policies do, and return what it is then."""
    patch = {"mode": "Warn", "rules": {"minEpochs": 1500}, "exceptions": [exception("a")]}
    changed: Object = gate.done("PATCH", CLINICAL, {"spec": patch}, type_=MERGE)["spec"]
    return changed


def test_it_closes_clinical_namespaces(defined: Gate) -> None:
    defined.site.install(APART)
    namespace = defined.namespace(clinical="true")
    denied = wait_for("admission to know it", lambda: defined.create(training(namespace)).warned("nnunet-policy-warn"))
    assert denied[0].startswith("policy clinical: spec.schedule.epochs is 10, must be at least 1000; ")
    assert defined.create(training(defined.namespace())).ok


def test_neither_upgrade_nor_rollback_nor_a_new_install_changes_what_it_has_become(defined: Gate) -> None:
    site = defined.site
    site.install(ALONE)
    wanted = edited(defined)
    site.upgrade(ALONE)
    assert clinical(defined) == wanted
    site.helm("rollback", "nnunet-operator", "1")
    assert clinical(defined) == wanted
    site.upgrade(merged(ALONE, VALUES))
    assert clinical(defined) == wanted, "no longer asked for, it stays"
    site.uninstall()
    assert clinical(defined) == wanted
    site.install(ALONE)
    assert clinical(defined) == wanted


def test_it_comes_with_an_upgrade_and_comes_back_with_the_next(defined: Gate) -> None:
    site = defined.site
    site.install(merged(ALONE, VALUES))
    assert defined.ask("GET", CLINICAL).status == 404
    site.upgrade(merged(ALONE, {"policies": {"clinical": {"mode": "Audit"}}}))
    assert clinical(defined)["mode"] == "Audit"
    defined.done("DELETE", CLINICAL)
    site.helm("upgrade", "nnunet-operator", str(CHART), "--reset-then-reuse-values")
    assert clinical(defined)["mode"] == "Audit"


def test_it_comes_with_its_definition_and_goes_with_it_without_crds_keep(emptied: Gate) -> None:
    emptied.site.install(merged(LEAN, {"crds": {"keep": False}}))
    assert clinical(emptied)
    emptied.site.uninstall()
    gone = lambda: emptied.ask("GET", f"{CRDS}/{POLICY_CRD}").status == 404  # noqa: E731
    wait_for("the definition to be gone", gone)


def test_kubectl_applies_the_same_after_kustomize(emptied: Gate) -> None:
    kube = emptied.site.kube
    kube.run("apply", "-k", str(ROOT / "manifests"))
    wait_served(emptied.site.api, CRD, POLICY_CRD)
    kube.run("apply", "-f", str(ROOT / "manifests" / "policies" / "clinical.yaml"))
    assert clinical(emptied)["rules"]["minEpochs"] == 1000
    objects = ("-f", str(ROOT / "manifests" / "operator" / "operator.yaml"), "-f", str(ROOT / "manifests" / "rbac"))
    kube.run("delete", "-n", NAMESPACE, *objects)
