"""What the pure core reads and what it answers. Plain data, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from nnunet_operator.api.status import NnunetTrainingStatus
from nnunet_operator.api.training import NnunetTrainingSpec

Manifest = dict[str, Any]
"""A Kubernetes object in its JSON form."""


@dataclass(frozen=True)
class Training:
    """A stored NnunetTraining, parsed."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    creation_timestamp: datetime
    spec: NnunetTrainingSpec
    status: NnunetTrainingStatus
    deleting: bool = False
    """A deletion timestamp is set: nothing is created any more."""


@dataclass(frozen=True)
class FoldSample:
    """What one scrape of a running fold's metrics said. None where a series is not there yet."""

    epoch: int | None = None
    epochs_target: int | None = None
    training_loss: float | None = None
    validation_loss: float | None = None
    ema_pseudo_dice: float | None = None
    best_ema_pseudo_dice: float | None = None
    learning_rate: float | None = None
    epoch_seconds: float | None = None
    checkpoint_epoch: int | None = None
    attempts: int | None = None
    lost_epochs: int | None = None
    last_epoch_time: datetime | None = None


@dataclass(frozen=True)
class Options:
    """Settings of the operator that manifests and decisions depend on."""

    trainer_image: str
    termination_grace_period_seconds: int = 120
    progress_poll_seconds: float = 15.0


@dataclass(frozen=True)
class World:
    """Everything that one reconcile looks at."""

    training: Training
    jobs: tuple[Manifest, ...]
    """Jobs that carry the training's label, also those that somebody else owns."""
    pods: tuple[Manifest, ...]
    """Pods of those Jobs."""
    samples: Mapping[str, FoldSample]
    """Latest scrape of each running pod, by pod name."""
    refusals: Mapping[str, str]
    """By Job name: the message of the newest FailedCreate Event of a Job that has no pod."""
    now: datetime
    options: Options


@dataclass(frozen=True)
class CreateJob:
    """Create a Job; one that exists already is left as it is."""

    manifest: Manifest


@dataclass(frozen=True)
class DeleteJob:
    """Delete a Job in the foreground: its name stays taken until its pods are gone."""

    name: str
    uid: str


@dataclass(frozen=True)
class DeleteTraining:
    """Delete the training itself: its time to live after the end is over."""


Action = CreateJob | DeleteJob | DeleteTraining


@dataclass(frozen=True)
class Event:
    """An Event to record on the training after its status was written."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """The answer: what to do, what the status is, what to announce, when to look again."""

    status: NnunetTrainingStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds until the next look without an event; None for never."""
    notes: tuple[str, ...] = field(default=())
    """Lines for the operator's log at debug level."""
