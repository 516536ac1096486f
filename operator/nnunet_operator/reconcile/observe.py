"""One child of a training as it is: its Job and pods, boiled down to a state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nnunet_api.labels import FOLD_LABEL, PREPROCESSED_LABEL, STAGE_LABEL
from nnunet_api.stages import STAGES
from nnunet_api.training import KIND, NnunetTrainingSpec
from nnunet_operator.builders.model import Manifest, Training
from nnunet_operator.progress.model import FoldSample
from nnunet_operator.reconcile import failures
from nnunet_operator.reconcile.blocked import PodWarning, blocked_pod, held_up, not_owned, queued, rejected
from nnunet_operator.reconcile.objects import (
    Ending,
    asked_image,
    controller_of,
    ending_of,
    is_child,
    is_deleting,
    is_over,
    name_of,
    parse_time,
    pods_of,
    status_of,
    told_min_epochs,
    trainer_state,
    trainer_status,
    true_condition,
    uid_of,
)
from nnunet_operator.reconcile.observation import Child, Observation, State, Trouble
from nnunet_operator.reconcile.witness import doubt_of


@dataclass(frozen=True)
class Snapshot:
    """What of the cluster concerns a training."""

    jobs: tuple[Manifest, ...]
    """Jobs that carry the training's label, also those that somebody else owns; and a Job without the label
    that stands where one of the training's has to (creating ours said AlreadyExists)."""
    pods: tuple[Manifest, ...]
    """Pods of those Jobs."""
    samples: Mapping[str, FoldSample] = field(default_factory=dict)
    """Latest scrape of each running pod, by pod name."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """By Job name: the message of the newest FailedCreate Event of a Job that has no living pod, or what the
    API server said when it refused the Job itself."""
    warnings: Mapping[str, PodWarning] = field(default_factory=dict)
    """By pod name: what the newest Event says of a pod that has a node and does not start, where it is a warning."""


def observe_all(training: Training, snapshot: Snapshot, children: Iterable[Child]) -> dict[Child, Observation]:
    """Return the state of each of these children."""
    return {child: observe(training, snapshot, child) for child in children}


def observe(training: Training, snapshot: Snapshot, child: Child) -> Observation:
    """Return the state of one child."""
    job = next((job for job in snapshot.jobs if name_of(job) == child.name), None)
    if job is None:
        left = next((pod for pod in snapshot.pods if _is_of(pod, child) and not is_over(pod)), None)
        if left:
            # Its Job was deleted without it. A second attempt beside it would hold a GPU in vain.
            note = f"waits until pod {name_of(left)} on {_node(left)}, whose Job is gone, has ended"
            return Observation(child, State.STOPPING, note=note)
        refusal = snapshot.refusals.get(child.name)
        if refusal:
            return Observation(child, State.BLOCKED, name_free=True, trouble=rejected(refusal))
        return Observation(child, State.ABSENT, name_free=True)
    if not is_child(job, training):
        return _not_ours(job, child, training)
    return _ours(training.spec, snapshot, child, job)


def _not_ours(job: Manifest, child: Child, training: Training) -> Observation:
    owner = controller_of(job)
    if owner.get("kind") == KIND and owner.get("name") == training.name:
        note = f"waits until Job {child.name} of the former training of this name is gone"
        return Observation(child, State.STOPPING, note=note)
    owned_by = f"{owner.get('kind')} {owner.get('name')}" if owner else "nobody"
    return Observation(child, State.BLOCKED, trouble=not_owned(child.name, owned_by))


def _ours(spec: NnunetTrainingSpec, snapshot: Snapshot, child: Child, job: Manifest) -> Observation:
    pods = pods_of(job, snapshot.pods)
    state, trouble, note = _judge(spec, snapshot, child, job, pods)
    # Only the verification's report is proof of anything. The others' come from the training's own image.
    proves = STAGES[child.stage].proves
    attempts = [(ending, doubt_of(job, pod) if proves else "") for pod in pods if (ending := ending_of(pod))]
    reports = [ending.report for ending, doubt in attempts if ending.report and not doubt]
    # The newest that is believed: a forged pod beside it must not hide it.
    successes = [attempt for attempt in attempts if attempt[0].exit_code == 0]
    success, doubt = max(successes, key=lambda attempt: not attempt[1]) if successes else (None, "")
    sample = snapshot.samples.get(name_of(pods[-1])) if pods and state is State.RUNNING else None
    return Observation(
        child,
        state,
        job_uid=uid_of(job),
        deleting=is_deleting(job),
        ended=true_condition(job, "Complete", "SuccessCriteriaMet", "Failed", "FailureTarget") is not None,
        trouble=trouble,
        note=note,
        report=reports[-1] if reports else None,
        success_seen=success is not None,
        success_report=success.report if success and not doubt else None,
        doubt=doubt,
        pod=name_of(pods[-1]) if pods else "",
        sample=sample,
        image=asked_image(job),
        image_digest=next((digest for pod in pods if (digest := _digest(pod))), ""),
        maker=str((job["metadata"].get("labels") or {}).get(PREPROCESSED_LABEL) or ""),
        told_min_epochs=told_min_epochs(job),
        created=parse_time(job["metadata"].get("creationTimestamp")),
        finished=parse_time(status_of(job).get("completionTime")),
    )


def _judge(
    spec: NnunetTrainingSpec, snapshot: Snapshot, child: Child, job: Manifest, pods: list[Manifest]
) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a Job of ours."""
    complete = true_condition(job, "Complete", "SuccessCriteriaMet") is not None
    # What is being deleted counts for nothing but what the status remembers.
    if is_deleting(job) and not (complete and STAGES[child.stage].counts_while_deleted):
        return State.STOPPING, None, ""
    if complete:
        # The watch of Jobs may be ahead of that of Pods: the pod's facts are worth the moment's wait.
        return (State.COMPLETED if all(is_over(pod) for pod in pods) else State.RUNNING), None, ""
    # Killed for memory comes first: the Job may have failed for it, which would only say "exit code 137".
    trouble = failures.out_of_memory(pods, child.subject, child.stage, spec)
    if trouble:
        return State.FAILED, trouble, ""
    failed = true_condition(job, "Failed", "FailureTarget")
    if failed:
        return State.FAILED, failures.job_failure(job, failed, pods, child.subject, spec.retry_limit), ""
    if (job.get("spec") or {}).get("suspend"):
        return State.BLOCKED, queued(spec.queue_name), ""
    endings = [ending for pod in pods if (ending := ending_of(pod))]
    if len(endings) < len(pods):
        return _judge_living(spec, snapshot, pods[-1], endings)
    if endings and endings[-1].exit_code == 0:
        return State.RUNNING, None, ""  # the Job says Complete in a moment
    # An Event outlives what it tells of: a Job that counts a pod has got one since.
    refusal = None if status_of(job).get("active") else snapshot.refusals.get(child.name)
    return (State.BLOCKED, rejected(refusal), "") if refusal else (State.STARTING, None, _retry_note(endings))


def _judge_living(
    spec: NnunetTrainingSpec, snapshot: Snapshot, pod: Manifest, endings: list[Ending]
) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a child from its living pod."""
    if is_deleting(pod):
        note = f"is stopped from outside and goes on in a new pod once {_node(pod)} has ended the old one"
        return State.STOPPING, None, note
    if trainer_state(pod, "running") is not None:
        return State.RUNNING, None, ""
    warning = snapshot.warnings.get(name_of(pod))
    trouble = blocked_pod(pod, spec.resources.gpu_resource_name) or (warning and held_up(warning))
    return (State.BLOCKED, trouble, "") if trouble else (State.STARTING, None, _retry_note(endings))


def _retry_note(endings: list[Ending]) -> str:
    return f"the attempt before {failures.describe(endings[-1])}" if endings else ""


def _is_of(pod: Manifest, child: Child) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(STAGE_LABEL) == child.stage and labels.get(FOLD_LABEL, "") == child.label)


def _node(pod: Manifest) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "its node")


def _digest(pod: Manifest) -> str:
    image_id = str(trainer_status(pod).get("imageID") or "")
    return image_id.removeprefix("docker-pullable://")
