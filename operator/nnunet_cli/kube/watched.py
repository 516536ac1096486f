"""A training and its Events as they were read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from nnunet_api.conditions import Condition, leading
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.status import NnunetTrainingStatus, Problem
from nnunet_api.training import configurations_of
from nnunet_cli.text.words import printable

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event."""

    time: datetime
    warning: bool
    reason: str
    message: str


@dataclass(frozen=True)
class Watched:
    """A training as it was read: all that can be shown of it."""

    namespace: str
    name: str
    configuration: str
    dataset: str
    status: NnunetTrainingStatus
    events: Sequence[Event] = ()
    """Oldest first."""
    uid: str = ""
    created: datetime | None = None
    generation: int = 0
    deleting: bool = False
    problem: str = ""
    """Why the status can't be read; it is empty then."""

    @property
    def finished(self) -> bool:
        """Complete or Failed: nothing more will happen by itself."""
        return self.status.holds(ConditionType.COMPLETE) or self.failed

    @property
    def failed(self) -> bool:
        """Whether it has failed."""
        return self.status.holds(ConditionType.FAILED)


def watched(training: Object, events: Sequence[Event] = ()) -> Watched:
    """Return what the API server gives. Never raises: other people's operators may be newer than this program."""
    metadata, spec = training["metadata"], training.get("spec") or {}
    status, problem = read_status(training)
    created = metadata.get("creationTimestamp")
    return Watched(
        namespace=metadata["namespace"],
        name=metadata["name"],
        configuration=", ".join(map(str, configurations_of(spec))),
        dataset=(spec.get("dataset") or {}).get("name") or "",
        status=status,
        events=events,
        uid=metadata.get("uid") or "",
        created=datetime.fromisoformat(created) if created else None,
        generation=metadata.get("generation") or 0,
        deleting=bool(metadata.get("deletionTimestamp")),
        problem=problem,
    )


def read_status(training: Object) -> tuple[NnunetTrainingStatus, str]:
    """Return the status, and why it can't be read where it is empty for that."""
    try:
        stored = training.get("status") or {}
        return NnunetTrainingStatus.model_validate(stored, by_alias=True, by_name=False), ""
    except ValidationError as error:
        return NnunetTrainingStatus(), f"its status can't be read: {' '.join(str(error).split())}"


def read_events(items: Sequence[Object]) -> list[Event]:
    """Return Events as the API server gives them, oldest first."""
    # Their times have whole seconds: within one, the order in which they were written is the story.
    ordered = sorted(items, key=lambda item: (_stamp(item), int(item["metadata"]["resourceVersion"])))
    return [
        Event(
            time=datetime.fromisoformat(_stamp(item)),
            warning=item.get("type") == "Warning",
            reason=item.get("reason") or "",
            message=printable(item.get("message") or ""),
        )
        for item in ordered
    ]


def message(status: NnunetTrainingStatus) -> str:
    """Return what is going on, and what to do where something stands in the way; empty before the first look."""
    condition = leading(status.conditions)
    return printable(_own(condition, status.problem)) if condition else ""


def matter(status: NnunetTrainingStatus, condition: Condition | None = None) -> str:
    """Return what is the matter, without what to do where the operator says it apart; empty before the first look.

    It is that of a condition, or else of the one that says most.
    """
    condition = condition or leading(status.conditions)
    problem = status.problem
    if condition and problem and problem.reason == condition.reason:
        return printable(problem.matter)
    return printable(_own(condition, problem)) if condition else ""


def _own(condition: Condition, problem: Problem | None) -> str:
    """Return a condition's message; nothing of a training that trains, where it is about what another condition says.

    The columns of `kubectl get` can't show both. Here they stand beside each other, and the phase says that it trains.
    """
    beside = condition.reason == Reason.TRAINING and problem is not None and problem.reason != condition.reason
    return "" if beside else condition.message


def _stamp(item: Object) -> str:
    return str(item.get("lastTimestamp") or item.get("eventTime") or item["metadata"]["creationTimestamp"])
