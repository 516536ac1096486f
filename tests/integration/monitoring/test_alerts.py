"""A real Prometheus with the shipped configuration and alerts, scraping what trainer and operator export."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from hack.monitoring import Discovery, Prometheus
from hack.prepare.helm import CHART, ROOT
from nnunet_operator.metrics import Metrics
from nnunet_trainer.run.metrics import FoldMetrics, Metric
from tests.support.api import wait_for
from tests.support.made_contracts import contract
from tests.support.made_figures import OneTraining

TRAINER = {"nnunet.dev/stage": "fold"}
OPERATOR = {"app.kubernetes.io/name": "nnunet-operator"}
SCRAPE_SECONDS = 3
"""A scrape that takes longer ends the alert for a while."""
T = TypeVar("T")


class Site:
    """A Prometheus, and the pods that it finds."""

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.prometheus: Prometheus

    def list_pods(self, selector: str) -> list[dict[str, Any]]:
        """Return the pods with these labels."""
        wanted = dict(pair.split("=") for pair in selector.split(","))
        return [pod for pod in self.pods if wanted.items() <= pod["metadata"]["labels"].items()]

    @contextlib.contextmanager
    def pod(self, name: str, labels: dict[str, str], registry: CollectorRegistry) -> Iterator[None]:
        """Let a pod in namespace clinic serve these metrics."""
        server, thread = start_http_server(0, "127.0.0.1", registry)
        container = {"name": "main", "ports": [{"name": "metrics", "containerPort": server.server_port}]}
        pod = {
            "metadata": {"namespace": "clinic", "name": name, "labels": labels},
            "spec": {"containers": [container]},
            "status": {"phase": "Running", "podIP": "127.0.0.1"},
        }
        self.pods.append(pod)
        try:
            yield
        finally:
            self.pods.remove(pod)
            server.shutdown()
            server.server_close()
            thread.join()

    def firing(self, name: str) -> list[dict[str, Any]]:
        """Return the alerts of this name that fire."""
        found = [alert for alert in self.prometheus.alerts() if alert["labels"]["alertname"] == name]
        return [alert for alert in found if alert["state"] == "firing"]

    def wait(self, what: str, condition: Callable[[], T | None]) -> T:
        """Wait until something is true and return it."""

        def alerts() -> str:
            return str([(alert["state"], alert["labels"]) for alert in self.prometheus.alerts()])

        return wait_for(what, condition, about=alerts)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The configuration as it is shipped, but for a faster clock and discovery by files."""
    folder, made = tmp_path_factory.mktemp("prometheus"), Site()
    rules = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["for"] = "2s"
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    configuration = yaml.safe_load((ROOT / "manifests" / "monitoring" / "prometheus.yaml").read_text())
    scrape = dict.fromkeys(("scrape_interval", "scrape_timeout"), f"{SCRAPE_SECONDS}s")
    configuration["global"] = {**scrape, "evaluation_interval": "1s"}
    discovery = Discovery(made.list_pods, folder, interval_seconds=0.2)
    for job in configuration["scrape_configs"]:
        job["file_sd_configs"] = [discovery.in_place_of(found) for found in job.pop("kubernetes_sd_configs")]
    with discovery, Prometheus(configuration, folder) as made.prometheus:
        yield made


def fold(nonfinite: int) -> FoldMetrics:
    """Return the metrics of a trainer whose loss has been no number for so many epochs."""
    metrics = FoldMetrics(contract(namespace="elsewhere"), "2", "nnUNetPlans")
    metrics.set(Metric.NONFINITE_LOSS_EPOCHS, nonfinite)
    return metrics


def test_an_alert_follows_a_fold_from_pod_to_pod(site: Site) -> None:
    """Its namespace is that of the pod, whatever the trainer says; a restart makes no second alert."""
    alert = "NnunetTrainingLossNaN"
    with site.pod("hippocampus-fold-2-a", TRAINER, fold(3).registry):
        (fired,) = site.wait("the alert on the first pod", lambda: site.firing(alert))
        labels = {"namespace": "clinic", "training": "hippocampus", "fold": "2", "severity": "warning"}
        assert fired["labels"] == {"alertname": alert, **labels}
        assert fired["annotations"]["summary"] == (
            "The loss of training clinic/hippocampus is no number, in fold 2 for 3 epochs"
        )
        second = fold(4)
        with site.pod("hippocampus-fold-2-b", TRAINER, second.registry):
            second_word = site.wait("the second pod's value", lambda: _with(site.firing(alert), "for 4 epochs"))
            assert len(second_word) == 1
    site.wait("the end of the alert with the pods", lambda: not site.firing(alert))


def test_what_the_operator_knows_comes_and_goes_with_it(site: Site) -> None:
    """While it is away, that is the alert."""
    site.wait("the alert on a missing operator", lambda: bool(site.firing("NnunetOperatorDown")))
    metrics = Metrics()
    metrics.tell(Held())
    with site.pod("nnunet-operator-1", OPERATOR, metrics.registry):
        (fired,) = site.wait("the alert on a training that is held", lambda: site.firing("NnunetPolicyDenials"))
        assert fired["labels"]["namespace"] == "radiology", "that of the training, not the operator's"
        assert fired["annotations"]["summary"] == "Training radiology/hippo is held by a policy, PolicyChanged"
        site.wait("the end of the alert on a missing operator", lambda: not site.firing("NnunetOperatorDown"))
    site.wait("the alert on a missing operator again", lambda: bool(site.firing("NnunetOperatorDown")))
    assert not site.firing("NnunetPolicyDenials")


def test_a_trainer_has_no_say_in_what_the_operator_tells(site: Site) -> None:
    """A pod of a training that exports the operator's series is not believed."""
    forged = Metrics()
    forged.tell(Held())
    with site.pod("forged", TRAINER, forged.registry):
        scrapes = 'sum_over_time(up{pod="forged"}[5m]) >= 2'
        site.wait("two scrapes of the pod", lambda: bool(site.prometheus.query(scrapes)))
        assert site.prometheus.query('{pod="forged",__name__=~"nnunet.*"}') == []
        site.wait("the alert on a missing operator", lambda: bool(site.firing("NnunetOperatorDown")))
        assert not site.firing("NnunetPolicyDenials")


def _with(alerts: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    """Return all alerts, if one of them says this."""
    return alerts if any(words in alert["annotations"]["summary"] for alert in alerts) else []


class Held(OneTraining):
    """An operator that holds a training back."""

    def phases(self) -> Any:
        return [(("radiology", "hippo", "PolicyChanged"), 1)]
