"""One child of a training as it is: its Job and pods, boiled down to a state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nnunet_api.labels import TRAINING_LABEL, short_name
from nnunet_api.remedies.remedy import Case
from nnunet_api.stages import STAGES
from nnunet_api.training import KIND, NnunetTrainingSpec
from nnunet_operator.core.observation import Child, Observation, State, Trouble
from nnunet_operator.core.training import Training
from nnunet_operator.kube import failures
from nnunet_operator.kube.blocked import (
    PodWarning,
    blocked_pod,
    held_up,
    managed,
    not_owned,
    quoted,
    rejected,
    scaled_down,
    several_pods,
)
from nnunet_operator.kube.endings import Ending, ending_of
from nnunet_operator.kube.lingering import lingering
from nnunet_operator.kube.queues import Queueing, leaving, queued
from nnunet_operator.kube.slow import (
    UNSEEN_SECONDS,
    seconds_of_patience,
    silence_after,
    silence_on_job,
    silence_on_pod,
)
from nnunet_operator.kube.views import ContainerView, JobView, PodView
from nnunet_operator.kube.witness import doubt_of, not_given
from nnunet_operator.progress.model import LiveFacts

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """What of the cluster concerns a training."""

    jobs: tuple[JobView, ...]
    """Jobs that carry the training's label, also those that somebody else owns; and a Job without the label
    that stands where one of the training's has to (creating ours said AlreadyExists)."""
    pods: tuple[PodView, ...]
    """Pods of those Jobs."""
    samples: Mapping[str, LiveFacts] = field(default_factory=dict)
    """The last answer of each running pod's trainer, by pod name."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """By Job name: the message of the newest FailedCreate Event of a Job that has no living pod, or what the
    API server said when it refused the Job itself."""
    warnings: Mapping[str, PodWarning] = field(default_factory=dict)
    """By pod name: what the newest Event says of a pod that has a node and does not start, where it is a warning."""
    now: datetime | None = None
    """When all this was seen."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """By Job or pod name: why Events can't be read, which would tell why the one has no pod or the other does not
    start."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """By Job name: what the API server said when it refused to delete the Job."""
    queueing: Mapping[str, Queueing] = field(default_factory=dict)
    """By Job name: what Kueue says of those that wait for it, or that can't go for it."""
    unseen_seconds: float = UNSEEN_SECONDS
    """Age from which a Job that counts a pod should show it, and from which a scheduler should have spoken of a pod."""


def is_child(job: JobView, training: Training) -> bool:
    """Return True if a Job is the operator's own for a training.

    Its owner alone does not tell: anybody may name any UID as an owner, and a Job without the label would never be seen
    by the watches.
    """
    return job.owner.uid == training.uid and job.training == short_name(training.name)


def observe_all(training: Training, snapshot: Snapshot, children: Iterable[Child]) -> dict[Child, Observation]:
    """Return the state of each of these children."""
    return {child: observe(training, snapshot, child) for child in children}


def observe(training: Training, snapshot: Snapshot, child: Child) -> Observation:
    """Return the state of one child."""
    job = next((job for job in snapshot.jobs if job.name == child.name), None)
    if job is None:
        left = next((pod for pod in snapshot.pods if _is_of(pod, child) and not pod.over), None)
        if left:
            # Its Job was deleted without it. A second attempt beside it would hold a GPU in vain.
            label = f"whose Job is gone or lacks the label {TRAINING_LABEL}"
            note = _held([left]) or f"waits until pod {left.name} on {_node(left)}, {label}, has ended or is deleted"
            return Observation(child, State.STOPPING, note=note)
        refusal = snapshot.refusals.get(child.name)
        if refusal:
            return Observation(child, State.BLOCKED, name_free=True, trouble=rejected(refusal, "Job"))
        return Observation(child, State.ABSENT, name_free=True)
    if not is_child(job, training):
        return _not_ours(job, child, training)
    return _ours(training.spec, snapshot, child, job)


def _not_ours(job: JobView, child: Child, training: Training) -> Observation:
    owner = job.owner
    if owner.kind == KIND and owner.uid == training.uid:
        # Another Job beside it would be refused its name, and it may have pods.
        label = f"label {TRAINING_LABEL}={short_name(training.name)}"
        note = (
            f"waits until Job {child.name} has its {label} back, which somebody has taken off (kubectl label job), or "
            "is gone"
        )
        return Observation(child, State.STOPPING, note=note, look_in_seconds=UNSEEN_SECONDS)
    if owner.kind == KIND and owner.name == training.name:
        note = f"waits until Job {child.name} of the former training of this name is gone"
        return Observation(child, State.STOPPING, note=note)
    return Observation(child, State.BLOCKED, trouble=not_owned(child.name, owner))


def _ours(spec: NnunetTrainingSpec, snapshot: Snapshot, child: Child, job: JobView) -> Observation:
    pods = _pods_of(job, snapshot.pods)
    state, trouble, note = _judge(spec, snapshot, child, job, pods)
    if state is State.STOPPING:
        over = all(pod.over for pod in pods)
        note = _held(pods) or (over and leaving(job, snapshot.queueing.get(job.name))) or note
    # Only the verification's report is proof of anything. The others' come from the training's own image.
    proves = STAGES[child.stage].proves
    attempts = [(ending, doubt_of(job, pod) if proves else "", pod) for pod in pods if (ending := ending_of(pod))]
    reports = [ending.report for ending, doubt, _ in attempts if ending.report and not doubt]
    # The newest that is believed: a forged pod beside it must not hide it.
    successes = [attempt for attempt in attempts if attempt[0].exit_code == 0]
    success, doubt, witness = max(successes, key=lambda attempt: not attempt[1]) if successes else (None, "", None)
    trainers = [pod.trainer for pod in ([witness] if proves and witness else pods)]
    sample = snapshot.samples.get(pods[-1].name) if pods and state is State.RUNNING else None
    return Observation(
        child,
        state,
        job_uid=job.uid,
        kept=quoted(snapshot.kept.get(job.name, "")),
        deleting=job.deleting,
        ended=job.ended,
        trouble=trouble,
        loss=failures.loss_of(pods, job) if trouble and trouble.reason in failures.COUNTED else None,
        note=note,
        report=reports[-1] if reports else None,
        success_seen=success is not None,
        success_report=success.report if success and not doubt else None,
        doubt=doubt,
        slipped_in=() if proves else tuple(dict.fromkeys(what for pod in pods for what in not_given(job, pod))),
        pod=pods[-1].name if pods else "",
        sample=sample,
        image=job.image,
        image_digest=_digest(trainers),
        own_image=job.prepares_with,
        own_digest=_digest(pod.preparation for pod in pods),
        maker=job.maker,
        weights=job.weights,
        asked_for=job.asked_for,
        operators_settings=job.operators_settings,
        # A pod that is counted and not seen, as without its label, may well train.
        idle=_is_idle(state, trouble, pods) and not (job.has_pod and not pods),
        told_min_epochs=job.told_min_epochs,
        created=job.created,
        finished=job.finished,
        look_in_seconds=_look_in(snapshot, job, pods),
    )


def _look_in(snapshot: Snapshot, job: JobView, pods: list[PodView]) -> float | None:
    """Return the seconds after which nothing but time will have made something else of what is said; or None."""
    kept = lingering(pods[-1], snapshot.now) if pods and not job.ended else None
    if kept and kept.seconds_left:
        return kept.seconds_left
    if not pods and job.name in snapshot.refusals:
        return None
    return seconds_of_patience(job, pods[-1] if pods else None, snapshot.now, snapshot.unseen_seconds)


def _judge(
    spec: NnunetTrainingSpec, snapshot: Snapshot, child: Child, job: JobView, pods: list[PodView]
) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a Job of ours."""
    # What is being deleted counts by how it has ended: whether the operator has deleted it itself is known by the core.
    if job.deleting and not job.ended:
        return State.STOPPING, None, ""
    if job.complete:
        # The watch of Jobs may be ahead of that of Pods: the pod's facts are worth the moment's wait. A Job that is
        # being deleted may be gone by then, and only the verification's facts are worth more than its end.
        seen = all(pod.over for pod in pods) or (job.deleting and not STAGES[child.stage].proves)
        return (State.COMPLETED if seen else State.RUNNING), None, ""
    # Killed for memory comes first: the Job may have failed for it, which would only say "exit code 137".
    does_with_less = job.failure is None and failures.does_with_less(child.stage, spec)
    trouble = None if does_with_less else failures.out_of_memory(pods, child, spec)
    trouble = trouble or failures.evicted_too_often(pods, child.subject)
    if trouble:
        return State.FAILED, trouble, ""
    if job.failure is not None:
        return State.FAILED, failures.job_failure(job, job.failure, pods, child.subject, spec.retry_limit), ""
    if job.managed_by:
        return State.BLOCKED, managed(job.name, job.managed_by), ""
    if job.suspended:
        return State.BLOCKED, queued(job, spec.queue_name, snapshot.queueing.get(job.name)), ""
    if job.scaled_down:
        return State.BLOCKED, scaled_down(), ""
    if job.several_pods:
        return State.BLOCKED, several_pods(), ""
    if job.counts_all and (told := failures.told_for_good(pods, child.subject)):
        return State.FAILED, told, ""
    endings = [ending for pod in pods if (ending := ending_of(pod))]
    if len(endings) < len(pods):
        return _judge_living(spec, snapshot, pods[-1], endings)
    if pods and (kept := lingering(pods[-1], snapshot.now)) and not kept.seconds_left:
        told = failures.told_for_good(pods, child.subject)
        return (State.FAILED, told, "") if told else (State.BLOCKED, kept.trouble, "")
    silent = silence_after(pods[-1], snapshot.now) if pods else None
    if endings and endings[-1].exit_code == 0:
        # The Job says Complete in a moment.
        return (State.BLOCKED, silent, "") if silent else (State.RUNNING, None, "")
    # An Event outlives what it tells of: a Job that counts a pod has got one since.
    refusal = None if job.has_pod else snapshot.refusals.get(child.name)
    if refusal:
        return State.BLOCKED, rejected(refusal), ""
    unread = snapshot.unread.get(child.name)
    if not pods and (job.has_pod or not unread):
        silent = silence_on_job(job, TRAINING_LABEL, snapshot.now, snapshot.unseen_seconds)
    if silent:
        return State.BLOCKED, silent, ""
    return _starting(endings, unread)


def _judge_living(
    spec: NnunetTrainingSpec, snapshot: Snapshot, pod: PodView, endings: list[Ending]
) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a child from its living pod."""
    if pod.deleting:
        note = f"is stopped from outside and goes on in a new pod once {_node(pod)} has ended the old one"
        return State.STOPPING, None, note
    if pod.running:
        return State.RUNNING, None, ""
    warning = snapshot.warnings.get(pod.name)
    # What Events say of a claim that is not made is the cause of what the scheduler says.
    refused = held_up(warning) if warning and pod.lacks_claim else None
    trouble = refused or blocked_pod(pod, spec.resources.gpu_resource_name) or (warning and held_up(warning))
    unread = snapshot.unread.get(pod.name)
    if not trouble and not unread:
        trouble = silence_on_pod(pod, snapshot.now, snapshot.unseen_seconds)
    return (State.BLOCKED, trouble, "") if trouble else _starting(endings, unread)


def _starting(endings: list[Ending], unread: str | None) -> tuple[State, Trouble | None, str]:
    trouble, note = failures.started_after(endings)
    if unread:
        untold = f"what keeps it is not known, because Events can't be read: {quoted(unread)}"
        note = f"{note}; {untold}" if note else untold
    return State.STARTING, trouble, note


def _is_idle(state: State, trouble: Trouble | None, pods: list[PodView]) -> bool:
    """Tell whether nothing of a Job runs. Where all its pods have ended, the end of the last may still be counted."""
    living = [pod for pod in pods if not pod.over]
    if living or not pods:
        return not any(pod.begun for pod in living)
    # Where nothing is made of that end, it may be a success, which would be lost with the Job.
    return state is State.BLOCKED and (trouble is None or trouble.case != Case.NO_POD)


def _pods_of(job: JobView, pods: Iterable[PodView]) -> list[PodView]:
    """Return the pods of a Job, oldest first. A pod that lives counts as newer than one that has ended."""
    mine = [pod for pod in pods if pod.owner.uid == job.uid]
    # Not by time alone: Kubernetes' timestamps have whole seconds only.
    return sorted(mine, key=lambda pod: (not pod.over, pod.created or _LONG_AGO))


def _held(pods: Iterable[PodView]) -> str:
    """Return what holds a pod that is being deleted; empty where nothing is known to."""
    held = next((pod for pod in pods if pod.deleting and pod.held_by), None)
    if held is None:
        return ""
    return f"waits until {', '.join(held.held_by)} is taken off the finalizers of pod {held.name}, which is deleted"


def _is_of(pod: PodView, child: Child) -> bool:
    return (pod.stage, pod.fold) == (child.stage, child.label)


def _node(pod: PodView) -> str:
    return pod.node or "its node"


def _digest(containers: Iterable[ContainerView | None]) -> str:
    """Return the image of the first of these containers whose node has resolved it."""
    found = (one.image_id.removeprefix("docker-pullable://") for one in containers if one)
    return next(filter(None, found), "")
