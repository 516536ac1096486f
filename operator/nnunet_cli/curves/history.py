"""What the folds of a training have logged, with what the policies ask for and where early stopping stands. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.fold_status import FoldEarlyStopping, FoldStatus
from nnunet_cli.kube.watched import Watched

_LONGEST_NAME = 100
"""Characters: a configuration has 64."""
Values = tuple[float | None, ...]
"""One for each finished epoch; None for what is no number."""


@dataclass(frozen=True)
class FoldHistory:
    """What a fold has logged until its newest checkpoint; empty where a trainer class logs none of it."""

    fold: str
    epoch: int = 0
    """Finished epochs in that checkpoint."""
    training_loss: Values = ()
    validation_loss: Values = ()
    pseudo_dice: Values = ()
    """Mean over the foreground classes, on random patches of validation cases."""
    ema_pseudo_dice: Values = ()
    """Its moving average."""
    learning_rate: Values = ()
    early_stopping: FoldEarlyStopping | None = None


@dataclass(frozen=True)
class History:
    """All folds of a training."""

    namespace: str
    name: str
    epochs: int
    """Epochs of the schedule."""
    min_epochs: int | None
    """Epochs that the policies ask for."""
    folds: Sequence[FoldHistory]
    problems: Sequence[str] = ()
    """What could not be read."""


def history_of(training: Watched, messages: Sequence[dict[str, Any]]) -> History:
    """Return the history from what the agent has read of each fold."""
    status = {fold.name: fold for fold in training.status.folds}
    folds = [_fold(message, status.get(message["fold"])) for message in messages if "problem" not in message]
    policy = training.status.policy
    lengths = [fold.epochs_target for fold in status.values()] + [fold.epoch for fold in folds]
    return History(
        namespace=training.namespace,
        name=training.name,
        epochs=max(lengths, default=0),
        min_epochs=policy.min_epochs if policy else None,
        folds=sorted(folds, key=lambda fold: fold.fold),
        problems=[f"fold {message['fold']}: {message['problem']}" for message in messages if "problem" in message],
    )


def as_data(history: History) -> dict[str, Any]:
    """Return what scripts read. No key of it may be renamed."""
    return {
        "namespace": history.namespace,
        "name": history.name,
        "epochs": history.epochs,
        "minEpochs": history.min_epochs,
        "folds": [
            {
                "fold": fold.fold,
                "epoch": fold.epoch,
                "trainingLoss": list(fold.training_loss),
                "validationLoss": list(fold.validation_loss),
                "pseudoDice": list(fold.pseudo_dice),
                "emaPseudoDice": list(fold.ema_pseudo_dice),
                "learningRate": list(fold.learning_rate),
                "earlyStopping": fold.early_stopping.to_json_dict() if fold.early_stopping else None,
            }
            for fold in history.folds
        ],
    }


def _fold(message: dict[str, Any], status: FoldStatus | None) -> FoldHistory:
    keys = ("training_loss", "validation_loss", "pseudo_dice", "ema_pseudo_dice", "learning_rate")
    values = {key: tuple(_number(value) for value in message.get(key) or ()) for key in keys}
    stopping = status.early_stopping if status else None
    name = "".join(one if one.isprintable() else "?" for one in str(message["fold"]))[:_LONGEST_NAME]
    return FoldHistory(name, message["epoch"], early_stopping=stopping, **values)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
