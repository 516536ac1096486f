"""`NnunetComparison.status`: what was registered, what is going on, and the verdict."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nnunet_api.base import StatusModel
from nnunet_api.comparison.contract import ArmFacts, CandidateFacts
from nnunet_api.comparison.reasons import ComparisonPhase
from nnunet_api.conditions import Condition, Time, find_condition


def _known_phase(value: Any) -> Any:
    return value if value in list(ComparisonPhase) else None


class RegisteredTraining(StatusModel):
    """A training as it was when the comparison first saw it."""

    arm: Annotated[str, Field(max_length=63)]
    """Name of the arm."""
    name: Annotated[str, Field(max_length=253)]
    """Name of the training."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the training."""
    complete: bool = False
    """It was scored already, complete or not: its scores could be known when the comparison was made."""


class Registration(StatusModel):
    """What was said before the result was known."""

    trainings: Annotated[list[RegisteredTraining], Field(max_length=100)] = []
    """The trainings of all arms, as far as they have been seen."""
    digest: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 over the spec and the trainings, once all of them have been seen."""
    time: Time | None = None
    """When that was."""


class CandidateVerdict(CandidateFacts):
    """The verdict on one arm."""

    reason: Annotated[str, Field(max_length=1024)] = ""
    """The verdict in a sentence."""


class NnunetComparisonStatus(StatusModel):
    """What the operator observed."""

    observed_generation: int | None = None
    """Generation of the spec that this status speaks of."""
    phase: Annotated[ComparisonPhase | None, BeforeValidator(_known_phase)] = None
    """One word for display. The conditions are the truth."""
    conditions: Annotated[
        list[Condition],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = []
    """Comparable, Suspended, Progressing, Complete, Failed."""
    registration: Registration | None = None
    """What was registered."""
    power: Annotated[str | None, Field(max_length=512)] = None
    """How many cases, and replicates, maxDiceLoss needs, from expectedDifferenceSD or the pilot: said before the
    result."""
    verdict: Annotated[str | None, Field(max_length=512)] = None
    """Verdict on the arm, or on each of several, for display; NotComparable where there can be none."""
    difference: Annotated[str | None, Field(max_length=512)] = None
    """Difference of Dice to the baseline with its interval, for display."""
    summary: Annotated[str | None, Field(max_length=4096)] = None
    """The verdict in a sentence, for each arm."""
    verdicts: Annotated[list[CandidateVerdict], Field(max_length=9)] = []
    """The verdict on each arm but the baseline."""
    arms: Annotated[list[ArmFacts], Field(max_length=10)] = []
    """Scores of the arms, the baseline first."""
    cases: int | None = None
    """Cases that were compared."""
    patients: int | None = None
    """Patients that they are of, which were resampled whole. None where no column of cases.csv tells them: then each
    case was taken for another patient."""
    indicative: bool | None = None
    """There was no test set: the verdict rests on the cross-validation, and only indicates."""
    seed: Annotated[str | None, Field(max_length=32)] = None
    """Seed of the resampling, from the hash of all scores that were compared."""
    log_hash: Annotated[str | None, Field(max_length=64)] = None
    """SHA-256 of the line of JSON in the log of the Job, which has all numbers: the report is made of it."""
    notes: Annotated[list[Annotated[str, Field(max_length=512)]], Field(max_length=12)] = []
    """What has to be known besides."""
    completion_time: Time | None = None
    """When it completed or failed."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None."""
        return find_condition(self.conditions, type_)

    def holds(self, type_: str) -> bool:
        """Say whether the condition of this type is there and True."""
        condition = self.condition(type_)
        return condition is not None and condition.status == "True"
