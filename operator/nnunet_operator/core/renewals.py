"""Jobs that failed by what was not the trainer's doing: made anew after a pause, and not for ever.

A node that turns pods away, a container of others that fails and an eviction count against a Job's backoffLimit as the
trainer's own failures do, because no failure policy can tell them apart. What the trainer's attempts used up of
spec.retryLimit is carried over to the next Job, so mixing both forgives no more of them.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.status import NnunetTrainingStatus, RenewedJob
from nnunet_operator.core.observation import Child, Loss, Observation, State, Trouble
from nnunet_operator.core.pipeline import known_fold
from nnunet_operator.core.training import Training

MAX_RENEWALS = 10
"""How often in a row a child's Job is made anew, without a suspension or an epoch: the pauses alone take 50 minutes."""
FIRST_PAUSE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 600
_COUNTED = (Reason.RETRIES_EXHAUSTED, Reason.LOSS_NOT_FINITE)
"""Reasons of a Job that failed because too many of its pods did."""


def judged(training: Training, seen: Observation) -> Observation:
    """Return a child whose Job was lost as waiting for the next one, or as failed where it has been so too often."""
    trouble = seen.trouble
    if seen.state is not State.FAILED or trouble is None or trouble.reason not in _COUNTED:
        return seen
    loss = seen.loss or _remembered_loss(training, seen)
    if loss is None:
        return replace(seen, trouble=_with_carried(training, seen, trouble))
    seen = replace(seen, loss=loss)
    count, attempts = _counted(training, seen)
    who, limit = seen.child.subject, training.spec.retry_limit
    if attempts > limit:
        times = f"failed {attempts} times" if attempts > 1 else "failed"
        last = f"; the last attempt {loss.last_attempt}" if loss.last_attempt else ""
        matter = (
            f"{who} {times}, which spec.retryLimit ({limit}) does not forgive{last} (see kubectl logs "
            f"job/{seen.child.name}). Besides, a pod {loss.matter}"
        )
        return replace(seen, trouble=replace(trouble, matter=matter))
    if count > MAX_RENEWALS:
        matter = f"{who}: {count} Jobs in a row failed without the trainer's doing; the last pod {loss.matter}"
        return replace(seen, trouble=Trouble(Reason.PODS_LOST, matter, loss.case))
    matter = f"waits after its pod {loss.matter}. After a pause its Job is made anew ({count} of {MAX_RENEWALS} times)"
    return replace(seen, state=State.BLOCKED, trouble=Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, loss.case))


def remembered(
    training: Training, children: Iterable[Observation], done: frozenset[Child], now: datetime
) -> list[RenewedJob] | None:
    """Return what the status is to say of lost Jobs; None where there are none."""
    known = (_known(training, seen, now) for seen in children if seen.child not in done)
    return [lost for lost in known if lost] or None


def to_renew(training: Training, children: Iterable[Observation], now: datetime) -> tuple[Observation, ...]:
    """Return the children whose lost Job is to be made anew now: the status tells of it, and the pause is over."""
    return tuple(seen for seen in _waiting(training.status, children) if _again(training.status, seen) <= now)


def pause_left(status: NnunetTrainingStatus, seen: Observation, now: datetime) -> float:
    """Return the seconds until a child whose failed Job is gone may have the next one; 0 where it may at once."""
    known = status.renewed_job(seen.child.name)
    return max(0.0, (known.again_time - now).total_seconds()) if known else 0.0


def next_time(status: NnunetTrainingStatus, children: Iterable[Observation]) -> datetime | None:
    """Return when the next pause ends, or None."""
    return min((_again(status, seen) for seen in _waiting(status, children)), default=None)


def _remembered_loss(training: Training, seen: Observation) -> Loss | None:
    """Return the loss that the status tells of where the pods that would show it were deleted during the pause."""
    known = training.status.renewed_job(seen.child.name)
    if known is None or known.uid != seen.job_uid:
        return None
    return Loss(known.failed_attempts, "", "was lost and is gone", Case.BY_NODE)


def _known(training: Training, seen: Observation, now: datetime) -> RenewedJob | None:
    known = training.status.renewed_job(seen.child.name)
    if seen.loss is None or (known and known.uid == seen.job_uid):
        return known
    count, attempts = _counted(training, seen)
    pause = min(FIRST_PAUSE_SECONDS * 2 ** (count - 1), LONGEST_PAUSE_SECONDS)
    return RenewedJob(
        name=seen.child.name,
        uid=seen.job_uid,
        count=count,
        epoch=_epoch(training, seen),
        failed_attempts=attempts,
        again_time=now + timedelta(seconds=pause),
    )


def _counted(training: Training, seen: Observation) -> tuple[int, int]:
    """Return how many Jobs of a child were lost in a row, and the trainer's failed attempts in all of them.

    A fold that got on in between has an end by itself, so it begins a row anew.
    """
    assert seen.loss is not None, seen
    known = training.status.renewed_job(seen.child.name)
    if known is None:
        return 1, seen.loss.attempts
    if known.uid == seen.job_uid:
        return known.count, known.failed_attempts
    row = 0 if _epoch(training, seen) > known.epoch else known.count
    return row + 1, known.failed_attempts + seen.loss.attempts


def _epoch(training: Training, seen: Observation) -> int:
    fold = known_fold(training, seen.child)
    return fold.epoch if fold else 0


def _with_carried(training: Training, seen: Observation, trouble: Trouble) -> Trouble:
    """Return the failure of a Job that forgave less because of those before it, with the reason for that."""
    carried = training.status.failed_attempts(seen.child.name)
    if not carried:
        return trouble
    return replace(trouble, matter=f"{trouble.matter}; {carried} more had failed in Jobs that were made anew")


def _waiting(status: NnunetTrainingStatus, children: Iterable[Observation]) -> Iterable[Observation]:
    """Yield the children whose lost Job stands, as the status tells."""
    for seen in children:
        known = status.renewed_job(seen.child.name)
        if seen.loss and seen.state is State.BLOCKED and seen.stands and known and known.uid == seen.job_uid:
            yield seen


def _again(status: NnunetTrainingStatus, seen: Observation) -> datetime:
    known = status.renewed_job(seen.child.name)
    assert known is not None, seen
    return known.again_time
