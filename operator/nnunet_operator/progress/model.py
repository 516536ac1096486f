"""What one scrape of a running fold says."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class FoldSample:
    """What one scrape of a running fold's metrics said. None where a series is not there yet."""

    epoch: int | None = None
    epochs_target: int | None = None
    training_loss: float | None = None
    nonfinite_loss_epochs: int | None = None
    validation_loss: float | None = None
    ema_pseudo_dice: float | None = None
    best_ema_pseudo_dice: float | None = None
    learning_rate: float | None = None
    epoch_seconds: float | None = None
    checkpoint_epoch: int | None = None
    attempts: int | None = None
    lost_epochs: int | None = None
    last_epoch_time: datetime | None = None
    early_stopping_state: str | None = None
    early_stopping_epoch: int | None = None
    early_stopping_suppressed_epoch: int | None = None
    end_epoch: int | None = None
    median_epoch_seconds: float | None = None
    held_seconds: float | None = None
    lost_seconds: float | None = None
    passed_over: str | None = None
    still_seconds: float | None = None
    """Seconds, by the operator's own clock, since the number of finished epochs was last seen to change."""
