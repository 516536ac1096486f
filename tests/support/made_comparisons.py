"""Comparisons as the operator's core sees them."""

from dataclasses import replace
from typing import Any

from nnunet_api.comparison.contract import ComparisonContract
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.conditions import Condition
from nnunet_api.results import Results
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_operator.core.comparison.model import Compare, Comparison
from nnunet_operator.core.training import Training
from tests.support.made_trainings import NOW
from tests.support.made_trainings import training as training_of

ARMS: list[dict[str, Any]] = [{"name": "standard", "trainings": ["long"]}, {"name": "fast", "trainings": ["short"]}]
TEMPLATE: dict[str, Any] = {
    "spec": {"dataset": {"name": "Dataset004_Hippocampus"}, "testSet": {}, "replicates": 3, "trainer": {"seed": 1}}
}
"""Of trainings with three replicates."""
UID = "c0ffee00-0000-4000-8000-000000000000"


def comparison(*, status: NnunetComparisonStatus | None = None, deleting: bool = False, **spec: Any) -> Comparison:
    """Return a comparison of training `short` with training `long`, with `spec` (camelCase) on top."""
    return Comparison(
        namespace="clinic",
        name="shorter",
        uid=UID,
        generation=1,
        resource_version="1",
        spec=NnunetComparisonSpec.model_validate({"arms": ARMS, "varies": ["schedule.epochs"], **spec}),
        status=status or NnunetComparisonStatus(),
        deleting=deleting,
    )


def arm(name: str, *, complete: bool = True, provenance: dict[str, Any] | None = None, **spec: Any) -> Training:
    """Return a training of an arm: complete, with what the status of one tells."""
    settings = {"testSet": {}, "folds": [0], "schedule": {"epochs": 1000 if name == "long" else 250}, **spec}
    made = training_of(name=name, uid=f"uid-of-{name}", **settings)
    conditions = [condition("Complete", "TrainingComplete"), condition("EpochsProven", "CheckpointsVerified")]
    known = {"datasetHash": "d" * 64, "splitsHash": "5" * 64, "plansHash": "b" * 64, "imageDigest": "sha256:1"}
    status = NnunetTrainingStatus(
        phase="Completed" if complete else "Training",
        conditions=conditions if complete else [],
        results=Results(summary_hash="5" * 64) if complete else None,
        provenance=Provenance.model_validate({**known, **(provenance or {})}),
    )
    return replace(made, status=status)


def condition(type_: str, reason: str) -> Condition:
    """Return a condition that is true."""
    return Condition(type=type_, status="True", reason=reason, last_transition_time=NOW)


def wanted(of: Comparison, *trainings: Training) -> Compare:
    """Return what the Job of a comparison of these trainings is made from."""
    contract = ComparisonContract(
        namespace=of.namespace,
        name=of.name,
        uid=of.uid,
        registration="d" * 64,
        arms=[],
        test_set=True,
        max_dice_loss=of.spec.max_dice_loss,
    )
    return Compare(contract, trainings)
