"""Small builders of what the tests put into the cluster."""

import json
from typing import Any

from nnunet_api.contract import EvaluationFacts, EvidenceFacts, FoldEvidence, RunContract, TerminationReport
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from tests.support.api import Object
from tests.support.plan_facts import PLAN_FACTS

SUMMARY_HASH = "5" * 64
"""SHA-256 of the scores that no run has written."""


def comparison(namespace: str, name: str = "shorter", **spec: Any) -> Object:
    """Return a comparison of training `short` with training `long`; `spec` replaces whole fields."""
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetComparison",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "arms": [{"name": "standard", "trainings": ["long"]}, {"name": "fast", "trainings": ["short"]}],
            "varies": ["schedule.epochs"],
            **spec,
        },
    }


def training(namespace: str, name: str = "hippo", **spec: Any) -> Object:
    """Return a training of two folds of ten epochs; `spec` replaces whole fields."""
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "dataset": {"name": "Dataset004_Hippocampus"},
            "folds": [0, 1],
            "schedule": {"epochs": 10},
            **spec,
        },
    }


def report(contract: RunContract, stage: str, fold: str = "") -> str:
    """Return the termination message of a pod that has done its work."""
    epochs = contract.schedule.epochs
    if stage == "plan":
        done = TerminationReport(message="planned", plan=PLAN_FACTS)
    elif stage == "fold":
        facts = FoldFacts(fold=fold, epoch=epochs, epochs_target=epochs, attempts=1, mean_validation_dice=0.87)
        done = TerminationReport(message="trained", fold=facts)
    elif stage == "verify":
        runs = [key.name for number in range(contract.replicates) for key in contract.fold_keys_of(number + 1)]
        done = TerminationReport(message="verified", evidence=evidence(dict.fromkeys(runs, epochs)))
    else:
        scores = EvaluationFacts(mean_validation_dice=0.873, test_mean=0.861, test_cases=12, summary_hash=SUMMARY_HASH)
        done = TerminationReport(message="evaluated", evaluation=scores)
    return words(done)


def evidence(epochs: dict[str, int], verdict: EarlyStopFacts | None = None) -> EvidenceFacts:
    """Return evidence of so many epochs of each fold."""
    folds = [
        FoldEvidence(fold=fold, epochs=proven, checkpoint_hash="c" * 64, early_stopping=verdict)
        for fold, proven in epochs.items()
    ]
    return EvidenceFacts(folds=folds)


def words(report: TerminationReport) -> str:
    """Return a report as a pod leaves it."""
    return json.dumps(report.to_json_dict())
