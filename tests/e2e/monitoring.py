"""A real Prometheus beside the local cluster, with the scrape configuration and the alerts that are shipped."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from hack.monitoring import Discovery, Prometheus
from tests.support.api import Api
from tests.support.kube import Kube

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "manifests" / "monitoring" / "prometheus.yaml"
ALERTS = ROOT / "charts" / "nnunet-operator" / "files" / "alerts.yaml"
SCRAPE_SECONDS = 4
"""A scrape may take as long: one that takes longer ends a series, and what an alert has waited for begins anew."""
EVALUATION_SECONDS = 2
FOR_SECONDS = 4
"""What stands for minutes in the `for` of alerts that tests wait for."""
WAIT_SECONDS = 180.0
"""How long is waited for what comes within seconds: where scrapes fail, what was waited for begins anew."""
LONG_FOR = ("h", "15m", "30m")
"""How a `for` ends that stays as it is, so that what is short of it raises no alert here either."""


class Monitoring:
    """What the Prometheus knows."""

    def __init__(self, prometheus: Prometheus, kube: Kube) -> None:
        self.prometheus = prometheus
        self._kube = kube

    def value(self, expression: str) -> float | None:
        """Return the value of the first series of an expression; None without any."""
        found = self.prometheus.query(expression)
        return float(found[0]["value"][1]) if found else None

    def wait_value(self, expression: str, timeout: float = WAIT_SECONDS) -> float:
        """Wait until an expression has a series and return its value."""
        found: float = self._kube.wait(
            f"a series of {expression}", lambda: (value := self.value(expression)) is not None and (value,), timeout
        )[0]
        return found

    def wait_values(self, expected: Mapping[str, float], timeout: float = WAIT_SECONDS) -> None:
        """Wait until expressions have these values; fail with those that they have instead."""
        deadline = time.monotonic() + timeout
        while found := {key: got for key, value in expected.items() if (got := self.value(key)) != value}:
            assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {dict(expected)}, found {found}"
            time.sleep(EVALUATION_SECONDS)

    def fired(self, **labels: str) -> list[str]:
        """Return the names of the alerts with these labels that have fired at any time in the last hour."""
        matchers = ",".join(f'{name}="{value}"' for name, value in {"alertstate": "firing", **labels}.items())
        found = self.prometheus.query(f"count_over_time(ALERTS{{{matchers}}}[1h])")
        return sorted({series["metric"]["alertname"] for series in found})

    def firing(self, alert: str, **labels: str) -> list[dict[str, Any]]:
        """Return the alerts of this name with these labels that fire."""
        return [
            found
            for found in self.prometheus.alerts()
            if found["state"] == "firing"
            and found["labels"]["alertname"] == alert
            and labels.items() <= found["labels"].items()
        ]

    def wait_alert(self, alert: str, timeout: float = WAIT_SECONDS, **labels: str) -> dict[str, Any]:
        """Wait until an alert fires and return it."""
        fires: list[dict[str, Any]] = self._kube.wait(
            f"alert {alert} {labels}", lambda: self.firing(alert, **labels), timeout
        )
        return fires[0]


@contextmanager
def monitoring(kube: Kube, kubeconfig: Path, folder: Path) -> Iterator[Monitoring]:
    """Run a Prometheus that finds its targets as the shipped configuration says."""
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"] = {
        "scrape_interval": f"{SCRAPE_SECONDS}s",
        "scrape_timeout": f"{SCRAPE_SECONDS}s",
        "evaluation_interval": f"{EVALUATION_SECONDS}s",
    }
    api = Api(kubeconfig)  # kubectl every two seconds would cost a tenth of a core
    discovery = Discovery(lambda selector: api.list("pods", labelSelector=selector), folder)
    for job in configuration["scrape_configs"]:
        job["file_sd_configs"] = [discovery.in_place_of(found) for found in job.pop("kubernetes_sd_configs")]
    rules = folder / "alerts.yaml"
    rules.write_text(yaml.safe_dump(hurried(yaml.safe_load(ALERTS.read_text()))))
    configuration["rule_files"] = [str(rules)]
    with discovery, Prometheus(configuration, folder) as prometheus:
        yield Monitoring(prometheus, kube)


def hurried(rules: dict[str, Any]) -> dict[str, Any]:
    """Return the alerts with a `for` of seconds where it is of minutes; their expressions stay as they are."""
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule and not rule["for"].endswith(LONG_FOR):
                rule["for"] = f"{FOR_SECONDS}s"
    return rules
