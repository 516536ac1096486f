"""Small builders of what the tests put into the cluster."""

import json
from typing import Any

from nnunet_api.contract import EvidenceFacts, FoldEvidence, RunContract, TerminationReport
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts, SelectionFacts
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from tests.support.api import Object
from tests.support.plan_facts import PLAN_FACTS

SUMMARY_HASH = "5" * 64
TEST_SET_HASH = "7" * 64
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
        runs = [
            key.name
            for one in contract.by_configuration
            for number in range(contract.replicates)
            for key in one.fold_keys_of(number + 1)
        ]
        done = TerminationReport(message="verified", evidence=evidence(dict.fromkeys(runs, epochs)))
    elif contract.has_several:
        each = [
            ConfigurationScores(configuration=name, mean_validation_dice=0.8, model_path=f"run/{name}")
            for name in contract.configuration_names
        ]
        scores = EvaluationFacts(configurations=each, summary_hash=SUMMARY_HASH, **_chosen(contract))
        done = TerminationReport(message="evaluated", evaluation=scores)
    else:
        scores = EvaluationFacts(
            mean_validation_dice=0.873,
            test_mean=0.861,
            test_cases=12,
            summary_hash=SUMMARY_HASH,
            test_set_hash=TEST_SET_HASH if contract.test_set else None,
        )
        done = TerminationReport(message="evaluated", evaluation=scores)
    return words(done)


def _chosen(contract: RunContract) -> dict[str, Any]:
    """Return what an evaluation says of the pair that it has chosen: of its first two configurations."""
    if contract.selection is None:
        return {}
    chosen = SelectionFacts(
        chosen=contract.configuration_names[:2],
        mean_validation_dice=0.82,
        postprocessed_validation_dice=0.83,
        postprocessing=["tumour"],
        candidates=3,
    )
    test = {"test_mean": 0.81, "test_cases": 12, "test_set_hash": TEST_SET_HASH} if contract.test_set else {}
    return {"selection": chosen, **test}


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
