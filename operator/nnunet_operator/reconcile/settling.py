"""Whether the Jobs that were just made have come to something that is worth telling.

Where hundreds of trainings are applied at once, their Pods show after seconds. A status that tells of a Job without a
Pod would be followed by another one at once, and each is among the dearest requests that the API server gets.
"""

from collections.abc import Iterable
from datetime import datetime

from nnunet_operator.builders.model import Manifest
from nnunet_operator.reconcile.objects import controller_of, is_deleting, parse_time, status_of, true_condition, uid_of


def is_settling(jobs: Iterable[Manifest], pods: Iterable[Manifest], now: datetime, patience_seconds: float) -> bool:
    """Return True if a Job is younger than the patience and should have a Pod on which a scheduler has spoken.

    Clocks that differ only make it say no.
    """
    young = {uid_of(job) for job in jobs if _is_young(job, now, patience_seconds)}
    return bool(young) and not young <= {controller_of(pod).get("uid") for pod in pods if _is_spoken_on(pod)}


def _is_young(job: Manifest, now: datetime, patience_seconds: float) -> bool:
    created = parse_time(job["metadata"].get("creationTimestamp"))
    waits = (job.get("spec") or {}).get("suspend") or is_deleting(job) or true_condition(job, "Complete", "Failed")
    return created is not None and not waits and 0 <= (now - created).total_seconds() < patience_seconds


def _is_spoken_on(pod: Manifest) -> bool:
    status = status_of(pod)
    scheduled = any(condition.get("type") == "PodScheduled" for condition in status.get("conditions") or [])
    return scheduled or bool((pod.get("spec") or {}).get("nodeName")) or status.get("phase", "Pending") != "Pending"
