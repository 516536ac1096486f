"""Sample data: a night of a small GPU cluster, made up, as a Prometheus has it after scraping.

Eight trainings in two namespaces: one of five folds at two thirds of its 1000 epochs under a policy, with evictions and
an early-stopping rule that only observes; others that run, wait, are held, failed or are over.
"""

import statistics
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.monitoring import programs
from hack.pictures import sample_operator
from hack.pictures.curves import Epoch, Plan, train
from hack.pictures.model import Span
from hack.pictures.openmetrics import histogram, sample
from nnunet_api.local_copy import CopyState
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.run.metrics import EPOCH_SECONDS, Metric

END = 1772437200.0
"""2 March 2026, 07:40 UTC."""
HOURS = 14
STEP = 60
SPAN = Span(END - HOURS * 3600, END, STEP)
NAMESPACE, TRAINING = "clinical", "liver-tumours"
"""The training that the dashboard of one training shows."""
POLICY_MINIMUM = 500


@dataclass(frozen=True)
class Running:
    """A training of which pods are seen."""

    namespace: str
    training: str
    dataset: str
    folds: Mapping[str, Plan]
    required: int = 0
    observes: bool = False
    """Whether an early-stopping rule watches."""


RUNNING = (
    Running(
        NAMESPACE,
        TRAINING,
        "Dataset003_Liver",
        {
            str(fold): Plan(
                start=SPAN.start + 600 + 40 * fold,
                epoch_seconds=(68, 71, 66, 69, 73)[fold],
                seed=fold,
                classes={"liver": 0.95, "tumour": (0.66, 0.54, 0.70, 0.59, 0.63)[fold], "vessel": 0.76 - 0.015 * fold},
                evicted_after={1: (310,), 3: (180, 420)}.get(fold, ()),
            )
            for fold in range(5)
        },
        required=POLICY_MINIMUM,
        observes=True,
    ),
    Running(
        "research",
        "prostate",
        "Dataset005_Prostate",
        {
            str(fold): Plan(SPAN.end - 6 * 3600, 41 + fold, 600, 10 + fold, {"peripheral": 0.73, "transition": 0.88})
            for fold in range(2)
        },
    ),
)


def lines() -> Iterator[str]:
    """Yield all series in OpenMetrics text."""
    progress: dict[tuple[str, str], list[list[Epoch]]] = {}
    for running in RUNNING:
        histories = {fold: list(train(plan)) for fold, plan in running.folds.items()}
        progress[running.namespace, running.training] = list(histories.values())
        for fold, history in histories.items():
            yield from _fold(running, fold, history)
    for moment in times():
        yield from sample_operator.trainings(moment, SPAN, progress, POLICY_MINIMUM)
        yield from sample_operator.comparisons(moment)
        yield from sample_operator.operator(moment, SPAN)
    yield "# EOF"


def times() -> Iterable[float]:
    """Return the moments of the scrapes."""
    return (SPAN.start + STEP * number for number in range(round((SPAN.end - SPAN.start) / STEP) + 1))


def _fold(running: Running, fold: str, history: list[Epoch]) -> Iterator[str]:
    """Yield what the pods of a fold export, one pod after the other."""
    done = 0
    for moment in times():
        while done < len(history) and history[done].end <= moment:
            done += 1
        if done in (0, len(history)) or history[done].attempt > history[done - 1].attempt:
            continue  # not yet, over, or evicted and not yet back
        yield from _scrape(running, fold, history[:done], moment)


def _scrape(running: Running, fold: str, done: list[Epoch], moment: float) -> Iterator[str]:
    now, plan = done[-1], running.folds[fold]
    labels = {
        "namespace": running.namespace,
        "training": running.training,
        "fold": fold,
        "pod": f"{running.training}-train-{fold}-{now.attempt}",
        "job": "nnunet-training",
        "instance": f"10.0.0.{10 + int(fold)}:8080",
    }
    seconds = [epoch.seconds for epoch in done if epoch.attempt == now.attempt]
    lost = 35.0 * (now.attempt - 1)
    values: dict[str, float | None] = {
        Metric.EPOCH: now.number,
        Metric.EPOCHS_TARGET: plan.epochs,
        Metric.END_EPOCH: plan.epochs,
        Metric.EMA_PSEUDO_DICE: now.ema,
        Metric.BEST_EMA_PSEUDO_DICE: now.best,
        Metric.EPOCHS_SINCE_IMPROVEMENT: now.number - now.best_at,
        Metric.LEARNING_RATE: now.learning_rate(plan.epochs),
        Metric.LAST_EPOCH_TIMESTAMP: now.end,
        Metric.CHECKPOINT_TIMESTAMP: now.end - 2,
        Metric.CHECKPOINT_EPOCH: now.number,
        Metric.NONFINITE_LOSS_EPOCHS: 0,
        Metric.ATTEMPTS: now.attempt,
        Metric.LOST_EPOCHS: now.attempt - 1,
        Metric.HELD_SECONDS: sum(epoch.seconds for epoch in done) + lost,
        Metric.LOST_SECONDS: lost,
        Metric.MEDIAN_EPOCH: statistics.median(seconds[-50:]),
        Metric.DATA_WAIT: 0.12 * now.seconds,
        Metric.DATA_WAIT_SHARE: 0.12,
        Metric.FED_EPOCH: 0.88 * statistics.median(seconds[-5:]),
        Metric.CHECKPOINT_WRITE: 0.03 * now.seconds,
        Metric.COMPILE: 94.0 + 3 * int(fold),
        Metric.LOCAL_COPY_SHARE: 1.0,
        Metric.LOCAL_COPY: 41.0 * 2**30,
        Metric.POLICY_MIN_EPOCHS: running.required,
        Metric.POLICY_EXCEPTED: 0,
        Metric.EARLY_STOPPING_EPOCH: now.fired_at if running.observes else None,
    }
    for name, value in values.items():
        if value is not None:
            yield sample(name, labels, value, moment)
    yield sample(Metric.LOSS, {**labels, "split": "train"}, now.train_loss, moment)
    yield sample(Metric.LOSS, {**labels, "split": "validation"}, now.validation_loss, moment)
    for label, dice in now.dice.items():
        yield sample(Metric.PSEUDO_DICE, {**labels, "label": label}, dice, moment)
    for state in EarlyStoppingState:
        yield sample(
            Metric.EARLY_STOPPING_STATE, {**labels, "state": state}, float(state is _state(running, now)), moment
        )
    for copied in CopyState:
        yield sample(Metric.LOCAL_COPY_STATE, {**labels, "state": copied}, float(copied is CopyState.IN_USE), moment)
    info = {"dataset": running.dataset, "configuration": "3d_fullres", "trainer_class": "nnUNetTrainer"}
    yield sample(Metric.RUN_INFO, {**labels, **info, "plans": "nnUNetResEncUNetLPlans"}, 1, moment)
    size, used = 500e9, 310e9 + 2e6 * (moment - SPAN.start)
    yield sample(Metric.VOLUME_CAPACITY, {**labels, "volume": "results"}, size, moment)
    yield sample(Metric.VOLUME_AVAILABLE, {**labels, "volume": "results"}, size - used, moment)
    yield from histogram(Metric.EPOCH_DURATION, labels, seconds, EPOCH_SECONDS, moment)


def _state(running: Running, now: Epoch) -> EarlyStoppingState:
    if not running.observes:
        return EarlyStoppingState.DISABLED
    return EarlyStoppingState.OBSERVED if now.fired_at else EarlyStoppingState.WATCHING


def write_blocks(folder: Path) -> None:
    """Write the data of a Prometheus into a folder; takes some seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "sample.txt"
    with text.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines())
    command = [str(programs().promtool), "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise AssertionError(f"promtool refuses the sample data:\n{(done.stdout + done.stderr)[-800:]}")
    text.unlink()
