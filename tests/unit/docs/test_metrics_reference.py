"""The page on metrics says what is exported, no more and no less."""

from prometheus_client import generate_latest

from hack.generate.metrics_reference import (
    CLASSES,
    metrics_reference,
    operator_metrics,
    series_of_a_fold,
    series_of_a_training,
    trainer_metrics,
)
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.local_copy import CopyFacts, CopyState
from nnunet_api.reasons import EarlyStoppingState
from nnunet_operator.metrics import Metrics
from nnunet_trainer.run.metrics import METRIC_LABELS, FoldMetrics, Metric
from tests.support.made_contracts import contract


def full() -> FoldMetrics:
    """Return the metrics of a fold of which everything is known."""
    metrics = FoldMetrics(contract(), "0", "nnUNetPlans")
    stopping = EarlyStopFacts(state=EarlyStoppingState.WATCHING)
    copy = CopyFacts(state=CopyState.COPYING)
    metrics.set_facts(FoldFacts(fold="0", epoch=1, epochs_target=9, early_stopping=stopping, local_copy=copy))
    for metric in trainer_metrics():
        own = metric.labels[len(METRIC_LABELS) :]
        values = {"split": ["train", "validation"], "label": [f"class {n}" for n in range(CLASSES)]}
        if own[:1] == ("state",) or metric.name in (Metric.EPOCH_DURATION, Metric.RUN_INFO):
            continue
        for value in values.get(own[0], ["x"]) if own else [None]:
            metrics.set(metric.name, 1, *([value] if value else []))
    metrics.observe_epoch(1)
    return metrics


def test_the_series_of_a_fold_are_counted() -> None:
    lines = [line for line in generate_latest(full().registry).decode().splitlines() if not line.startswith("#")]
    assert len(lines) == series_of_a_fold(CLASSES)
    assert f"has {len(lines)} series" in metrics_reference()


def test_all_of_a_fold_has_the_labels_that_are_told() -> None:
    exported = {
        sample.name: set(sample.labels)
        for family in full().registry.collect()
        for sample in family.samples
        if family.type == "gauge"
    }
    told = {metric.name: set(metric.labels) for metric in trainer_metrics() if metric.type == "gauge"}
    assert {name: labels for name, labels in exported.items() if name in told} == told


def test_all_of_the_operator_is_told() -> None:
    exported = {family.name for family in Metrics().registry.collect()}
    told = {metric.name.removesuffix("_total") for metric in operator_metrics()}
    assert {name for name in exported if name.startswith("nnunet")} <= told
    assert len(told) == len(operator_metrics())


def test_no_more_series_on_a_training_than_told() -> None:
    assert f"at most {series_of_a_training()} for each training" in metrics_reference()
