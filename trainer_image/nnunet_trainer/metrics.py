"""Prometheus metrics of a fold, on a registry of their own, up before torch is imported."""

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nnunet_operator.api.contract import METRIC_LABELS, METRICS_PORT, FoldFacts, Metric, RunContract
from nnunet_trainer.schedule import number

log = logging.getLogger(__name__)

_EPOCH_SECONDS = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
_HELP = {
    Metric.EPOCH: "Finished epochs.",
    Metric.EPOCHS_TARGET: "Epochs to train.",
    Metric.LOSS: "Loss of the last finished epoch.",
    Metric.PSEUDO_DICE: "Pseudo-Dice (0 to 1) of a class in the last finished epoch, on random validation patches.",
    Metric.EMA_PSEUDO_DICE: "Exponential moving average of the mean foreground pseudo-Dice.",
    Metric.BEST_EMA_PSEUDO_DICE: "Best moving average so far.",
    Metric.LEARNING_RATE: "Learning rate of the last begun epoch.",
    Metric.LAST_EPOCH_TIMESTAMP: "When the last epoch was finished, Unix time.",
    Metric.CHECKPOINT_TIMESTAMP: "When the newest durable checkpoint was written, Unix time.",
    Metric.CHECKPOINT_EPOCH: "Finished epochs in the newest durable checkpoint.",
    Metric.EPOCHS_SINCE_IMPROVEMENT: "Epochs since the moving average was best.",
    Metric.ATTEMPTS: "Times the trainer of this fold was started.",
    Metric.LOST_EPOCHS: "Epochs that were begun and had to be trained again.",
    Metric.RUN_INFO: "What is trained; the value is always 1.",
}


class FoldMetrics(Collector):
    """What the scrape of a fold's trainer sees. A value that is unknown is absent, never 0."""

    def __init__(self, contract: RunContract, fold: str, plans_name: str) -> None:
        self._labels = (contract.namespace, contract.name, fold)
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[str, ...]], float] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._duration = Histogram(
            Metric.EPOCH_DURATION,
            "Duration of an epoch with its checkpoint.",
            METRIC_LABELS,
            registry=self.registry,
            buckets=_EPOCH_SECONDS,
        ).labels(*self._labels)
        info = (contract.dataset, contract.configuration, contract.trainer_class, plans_name)
        self._values[Metric.RUN_INFO, info] = 1

    def set(self, name: str, value: float | None, *labels: str) -> None:
        """Set a gauge; None or NaN leaves the last known value."""
        if (finite := number(value)) is not None:
            with self._lock:
                self._values[name, labels] = finite

    def set_facts(self, facts: FoldFacts) -> None:
        """Set all gauges that the state of a fold holds."""
        self.set(Metric.EPOCH, facts.epoch)
        self.set(Metric.EPOCHS_TARGET, facts.epochs_target)
        self.set(Metric.CHECKPOINT_EPOCH, facts.checkpoint_epoch)
        self.set(Metric.ATTEMPTS, facts.attempts)
        self.set(Metric.LOST_EPOCHS, facts.lost_epochs)
        self.set(Metric.LOSS, facts.training_loss, "train")
        self.set(Metric.LOSS, facts.validation_loss, "validation")
        self.set(Metric.EMA_PSEUDO_DICE, facts.ema_pseudo_dice)
        self.set(Metric.BEST_EMA_PSEUDO_DICE, facts.best_ema_pseudo_dice)
        self.set(Metric.LEARNING_RATE, facts.learning_rate)

    def set_pseudo_dice(self, names: Sequence[str], values: Sequence[float]) -> None:
        """Set the pseudo-Dice of each class."""
        for name, value in zip(names, values, strict=True):
            self.set(Metric.PSEUDO_DICE, value, name)

    def observe_epoch(self, seconds: float) -> None:
        """Count an epoch of that duration."""
        self._duration.observe(seconds)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is known."""
        extra = {
            Metric.LOSS: ("split",),
            Metric.PSEUDO_DICE: ("label",),
            Metric.RUN_INFO: ("dataset", "configuration", "trainer_class", "plans"),
        }
        with self._lock:
            values = dict(self._values)
        for name, text in _HELP.items():
            family = GaugeMetricFamily(name, text, labels=[*METRIC_LABELS, *extra.get(name, ())])
            for (key, labels), value in values.items():
                if key == name:
                    family.add_metric([*self._labels, *labels], value)
            if family.samples:
                yield family


def serve(metrics: FoldMetrics, port: int = METRICS_PORT) -> None:
    """Serve the metrics from a thread. A port that is taken costs the metrics, never the training."""
    try:
        start_http_server(port, registry=metrics.registry)
        log.info("metrics on port %d", port)
    except OSError as error:
        log.warning("no metrics: port %d can't be opened: %s", port, error)


@contextlib.contextmanager
def never_fail(what: str) -> Iterator[None]:
    """Log an error in something that the training does not depend on, and go on."""
    try:
        yield
    except Exception:
        log.exception("%s failed; the training goes on", what)
