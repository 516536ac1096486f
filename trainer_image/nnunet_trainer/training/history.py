"""The metrics history that nnU-Net keeps in each checkpoint. No torch in here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_trainer.run.plain import load_plain

Curve = list[tuple[int, float]]
"""(finished epochs, value), without what is not a number."""


@dataclass(frozen=True)
class History:
    """One value for each finished epoch; empty where a trainer class logs none."""

    training_loss: Sequence[float]
    validation_loss: Sequence[float]
    pseudo_dice: Sequence[float]
    """Mean over the foreground classes, on random patches of validation cases."""
    ema_pseudo_dice: Sequence[float]
    learning_rate: Sequence[float]


def history_of(logging: Mapping[str, Any]) -> History:
    """Return the history in the `logging` of a checkpoint (nnU-Net's LocalLogger)."""

    def values(key: str) -> list[float]:
        return [float(value) for value in logging.get(key, ())]

    return History(
        training_loss=values("train_losses"),
        validation_loss=values("val_losses"),
        pseudo_dice=values("mean_fg_dice"),
        ema_pseudo_dice=values("ema_fg_dice"),
        learning_rate=values("lrs"),
    )


def read_history(checkpoint: Path) -> History:
    """Return the history in a checkpoint, whoever wrote it: nothing in it is run.

    Raises what `load_plain` does, and KeyError, TypeError or ValueError for another history than nnU-Net's.
    """
    return history_of(load_plain(checkpoint)["logging"])


def thinned(values: Sequence[float], points: int) -> Curve:
    """Return at most about `points` of the values, with every peak: of each stretch the smallest and the largest."""
    curve = [(epoch, value) for epoch, value in enumerate(values, 1) if math.isfinite(value)]
    if len(curve) <= points:
        return curve
    size = math.ceil(2 * len(curve) / points)
    stretches = [curve[start : start + size] for start in range(0, len(curve), size)]
    kept: set[tuple[int, float]] = {curve[0], curve[-1]}
    for stretch in stretches:
        kept |= {min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])}
    return sorted(kept)
