"""What does not begin for long, although nobody says that anything stands in its way.

A kubelet that is away, a volume that does not answer and a controller that stands still say nothing themselves.
"""

from datetime import datetime

from nnunet_api.contract import PREPARE_CONTAINER_NAME
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_operator.core.observation import Trouble
from nnunet_operator.kube.blocked import unclaimed, unplaced, unseen
from nnunet_operator.kube.views import JobView, PodView

UNSEEN_SECONDS = 30.0
"""Age of a Job that should have a pod by now, and of a pod of which a scheduler should have spoken."""
NOTICE_SECONDS, AGAIN_SECONDS = 300.0, 1200.0
"""Time from a pod's end to that of its Job, and to the next pod. Kubernetes waits for up to 10 minutes in between."""
SLOW_SECONDS = 600.0
"""Time from a pod's node to its trainer after which the wait is told. An image of many GB may take as long."""


def age(one: JobView | PodView, now: datetime | None) -> float:
    """Return the seconds since a Job or a pod was made; 0 where that is not known."""
    return (now - one.created).total_seconds() if now and one.created else 0.0


def silence_on_pod(pod: PodView, now: datetime | None, unseen_seconds: float = UNSEEN_SECONDS) -> Trouble | None:
    """Return what is to be said of a pod that does not begin, and of which nobody says why."""
    if is_unplaced(pod):
        if age(pod, now) <= unseen_seconds:
            return None
        return unclaimed(pod.unclaimed) if pod.unclaimed else unplaced()
    return slow(pod) if seconds_to_start(pod, now) == 0 else None


def silence_on_job(
    job: JobView, label: str, now: datetime | None, unseen_seconds: float = UNSEEN_SECONDS
) -> Trouble | None:
    """Return what is to be said of a Job of which no pod is seen, where nobody says why.

    `label` is the one by which its pods are watched.
    """
    if age(job, now) <= unseen_seconds:
        return None
    if job.has_pod:
        return unseen(job.name, label)
    return podless() if is_podless(job) else None


def seconds_of_patience(
    job: JobView, pod: PodView | None, now: datetime | None, unseen_seconds: float = UNSEEN_SECONDS
) -> float | None:
    """Return after how long silence on a Job, or on its newest pod, is to be told; None where that does not matter."""
    left: float | None = None
    if pod is None:
        left = unseen_seconds - age(job, now) if is_podless(job) else None
    elif is_unplaced(pod):
        left = unseen_seconds - age(pod, now)
    elif not job.ended:
        left = seconds_to_notice(pod, now) if pod.over else seconds_to_start(pod, now)
    return max(1.0, left) if left and left > 0 else None


def is_unplaced(pod: PodView) -> bool:
    """Tell whether a pod has no node, and nobody has said why."""
    return pod.phase in ("", "Pending") and not (pod.node or pod.scheduled or pod.deleting)


def silence_after(pod: PodView, now: datetime | None) -> Trouble | None:
    """Return what is to be said of a pod that has ended where its Job neither ends nor gets another one."""
    if seconds_to_notice(pod, now) != 0:
        return None
    matter = f"waits for Kubernetes' Job controller, which has made nothing of the end of pod {pod.name} so far"
    return Trouble(Reason.WAITING_FOR_RESOURCES, matter, Case.NO_POD)


def seconds_to_notice(pod: PodView, now: datetime | None) -> float | None:
    """Return how long Kubernetes may yet take to make something of a pod that has ended; 0 where that is over.

    None where it has not, or it is not known when. That goes by the clock of its node.
    """
    ended = pod.termination
    if now is None or ended is None or ended.finished is None or pod.phase not in ("Succeeded", "Failed"):
        return None
    limit = NOTICE_SECONDS if ended.exit_code == 0 else AGAIN_SECONDS
    return max(0.0, limit - (now - ended.finished).total_seconds())


def is_podless(job: JobView) -> bool:
    """Tell whether a Job should get its first pod by now, which Kubernetes' Job controller makes within a moment.

    Not so one that is, or was, suspended: when it was resumed is not known. Nor one that the controller has taken up:
    where its pod was drained, evicted or preempted, the next comes after a pause that grows to 10 minutes.
    """
    never_held = not (job.suspended or job.was_suspended or job.queue)
    return never_held and not (job.taken_up or job.has_pod or job.failed or job.ended or job.deleting)


def podless() -> Trouble:
    """Return the trouble of such a Job of which nobody says why it has none."""
    matter = "waits for its pod, which Kubernetes' Job controller has not made, and nobody says why"
    return Trouble(Reason.WAITING_FOR_RESOURCES, matter, Case.NO_POD)


def seconds_to_start(pod: PodView, now: datetime | None) -> float | None:
    """Return how long a pod on a node may yet take to start its trainer; 0 where that is over.

    None where it has no node, its trainer has started, or it is not known since when it has the node.
    """
    if now is None or pod.placed is None or not pod.node or pod.deleting or pod.over or pod.running:
        return None
    return max(0.0, SLOW_SECONDS - (now - pod.placed).total_seconds())


def slow(pod: PodView) -> Trouble:
    """Return the trouble of a pod whose trainer should have started by now, and of which nobody says why it has not."""
    long = f"for more than {SLOW_SECONDS / 60:.0f} min"
    before = next((one.name for one in pod.preparing if one.running and one.name not in pod.sidecars), "")
    if before == PREPARE_CONTAINER_NAME:
        matter = f"waits because its folders have not been made {long}: a volume on node {pod.node} may not answer"
        return Trouble(Reason.VOLUME_UNAVAILABLE, matter)
    if before:
        matter = f"waits because container {before} of its pod, which comes before the trainer, has not ended {long}"
        return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.INJECTED)
    matter = f"waits because node {pod.node} has not started its trainer {long}, and nobody says why"
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.SILENT_NODE)
