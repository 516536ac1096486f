"""The Job of a comparison as it is: boiled down to a state. Nothing here knows what is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from nnunet_api.comparison.model import KIND
from nnunet_api.labels import COMPARISON_LABEL
from nnunet_api.reasons import Reason
from nnunet_operator.core.comparison.model import Comparison, JobSeen
from nnunet_operator.core.observation import State, Trouble
from nnunet_operator.kube import failures
from nnunet_operator.kube.blocked import (
    PodWarning,
    blocked_pod,
    held_up,
    managed,
    not_owned,
    rejected,
    scaled_down,
    several_pods,
)
from nnunet_operator.kube.endings import Ending, ending_of
from nnunet_operator.kube.lingering import lingering
from nnunet_operator.kube.queues import Queueing, leaving, queued
from nnunet_operator.kube.slow import seconds_of_patience, silence_after, silence_on_job, silence_on_pod
from nnunet_operator.kube.views import JobView, PodView
from nnunet_operator.kube.witness import doubt_of

_WHO = "the comparison"


@dataclass(frozen=True)
class JobSnapshot:
    """What of the cluster concerns a comparison."""

    jobs: tuple[JobView, ...]
    """Jobs that carry its label, and one without that stands where its own has to."""
    pods: tuple[PodView, ...]
    now: datetime
    refusals: Mapping[str, str] = field(default_factory=dict)
    """By Job name: what the API server said when it refused the Job, or its pod."""
    warnings: Mapping[str, PodWarning] = field(default_factory=dict)
    """By pod name."""
    queueing: Mapping[str, Queueing] = field(default_factory=dict)
    """By Job name: what Kueue says of it."""
    queue_name: str | None = None
    """Kueue's LocalQueue in which the Job waits: the comparison's, or that of the baseline's first training."""


def is_ours(job: JobView, comparison: Comparison) -> bool:
    """Tell whether a Job that carries the comparison's label is its own."""
    return job.name == comparison.job_name and job.owner.kind == KIND and job.owner.uid == comparison.uid


def observe_job(comparison: Comparison, snapshot: JobSnapshot) -> JobSeen:
    """Return the state of a comparison's Job."""
    job = next((one for one in snapshot.jobs if one.name == comparison.job_name), None)
    if job is None:
        return _without_job(comparison, snapshot)
    if not is_ours(job, comparison):
        if job.owner.kind == KIND and job.owner.name == comparison.name:
            note = f"waits until Job {job.name} of the former comparison of this name is gone"
            return JobSeen(State.STOPPING, note=note)
        return JobSeen(State.BLOCKED, trouble=not_owned(job.name, job.owner))
    pods = [pod for pod in snapshot.pods if pod.owner.uid == job.uid]
    pods.sort(key=lambda pod: (not pod.over, str(pod.created)))  # one that lives counts as newer
    return _judge(comparison, job, pods, snapshot)


def _without_job(comparison: Comparison, snapshot: JobSnapshot) -> JobSeen:
    if left := next((pod for pod in snapshot.pods if not pod.over), None):
        return JobSeen(State.STOPPING, note=f"waits until pod {left.name}, whose Job is gone, has ended")
    if said := snapshot.refusals.get(comparison.job_name):
        return JobSeen(State.BLOCKED, name_free=True, trouble=rejected(said))
    return JobSeen(State.ABSENT, name_free=True)


def _judge(comparison: Comparison, job: JobView, pods: Sequence[PodView], snapshot: JobSnapshot) -> JobSeen:
    seen = JobSeen(State.RUNNING, uid=job.uid, deleting=job.deleting, ended=job.ended)
    if job.deleting and not job.ended:
        return replace(seen, state=State.STOPPING, note=leaving(job, snapshot.queueing.get(job.name)))
    if job.complete:
        # The watch of Jobs may be ahead of that of Pods: the pod's words are worth the moment's wait.
        return _with_verdict(seen, job, pods) if all(pod.over for pod in pods) else seen
    endings = [ending for pod in pods if (ending := ending_of(pod))]
    if any(ending.reason == "OOMKilled" for ending in endings):
        memory = comparison.spec.resources.memory
        matter = f"{_WHO}: killed because it needed more than spec.resources.memory ({memory})"
        return replace(seen, state=State.FAILED, trouble=Trouble(Reason.OUT_OF_MEMORY, matter))
    if job.failure is not None:
        return replace(seen, state=State.FAILED, trouble=_failure(comparison, job, job.failure, pods))
    if job.counts_all and (told := failures.told_for_good(pods, _WHO)):
        return replace(seen, state=State.FAILED, trouble=told)
    kept = lingering(pods[-1], snapshot.now) if pods else None
    look_in = kept.seconds_left if kept else None
    if not look_in and job.name not in snapshot.refusals:
        look_in = seconds_of_patience(job, pods[-1] if pods else None, snapshot.now)
    seen = replace(seen, look_in_seconds=look_in or None)
    waits = kept.trouble if kept and not kept.seconds_left else _blocked(job, pods, snapshot)
    if waits:
        return replace(seen, state=State.BLOCKED, trouble=waits)
    if pods and (pods[-1].running or (endings and endings[-1].exit_code == 0)):
        return seen
    _, note = failures.started_after(endings)
    return replace(seen, state=State.STARTING, note=note)


def _failure(comparison: Comparison, job: JobView, said: str, pods: Sequence[PodView]) -> Trouble:
    """Return why its Job failed. A training's would be made anew where the program's own attempts are not to blame.

    A comparison is quick, and is tried again by whoever mends what ended its pods.
    """
    limit = comparison.spec.retry_limit
    trouble = failures.job_failure(job, said, pods, _WHO, limit)
    loss = failures.loss_of(pods, job) if trouble.reason in failures.COUNTED else None
    if loss is None or loss.attempts > limit:
        return trouble
    return Trouble(Reason.PODS_LOST, f"{_WHO}: the last pod {loss.matter}", loss.case)


def _blocked(job: JobView, pods: Sequence[PodView], snapshot: JobSnapshot) -> Trouble | None:
    if job.managed_by:
        return managed(job.name, job.managed_by)
    if job.suspended:
        return queued(job, snapshot.queue_name, snapshot.queueing.get(job.name))
    if job.scaled_down:
        return scaled_down()
    if job.several_pods:
        return several_pods()
    living = next((pod for pod in reversed(pods) if not pod.over), None)
    if living is None:
        # An Event outlives what it tells of: a Job that counts a pod has got one since.
        said = None if job.has_pod else snapshot.refusals.get(job.name)
        if said:
            return rejected(said)
        return silence_after(pods[-1], snapshot.now) if pods else silence_on_job(job, COMPARISON_LABEL, snapshot.now)
    if living.running or living.deleting:
        return None
    warning = snapshot.warnings.get(living.name)
    told = blocked_pod(living, "") or (held_up(warning) if warning else None)
    return told or silence_on_pod(living, snapshot.now)


def _with_verdict(seen: JobSeen, job: JobView, pods: Sequence[PodView]) -> JobSeen:
    """Return it with what the pod said whose success completed the Job, where it can be believed."""
    successes: list[tuple[Ending, str]] = [
        (ending, doubt_of(job, pod)) for pod in pods if (ending := ending_of(pod)) and ending.exit_code == 0
    ]
    done = replace(seen, state=State.COMPLETED)
    if not successes:
        return done
    # One that is believed: a forged pod beside it must not hide it.
    ending, doubt = max(successes, key=lambda one: not one[1])
    facts = ending.report.comparison if ending.report and not doubt else None
    return replace(done, facts=facts, doubt=doubt)
