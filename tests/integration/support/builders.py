"""Small builders of what the tests put into the cluster."""

import json
from typing import Any

from nnunet_operator.api.contract import EvaluationFacts, FoldFacts, TerminationReport
from tests.integration.support.api import Object
from tests.plan_facts import PLAN_FACTS


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


def report(stage: str, fold: str = "", epochs: int = 10) -> str:
    """Return the termination message of a pod that has done its work."""
    if stage == "plan":
        done = TerminationReport(message="planned", plan=PLAN_FACTS)
    elif stage == "fold":
        facts = FoldFacts(fold=fold, epoch=epochs, epochs_target=epochs, attempts=1, mean_validation_dice=0.87)
        done = TerminationReport(message="trained", fold=facts)
    else:
        scores = EvaluationFacts(mean_validation_dice=0.873, test_mean=0.861, test_cases=12)
        done = TerminationReport(message="evaluated", evaluation=scores)
    return json.dumps(done.to_json_dict())
