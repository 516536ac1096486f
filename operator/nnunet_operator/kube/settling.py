"""Whether the Jobs that were just made have come to something that is worth telling.

Where hundreds of trainings are applied at once, their Pods show after seconds. A status that tells of a Job without a
Pod would be followed by another one at once, and each is among the dearest requests that the API server gets.
"""

from collections.abc import Iterable
from datetime import datetime

from nnunet_operator.kube.views import JobView, PodView


def is_settling(jobs: Iterable[JobView], pods: Iterable[PodView], now: datetime, patience_seconds: float) -> bool:
    """Return True if a Job is younger than the patience and should have a Pod on which a scheduler has spoken.

    Clocks that differ only make it say no.
    """
    young = {job.uid for job in jobs if _is_young(job, now, patience_seconds)}
    return bool(young) and not young <= {pod.owner.uid for pod in pods if _is_spoken_on(pod)}


def _is_young(job: JobView, now: datetime, patience_seconds: float) -> bool:
    waits = job.suspended or job.deleting or job.ended
    return job.created is not None and not waits and 0 <= (now - job.created).total_seconds() < patience_seconds


def _is_spoken_on(pod: PodView) -> bool:
    return pod.scheduled or bool(pod.node) or pod.phase not in ("", "Pending")
