"""What a decision on a comparison rests on, and what it is. Plain data."""

from dataclasses import dataclass
from datetime import datetime

from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_operator.core.comparison.model import Compare, Comparison, JobSeen, Trainings
from nnunet_operator.core.decision import Event


@dataclass(frozen=True)
class StopJob:
    """Delete the Job with this UID."""

    uid: str


@dataclass(frozen=True)
class DeleteComparison:
    """Delete the comparison: its time to live is over."""


Action = Compare | StopJob | DeleteComparison


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
