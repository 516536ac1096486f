"""Folds that wait for data: found by what their trainers measured, and told with the number that mends it.

A fold is starved from a share on and until it falls below a lower one, so nothing flaps in between. The trainers leave
out the first epoch of an attempt, and tell medians of several.
"""

from nnunet_api.data_feed import (
    MOST_WORKERS,
    WORKERS_VARIABLE,
    augmentation_workers,
    cores_of,
    cores_wanted,
    whole_cores,
)
from nnunet_api.facts import OF_ATTEMPT
from nnunet_api.fold_status import FoldStatus
from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import FoldPhase, Reason
from nnunet_api.remedies.remedy import Case
from nnunet_operator.core.observation import Trouble
from nnunet_operator.core.training import Training

STARVED_FROM = 0.2
"""Share (0 to 1) of an epoch. nnU-Net's benchmarks call 5 to 10 % within tolerance; GPUs of others differ by more."""
STARVED_UNTIL = 0.1
IDLE_WORKERS = 0.5
"""Share of their time below which workers that are waited for hardly compute: something else keeps them."""
BUSY_WORKERS = 0.9
"""Share of their time from which on workers that are more than the CPUs have CPU all the same, as on an idle node."""
_OF_IMAGE = f"{WORKERS_VARIABLE} in the image's ENV, or the trainer class,"
_MEASURED = (*OF_ATTEMPT, "data_starved")
_RUNS = (FoldPhase.STARTING, FoldPhase.RUNNING)


def with_feed(before: FoldStatus, status: FoldStatus) -> FoldStatus:
    """Return a fold's status with whether it is starved, and without numbers of a pod that had other resources.

    A pod that is replaced has what its Job gives, so what was measured holds on; one that comes after a suspension has
    what the spec says by then. After its last epoch a fold validates on full volumes, and draws no more batches.
    """
    if status.phase is FoldPhase.COMPLETED or (status.phase in _RUNS and status.epoch >= status.planned_end):
        return status.model_copy(update={"data_starved": None})
    if status.phase not in _RUNS:
        return status.model_copy(update=dict.fromkeys(_MEASURED))
    share = status.data_wait_share
    if share is None:
        return status
    limit = STARVED_UNTIL if before.data_starved else STARVED_FROM
    return status.model_copy(update={"data_starved": share >= limit})


def found(training: Training, folds: list[FoldStatus]) -> Trouble | None:
    """Return which folds wait for data, and what they need; None where none does."""
    starved = [fold for fold in folds if fold.data_starved]
    if not starved:
        return None
    told = [_told(training, fold) for fold in starved]
    each = "; ".join(f"fold {fold.name} {words}" for fold, (words, _) in zip(starved, told, strict=True))
    # A number that mends one of them comes first: with it the others may be well, too.
    case = Case.SLOW_VOLUME if all(case for _, case in told) else ""
    return Trouble(Reason.DATA_TOO_SLOW, each, case)


def _told(training: Training, fold: FoldStatus) -> tuple[str, str]:
    """Return what is the matter with a starved fold, with its number where one mends it, and the case."""
    share = fold.data_wait_share or 0.0
    waits = f"waits {_percent(share)} of its time for data"
    if fold.fed_epoch_seconds and share < 1:
        # Not the median of the attempt, which is of other epochs.
        now, fed = _seconds(fold.fed_epoch_seconds / (1 - share)), _seconds(fold.fed_epoch_seconds)
        waits += f" (an epoch takes {now}, and would take {fed} with data that are there)"
    if fold.local_copy and fold.local_copy.state is CopyState.IN_USE:
        waits += ", which it reads from a copy on its node"
    own = training.spec.resources.of(fold.configuration or training.spec.configuration_names[0])
    gpus = max(1, own.gpus)
    cores = max(1, whole_cores(own.cpu) // gpus)
    meant = augmentation_workers(cores)
    workers = meant if fold.data_workers is None else fold.data_workers
    use = fold.data_worker_use
    # Below a core it may compute no more than its part of one, where others want the rest.
    if workers == 0 and use is not None and use < IDLE_WORKERS * min(1.0, cores_of(own.cpu)):
        return f"{waits}, which it makes itself, computing in only {_percent(use)} of that", Case.SLOW_VOLUME
    crowded = workers > cores and (use is None or use < BUSY_WORKERS)
    computing = float(workers) if not crowded else float(cores) if use is None else workers * use
    wanted = cores_wanted(computing, share)
    if use is not None and (workers * use < IDLE_WORKERS * min(workers, cores) or (crowded and wanted <= cores)):
        return f"{waits}, and its workers ({workers}) compute in only {_percent(use)} of theirs", Case.SLOW_VOLUME
    if workers >= MOST_WORKERS and (not crowded or cores >= MOST_WORKERS):
        return f"{waits}, with {workers} workers for a GPU", Case.SLOW_VOLUME
    variable = next((v.value for v in training.spec.trainer.env if v.name == WORKERS_VARIABLE), None)
    if variable and wanted > workers:
        return (
            f"{waits}: {WORKERS_VARIABLE} in spec.trainer.env is {variable}, {wanted} would do. It can't change: "
            f"create a new training without it, with spec.resources.cpu {wanted * gpus}"
        ), ""
    if workers < meant:
        return (
            f"{waits}: its pod has {workers} workers for a GPU, and spec.resources.cpu {own.cpu} gives {meant}, unless "
            f"the node has no more, or {_OF_IMAGE} sets another number"
        ), ""
    if crowded:
        waits += f", and its {workers} workers share the CPU of {cores}"
    raised = f"raise spec.resources.{_place(training, fold, 'cpu')} from {own.cpu} to {wanted * gpus}"
    if own.cpu_limit is not None and whole_cores(own.cpu_limit) < wanted * gpus:
        raised += f", and {_place(training, fold, 'cpuLimit')} from {own.cpu_limit} to no less"
    if meant < workers < wanted:
        raised += f". Its {workers} workers are not by that field: {_OF_IMAGE} may set their number"
    return f"{waits}: {raised}", ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _seconds(value: float) -> str:
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


def _place(training: Training, fold: FoldStatus, field: str) -> str:
    """Return where the fold has a resource from, as a path below spec.resources."""
    own = training.spec.resources.configurations.get(fold.configuration or "")
    stated = own and (own.cpu if field == "cpu" else own.cpu_limit)
    return f"configurations.{fold.configuration}.{field}" if stated else field
