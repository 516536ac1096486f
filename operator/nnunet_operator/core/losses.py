"""Jobs that are gone before it is known how they ended: noticed, held back for longer each time, and given up.

Something may delete Jobs as soon as they have ended: a rule that gives each Job a ttlSecondsAfterFinished, a clean-up.
One that is seen while it is being deleted says how it ended. One that is not seen any more has to run again, and would
do so for ever. The status remembers the UID of each Job that is not done, whether the operator stops it by itself, and
how often one was lost, so neither a restart of the operator nor a crash between its action and its status hides a loss:
at worst a Job that the operator has stopped counts as one.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from nnunet_api.job_status import JobStatus
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.stages import STAGES
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.observation import Child, Observation, State, Trouble
from nnunet_operator.core.training import Training

FIRST_DELAY_SECONDS = 10.0
"""Before a Job is made anew that was lost a second time; it doubles with each further loss. The first costs nothing."""
LONGEST_DELAY_SECONDS = 300.0
LEAST_FORGIVEN = 1
"""A loss is nobody's failed attempt: one is forgiven also where spec.retryLimit is 0."""


def known_job(training: Training, child: Child) -> JobStatus | None:
    """Return what the status says of a child's Job, or None."""
    return next((job for job in training.status.jobs if job.name == child.name), None)


def with_made(status: NnunetTrainingStatus, made: Mapping[str, str]) -> NnunetTrainingStatus:
    """Return a status that tells, too, of Jobs that were made since it was written: UIDs by name."""
    return _with_jobs(status, made, stopping=None)


def with_stopped(status: NnunetTrainingStatus, stopped: Mapping[str, str]) -> NnunetTrainingStatus:
    """Return a status that tells, too, of Jobs that the operator has stopped since it was written: UIDs by name."""
    return _with_jobs(status, stopped, stopping=True)


def _with_jobs(status: NnunetTrainingStatus, uids: Mapping[str, str], *, stopping: bool | None) -> NnunetTrainingStatus:
    if not uids:
        return status
    known = {job.name: job for job in status.jobs}
    for name, uid in uids.items():
        known[name] = known.get(name, JobStatus(name=name)).model_copy(update={"uid": uid, "stopping": stopping})
    return status.model_copy(update={"jobs": list(known.values())})


def counts_more(before: NnunetTrainingStatus, after: NnunetTrainingStatus) -> bool:
    """Tell whether a status counts a loss that the one before does not."""
    known = {job.name: job.lost for job in before.jobs}
    return any(job.lost > known.get(job.name, 0) for job in after.jobs)


def as_far_as_it_counts(training: Training, seen: Observation) -> Observation:
    """Return a child without what it came to where the operator itself deletes it, and with what its losses mean."""
    if seen.deleting and seen.ended:
        return _ended_and_leaving(training, seen)
    lost = losses(training, seen)
    if not lost or seen.state is not State.ABSENT:
        return seen
    times = f"{lost} times" if lost > 1 else "once"
    if lost > _forgiven(training):
        matter = f"{seen.child.subject}: its Job was deleted {times} before it was known how it ended"
        return replace(seen, state=State.FAILED, trouble=_given_up(training, matter))
    note = f"again, because its Job was deleted {times} before it was known how it ended"
    return replace(seen, state=State.STARTING, note=note)


def _ended_and_leaving(training: Training, seen: Observation) -> Observation:
    stopped = _is_stopped(known_job(training, seen.child), seen)
    if seen.state is State.COMPLETED:
        stopped = stopped and not STAGES[seen.child.stage].counts_while_deleted
    else:
        stopped = stopped or training.spec.suspend  # whoever resumes shall not meet an old failure
    if not stopped:
        return seen
    return replace(seen, state=State.STOPPING, trouble=None, note="")


def without_evidence(training: Training, verify: Observation) -> Observation:
    """Return a completed verification whose pod nobody has seen: to be repeated, or given up."""
    return _unread(training, verify, "evidence")


def without_answer(training: Training, plan: Observation) -> Observation:
    """Return a completed planning whose pod nobody has seen: to be repeated, or given up, where its answer counts.

    Without it folds of configurations would be trained that are not planned, and it would never be known with which
    weights they begin. Once the status says that the dataset is ready, it has the answer.
    """
    counts = training.spec.skip_unavailable_configurations or training.spec.initial_weights is not None
    unread = plan.state is State.COMPLETED and not plan.success_seen
    if not counts or not unread or training.status.holds(ConditionType.DATASET_READY):
        return plan
    return _unread(training, plan, "report")


def _unread(training: Training, seen: Observation, what: str) -> Observation:
    # One that the operator stops for it already is counted.
    lost = losses(training, seen) + int(not _is_stopped(known_job(training, seen.child), seen))
    if lost <= _forgiven(training):
        return replace(seen, state=State.STARTING, note=f"again, because its pod vanished with the {what}")
    times = f"{lost} times" if lost > 1 else "once"
    subject = STAGES[seen.child.stage].subject
    matter = f"the {subject} has completed {times}, and its pod is gone each time before its {what} is read"
    return replace(seen, state=State.FAILED, trouble=_given_up(training, matter, Case.EVIDENCE_GONE))


def losses(training: Training, seen: Observation) -> int:
    """Return how often a child was lost since the last suspension, now included."""
    known = known_job(training, seen.child)
    if known is None or training.spec.suspend:
        return 0
    return max(0, known.lost) + int(_is_lost(training, known, seen))


def held_back_seconds(training: Training, seen: Observation, now: datetime) -> float:
    """Return the seconds until a child that was lost may be started again; 0 where it may at once."""
    lost = losses(training, seen)
    known = known_job(training, seen.child)
    if lost < 2 or known is None:
        return 0.0
    delay = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2.0 ** min(lost - 2, 10))
    since = now if _is_lost(training, known, seen) or known.last_lost_time is None else known.last_lost_time
    return min(delay, max(0.0, delay - (now - since).total_seconds()))


def job_statuses(
    training: Training,
    undone: Collection[Observation],
    stopping: Collection[Child],
    repeating: Collection[Observation],
    now: datetime,
    *,
    counting: bool,
) -> list[JobStatus]:
    """Return what is to be remembered of the Jobs that are not done.

    `stopping` are the children whose Job the operator stops, `repeating` those of them that it makes anew because their
    evidence is lost; losses are counted only while the training shall run (`counting`).
    """
    repeated = {one.child for one in repeating}
    found = []
    for seen in undone:
        known = known_job(training, seen.child)
        before = known or JobStatus(name=seen.child.name)
        is_repeated = seen.child in repeated and not _is_stopped(known, seen)
        is_new = counting and (is_repeated or (known is not None and _is_lost(training, known, seen)))
        waits = _is_left(seen) or not (counting or training.spec.suspend)
        uid = seen.job_uid or (before.uid if waits else None)
        stops = uid is not None and (seen.child in stopping or (bool(before.stopping) and before.uid == uid))
        count: Mapping[str, object] = {"lost": before.lost, "last_lost_time": before.last_lost_time}
        if is_new:
            count = {"lost": max(0, before.lost) + 1, "last_lost_time": now}
        if training.spec.suspend:
            count = {"lost": 0, "last_lost_time": None}
        status = before.model_copy(update={"uid": uid, "stopping": stops or None, **count})
        if status.uid or status.lost:
            found.append(status)
    return found


def _is_stopped(known: JobStatus | None, seen: Observation) -> bool:
    """Tell whether the operator has stopped this very Job."""
    return known is not None and bool(known.stopping) and known.uid == seen.job_uid


def _is_lost(training: Training, known: JobStatus, seen: Observation) -> bool:
    """Tell whether the Job that the status tells of is gone although the operator has not stopped it."""
    renewed = training.status.renewed_job(seen.child.name)
    if renewed is not None and renewed.uid == known.uid:
        return False  # how it ended is known: it waits for the end of its pause
    return known.uid is not None and not known.stopping and known.uid != seen.job_uid and not _is_left(seen)


def _is_left(seen: Observation) -> bool:
    """Tell whether a pod is still there whose Job is gone."""
    return seen.state is State.STOPPING and not seen.exists


def _forgiven(training: Training) -> int:
    return max(LEAST_FORGIVEN, training.spec.retry_limit)


def _given_up(training: Training, matter: str, case: str = "") -> Trouble:
    given = training.spec.retry_limit
    limit = f"spec.retryLimit ({given}) forgives no more" if given else "spec.retryLimit (0) forgives one such loss"
    return Trouble(Reason.OUTCOME_LOST, f"{matter}; {limit}", case, detailed=False)
