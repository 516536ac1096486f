"""What a comparison leaves in its log for the report: scores of single cases, seeds, curves. The verdict rests on none.

Checkpoints and journals are the trainings' own. So a curve that can't be read is left out, and costs nothing else.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnunet_api.comparison.log import MOST_POINTS, MOST_SCORES
from nnunet_trainer.comparison.arms import Arm
from nnunet_trainer.run.paths import FINAL
from nnunet_trainer.run.plain import load_plain
from nnunet_trainer.scoring.aggregation import aggregate
from nnunet_trainer.scoring.compared_runs import FoldRun, Run

log = logging.getLogger(__name__)

_DECIMALS = 6
LONGEST_BYTES = 32 << 20
"""Of what a checkpoint has logged: three times 100,000 epochs. None may take the memory that a verdict needs."""
Point = tuple[int, float, float]
"""Finished epochs, GPU-hours until then, moving average of the pseudo-Dice."""


def for_report(arms: Sequence[Arm], runs: Sequence[Run]) -> dict[str, Any]:
    """Return the part of `ComparisonLog` that the numbers of `compare` do not hold."""
    many = len(arms[0].cases) * sum(arm.replicates for arm in arms) > MOST_SCORES
    if many:
        log.warning("more than %d scores of single cases: they are left out of the log", MOST_SCORES)
    return {
        "caseNames": [] if many else list(arms[0].cases),
        "patients": [] if many else [number + 1 for number in arms[0].patients],
        "replicates": [one for arm in arms for one in _replicates(arm, runs, many)],
    }


def _replicates(arm: Arm, runs: Sequence[Run], many: bool) -> Iterator[dict[str, Any]]:
    """Yield the replicates of an arm; its values are in the order of its runs."""
    cases, means = aggregate(arm.values[:, :, np.newaxis, :]), arm.means()  # of each case by itself
    place = 0
    for run in (run for run in runs if run.arm == arm.name):
        for number, replicate in enumerate(run.replicates, 1):
            yield {
                "arm": arm.name,
                "training": run.training,
                "replicate": number,
                "seed": replicate.seed,
                "mean": round(float(means[place]), _DECIMALS),
                "cases": [] if many else [_short(value) for value in cases[place]],
                "curve": _curve(run, number),
            }
            place += 1


def _curve(run: Run, replicate: int) -> list[Point]:
    """Return the mean over the folds of a replicate, against epochs and the GPU-hours of all of them."""
    try:
        folds = [_of_fold(run, one) for one in run.fold_runs if one.replicate == replicate]
    except Exception as error:  # whatever is in a checkpoint, the verdict is another matter
        log.warning("the curve of %s, replicate %d, can't be read: %s", run.training, replicate, error)
        return []
    length = min(map(len, folds), default=0)
    joined = [
        (epoch + 1, round(sum(fold[epoch][1] for fold in folds), 5), round(_mean([f[epoch][2] for f in folds]), 5))
        for epoch in range(length)
    ]
    return [point for point in _thinned(joined) if math.isfinite(point[1]) and math.isfinite(point[2])]


def _of_fold(run: Run, fold: FoldRun) -> list[Point]:
    """Return the curve that a final checkpoint has logged. Raises what `load_plain` and strange contents raise."""
    logged = load_plain(run.paths.own_file(fold.folder / FINAL), LONGEST_BYTES)["logging"]
    hours, points = 0.0, []
    timed = zip(logged["ema_fg_dice"], logged["epoch_start_timestamps"], logged["epoch_end_timestamps"], strict=False)
    for epoch, (dice, start, end) in enumerate(timed, 1):
        hours += max(0.0, float(end) - float(start)) * fold.gpus / 3600
        points.append((epoch, hours, float(dice)))
    return points


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return list(points)
    return [points[round(place)] for place in np.linspace(0, len(points) - 1, MOST_POINTS)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _short(value: float) -> float | None:
    return round(float(value), _DECIMALS) if math.isfinite(value) else None
