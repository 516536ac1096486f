"""`NnunetTestSet`: the ledger of how often a test set has been looked at. The operator alone writes it.

There is one for each test set, by its content, and namespace. Nothing owns it: it outlives trainings and comparisons.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from nnunet_api.base import ApiModel, StatusModel
from nnunet_api.conditions import Time

KIND = "NnunetTestSet"
PLURAL = "nnunettestsets"

MAX_LOOKS = 200
"""Looks that the status lists; all are counted."""
MAX_LEDGERS = 200
"""Ledgers of one namespace: anyone who trains could have as many as they like, and etcd has to hold them."""
_NAME_DIGITS = 40

Hash = Annotated[str, Field(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]


class LookKind(StrEnum):
    """By what a test set is looked at."""

    TRAINING = "Training"
    COMPARISON = "Comparison"


class Look(StatusModel):
    """A test set was scored: the result was known from then on, whatever became of it."""

    kind: LookKind
    """Training or Comparison."""
    name: Annotated[str, Field(max_length=253)]
    """Name of the training or comparison."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the training or comparison."""
    time: Time
    """When the evaluation, or the comparison, had ended."""

    def is_same(self, other: "Look") -> bool:
        """Tell whether it is the same look: an object that was restored from a backup has another UID."""
        return self.uid == other.uid or (self.kind, self.name, self.time) == (other.kind, other.name, other.time)


class NnunetTestSetSpec(ApiModel):
    """Which test set it is."""

    images_hash: Hash
    """SHA-256 over the contents of its images (status.results.testSetHash of trainings). Names and labels are no part:
    who renames a case or corrects a label has seen it all the same."""


class NnunetTestSetStatus(StatusModel):
    """The ledger."""

    total: int = 0
    """How often it has been looked at in this namespace. Never less than before."""
    looks: Annotated[list[Look], Field(max_length=MAX_LOOKS)] = []
    """The newest looks, the newest last; at most 200."""
    unlisted_until: Time | None = None
    """Looks up to this time may be counted and no longer listed; none of them is counted again."""


def object_name(images_hash: str) -> str:
    """Return the name of the NnunetTestSet of a test set."""
    return f"sha256-{images_hash[:_NAME_DIGITS]}"


def with_looks(before: NnunetTestSetStatus, looks: Iterable[Look]) -> NnunetTestSetStatus:
    """Return the ledger with these looks, each counted once, however often it is told of."""
    known, until = list(before.looks), before.unlisted_until
    new: list[Look] = []
    for look in sorted(looks, key=lambda one: (one.time, one.uid)):
        if _is_over(look, until) or any(look.is_same(other) for other in (*known, *new)):
            continue
        new.append(look)
    if not new:
        return before
    listed = sorted((*known, *new), key=lambda one: (one.time, one.uid))
    dropped = listed[: max(0, len(listed) - MAX_LOOKS)]
    return NnunetTestSetStatus(
        total=before.total + len(new),
        looks=listed[len(dropped) :],
        unlisted_until=dropped[-1].time if dropped else until,
    )


def _is_over(look: Look, until: datetime | None) -> bool:
    return until is not None and look.time <= until
