"""Why a Job that is suspended does not start, and what holds one that is deleted, as far as Kueue knows."""

from dataclasses import dataclass

from nnunet_api.kueue import Workload, why_waiting
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_operator.core.observation import Trouble
from nnunet_operator.kube.endings import shorten
from nnunet_operator.kube.views import JobView


@dataclass(frozen=True)
class Queueing:
    """What was found out about a Job's place in Kueue."""

    served: bool = True
    """The API server knows Workloads: Kueue is, or was, installed."""
    workload: Workload | None = None
    unread: str = ""
    """Why Workloads could not be read; empty where they could."""


def queued(job: JobView, wanted: str | None, found: Queueing | None) -> Trouble:
    """Return the trouble of a Job that waits for a queue, or that somebody has suspended.

    `wanted` is spec.queueName. `found` is None where Kueue has not been asked.
    """
    if not job.queue and not (found and found.workload):
        return Trouble(Reason.WAITING_FOR_QUEUE, "waits because its Job is suspended", Case.JOB_SUSPENDED)
    matter, case = _waits(job, found)
    if job.queue and wanted and wanted != job.queue:
        return Trouble(Reason.WAITING_FOR_QUEUE, f"{matter} (spec.queueName is {wanted})", Case.QUEUE_CHANGED)
    if job.queue and not wanted:
        matter = f"{matter} (spec.queueName names none)"
    return Trouble(Reason.WAITING_FOR_QUEUE, matter, case)


def _waits(job: JobView, found: Queueing | None) -> tuple[str, str]:
    matter = f"waits for admission by Kueue's LocalQueue {job.queue}"
    if found is None:
        return matter, ""
    if found.unread:
        return f"{matter}, of which no more is known: {shorten(found.unread)}", ""
    if not found.served:
        return f"{matter}, and no Kueue is in this cluster: it knows no Workloads", Case.NO_QUEUES
    if found.workload is None:
        # Kueue makes none for a Job whose class does not exist, and says so in its log alone.
        asked = f", which asks for {job.priority}" if job.priority else ""
        return f"{matter}, and Kueue has made no Workload for Job {job.name}{asked}", Case.NO_WORKLOAD
    words, case = why_waiting(found.workload)
    if not job.queue:
        return f"waits for Kueue: {words}", case
    return (f"{matter}: {shorten(words)}" if words else matter), case


def leaving(job: JobView, found: Queueing | None) -> str:
    """Return what holds a Job that is being deleted and whose pods have ended; empty where nothing is known to."""
    if job.held_by:
        return f"waits until {', '.join(job.held_by)} is taken off the finalizers of Job {job.name}, which is deleted"
    held = found.workload if found else None
    if held and held.deleting and held.finalizers:
        names = ", ".join(held.finalizers)
        return (
            f"waits until Kueue takes {names} off the finalizers of Workload {held.name}, which is deleted with Job "
            f"{job.name}: see whether Kueue runs"
        )
    return ""
