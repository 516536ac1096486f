"""Prometheus text of a trainer pod -> `FoldSample`. The image may be anybody's: nothing in the text is trusted."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from nnunet_api.contract import Metric
from nnunet_api.reasons import EarlyStoppingState
from nnunet_operator.progress.model import FoldSample

MAX_LINES = 200
"""Lines of our metrics that are looked at. A trainer has about 30 of them, whatever its number of classes."""
MAX_LINE = 2000
"""Characters of a line. Longer ones are left out."""

_DURATION_SUM = f"{Metric.EPOCH_DURATION}_sum"
_DURATION_COUNT = f"{Metric.EPOCH_DURATION}_count"
_WANTED = (
    Metric.EPOCH,
    Metric.EPOCHS_TARGET,
    Metric.LOSS,
    Metric.NONFINITE_LOSS_EPOCHS,
    Metric.EMA_PSEUDO_DICE,
    Metric.BEST_EMA_PSEUDO_DICE,
    Metric.LEARNING_RATE,
    Metric.LAST_EPOCH_TIMESTAMP,
    Metric.CHECKPOINT_EPOCH,
    Metric.ATTEMPTS,
    Metric.LOST_EPOCHS,
    Metric.EARLY_STOPPING_STATE,
    Metric.EARLY_STOPPING_EPOCH,
    Metric.EARLY_STOPPING_SUPPRESSED_EPOCH,
    Metric.END_EPOCH,
    Metric.MEDIAN_EPOCH,
    Metric.HELD_SECONDS,
    Metric.LOST_SECONDS,
    Metric.PASSED_OVER,
    _DURATION_SUM,
    _DURATION_COUNT,
)
_KEYS = ("split", "state", "checkpoint")
"""Labels that tell series of one name apart."""
_STARTS = tuple(name + following for name in _WANTED for following in "{ ")


def parse_sample(text: str, labels: Mapping[str, str] | None = None) -> FoldSample:
    """Return what the metrics say about a fold.

    With `labels`, only series that carry them count: an IP address that a dead pod left may belong to
    another fold's pod by now. NaN and infinite values count as absent.

    Raises ValueError where the text is not in Prometheus' format.
    """
    values: dict[tuple[str, str], float] = {}
    for sample in _samples(text):
        if math.isfinite(sample.value) and (labels is None or labels.items() <= sample.labels.items()):
            values[sample.name, next((sample.labels[key] for key in _KEYS if key in sample.labels), "")] = sample.value

    def number(name: str, split: str = "") -> float | None:
        return values.get((name, split))

    def count(name: str) -> int | None:
        value = number(name)
        return int(value) if value is not None and 0 <= value <= 1e9 else None

    return FoldSample(
        epoch=count(Metric.EPOCH),
        epochs_target=count(Metric.EPOCHS_TARGET),
        training_loss=number(Metric.LOSS, "train"),
        nonfinite_loss_epochs=count(Metric.NONFINITE_LOSS_EPOCHS),
        validation_loss=number(Metric.LOSS, "validation"),
        ema_pseudo_dice=number(Metric.EMA_PSEUDO_DICE),
        best_ema_pseudo_dice=number(Metric.BEST_EMA_PSEUDO_DICE),
        learning_rate=number(Metric.LEARNING_RATE),
        epoch_seconds=_mean(number(_DURATION_SUM), number(_DURATION_COUNT)),
        checkpoint_epoch=count(Metric.CHECKPOINT_EPOCH),
        attempts=count(Metric.ATTEMPTS),
        lost_epochs=count(Metric.LOST_EPOCHS),
        last_epoch_time=_time(number(Metric.LAST_EPOCH_TIMESTAMP)),
        early_stopping_state=_state(values),
        early_stopping_epoch=count(Metric.EARLY_STOPPING_EPOCH),
        early_stopping_suppressed_epoch=count(Metric.EARLY_STOPPING_SUPPRESSED_EPOCH),
        end_epoch=count(Metric.END_EPOCH),
        median_epoch_seconds=number(Metric.MEDIAN_EPOCH),
        held_seconds=number(Metric.HELD_SECONDS),
        lost_seconds=number(Metric.LOST_SECONDS),
        passed_over=_passed_over(values),
    )


def _samples(text: str) -> Iterator[Sample]:
    """Yield the samples of our metrics. Lines of other metrics are not even parsed: parsing is slow."""
    lines = [line for line in text.split("\n") if line.startswith(_STARTS) and len(line) <= MAX_LINE][:MAX_LINES]
    try:
        for family in text_string_to_metric_families("\n".join([*lines, ""])):
            yield from family.samples
    except (ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        # What the parser raises for garbage depends on where it meets it.
        raise ValueError(f"not in Prometheus' text format: {error}") from error


def _state(values: Mapping[tuple[str, str], float]) -> str | None:
    """Return the state whose series is 1; None where none is, or it is a word of another version."""
    return next((s.value for s in EarlyStoppingState if values.get((Metric.EARLY_STOPPING_STATE, s.value)) == 1), None)


def _passed_over(values: Mapping[tuple[str, str], float]) -> str | None:
    """Return the names of the checkpoints that this attempt found damaged; None where there are none."""
    names = sorted(key for (name, key), value in values.items() if name == Metric.PASSED_OVER and key and value)
    return ", ".join(names) or None


def _mean(total: float | None, number: float | None) -> float | None:
    if total is None or not number or number < 0 or total < 0:
        return None
    return total / number


def _time(seconds: float | None) -> datetime | None:
    """Return a Unix time as a datetime; None where there is none or no calendar has it."""
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
    except (OverflowError, ValueError, OSError):
        return None
