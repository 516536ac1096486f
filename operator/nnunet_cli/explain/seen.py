"""What was found on the Jobs, pods, quotas and claims of a training, a line for each. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from nnunet_api import kueue
from nnunet_api.reasons import Reason
from nnunet_cli.kube.evidence import Evidence
from nnunet_cli.kube.pods import creation, ended, waiting
from nnunet_cli.text.words import age, printable, shorten

PODS = 8
WARNINGS = 5
LENGTH = 300
"""Characters of what others say."""


def seen(evidence: Evidence, reason: str, now: datetime) -> list[str]:
    """Return the lines: what is missing first, then pods, then the newest warnings."""
    return [
        *_claims(evidence, reason),
        *_quotas(evidence, reason),
        *_jobs(evidence),
        *_workloads(evidence),
        *_pods(evidence),
        *_warnings(evidence, now),
    ]


def _claims(evidence: Evidence, reason: str) -> Iterator[str]:
    if evidence.claims is not None and reason == Reason.CLAIM_NOT_BOUND:
        for name in evidence.claims_used:
            phase = evidence.claims.get(name)
            if phase is None:
                yield f"claim {name}: does not exist"
            elif phase != "Bound":
                yield f"claim {name}: {phase}, has no volume yet"


def _quotas(evidence: Evidence, reason: str) -> Iterator[str]:
    if reason != Reason.POD_REJECTED:
        return
    for quota in evidence.quotas or []:
        status = quota.get("status") or {}
        used = status.get("used") or {}
        limits = [f"{key} {used.get(key, '0')} of {hard}" for key, hard in sorted((status.get("hard") or {}).items())]
        yield f"quota {quota['metadata']['name']}: {', '.join(limits) or 'not computed yet'} used"


def _jobs(evidence: Evidence) -> Iterator[str]:
    for job in evidence.jobs or []:
        name, status = job["metadata"]["name"], job.get("status") or {}
        if (job.get("spec") or {}).get("suspend"):
            yield f"Job {name}: suspended"
        for condition in status.get("conditions") or []:
            if condition.get("type") == "Failed" and condition.get("status") == "True":
                yield f"Job {name}: failed ({_said(condition, 'reason', 'message')})"


def _workloads(evidence: Evidence) -> Iterator[str]:
    for body in evidence.workloads or []:
        found = kueue.workload(body)
        if found.deleting:
            held = f", held by {', '.join(found.finalizers)}" if found.finalizers else ""
            yield f"Workload {found.name}: is being deleted{held}"
        elif words := kueue.why_waiting(found)[0]:
            queue = f" in LocalQueue {found.queue}" if found.queue else ""
            yield f"Workload {found.name}{queue}: {shorten(printable(words), LENGTH)}"


def _pods(evidence: Evidence) -> Iterator[str]:
    """Tell of the pods that do not simply run or have done their work, the newest ones."""
    lines = [line for pod in sorted(evidence.pods or [], key=creation) if (line := _pod(pod))]
    if len(lines) > PODS:
        yield f"({len(lines) - PODS} older pods are left out)"
    yield from lines[-PODS:]


def _pod(pod: Any) -> str:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    phase = status.get("phase") or "Pending"
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name}: {phase}, is being stopped"
    if phase == "Failed" and status.get("reason"):  # it tells more than how the container ended because of that
        return f"pod {name}: failed ({_said(status, 'reason', 'message')})"
    over = ended(pod)
    if over and over.get("exitCode"):
        return f"pod {name}: ended with exit code {over['exitCode']} ({over.get('reason') or 'no reason given'})"
    if phase == "Failed":
        return f"pod {name}: failed ({_said(status, 'reason', 'message')})"
    if held := waiting(pod):
        return f"pod {name}: {phase}, waits ({_said(held, 'reason', 'message')})"
    scheduled: dict[str, Any] = next((c for c in status.get("conditions") or [] if c.get("type") == "PodScheduled"), {})
    if scheduled.get("status") == "False" and phase == "Pending":
        return f"pod {name}: {phase}, has no node ({_said(scheduled, 'reason', 'message')})"
    return f"pod {name}: {phase}" if phase in ("Pending", "Running") else ""


def _warnings(evidence: Evidence, now: datetime) -> Iterator[str]:
    newest: dict[tuple[str, str], str] = {}
    for about, event in evidence.warnings or []:
        text = f"{event.reason} on {about}, {age((now - event.time).total_seconds())} ago"
        newest.pop((about, event.reason), None)
        newest[about, event.reason] = f"{text}: {shorten(event.message, LENGTH)}"
    yield from list(newest.values())[-WARNINGS:]


def _said(found: Any, *keys: str) -> str:
    words = [str(found[key]) for key in keys if found.get(key)]
    return shorten(printable(": ".join(words)), LENGTH) or "no reason given"
