"""Conditions in Kubernetes' standard form, and the points in time in them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer

from nnunet_api.base import StatusModel
from nnunet_api.reasons import ConditionType


def rfc3339(value: datetime) -> str:
    """Return a point in time as Kubernetes writes it; one without a time zone is taken for UTC."""
    return (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A point in time, UTC, to the second, as Kubernetes writes it."""


MAX_MESSAGE = 32768
"""Characters of a message; metav1.Condition's bound."""


class Condition(StatusModel):
    """A condition in Kubernetes' standard form."""

    type: Annotated[str, Field(max_length=316)]
    """Type of the condition."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    """Reason in one CamelCase word, out of a closed set for each type."""
    message: Annotated[str, Field(max_length=MAX_MESSAGE)] = ""
    """What happened and what to do, for a human."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: Annotated[int | None, Field(ge=0)] = None
    """Generation of the spec that the condition speaks of."""


def state_condition(type_: str, holds: bool, reason: str, message: str) -> Condition:
    """Return a condition for `merge`, which fills in time and generation. A message that is too long is cut."""
    return Condition(
        type=type_,
        status="True" if holds else "False",
        reason=reason,
        message=message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 4]} ...",
        last_transition_time=datetime.min,
    )


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Return the condition of this type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def leading(conditions: Iterable[Condition]) -> Condition | None:
    """Return the condition that says most about the whole at the moment: how it ended, why it is held, or progress."""
    by_type = {condition.type: condition for condition in conditions}
    for type_ in (ConditionType.FAILED, ConditionType.COMPLETE, ConditionType.SUSPENDED):
        if type_ in by_type and by_type[type_].status == "True":
            return by_type[type_]
    return by_type.get(ConditionType.PROGRESSING)


def merge(before: Sequence[Condition], wanted: Sequence[Condition], generation: int, now: datetime) -> list[Condition]:
    """Return `wanted` for this generation; lastTransitionTime moves only where the status changed."""
    known = {condition.type: condition for condition in before}
    merged = []
    for condition in wanted:
        old = known.get(condition.type)
        since = old.last_transition_time if old and old.status == condition.status else now
        changes = {"last_transition_time": since, "observed_generation": generation}
        merged.append(condition.model_copy(update=changes))
    return merged
