"""What a scrape sees; nothing about metrics may end a training."""

import math
import socket
import urllib.request

import pytest
from prometheus_client import generate_latest

from nnunet_operator.api.contract import FoldFacts, Metric
from nnunet_trainer.metrics import FoldMetrics, serve
from tests.unit.trainer.builders import contract


def make() -> FoldMetrics:
    return FoldMetrics(contract(), "2", "nnUNetPlans")


def scrape(metrics: FoldMetrics) -> str:
    return generate_latest(metrics.registry).decode()


LABELS = 'fold="2",namespace="imaging",training="hippocampus"'


def test_unknown_values_are_absent() -> None:
    text = scrape(make())
    assert Metric.LOSS not in text and Metric.EMA_PSEUDO_DICE not in text
    assert "process_cpu" not in text, "a registry of its own"
    assert f'{Metric.RUN_INFO}{{configuration="3d_fullres"' in text


def test_facts_and_details() -> None:
    metrics = make()
    metrics.set_facts(FoldFacts(fold="2", epoch=3, epochs_target=9, training_loss=-0.5, attempts=2, lost_epochs=1))
    metrics.set_pseudo_dice(["anterior", "posterior"], [0.7, math.nan])
    metrics.observe_epoch(12.5)
    text = scrape(metrics)
    assert f"{Metric.EPOCH}{{{LABELS}}} 3.0" in text
    assert f'{Metric.LOSS}{{fold="2",namespace="imaging",split="train",training="hippocampus"}} -0.5' in text
    assert 'label="anterior"' in text and 'label="posterior"' not in text
    assert f"{Metric.EPOCH_DURATION}_sum{{{LABELS}}} 12.5" in text
    assert "nan" not in text.lower().replace("namespace", "")


def test_taken_port_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        serve(make(), taken.getsockname()[1])
    assert "no metrics" in caplog.text


def test_served_over_http() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    metrics = make()
    serve(metrics, port)
    metrics.set(Metric.EPOCH, 7)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert f"{Metric.EPOCH}{{{LABELS}}} 7.0" in answer.read().decode()
