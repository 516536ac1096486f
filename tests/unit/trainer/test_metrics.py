"""What a scrape sees; nothing about metrics may end a training."""

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.metrics import FoldMetrics, Metric
from tests.support.made_contracts import contract, exception, policy

ROOT = Path(__file__).parents[3]


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


def test_a_dataset_of_many_classes_with_long_names_is_scraped_all_the_same() -> None:
    """Beyond its limits Prometheus takes nothing of a pod: neither epochs nor stalls would be seen."""
    limits = next(
        job
        for job in yaml.safe_load((ROOT / "manifests/monitoring/prometheus.yaml").read_text())["scrape_configs"]
        if job["job_name"] == "nnunet-training"
    )
    metrics = make()
    metrics.set_facts(
        FoldFacts(fold="2", epoch=3, epochs_target=9, early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING))
    )
    names = ['a"\n\\', *("王" * 1000 + str(number) for number in range(9_999))]
    metrics.set_pseudo_dice(names, [0.5] * len(names))
    body = generate_latest(metrics.registry)
    found = [sample for family in text_string_to_metric_families(body.decode()) for sample in family.samples]
    told = [sample.labels["label"] for sample in found if sample.name == Metric.PSEUDO_DICE]
    assert len(found) < limits["sample_limit"] and len(body) < 1_000_000 and limits["body_size_limit"] == "1MB"
    assert (
        max(len(value.encode()) for one in found for value in one.labels.values()) < limits["label_value_length_limit"]
    )
    assert told[0] == names[0] and len(set(told)) == len(told) == 500
    assert told[1].startswith("王王") and told[1].endswith("... (class 2)")


def test_the_volume_is_that_of_the_folder(tmp_path: Path) -> None:
    metrics = make()
    metrics.set_volume("results", tmp_path)
    metrics.set_volume("results", tmp_path / "gone")
    samples = {sample.name: sample for family in metrics.collect() for sample in family.samples}
    usage = shutil.disk_usage(tmp_path)
    assert samples[Metric.VOLUME_CAPACITY].value == usage.total
    assert abs(samples[Metric.VOLUME_AVAILABLE].value - usage.free) < 1 << 30
    assert samples[Metric.VOLUME_CAPACITY].labels["volume"] == "results"


def test_state_of_the_early_stopping_rule() -> None:
    metrics = make()
    stopping = EarlyStopFacts(state=EarlyStoppingState.ANNEALING, epoch=5, end_epoch=8)
    metrics.set_facts(FoldFacts(fold="2", epoch=6, epochs_target=9, early_stopping=stopping))
    text = scrape(metrics)
    states = dict(re.findall(rf'{Metric.EARLY_STOPPING_STATE}{{.*state="(\w+)".*}} (\S+)', text))
    assert states == {state.value: "1.0" if state == "Annealing" else "0.0" for state in EarlyStoppingState}
    assert f"{Metric.END_EPOCH}{{{LABELS}}} 8.0" in text and f"{Metric.EARLY_STOPPING_EPOCH}{{{LABELS}}} 5.0" in text


@pytest.mark.parametrize(
    ("policies", "asked", "excepted"),
    [(None, 0, 0), (policy(minEpochs=None), 0, 0), (policy(), 600, 0), (policy(exceptions=[exception()]), 600, 1)],
)
def test_policies(policies: Any, asked: int, excepted: int) -> None:
    text = scrape(FoldMetrics(contract(policy=policies), "2", "nnUNetPlans"))
    assert f"{Metric.POLICY_MIN_EPOCHS}{{{LABELS}}} {asked:.1f}" in text
    assert f"{Metric.POLICY_EXCEPTED}{{{LABELS}}} {excepted:.1f}" in text
    assert Metric.EARLY_STOPPING_SUPPRESSED_EPOCH not in text


def test_a_verdict_that_policies_take_back_is_gone() -> None:
    metrics = make()
    annealing = EarlyStopFacts(state=EarlyStoppingState.ANNEALING, epoch=5, end_epoch=8)
    metrics.set_facts(FoldFacts(fold="2", epoch=6, epochs_target=9, early_stopping=annealing))
    watching = EarlyStopFacts(state=EarlyStoppingState.WATCHING, suppressed_epoch=5)
    metrics.set_facts(FoldFacts(fold="2", epoch=6, epochs_target=9, early_stopping=watching))
    text = scrape(metrics)
    assert f"{Metric.EARLY_STOPPING_SUPPRESSED_EPOCH}{{{LABELS}}} 5.0" in text
    assert Metric.EARLY_STOPPING_EPOCH not in text and f"{Metric.END_EPOCH}{{{LABELS}}} 9.0" in text
