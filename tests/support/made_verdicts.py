"""Comparisons with a verdict, and policies that ask for one."""

from collections.abc import Mapping
from typing import Any

from nnunet_api.comparison.contract import ArmFacts
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.registration import digest_of
from nnunet_api.comparison.status import CandidateVerdict, NnunetComparisonStatus, RegisteredTraining, Registration
from nnunet_api.fold_status import FoldStatus
from nnunet_api.policy.evidence import Compared, Trained
from nnunet_api.results import Results
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_api.training import NnunetTrainingSpec
from tests.support.made_comparisons import condition
from tests.support.made_policies import NOW, policy

RULES: dict[str, Any] = {
    "minEpochs": 1000,
    "minIterationsPerEpoch": 250,
    "earlyStopping": {"allowedModes": ["Disabled", "Observe"]},
    "allowedTrainerClasses": ["nnUNetTrainer"],
    "requireComparison": {},
    "maxTestLooks": 20,
}
CLINICAL = policy("clinical", rules=RULES)
TEST_SET = "e" * 64
"""Hash of what all trainings were scored on."""
SEEDED: dict[str, Any] = {"testSet": {}, "replicates": 3, "trainer": {"seed": 1}}
SHORT: dict[str, Any] = {**SEEDED, "comparison": "shorter", "schedule": {"epochs": 250}}


def spec(**fields: Any) -> NnunetTrainingSpec:
    return NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset004_Hippocampus"}, **SEEDED, **fields})


def trained(name: str, epochs: int = 1000, over: bool = True, **fields: Any) -> Trained:
    """Return a training whose checkpoints prove its epochs, made by the same image from the same plans as others."""
    done = [condition("Complete", "TrainingComplete"), condition("EpochsProven", "CheckpointsVerified")]
    folds = [FoldStatus(fold="0", configuration="3d_fullres", proven_epochs=epochs)]
    status = NnunetTrainingStatus(
        conditions=done if over else [],
        folds=folds,
        results=Results(test_set_hash=TEST_SET),
        provenance=Provenance(plans_hash="b" * 64, image="trainer:1", image_digest="sha256:1"),
    )
    return Trained(name, f"uid-of-{name}", spec(**fields), status)


CANDIDATE = trained("short", 250, **{key: value for key, value in SHORT.items() if key != "replicates"})
BASELINE = trained("long")


def registered(arm: str, name: str, complete: bool = False) -> RegisteredTraining:
    return RegisteredTraining(arm=arm, name=name, uid=f"uid-of-{name}", complete=complete)


IN = registered("fast", "short")
ANOTHER = "d" * 64
"""Digest of something else."""


def status(
    verdict: str = "NonInferior",
    known: tuple[RegisteredTraining, ...] = (registered("standard", "long", True), IN),
    replicates: tuple[int, int] = (3, 3),
    **fields: Any,
) -> NnunetComparisonStatus:
    """Return the status of a comparison with a verdict."""
    found = CandidateVerdict(arm="fast", verdict=verdict, difference=-0.002, low=-0.006, high=0.002)
    return NnunetComparisonStatus.model_validate(
        {
            "phase": "Completed",
            "conditions": [condition("Complete", "VerdictFound")],
            "registration": Registration(trainings=list(known), digest=ANOTHER, time=NOW),
            "verdicts": [found],
            "arms": [
                ArmFacts(name=name, replicates=n) for name, n in zip(("standard", "fast"), replicates, strict=True)
            ],
            "indicative": False,
            **fields,
        },
        by_name=True,
    )


def compared(
    found: NnunetComparisonStatus | None = None,
    trainings: Mapping[str, Trained] | None = None,
    looks: int = 7,
    **fields: Any,
) -> Compared:
    """Return a comparison that is as it was registered."""
    arms = [{"name": "standard", "trainings": ["long"]}, {"name": "fast", "trainings": ["short"]}]
    body = {"arms": arms, "varies": ["schedule.epochs"], **fields}
    known = {"long": BASELINE, "short": CANDIDATE} if trainings is None else trainings
    spec_, found = NnunetComparisonSpec.model_validate(body), found or status()
    if found.registration and found.registration.digest:
        digest = digest_of(spec_, found.registration.trainings)
        found = found.model_copy(update={"registration": found.registration.model_copy(update={"digest": digest})})
    return Compared("c0ffee", spec_, found, known, looks, 3)
