"""Events of a comparison: one for each transition."""

from collections.abc import Iterator

from nnunet_api.comparison.reasons import ComparisonConditionType as Type
from nnunet_api.comparison.reasons import ComparisonReason
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_operator.core.decision import Event
from nnunet_operator.core.events import MESSAGE_LIMIT


def events(before: NnunetComparisonStatus, after: NnunetComparisonStatus) -> tuple[Event, ...]:
    """Return what to announce."""
    return tuple(_events(before, after))


def _events(before: NnunetComparisonStatus, after: NnunetComparisonStatus) -> Iterator[Event]:
    old, new = before.registration, after.registration
    if new and new.digest and not (old and old.digest):
        yield Event("Normal", ComparisonReason.REGISTERED.value, f"what is compared is registered: {new.digest}")
    if after.power and after.power != before.power:
        yield Event("Normal", ComparisonReason.POWER_EXPECTED.value, after.power)
    for type_, kind in ((Type.SUSPENDED, "Normal"), (Type.COMPLETE, "Normal"), (Type.FAILED, "Warning")):
        if after.holds(type_) and not before.holds(type_):
            yield _event(kind, after, type_)
    if before.holds(Type.SUSPENDED) and not after.holds(Type.SUSPENDED):
        who = "what it has made" if after.holds(Type.FAILED) else "it"
        yield Event("Normal", ComparisonReason.RESUMED.value, f"spec.suspend is false again: {who} goes on")
    was, now = before.condition(Type.PROGRESSING), after.condition(Type.PROGRESSING)
    over = any(map(after.holds, (Type.SUSPENDED, Type.COMPLETE, Type.FAILED)))
    if now and not over and (was is None or (was.status, was.reason) != (now.status, now.reason)):
        waits = now.reason == ComparisonReason.WAITING_FOR_ARMS
        yield _event("Normal" if waits or now.status == "True" else "Warning", after, Type.PROGRESSING)


def _event(kind: str, status: NnunetComparisonStatus, type_: Type) -> Event:
    condition = status.condition(type_)
    assert condition is not None
    return Event("Warning" if kind == "Warning" else "Normal", condition.reason, condition.message[:MESSAGE_LIMIT])
