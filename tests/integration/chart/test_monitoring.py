"""What the chart has for monitoring, on an API server with the Prometheus operator's own definitions."""

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hack.generate.files import MONITORING
from hack.monitoring import programs
from hack.prepare.helm import CHART, ROOT, Object, merged, render
from tests.integration.chart.conftest import APART, LEAN, NAMESPACE, Site
from tests.integration.chart.prometheus_operator import GROUP, definitions
from tests.integration.chart.prometheus_operator import KINDS as DEFINED
from tests.support.api import wait_served

MANIFESTS = ROOT / "manifests" / "monitoring"
EVERYTHING = merged(
    MONITORING, {"settings": {"scrapeAnnotations": True}, "monitoring": {"dashboards": {"create": True}}}
)
KINDS = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "NetworkPolicy", "ConfigMap"}


@pytest.fixture(scope="module")
def known(cluster_site: Site) -> Iterator[None]:
    """The kinds of the Prometheus operator."""
    files = [f"--filename={path}" for path in definitions()]
    cluster_site.kube.run("create", *files)
    wait_served(cluster_site.api, *(f"{kind}.{GROUP}" for kind in DEFINED))
    yield
    cluster_site.clear()
    cluster_site.kube.run("delete", *files, "--wait")


@pytest.fixture
def monitored(known: None, served: Site) -> Site:
    """A cluster with these kinds, and a namespace with trainings."""
    served.namespace("trainings")
    return served


def named(site: Site, kind: str, namespace: str) -> set[str]:
    return {thing["metadata"]["name"] for thing in site.kube.list(kind, namespace)}


def create(site: Site, thing: Object) -> str:
    """Return what the API server says to a dry run that refuses fields which it does not know."""
    command = ["create", "--dry-run=server", "--validate=strict", "-f", "-"]
    return site.kube.run(*command, stdin=json.dumps(thing), check=False)


def test_all_of_it_at_once_comes_and_goes_with_the_release(monitored: Site) -> None:
    monitored.install_served(merged(EVERYTHING, LEAN))
    assert named(monitored, "podmonitors", NAMESPACE) == {"nnunet-operator-trainers"}
    assert named(monitored, "servicemonitors", NAMESPACE) == {"nnunet-operator"}
    assert named(monitored, "prometheusrules", NAMESPACE) == {"nnunet-operator"}
    assert named(monitored, "networkpolicies", NAMESPACE) == {"nnunet-operator"}
    assert named(monitored, "networkpolicies", "trainings") == {
        "nnunet-operator-trainers",
        "nnunet-operator-helpers",
    }
    dashboards = {path.stem for path in (CHART / "files" / "dashboards").glob("*.json")}
    assert named(monitored, "configmaps", NAMESPACE) >= {f"nnunet-operator-dashboard-{name}" for name in dashboards}
    monitored.upgrade(merged(APART, LEAN))
    for kind in ("podmonitors", "servicemonitors", "prometheusrules", "networkpolicies"):
        assert named(monitored, kind, NAMESPACE) == set(), f"{kind} that were switched off are left"
    assert named(monitored, "networkpolicies", "trainings") == set()


def test_the_definitions_know_every_field(monitored: Site) -> None:
    """The API server drops unknown fields without a word unless told to be strict."""
    monitored.namespace(NAMESPACE)
    things = [thing for thing in render(EVERYTHING) if thing["kind"] in KINDS]
    for thing in things:
        said = create(monitored, thing)
        assert "created (server dry run)" in said, said
    (pods,) = [thing for thing in things if thing["kind"] == "PodMonitor"]
    wrong = copy.deepcopy(pods)
    wrong["spec"]["podMetricsEndpoints"][0]["honourLabels"] = True
    assert 'unknown field "spec.podMetricsEndpoints[0].honourLabels"' in create(monitored, wrong)


def test_kustomize_installs_the_same(monitored: Site) -> None:
    monitored.namespace(NAMESPACE)
    monitored.kube.run("apply", "-k", str(MANIFESTS))
    trainings = str(MANIFESTS / "network-policy-trainings.yaml")
    monitored.kube.run("apply", "-n", "trainings", "-f", trainings)
    assert named(monitored, "networkpolicies", "trainings") == {
        "nnunet-operator-trainers",
        "nnunet-operator-helpers",
    }
    monitored.kube.run("delete", "-n", "trainings", "-f", trainings)
    monitored.kube.run("delete", "-k", str(MANIFESTS))


def test_prometheus_takes_the_plain_configuration(tmp_path: Path) -> None:
    """But for the discovery, which Debian's Prometheus is built without."""
    configuration = yaml.safe_load((MANIFESTS / "prometheus.yaml").read_text())
    for job in configuration["scrape_configs"]:
        assert job.pop("kubernetes_sd_configs")
    path = tmp_path / "prometheus.yaml"
    path.write_text(yaml.safe_dump(configuration))
    command = [str(programs().promtool), "check", "config", "--syntax-only", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
