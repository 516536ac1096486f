"""What a decision on a comparison rests on, and what it is. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_operator.core.comparison.model import Compare, Comparison, JobSeen, Make, SetSuspend, Trainings
from nnunet_operator.core.decision import Event


@dataclass(frozen=True)
class StopJob:
    """Delete the Job with this UID."""

    uid: str


@dataclass(frozen=True)
class DeleteComparison:
    """Delete the comparison: its time to live is over."""


Action = Make | SetSuspend | Compare | StopJob | DeleteComparison


@dataclass(frozen=True)
class ComparisonDecision:
    """What to do, what the status is, what to announce, when to look again."""

    status: NnunetComparisonStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds until the next look without an event; None for never."""
    in_doubt: tuple[str, ...] = ()
    """Trainings that it takes for gone or replaced, for good: they are to be asked for before it is stored."""


@dataclass(frozen=True)
class Seen:
    """All that a decision needs."""

    comparison: Comparison
    trainings: Trainings
    job: JobSeen
    now: datetime
    pilot: NnunetComparisonStatus | None = None
    """Status of the comparison that spec.pilot names; None where there is none."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By training: what the API server said when it refused to create it, to suspend or to resume it."""
    looks: int | None = None
    """How often its test set had been looked at in its namespace; None where it has none."""
