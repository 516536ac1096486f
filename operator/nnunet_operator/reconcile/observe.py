"""One child of a training as it is: its Job and pods, boiled down to a state."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nnunet_api.contract import TerminationReport
from nnunet_api.facts import FoldFacts
from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import (
    FOLD_LABEL,
    PREPROCESSED_LABEL,
    STAGE_LABEL,
    job_name,
)
from nnunet_api.stages import STAGES
from nnunet_api.training import KIND
from nnunet_operator.builders.model import Manifest, Training
from nnunet_operator.progress.model import LiveFacts
from nnunet_operator.reconcile import failures
from nnunet_operator.reconcile.blocked import Trouble, blocked_pod, held_up, not_owned, queued, rejected
from nnunet_operator.reconcile.model import Snapshot
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
from nnunet_operator.reconcile.witness import doubt_of


class State(StrEnum):
    """State of a child."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    BLOCKED = "blocked"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Child:
    """A Job that a training needs at some point."""

    training: str
    stage: str
    fold: FoldKey | None = None
    """The fold run, where the stage trains folds."""

    @property
    def label(self) -> str:
        """Value of its fold's label; empty where it has none."""
        return self.fold.label if self.fold else ""

    @property
    def name(self) -> str:
        """Name of the Job."""
        return job_name(self.training, self.stage, self.label)

    @property
    def subject(self) -> str:
        """How sentences call it."""
        return self.fold.subject if self.fold else STAGES[self.stage].subject


@dataclass(frozen=True)
class Observation:
    """A child as it is."""

    child: Child
    state: State
    job_uid: str = ""
    """UID of its Job; empty where there is none, or somebody else's."""
    name_free: bool = False
    """No Job stands under its name."""
    deleting: bool = False
    """Its Job is ours and is being deleted."""
    ended: bool = False
    """Its Job has ended by itself: there is nothing to stop."""
    trouble: Trouble | None = None
    """Why it is blocked or failed."""
    note: str = ""
    """What to say beside the state, for example how the last attempt ended."""
    report: TerminationReport | None = None
    """What the newest attempt that ended said."""
    success_seen: bool = False
    """The pod whose success completed its Job is still there."""
    success_report: TerminationReport | None = None
    """What that pod said. An attempt before it may have said something else."""
    doubt: str = ""
    """Why what that pod said is not believed."""
    pod: str = ""
    """Name of the pod of its present or last attempt."""
    sample: LiveFacts | None = None
    """What the running attempt's trainer says."""
    image: str = ""
    """Image that its Job was made with."""
    image_digest: str = ""
    """Image as the node resolved it."""
    maker: str = ""
    """Planning: MAKER of the folder of preprocessed data in which it works; empty where the whole claim is mounted."""
    told_min_epochs: int = 0
    """Epochs before which its trainer was told not to stop."""
    created: datetime | None = None
    finished: datetime | None = None

    @property
    def live(self) -> FoldFacts | None:
        """What the running attempt's trainer says of its fold, as far as it can."""
        return self.sample.facts if self.sample else None

    @property
    def exists(self) -> bool:
        """Its Job exists and is ours."""
        return bool(self.job_uid)

    @property
    def stands(self) -> bool:
        """Its Job exists, is ours and stays."""
        return self.exists and not self.deleting


def observe(snapshot: Snapshot, child: Child) -> Observation:
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
    if not is_child(job, snapshot.training):
        return _not_ours(job, child, snapshot.training)
    return _ours(snapshot, child, job)


def _not_ours(job: Manifest, child: Child, training: Training) -> Observation:
    owner = controller_of(job)
    if owner.get("kind") == KIND and owner.get("name") == training.name:
        note = f"waits until Job {child.name} of the former training of this name is gone"
        return Observation(child, State.STOPPING, note=note)
    owned_by = f"{owner.get('kind')} {owner.get('name')}" if owner else "nobody"
    return Observation(child, State.BLOCKED, trouble=not_owned(child.name, owned_by))


def _ours(snapshot: Snapshot, child: Child, job: Manifest) -> Observation:
    pods = pods_of(job, snapshot.pods)
    state, trouble, note = _judge(snapshot, child, job, pods)
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


def _judge(snapshot: Snapshot, child: Child, job: Manifest, pods: list[Manifest]) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a Job of ours."""
    spec = snapshot.training.spec
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
        return _judge_living(snapshot, pods[-1], endings)
    if endings and endings[-1].exit_code == 0:
        return State.RUNNING, None, ""  # the Job says Complete in a moment
    # An Event outlives what it tells of: a Job that counts a pod has got one since.
    refusal = None if status_of(job).get("active") else snapshot.refusals.get(child.name)
    return (State.BLOCKED, rejected(refusal), "") if refusal else (State.STARTING, None, _retry_note(endings))


def _judge_living(snapshot: Snapshot, pod: Manifest, endings: list[Ending]) -> tuple[State, Trouble | None, str]:
    """Return state, trouble and note of a child from its living pod."""
    if is_deleting(pod):
        note = f"is stopped from outside and goes on in a new pod once {_node(pod)} has ended the old one"
        return State.STOPPING, None, note
    if trainer_state(pod, "running") is not None:
        return State.RUNNING, None, ""
    warning = snapshot.warnings.get(name_of(pod))
    trouble = blocked_pod(pod, snapshot.training.spec.resources.gpu_resource_name) or (warning and held_up(warning))
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
