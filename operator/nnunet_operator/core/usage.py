"""GPU-seconds held and lost."""

from collections.abc import Sequence
from typing import Any

from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.fold_status import FoldStatus
from nnunet_api.status import Usage
from nnunet_operator.core.rounding import number
from nnunet_operator.core.training import Training


def of_fold(before: FoldStatus, gpus: int, held: float | None, lost: float | None) -> dict[str, Any]:
    """Return the changes to a fold's GPU-seconds, given the seconds that its trainers ran and lost.

    A trainer states them as of its last durable epoch, so they change with epochs only. They never go down: what an
    attempt that ended counted at the last moment, the next one may not know.
    """
    changes: dict[str, Any] = {}
    for field, seconds in (("gpu_seconds", held), ("lost_gpu_seconds", lost)):
        stated = number(seconds)
        if stated is not None and stated >= 0:
            changes[field] = max(getattr(before, field) or 0, round(stated * gpus))
    return changes


def total(
    folds: Sequence[FoldStatus], evaluation: EvaluationFacts | None, evaluation_gpus: int, before: Usage | None
) -> Usage | None:
    """Return the GPU-seconds of the whole training; None before there are any."""
    held = sum(fold.gpu_seconds or 0 for fold in folds)
    lost = sum(fold.lost_gpu_seconds or 0 for fold in folds)
    if evaluation:
        held += round((number(evaluation.held_seconds) or 0) * evaluation_gpus)
    if not held and before is None:
        return None
    known = before or Usage()
    return Usage(gpu_seconds=max(held, known.gpu_seconds), lost_gpu_seconds=max(lost, known.lost_gpu_seconds))


def gpus_of_evaluation(training: Training) -> int:
    """Return the GPUs that the evaluation holds: those of a fold if it predicts a test set, else none."""
    return training.spec.resources.gpus if training.spec.test_set else 0
