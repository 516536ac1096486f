"""What Kueue says of a Job by its Workload. Pure: an object as the API server gives it in, words out.

Kueue makes a Workload for each Job that it queues, and tells there why the Job waits. It copies none of the Job's
labels to it: the Job's UID alone leads there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnunet_api.remedies.remedy import Case

GROUP = "kueue.x-k8s.io"
VERSIONS = ("v1beta2", "v1beta1")
"""Of its API, the newest first."""
PLURAL, KIND = "workloads", "Workload"
QUEUE_LABEL = f"{GROUP}/queue-name"
PRIORITY_LABEL = f"{GROUP}/priority-class"
REJECTED_REASON = "AdmissionCheckRejected"
"""Of the Event on a Workload that an admission check has rejected."""
JOB_UID_LABEL = f"{GROUP}/job-uid"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""Of the names that Kueue takes from labels; these have at most 63 characters."""

_CASES = (
    ("insufficient unused quota", ""),  # of several flavours one has enough for it, once it is free
    ("Queue [^ ]* ?(doesn't exist|not found|is terminating or missing)", Case.QUEUE_MISSING),
    ("is stopped|is inactive", Case.QUEUE_STOPPED),
    ("doesn't match ClusterQueue selector", Case.QUEUE_CLOSED),
    ("LimitRange constraints|resources validation failed", Case.QUEUE_LIMITS),
    ("PodsReady timeout", Case.PODS_TOO_SLOW),
    ("admission check", Case.QUEUE_CHECK),
    ("DeviceClass|ResourceClaimTemplate|resource claims", Case.QUEUE_DEVICES),
    ("unavailable in ClusterQueue", Case.QUEUE_WITHOUT_RESOURCE),
    ("maximum capacity", Case.QUEUE_TOO_SMALL),
    ("doesn't match node affinity|untolerated taint", Case.QUEUE_FLAVOR),
)
_PREEMPTOR = re.compile(r"a workload \(UID: ([^,)]*), JobUID: ([^,)]*)\)")
"""How Kueue tells whom it made room for; either may be missing, which it says in words."""
_BY_CHECK = "DeactivatedDueToAdmissionCheck"
_STATES = {"Retry": ", which has it try again later", "Rejected": ", which has rejected it"}
"""By state of an admission check: what that means."""
_REJECTION = "Deactivating workload because "
"""How Kueue's Event on a rejection begins, which goes on with check and words."""
_PREFIX = "couldn't assign flavors to pod set main: "


@dataclass(frozen=True)
class Workload:
    """A Workload of Kueue."""

    name: str
    queue: str
    """LocalQueue; empty where it names none."""
    active: bool
    deleting: bool
    finalizers: tuple[str, ...]
    admitted: bool
    reserved: bool
    """Its quota is reserved."""
    waits: str
    """Why no quota is reserved for it, in Kueue's words; empty where Kueue has not said."""
    stopped: str
    """Why Kueue has stopped it, in Kueue's words; empty where it has not, or where it has been admitted again."""
    checks: tuple[str, ...]
    """Admission checks that it waits for, with their words."""
    rejected: bool
    """An admission check has rejected it, for good. Kueue then takes the check's words away: an Event keeps them."""


def workload(body: Mapping[str, Any]) -> Workload:
    """Return what is known of a Workload."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    conditions: dict[str, Any] = {str(one.get("type")): one for one in status.get("conditions") or []}
    reserved, evicted = conditions.get("QuotaReserved") or {}, conditions.get("Evicted") or {}
    return Workload(
        name=str(metadata["name"]),
        queue=str(spec.get("queueName") or ""),
        active=spec.get("active") is not False,
        deleting=bool(metadata.get("deletionTimestamp")),
        finalizers=tuple(map(str, metadata.get("finalizers") or [])),
        admitted=_holds(conditions.get("Admitted")),
        reserved=_holds(reserved),
        waits="" if _holds(reserved) else _words(reserved),
        stopped=_words(evicted) if _holds(evicted) else "",
        checks=tuple(_check(one) for one in status.get("admissionChecks") or [] if one.get("state") != "Ready"),
        rejected=(_holds(evicted) and evicted.get("reason") == _BY_CHECK)
        or any(one.get("state") == "Rejected" for one in status.get("admissionChecks") or []),
    )


def preemptor(found: Workload) -> str:
    """Return the UID of the Job for which a Workload was stopped; empty where that is not told."""
    told = _PREEMPTOR.search(found.stopped)
    return told[2] if told and re.fullmatch(r"[0-9a-f-]{36}", told[2]) else ""


def stopped_by(found: Workload, other: Mapping[str, Any]) -> Workload:
    """Return a Workload that was stopped for another one, with the name of that in place of its UIDs."""
    metadata = other["metadata"]
    owners = [f"{one.get('kind')} {one.get('name')}" for one in metadata.get("ownerReferences") or []]
    who = owners[0] if owners else f"Workload {metadata['name']}"
    return replace(found, stopped=_PREEMPTOR.sub(lambda _: who, found.stopped))


def rejected_for(found: Workload, message: str) -> Workload:
    """Return a Workload that an admission check has rejected, with the message of the Event that says why."""
    return replace(found, stopped=_words({"message": message}).removeprefix(_REJECTION))


def why_waiting(found: Workload) -> tuple[str, str]:
    """Return why the Job of a Workload waits, as clauses, and the Case that it is; empty where there is none."""
    if not found.active:
        said = f": {found.stopped}" if found.stopped else ""
        case = Case.QUEUE_CHECK_REJECTED if found.rejected else Case.DEACTIVATED
        return f"its Workload {found.name} is deactivated, for good{said}", case
    if found.admitted:
        return "it has been admitted", ""
    if found.reserved:
        if not found.checks:
            return "its quota is reserved, and it waits", ""
        case = Case.QUEUE_CHECK_REJECTED if found.rejected else Case.QUEUE_CHECK
        return f"its quota is reserved, and it waits for {', '.join(found.checks)}", case
    if not found.queue:
        return "it names no LocalQueue, and Kueue holds back what names none", Case.QUEUE_UNNAMED
    both = [found.stopped, found.waits] if found.stopped not in found.waits else [found.waits]
    words = "; ".join(one for one in both if one)
    # What holds it now says what to do, not what it was once stopped for.
    holds = found.waits or found.stopped
    return words, next((case for pattern, case in _CASES if re.search(pattern, holds)), "")


def _holds(condition: Mapping[str, Any] | None) -> bool:
    return bool(condition) and (condition or {}).get("status") == "True"


def _words(condition: Mapping[str, Any]) -> str:
    return " ".join(str(condition.get("message") or "").split()).removeprefix(_PREFIX).rstrip(". ")


def _check(state: Mapping[str, Any]) -> str:
    said = f" ({_words(state)})" if state.get("message") else ""
    return f"admission check {state.get('name')}{_STATES.get(str(state.get('state')), '')}{said}"
