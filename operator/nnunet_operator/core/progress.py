"""Progress over all folds, and the time left."""

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from nnunet_api.fold_status import FoldStatus
from nnunet_api.reasons import FoldPhase
from nnunet_api.status import Progress
from nnunet_operator.progress.model import LiveFacts

CLOCK_SKEW = timedelta(minutes=5)
"""How far a node's clock may be ahead before its time stamps are taken for nonsense."""


def total_progress(
    folds: Sequence[FoldStatus], samples: Iterable[LiveFacts | None], before: Progress | None, now: datetime
) -> Progress:
    """Return the progress over all folds. It depends on `now` only to refuse time stamps from the future."""
    epoch = sum(fold.epoch for fold in folds)
    target = sum(fold.planned_end for fold in folds)
    return Progress(
        epoch=epoch,
        epochs_target=target,
        percent=min(100, 100 * epoch // target) if target else 0,
        summary=f"{epoch}/{target}",
        estimated_seconds_left=seconds_left(folds),
        last_epoch_time=_last_epoch_time(samples, before, now),
    )


def seconds_left(folds: Sequence[FoldStatus]) -> int | None:
    """Estimate the seconds until the last fold's last epoch, or None while no fold trains.

    Each fold needs (epochs left) x (mean seconds of its epochs, or of the others' where it has none yet).
    Folds that wait start in order as others finish; as many train at a time as do now. It changes only
    with an epoch, not with the clock.
    """
    running = [fold for fold in folds if fold.phase == FoldPhase.RUNNING]
    speeds = [fold.epoch_seconds for fold in running if fold.epoch_seconds]
    if not speeds:
        return None
    mean = sum(speeds) / len(speeds)

    def need(fold: FoldStatus) -> float:
        return max(0, fold.planned_end - fold.epoch) * (fold.epoch_seconds or mean)

    ends = [need(fold) for fold in running]
    heapq.heapify(ends)
    for fold in folds:
        if fold.phase not in (FoldPhase.RUNNING, FoldPhase.COMPLETED):
            heapq.heapreplace(ends, ends[0] + need(fold))
    return round(max(ends))


def _last_epoch_time(samples: Iterable[LiveFacts | None], before: Progress | None, now: datetime) -> datetime | None:
    times = [
        sample.facts.last_epoch_time for sample in samples if sample and sample.facts and sample.facts.last_epoch_time
    ]
    seen = [time.replace(microsecond=0) for time in times if time <= now + CLOCK_SKEW]
    if before and before.last_epoch_time:
        seen.append(before.last_epoch_time)
    return max(seen, default=None)
