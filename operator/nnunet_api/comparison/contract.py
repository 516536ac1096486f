"""What the operator tells the pod that computes a verdict, and what the pod answers."""

import json
from typing import Annotated

from pydantic import Field

from nnunet_api.base import ApiModel, StatusModel

COMPARISON_CONTRACT_ENV = "NNUNET_RUN_COMPARISON"
"""Environment variable that carries `ComparisonContract` as JSON."""

MAX_DIFFERENCES = 10
"""What is not comparable, as a report lists it: there may be no more than fits."""


class ComparedRun(ApiModel):
    """A training of an arm, as the operator knows it."""

    training: str
    """Name of the training."""
    uid: str
    """UID of the training."""
    folder: str
    """Its run's folder, as it is mounted below the results."""
    summary_hash: str
    """SHA-256 of summary.json as the evaluation reported it."""
    configuration_hash: str = ""
    """SHA-256 of the conditions of one of its folds, as the training reported it; empty where it reported none."""
    configuration: str
    """nnU-Net configuration."""
    folds: list[str]
    """Names of its fold runs."""


class ComparedArm(ApiModel):
    """An arm."""

    name: str
    """Name of the arm."""
    runs: list[ComparedRun]
    """Its trainings."""


class ComparisonContract(ApiModel):
    """All that the pod needs to know."""

    namespace: str
    """Namespace of the comparison."""
    name: str
    """Name of the comparison."""
    uid: str
    """UID of the comparison."""
    registration: str
    """Digest of what was registered."""
    arms: list[ComparedArm]
    """The arms, the baseline first."""
    test_set: bool
    """The trainings have a test set; else their cross-validation is compared."""
    classes: list[str] = []
    """Classes that count; none for all."""
    max_dice_loss: float
    """Margin (0 to 1)."""
    alpha: float = 0.05
    """Two-sided error."""
    varies: list[str] = []
    """What may differ."""
    founded: list[str] = []
    """Those of `varies` that the operator has seen to differ."""

    def to_text(self) -> str:
        """Return the JSON that the pod gets."""
        return json.dumps(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)

    @property
    def baseline(self) -> str:
        """Name of the arm that the others are compared with."""
        return self.arms[0].name


class Interval(StatusModel):
    """A difference with its interval."""

    difference: float
    """Candidate less baseline."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


class SurfaceInterval(Interval):
    """A difference of surface distances with its interval."""

    cases: int
    """Cases with a distance in each replicate of all arms: of a structure that one of them lacks there is none."""


class CandidateFacts(StatusModel):
    """What was found of one arm against the baseline."""

    arm: Annotated[str, Field(max_length=63)]
    """Name of the arm."""
    verdict: Annotated[str, Field(max_length=64)]
    """Superior, Inferior, Equivalent, NonInferior or Inconclusive; with Indicative before it without a test set."""
    difference: float
    """Dice of the arm less that of the baseline (-1 to 1)."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float | None = None
    """Level of the interval, for example 0.95."""
    p_wilcoxon: float | None = None
    """p of the Wilcoxon signed-rank test over the cases, or patients where they are known; two-sided, adjusted by Holm
    where there are several arms."""
    p_permutation: float | None = None
    """p of the sign-flip permutation test over the same, adjusted in the same way."""
    rank_biserial: float | None = None
    """Matched-pairs rank-biserial correlation (-1 to 1) over the same."""
    share_worse: float | None = None
    """Share of cases (0 to 1) that are worse by more than the margin."""
    probability_better: float | None = None
    """Share of the pairs of replicates in which the arm is better."""
    worst_class: Annotated[str | None, Field(max_length=128)] = None
    """Class that loses most."""
    worst_class_difference: float | None = None
    """Its difference of Dice."""
    detectable_loss: float | None = None
    """Loss of Dice that these cases, or patients, would have shown with 80 % probability."""
    cases_needed: int | None = None
    """Cases that the margin would need, where each is taken for another patient."""
    patients_needed: int | None = None
    """Patients, with as many cases each, that the margin would need, where it is known who is whose."""
    replicates_needed: int | None = None
    """Replicates that the margin would need."""
    nsd: Interval | None = None
    """Normalized surface Dice: unadjusted, and no part of the verdict."""
    hd95_mm: SurfaceInterval | None = None
    """95th percentile of the Hausdorff distance, mm; less is better. Unadjusted, no part of the verdict, and only of
    what all arms have found: an arm that misses structures loses Dice and not this."""


class ArmFacts(StatusModel):
    """Scores of one arm."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the arm."""
    mean: float | None = None
    """Mean Dice over its replicates."""
    spread: float | None = None
    """Sample standard deviation over its replicates."""
    replicates: int = 0
    """How many there are."""


class DifferenceFacts(StatusModel):
    """A condition that is not the same in all arms."""

    path: Annotated[str, Field(max_length=256)]
    """Path of the condition."""
    matter: Annotated[str, Field(max_length=1024)]
    """Its values."""


class ComparisonFacts(StatusModel):
    """Outcome of `compare`."""

    uid: str
    """UID of the comparison."""
    registration: str
    """Digest of what was registered, as it was told."""
    differences: Annotated[list[DifferenceFacts], Field(max_length=MAX_DIFFERENCES)] = []
    """Why the arms are not comparable; there is nothing else then."""
    arms: Annotated[list[ArmFacts], Field(max_length=10)] = []
    """Scores of the arms, the baseline first."""
    candidates: Annotated[list[CandidateFacts], Field(max_length=9)] = []
    """The other arms against the baseline."""
    cases: int | None = None
    """Number of cases."""
    patients: int | None = None
    """Number of patients that they are of; none where no column of cases.csv tells."""
    indicative: bool = False
    """There was no test set: the cross-validation indicates, and proves nothing."""
    seed: Annotated[str | None, Field(max_length=32)] = None
    """Seed of the resampling, from the hash of all scores that were compared."""
    log_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of the line of JSON in the log of the Job, which has all numbers."""
    notes: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=10)] = []
    """What has to be known besides."""
