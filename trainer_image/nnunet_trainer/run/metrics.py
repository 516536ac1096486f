"""Prometheus metrics of a fold, on a registry of their own."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nnunet_api.contract import RunContract
from nnunet_api.facts import FoldFacts
from nnunet_api.local_copy import CopyFacts, CopyState
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.process.compiling import ON
from nnunet_trainer.process.numbers import number

log = logging.getLogger(__name__)


class Metric:
    """Names of the trainer's metrics. All carry the labels of `METRIC_LABELS`."""

    EPOCH = "nnunet_epoch"
    EPOCHS_TARGET = "nnunet_epochs_target"
    LOSS = "nnunet_loss"  # + split: train | validation
    PSEUDO_DICE = "nnunet_pseudo_dice"  # + label: name of the class
    EMA_PSEUDO_DICE = "nnunet_ema_pseudo_dice"
    BEST_EMA_PSEUDO_DICE = "nnunet_best_ema_pseudo_dice"
    LEARNING_RATE = "nnunet_learning_rate"
    EPOCH_DURATION = "nnunet_epoch_duration_seconds"  # histogram
    LAST_EPOCH_TIMESTAMP = "nnunet_last_epoch_timestamp_seconds"
    CHECKPOINT_TIMESTAMP = "nnunet_checkpoint_timestamp_seconds"
    CHECKPOINT_EPOCH = "nnunet_checkpoint_epoch"
    EPOCHS_SINCE_IMPROVEMENT = "nnunet_epochs_since_improvement"
    NONFINITE_LOSS_EPOCHS = "nnunet_nonfinite_loss_epochs"
    VOLUME_AVAILABLE = "nnunet_volume_available_bytes"  # + volume: results
    VOLUME_CAPACITY = "nnunet_volume_capacity_bytes"  # + volume: results
    ATTEMPTS = "nnunet_attempts"
    LOST_EPOCHS = "nnunet_lost_epochs"
    EARLY_STOPPING_STATE = "nnunet_early_stopping_state"  # + state: 1 for the present one, 0 for the others
    EARLY_STOPPING_EPOCH = "nnunet_early_stopping_epoch"
    EARLY_STOPPING_SUPPRESSED_EPOCH = "nnunet_early_stopping_suppressed_epoch"
    POLICY_MIN_EPOCHS = "nnunet_policy_min_epochs"
    POLICY_EXCEPTED = "nnunet_policy_excepted"  # 1 where the training ran under an exception at any time, else 0
    END_EPOCH = "nnunet_end_epoch"
    MEDIAN_EPOCH = "nnunet_median_epoch_seconds"
    DATA_WAIT = "nnunet_data_wait_seconds"
    DATA_WAIT_SHARE = "nnunet_data_wait_ratio"
    FED_EPOCH = "nnunet_fed_epoch_seconds"
    DATA_WORKERS = "nnunet_data_workers"
    DATA_WORKER_USE = "nnunet_data_worker_use_ratio"
    CHECKPOINT_WRITE = "nnunet_checkpoint_write_seconds"
    LOCAL_COPY = "nnunet_local_copy_bytes"
    LOCAL_COPY_DURATION = "nnunet_local_copy_seconds"
    LOCAL_COPY_SHARE = "nnunet_local_copy_ratio"
    LOCAL_COPY_STATE = "nnunet_local_copy_state"  # + state: 1 for the present one, 0 for the others
    COMPILE = "nnunet_compile_seconds"
    HELD_SECONDS = "nnunet_held_seconds"
    LOST_SECONDS = "nnunet_lost_seconds"
    TORCH_COMPILED = "nnunet_torch_compiled"
    PASSED_OVER = "nnunet_checkpoint_passed_over"  # + checkpoint: name of the file
    RUN_INFO = "nnunet_run_info"  # + dataset, configuration, trainer_class, plans


METRIC_LABELS = ("namespace", "training", "fold")
MOST_CLASSES = 500
"""Classes whose pseudo-Dice is told, the first ones: of a pod with too many series Prometheus takes none."""
LONGEST_LABEL = 200
"""Bytes of the name of a class: as above."""
EPOCH_DURATION_HELP = "Duration of an epoch with its checkpoint."
EPOCH_SECONDS = (1, 2.5, 5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 3600)
GAUGES = {
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
    Metric.NONFINITE_LOSS_EPOCHS: "Epochs in a row, up to the last one, whose training loss was NaN or infinite.",
    Metric.VOLUME_AVAILABLE: "Space left on a volume for the trainer, at the last finished epoch.",
    Metric.VOLUME_CAPACITY: "Size of a volume.",
    Metric.ATTEMPTS: "Times the trainer of this fold was started.",
    Metric.LOST_EPOCHS: "Epochs that were begun and had to be trained again.",
    Metric.EARLY_STOPPING_STATE: "1 for the present state of the early-stopping rule, 0 for the others.",
    Metric.EARLY_STOPPING_EPOCH: "Finished epochs at which the early-stopping rule fired.",
    Metric.EARLY_STOPPING_SUPPRESSED_EPOCH: "Finished epochs at which the rule would have acted but for a policy.",
    Metric.POLICY_MIN_EPOCHS: "Epochs that policies ask each fold to be trained for, 0 for none.",
    Metric.POLICY_EXCEPTED: "1 where the training ran under an exception of a policy at any time, else 0.",
    Metric.END_EPOCH: "Finished epochs at which the training ends, early stopping included.",
    Metric.MEDIAN_EPOCH: "Median duration of an epoch in this attempt.",
    Metric.DATA_WAIT: "Time of the last epoch in which the network had nothing to compute, for want of a batch.",
    Metric.DATA_WAIT_SHARE: "Share (0 to 1) of an epoch spent on waiting for data, median of the last epochs.",
    Metric.FED_EPOCH: "Median duration that these epochs would have had without waiting for data.",
    Metric.DATA_WORKERS: "Processes that augment training batches, for each GPU; 0 where the trainer does so itself.",
    Metric.DATA_WORKER_USE: "Share (0 to 1) of their time in which these computed; without any, of the waiting.",
    Metric.CHECKPOINT_WRITE: "Time of the last epoch in which checkpoints were written.",
    Metric.LOCAL_COPY: "Preprocessed data that is copied to the node so far; absent without a copy.",
    Metric.LOCAL_COPY_DURATION: "What this attempt's copying of the preprocessed data has taken so far.",
    Metric.LOCAL_COPY_SHARE: "Share (0 to 1) of the preprocessed data that is copied to the node; 0 where none is.",
    Metric.LOCAL_COPY_STATE: "1 for the present state of the copy of the data on the node, 0 for the others.",
    Metric.COMPILE: "Time that torch.compile has taken in this attempt; absent where it is off.",
    Metric.HELD_SECONDS: "Running time of all attempts up to the last durable checkpoint.",
    Metric.LOST_SECONDS: "Running time of earlier attempts whose work was lost.",
    Metric.TORCH_COMPILED: "1 where torch.compile makes the network faster, 0 where it is off.",
    Metric.PASSED_OVER: "A checkpoint that this attempt found damaged and passed over; the value is always 1.",
    Metric.RUN_INFO: "What is trained; the value is always 1.",
}
"""What each gauge tells. All carry `METRIC_LABELS`, and these further ones:"""
FURTHER_LABELS = {
    Metric.LOSS: ("split",),
    Metric.PSEUDO_DICE: ("label",),
    Metric.EARLY_STOPPING_STATE: ("state",),
    Metric.LOCAL_COPY_STATE: ("state",),
    Metric.PASSED_OVER: ("checkpoint",),
    Metric.VOLUME_AVAILABLE: ("volume",),
    Metric.VOLUME_CAPACITY: ("volume",),
    Metric.RUN_INFO: ("dataset", "configuration", "trainer_class", "plans"),
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
            EPOCH_DURATION_HELP,
            METRIC_LABELS,
            registry=self.registry,
            buckets=EPOCH_SECONDS,
        ).labels(*self._labels)
        info = (contract.dataset, contract.configuration, contract.trainer_class, plans_name)
        self._values[Metric.RUN_INFO, info] = 1
        self._values[Metric.POLICY_MIN_EPOCHS, ()] = contract.min_epochs
        self._values[Metric.POLICY_EXCEPTED, ()] = float(bool(contract.policy and contract.policy.exceptions))

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
        self.set(Metric.NONFINITE_LOSS_EPOCHS, facts.nonfinite_loss_epochs)
        if facts.last_epoch_time is not None:
            self.set(Metric.LAST_EPOCH_TIMESTAMP, facts.last_epoch_time.timestamp())
        self._set_or_drop(Metric.LOSS, facts.training_loss, "train")
        self._set_or_drop(Metric.LOSS, facts.validation_loss, "validation")
        self.set(Metric.EMA_PSEUDO_DICE, facts.ema_pseudo_dice)
        self.set(Metric.BEST_EMA_PSEUDO_DICE, facts.best_ema_pseudo_dice)
        self.set(Metric.LEARNING_RATE, facts.learning_rate)
        self.set(Metric.END_EPOCH, facts.planned_end)
        self._set_or_drop(Metric.MEDIAN_EPOCH, facts.median_epoch_seconds)
        self._set_or_drop(Metric.DATA_WAIT, facts.data_wait_seconds)
        self._set_or_drop(Metric.DATA_WAIT_SHARE, facts.data_wait_share)
        self._set_or_drop(Metric.FED_EPOCH, facts.fed_epoch_seconds)
        self._set_or_drop(Metric.DATA_WORKERS, facts.data_workers)
        self._set_or_drop(Metric.DATA_WORKER_USE, facts.data_worker_use)
        self._set_or_drop(Metric.CHECKPOINT_WRITE, facts.checkpoint_seconds)
        self._set_or_drop(Metric.COMPILE, facts.compile_seconds)
        self._set_copy(facts.local_copy)
        self.set(Metric.HELD_SECONDS, facts.held_seconds)
        self.set(Metric.LOST_SECONDS, facts.lost_seconds)
        if facts.provenance is not None and facts.provenance.torch_compile:
            self.set(Metric.TORCH_COMPILED, float(facts.provenance.torch_compile == ON))
        for name in facts.passed_over.split(", ") if facts.passed_over else ():
            self.set(Metric.PASSED_OVER, 1, name)
        if facts.early_stopping is not None:
            self._set_or_drop(Metric.EARLY_STOPPING_EPOCH, facts.early_stopping.epoch)
            self._set_or_drop(Metric.EARLY_STOPPING_SUPPRESSED_EPOCH, facts.early_stopping.suppressed_epoch)
            for state in EarlyStoppingState:
                self.set(Metric.EARLY_STOPPING_STATE, float(state is facts.early_stopping.state), state.value)

    def _set_copy(self, copy: CopyFacts | None) -> None:
        self._set_or_drop(Metric.LOCAL_COPY, copy.copied_bytes if copy else None)
        self._set_or_drop(Metric.LOCAL_COPY_DURATION, copy.seconds if copy else None)
        self._set_or_drop(Metric.LOCAL_COPY_SHARE, copy.share if copy else None)
        if copy is not None:
            for state in CopyState:
                self.set(Metric.LOCAL_COPY_STATE, float(state is copy.state), state.value)

    def _set_or_drop(self, name: str, value: float | None, *labels: str) -> None:
        """Set a gauge, or drop it where there is no value.

        A loss that is no number must not look like the last good one; policies that changed may take a verdict back.
        """
        if number(value) is None:
            with self._lock:
                self._values.pop((name, labels), None)
        self.set(name, value, *labels)

    def set_volume(self, volume: str, folder: Path) -> None:
        """Set what is left of the volume that holds a folder. A volume that can't be asked keeps its last values."""
        with contextlib.suppress(OSError):
            stat = os.statvfs(folder)
            self.set(Metric.VOLUME_AVAILABLE, stat.f_bavail * stat.f_frsize, volume)
            self.set(Metric.VOLUME_CAPACITY, stat.f_blocks * stat.f_frsize, volume)

    def set_pseudo_dice(self, names: Sequence[str], values: Sequence[float]) -> None:
        """Set the pseudo-Dice of each class, as far as there are not too many."""
        for place, (name, value) in enumerate([*zip(names, values, strict=True)][:MOST_CLASSES], 1):
            short = name.encode()[:LONGEST_LABEL].decode(errors="ignore")
            self.set(Metric.PSEUDO_DICE, value, name if short == name else f"{short}... (class {place})")

    def observe_epoch(self, seconds: float) -> None:
        """Count an epoch of that duration."""
        self._duration.observe(seconds)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is known."""
        with self._lock:
            values = dict(self._values)
        for name, text in GAUGES.items():
            family = GaugeMetricFamily(name, text, labels=[*METRIC_LABELS, *FURTHER_LABELS.get(name, ())])
            for (key, labels), value in values.items():
                if key == name:
                    family.add_metric([*self._labels, *labels], value)
            if family.samples:
                yield family


@contextlib.contextmanager
def never_fail(what: str) -> Iterator[None]:
    """Log an error in something that the training does not depend on, and go on."""
    try:
        yield
    except Exception:
        log.exception("%s failed; the training goes on", what)
