"""Why a Job failed: a reason, a case and words. The trainer's own words come first."""

import re
from collections.abc import Iterable, Sequence

from kubernetes.utils.quantity import parse_quantity

from nnunet_api.exit_codes import TERMINAL_EXIT_CODES, ExitCode
from nnunet_api.labels import STAGE_EVALUATE
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.remedies.table import REMEDIES
from nnunet_api.stages import STAGES
from nnunet_api.training import NnunetTrainingSpec
from nnunet_api.words import counted
from nnunet_operator.core.observation import Child, Loss, Trouble
from nnunet_operator.kube.endings import Ending, ending_of, shorten
from nnunet_operator.kube.outside import Outside
from nnunet_operator.kube.views import JobView, PodView

REASONS: dict[int, Reason] = {
    ExitCode.WRONG_CONFIGURATION: Reason.WRONG_CONFIGURATION,
    ExitCode.WRONG_DATA: Reason.WRONG_DATA,
    ExitCode.CHECKPOINT_UNUSABLE: Reason.CHECKPOINT_UNUSABLE,
    ExitCode.EPOCHS_NOT_REACHED: Reason.EPOCHS_NOT_REACHED,
    ExitCode.STORAGE_FAILED: Reason.STORAGE_FAILED,
    ExitCode.GPU_OUT_OF_MEMORY: Reason.GPU_OUT_OF_MEMORY,
}
"""By the exit code that ends a training."""
COUNTED = (Reason.RETRIES_EXHAUSTED, Reason.LOSS_NOT_FINITE)
"""Reasons of a Job that failed because too many of its pods did."""
_STOPPED = (137, 143)
"""Exit codes of what is ended by a signal, as the pods of a Job that is out of time are."""
MAX_EVICTIONS = 10
"""Evictions of one Job's pods after which it has failed. Of a trainer that stops in time Kubernetes counts none."""


def out_of_memory(pods: Sequence[PodView], child: Child, spec: NnunetTrainingSpec) -> Trouble | None:
    """Return the failure of a child one of whose pods was killed at its memory limit, or None.

    Another attempt would be killed at the same point, so this does not wait for the Job to give up.
    """
    killed = [pod for pod in pods if (ending := ending_of(pod)) and ending.reason == "OOMKilled"]
    if not killed:
        return None
    field, value = _memory(child, spec)
    had, needed = killed[-1].memory, f"{field} ({value})"
    if had and parse_quantity(had) != parse_quantity(value):
        # A rule of the cluster, an autoscaler or a resize has changed the pod, or somebody the field since.
        needed = f"the {had} of memory that its pod had, where {field} is {value} now"
    return Trouble(Reason.OUT_OF_MEMORY, f"{child.subject}: killed because it needed more than {needed}")


def _memory(child: Child, spec: NnunetTrainingSpec) -> tuple[str, str]:
    """Return the field that limits the memory of a child's pods, and its value."""
    if not STAGES[child.stage].on_gpu(spec):
        return "spec.resources.preprocessing.memory", spec.resources.preprocessing.memory
    # The evaluation has the most of all configurations.
    names = [child.fold.configuration] if child.fold else spec.configuration_names
    memory = (spec.resources.of(names[0]) if child.fold else spec.resources.of_all(names)).memory
    for name in names:
        if (own := spec.resources.configurations.get(name)) and own.memory == memory:
            return f"spec.resources.configurations.{name}.memory", memory
    return "spec.resources.memory", memory


def does_with_less(stage: str, spec: NnunetTrainingSpec) -> bool:
    """Tell whether an attempt that was killed for memory is followed by one that needs less, as retryLimit allows.

    The evaluation then predicts fewer test cases at the same time.
    """
    return stage == STAGE_EVALUATE and spec.test_set is not None


def job_failure(job: JobView, said: str, pods: Sequence[PodView], who: str, retry_limit: int) -> Trouble:
    """Return why a Job failed, from its pods where they are still there, or else from what its condition says."""
    endings = _endings(pods)
    blamed = next((e for e in endings if e.exit_code in TERMINAL_EXIT_CODES), None)
    code = blamed.exit_code if blamed else _code_in(said)
    if reason := REASONS.get(code or 0):
        return _terminal(reason, blamed, who)
    counted = _attempts(endings)
    return _exhausted(job, said, counted[0] if counted else None, who, retry_limit)


def evicted_too_often(pods: Sequence[PodView], who: str) -> Trouble | None:
    """Return the failure of a child whose pods a node evicts, or ends otherwise, again and again; or None.

    The next pod would fill the same limit, so this does not wait for the Job, which may never give up.
    """
    lost = [(ending, one) for ending in _endings(pods) if (one := _lost_by(ending))]
    evicted = [one for e, one in lost if one.case is Case.EVICTED or e.exit_code == ExitCode.PREEMPTED]
    if len(evicted) <= MAX_EVICTIONS:
        return None
    return Trouble(
        Reason.PODS_LOST, f"{who}: {counted(len(evicted), 'pod')}; the last {_told(evicted[0])}", evicted[0].case
    )


def loss_of(pods: Sequence[PodView], job: JobView) -> Loss | None:
    """Return how a Job that has failed was lost, or None where the trainer's attempts alone failed it.

    A deadline that it had is never the operator's. Pods that are gone, or that are not known to have ended, count as
    the trainer's attempts.
    """
    endings = _endings(pods)
    lost = [one for e in endings if e.exit_code != ExitCode.PREEMPTED and (one := _lost_by(e))]
    attempts = _attempts(endings)
    if job.out_of_time:
        matter = "was ended with its Job, which was active for longer than its activeDeadlineSeconds"
        ended = [e for e in attempts if e.exit_code not in _STOPPED]
        return Loss(len(ended), describe(ended[0]) if ended else "", matter, Case.DEADLINE)
    preempted = [e for e in endings if e.disrupted or e.exit_code == ExitCode.PREEMPTED] if job.counts_all else []
    if lost:
        matter, case = _told(lost[0]), lost[0].case
    elif preempted:
        why = "its Job counts that as a failure, because something has taken its podFailurePolicy off"
        matter, case = f"{describe(preempted[0]).rstrip('. ')}; {why}", Case.CHANGED
    else:
        return None
    unknown = sum(not pod.over and not pod.deleting for pod in pods)
    return Loss(
        attempts=max(len(attempts) + unknown, job.failed - len(lost) - len(preempted)),
        last_attempt=describe(attempts[0]) if attempts else "",
        matter=matter,
        case=case,
    )


def started_after(endings: Sequence[Ending]) -> tuple[Trouble | None, str]:
    """Return what is to be said of the next attempt after those that ended, oldest first.

    That is what ended the last one from outside, where something is to be done about it, and a note.
    """
    if not endings:
        return None, ""
    last = endings[-1]
    note = f"the attempt before {describe(last)}"
    outside = _lost_by(last)
    if outside is None:
        return None, note
    times = sum(1 for e in endings if (one := _lost_by(e)) and one.case is outside.case)
    often = f"; {times} pods of this Job ended so" if times > 1 else ""
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, _told(outside), outside.case), f"{note.rstrip('. ')}{often}"


def told_for_good(pods: Sequence[PodView], who: str) -> Trouble | None:
    """Return the failure that the newest attempt's exit code says, where no further attempt could mend it, or None."""
    newest = next(iter(_endings(pods)), None)
    if newest is None or newest.exit_code not in TERMINAL_EXIT_CODES:
        return None
    return _terminal(REASONS[newest.exit_code], newest, who)


def describe(ending: Ending) -> str:
    """Return how an attempt ended, in a clause. What Kubernetes says of the pod comes before the trainer's words."""
    if ending.outside:
        return _told(ending.outside)
    words = ending.said_of_pod or ending.last_words
    if ending.exit_code == ExitCode.PREEMPTED or (ending.disrupted and ending.exit_code is None):
        what = "was preempted"
    elif ending.exit_code is None:
        what = f"was lost ({ending.reason})" if ending.reason else "was lost"
    else:
        what = f"ended with exit code {ending.exit_code}"
        if ending.reason and ending.reason not in ("Error", "Completed"):
            what += f" ({ending.reason})"
    return f"{what}: {words}" if words else what


def _told(outside: Outside) -> str:
    said = shorten(outside.said).rstrip(". ")
    return f"{outside.what}: {said}" if said else outside.what


def _lost_by(ending: Ending) -> Outside | None:
    """Return what ended an attempt from outside; None also where Kubernetes knows it for a disruption itself."""
    return None if ending.disrupted else ending.outside


def _attempts(endings: Iterable[Ending]) -> list[Ending]:
    """Return the attempts that were the trainer's own, and failed."""
    return [e for e in endings if not e.disrupted and not e.outside and e.exit_code != ExitCode.PREEMPTED]


def _endings(pods: Sequence[PodView]) -> list[Ending]:
    """Endings of the attempts, newest first."""
    return [ending for pod in reversed(pods) if (ending := ending_of(pod))]


def _code_in(said: str) -> int:
    """Return the exit code that the Job controller quotes, or 0."""
    found = re.search(r"exit code (\d+)", said)
    return int(found[1]) if found else 0


def _terminal(reason: Reason, ending: Ending | None, who: str) -> Trouble:
    if ending and ending.report:
        return Trouble(reason, f"{who}: {ending.last_words}", Case.TOLD)
    said = f": {ending.last_words}" if ending and ending.last_words else ""
    row = REMEDIES[reason]
    return Trouble(reason, f"{who}: {row.meaning} (exit code {row.exit_code}){said}", detailed=ending is not None)


def _exhausted(job: JobView, said: str, last: Ending | None, who: str, retry_limit: int) -> Trouble:
    times = f"failed {job.failed} times" if job.failed > 1 else "failed"
    limit = f"spec.retryLimit ({retry_limit})"
    if job.failed <= retry_limit and job.backoff_limit is not None and job.backoff_limit < retry_limit:
        limit = (
            f"the backoffLimit of its Job ({job.backoff_limit})"  # somebody has lowered it, or Jobs before used it up
        )
    ended = f"the last attempt {describe(last)}" if last else (said or "its pods are gone")
    return Trouble(
        Reason.LOSS_NOT_FINITE if last and last.exit_code == ExitCode.LOSS_NOT_FINITE else Reason.RETRIES_EXHAUSTED,
        f"{who} {times}, which {limit} does not forgive; {ended} (see kubectl logs job/{job.name})",
        detailed=last is not None,
    )
