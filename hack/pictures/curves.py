"""Made-up curves of one fold's training, of the shape that nnU-Net's have. They prove nothing about nnU-Net."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

BASE_LEARNING_RATE = 0.01
PATIENCE_EPOCHS = 60
MIN_GAIN = 0.002


@dataclass(frozen=True)
class Plan:
    """What is trained, and when."""

    start: float
    """Unix time at which the first epoch begins."""
    epoch_seconds: float
    """Mean duration of an epoch."""
    epochs: int = 1000
    seed: int = 0
    classes: dict[str, float] = field(default_factory=lambda: {"liver": 0.95, "tumour": 0.62, "vessel": 0.74})
    """Where the pseudo-Dice of each class ends, by name."""
    evicted_after: tuple[int, ...] = ()
    """Finished epochs at which the pod is evicted."""
    away_seconds: float = 1500.0
    """From an eviction to the next attempt's first epoch."""


@dataclass(frozen=True)
class Epoch:
    """State of a fold after an epoch."""

    end: float
    """Unix time."""
    number: int
    """Finished epochs."""
    attempt: int
    seconds: float
    train_loss: float
    validation_loss: float
    dice: dict[str, float]
    ema: float
    best: float
    best_at: int
    fired_at: int | None
    """Finished epochs at which the early-stopping rule fired."""

    def learning_rate(self, epochs: int) -> float:
        """Return nnU-Net's polynomial schedule at the last begun epoch."""
        return BASE_LEARNING_RATE * math.pow(1 - (self.number - 1) / epochs, 0.9)


def train(plan: Plan) -> Iterator[Epoch]:
    """Yield all epochs of a fold, those after its present included."""
    dice = random.Random(plan.seed)
    now, attempt = plan.start, 1
    ema = best = 0.0
    best_at, marked, marked_at, fired_at = 0, 0.0, 0, None
    for number in range(1, plan.epochs + 1):
        seconds = plan.epoch_seconds * dice.gauss(1, 0.03)
        now += seconds
        learned = 1 - math.exp(-number / 70)
        anneal = (number / plan.epochs) ** 3
        scores = {
            name: min(
                1.0, max(0.0, final * (0.88 * learned + 0.10 * anneal) + dice.gauss(0, 0.02) * (1 - 0.6 * anneal))
            )
            for name, final in plan.classes.items()
        }
        mean = sum(scores.values()) / len(scores)
        ema = mean if number == 1 else 0.9 * ema + 0.1 * mean
        if ema > best:
            best, best_at = ema, number
        if ema > marked + MIN_GAIN:
            marked, marked_at = ema, number
        if fired_at is None and number > 150 and number - marked_at >= PATIENCE_EPOCHS:
            fired_at = number
        train_loss = 0.25 - 1.02 * learned - 0.10 * anneal + dice.gauss(0, 0.012)
        validation_loss = 0.27 - 0.93 * learned - 0.03 * anneal + dice.gauss(0, 0.02)
        yield Epoch(now, number, attempt, seconds, train_loss, validation_loss, scores, ema, best, best_at, fired_at)
        if number in plan.evicted_after:
            attempt += 1
            now += plan.away_seconds
