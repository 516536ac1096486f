"""The line of JSON in the log of a comparison's Job: all numbers, for the report.

The status has its SHA-256: a log that is another one, or was made up, is no part of the comparison.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel

MOST_SCORES = 300_000
"""Scores of single cases in a line (3 MB): of more, none. The kubelet keeps 10 MB of a log by default."""
MOST_POINTS = 120
"""Points of a curve."""


class ClassInterval(StatusModel):
    """The difference of one class, not adjusted for their number."""

    difference: float | None = None
    low: float | None = None
    high: float | None = None


class WorstCase(StatusModel):
    """A case that an arm is worse on."""

    case: str
    difference: float


class LoggedCandidate(StatusModel):
    """An arm against the baseline, as far as the status does not have it."""

    name: str
    """Name of the arm."""
    per_class: Mapping[str, ClassInterval] = {}
    """By the name of the class."""
    worst_cases: Sequence[WorstCase] = ()
    """Worst first."""


class LoggedReplicate(StatusModel):
    """One replicate of an arm."""

    arm: str
    training: str
    replicate: int
    """1 is the first of its training."""
    seed: int | None = None
    mean: float | None = None
    """Dice, as nnU-Net aggregates it."""
    cases: Sequence[float | None] = ()
    """Dice of each case, the mean over its classes, in the order of `case_names`; empty where there are too many."""
    curve: Sequence[tuple[float, float, float]] = ()
    """Finished epochs, GPU-hours of all folds until then, moving average of the pseudo-Dice (mean over the folds)."""


class ComparisonLog(StatusModel):
    """What the report takes from the log."""

    case_names: Sequence[str] = ()
    """In the order of the scores; empty where there are too many."""
    patients: Sequence[int] = ()
    """For each of them the number of its patient, from 1; empty where no column of cases.csv tells."""
    candidates: Annotated[Sequence[LoggedCandidate], Field(max_length=9)] = ()
    replicates: Sequence[LoggedReplicate] = ()
    """Of all arms, the baseline's first."""


def log_hash(line: str) -> str:
    """Return the SHA-256 of a line of a log, without its end."""
    return hashlib.sha256(line.encode()).hexdigest()
