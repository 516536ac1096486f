"""What operator and trainer export is named and typed as Prometheus asks: promtool finds nothing to complain about."""

import subprocess
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hack.generate.metrics_reference import operator_metrics, trainer_metrics
from hack.monitoring import programs
from nnunet_operator.metrics import FIGURES, Metrics
from tests.support.made_figures import OneTraining
from tests.unit.docs.test_metrics_reference import full


def operator() -> CollectorRegistry:
    """Return the registry of an operator in which everything has happened once: what has no series is not linted."""
    metrics = Metrics()
    metrics.tell(OneTraining())
    metrics.reconciles.labels("NnunetTraining", "ok").inc()
    metrics.reconcile_seconds.labels("NnunetTraining").observe(1)
    metrics.queue_wait_seconds.labels("NnunetTraining").observe(1)
    metrics.queue_depth.labels("NnunetTraining").set(1)
    metrics.api_requests.labels("GET", "pods", "200").inc()
    metrics.api_seconds.labels("GET").observe(1)
    metrics.scrapes.labels("ok").inc()
    metrics.resyncs.labels("ok").inc()
    metrics.repairs.inc()
    metrics.rebuilds.inc()
    metrics.refused_namespaces.labels("clinic").set(1)
    metrics.watch_restarts.inc()
    metrics.policy_decisions.labels("clinical", "minEpochs", "Denied").inc()
    return metrics.registry


REGISTRIES: dict[str, Callable[[], CollectorRegistry]] = {"operator": operator, "trainer": lambda: full().registry}
DECLARED = {"operator": operator_metrics, "trainer": trainer_metrics}


@pytest.mark.parametrize("of", REGISTRIES)
def test_promtool_has_no_complaint(of: str) -> None:
    text = generate_latest(REGISTRIES[of]())
    command = [str(programs().promtool), "check", "metrics"]
    done = subprocess.run(command, input=text, capture_output=True, check=False, timeout=120)
    assert (done.returncode, (done.stdout + done.stderr).decode()) == (0, "")


@pytest.mark.parametrize("of", REGISTRIES)
def test_nothing_escapes_the_lint(of: str) -> None:
    """A metric without a series would not be looked at."""
    series = {sample.name for family in REGISTRIES[of]().collect() for sample in family.samples}
    for metric in DECLARED[of]():
        name = f"{metric.name}_count" if metric.type == "histogram" else metric.name
        assert name in series, f"{name} has no series here"
    assert FIGURES.keys() <= {name.removeprefix("nnunet_training_") for name in series} or of == "trainer"


NAMES_OF_OBJECTS = {"namespace", "training", "comparison", "arm", "policy", "test_set"}
"""Kubernetes takes no others than are harmless anywhere, and quotas bound how many there are."""
CLOSED = {"phase", "reason", "verdict", "kind", "result", "rule", "outcome", "method", "resource", "code", "version"}
"""Words of the operator, of the API and of its release."""


def test_no_label_of_the_operators_is_what_a_trainer_or_a_dataset_says() -> None:
    """There could be any number of them, with anything in them: classes, cases, images, messages."""
    assert {label for metric in operator_metrics() for label in metric.labels} == NAMES_OF_OBJECTS | CLOSED
