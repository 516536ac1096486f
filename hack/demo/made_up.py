"""A training on made-up curves, for the picture of the live view: nothing is trained here.

Only the curves are made up. Where early stopping stands is computed from them by the trainer's own rule, and statuses
and Events come from the operator's own code, which looks every 15 seconds at the Jobs, pods and metrics of a made-up
cluster.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from nnunet_api.contract import TerminationReport
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.labels import FOLD_LABEL
from nnunet_api.reasons import EarlyStoppingState, FoldPhase
from nnunet_api.schedule import EarlyStopping
from nnunet_cli.kube.watched import Watched, read_events, watched
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.progress.model import LiveFacts
from nnunet_trainer.training import early_stopping, schedule
from tests.support import made_worlds as make
from tests.support.made_policies import policy
from tests.support.made_trainings import NOW, training

NAME, NAMESPACE = "hippocampus", "radiology"
EPOCHS = 1000
LOOK_SECONDS = 15
"""The operator's settings.progressPollSeconds."""
PLANNING_SECONDS, STARTING_SECONDS, VALIDATION_SECONDS = 170, 40, 150
_LEARNING_RATE = 0.01
FLOOR = 500
_POLICIES = (policy("clinical", rules={"minEpochs": FLOOR}),)


@dataclass(frozen=True)
class Shape:
    """How a fold learns: what its pseudo-Dice tends to, how slowly, and how long an epoch takes."""

    top: float
    slowness: float
    epoch_seconds: float


SHAPES = {
    "0": Shape(0.893, 55, 20.6),
    "1": Shape(0.886, 75, 21.1),
    "2": Shape(0.897, 140, 20.9),
    "3": Shape(0.890, 60, 20.8),
    "4": Shape(0.888, 60, 21.0),
}


@dataclass
class Curve:
    """All that a fold will log, epoch by epoch."""

    dice: list[float] = field(default_factory=list)
    ema: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    verdicts: list[EarlyStopFacts] = field(default_factory=list)
    """After each epoch."""


def curve(fold: str, rule: EarlyStopping, floor: int) -> Curve:
    """Return the curve of a fold until the rule or the schedule ends it."""
    made, shape, random = Curve(), SHAPES[fold], Random(fold)
    verdict = early_stopping.judge([], [], rule, EPOCHS, floor)
    for epoch in range(EPOCHS):
        rate = schedule.poly_learning_rate(_LEARNING_RATE, epoch, EPOCHS)
        gain = 0.0
        if verdict.state is EarlyStoppingState.ANNEALING and verdict.epoch and verdict.end_epoch:
            start = schedule.poly_learning_rate(_LEARNING_RATE, verdict.epoch, EPOCHS)
            rate = schedule.annealed_learning_rate(start, epoch, verdict.epoch, verdict.end_epoch)
            gain = 0.012 * (1 - rate / start)
        value = shape.top * (1 - 0.7 * math.exp(-epoch / shape.slowness)) + gain + random.uniform(-0.008, 0.008)
        made.dice.append(value)
        made.ema.append(schedule.moving_average(made.ema[-1], value) if made.ema else value)
        made.rate.append(rate)
        verdict = early_stopping.judge(made.ema, made.dice, rule, EPOCHS, floor)
        made.verdicts.append(verdict)
        if epoch + 1 >= early_stopping.end_of(verdict, EPOCHS):
            break
    return made


class Story:
    """The training, from its creation on."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        dataset = {"name": "Dataset004_Hippocampus", "claimName": "nnunet-raw"}
        spec: dict[str, Any] = {"dataset": dataset, "earlyStopping": {"mode": "Anneal"}, "maxParallelFolds": 3}
        self._training: Training = replace(training(name=NAME, **spec), namespace=NAMESPACE)
        rule = self._training.spec.early_stopping
        self._curves = {fold: curve(fold, rule, floor=FLOOR) for fold in SHAPES}
        self._jobs: dict[str, tuple[Manifest, float]] = {}
        """By name, with the second in which they were created."""
        self._events: list[dict[str, Any]] = []

    def looks(self) -> Iterator[tuple[Watched, datetime]]:
        """Yield the training and the time after each look of the operator, until all folds are trained."""
        seconds = 0.0
        while not self._trained:
            self._look(seconds)
            metadata = {"namespace": NAMESPACE, "name": NAME, "uid": self._training.uid}
            spec = {"configuration": "3d_fullres", "dataset": {"name": self._training.spec.dataset.name}}
            body = {"metadata": metadata, "spec": spec, "status": self._training.status.to_json_dict()}
            yield watched(body, read_events(self._events)), NOW + timedelta(seconds=seconds)
            seconds += LOOK_SECONDS

    @property
    def _trained(self) -> bool:
        folds = self._training.status.folds
        return bool(folds) and all(fold.phase == FoldPhase.COMPLETED for fold in folds)

    def _look(self, seconds: float) -> None:
        now = NOW + timedelta(seconds=seconds)
        objects: list[Manifest] = []
        samples: dict[str, LiveFacts] = {}
        for job, created in self._jobs.values():
            objects += self._objects(job, seconds - created, samples)
        world = make.world(self._training, *objects, samples=samples, now=now)
        result = make.decide(replace(world, policies=Policies(_POLICIES)))
        for body in make.made(self._training, result):
            body["metadata"] |= {"uid": f"job-{len(self._jobs)}", "creationTimestamp": make.rfc3339(now)}
            body["status"] = {"conditions": [], "failed": 0}
            self._jobs[body["metadata"]["name"]] = body, seconds
        self._training = replace(self._training, status=make.stored(result.status))
        for event in result.events:
            metadata = {"resourceVersion": str(len(self._events)), "creationTimestamp": make.rfc3339(now)}
            said = {"type": event.type, "reason": event.reason, "message": event.message}
            self._events.append({"metadata": metadata, **said})

    def _objects(self, job: Manifest, age: float, samples: dict[str, LiveFacts]) -> tuple[Manifest, ...]:
        """Return a Job with its pod at that age, and add what the pod's trainer says."""
        fold = job["metadata"]["labels"].get(FOLD_LABEL)
        if fold is None:
            return make.planned(self._training) if age >= PLANNING_SECONDS else (job, make.running(job))
        if age < STARTING_SECONDS:
            return job, make.waiting(job, "ContainerCreating")
        made, each = self._curves[fold], SHAPES[fold].epoch_seconds
        ends = len(made.dice)
        if age >= STARTING_SECONDS + ends * each + VALIDATION_SECONDS:
            return self._done(fold)
        pod = make.running(job)
        epoch = min(ends, int((age - STARTING_SECONDS) / each))
        samples[pod["metadata"]["name"]] = LiveFacts(_facts(fold, made, epoch, each))
        return job, pod

    def _done(self, fold: str) -> tuple[Manifest, Manifest]:
        job = make.job(self._training, make.FOLD, fold, conditions=[make.COMPLETE])
        made = self._curves[fold]
        facts = FoldFacts(
            fold=fold,
            epoch=len(made.dice),
            epochs_target=EPOCHS,
            attempts=1,
            ema_pseudo_dice=made.ema[-1],
            mean_validation_dice=SHAPES[fold].top - 0.004,
            early_stopping=made.verdicts[-1],
        )
        return job, make.ended(job, 0, TerminationReport(message="trained", fold=facts))


def _facts(fold: str, made: Curve, epoch: int, epoch_seconds: float) -> FoldFacts:
    if not epoch:
        return FoldFacts(fold=fold, epoch=0, epochs_target=EPOCHS, attempts=1)
    value = made.ema[epoch - 1]
    return FoldFacts(
        fold=fold,
        epoch=epoch,
        epochs_target=EPOCHS,
        training_loss=0.02 - value,
        validation_loss=0.07 - made.dice[epoch - 1],
        ema_pseudo_dice=value,
        best_ema_pseudo_dice=max(made.ema[:epoch]),
        learning_rate=made.rate[epoch - 1],
        epoch_seconds=epoch_seconds,
        checkpoint_epoch=epoch,
        attempts=1,
        early_stopping=made.verdicts[epoch - 1],
    )
