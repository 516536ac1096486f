"""What the pure core reads and what it answers. Plain data, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from nnunet_api.policy.decision import Policy
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.builders.model import Manifest, Options, Training
from nnunet_operator.progress.model import LiveFacts

__all__ = [
    "Action",
    "CreateJob",
    "Decision",
    "DeleteJob",
    "DeleteTraining",
    "Event",
    "LiveFacts",
    "Manifest",
    "Options",
    "PodWarning",
    "Snapshot",
    "Training",
]


@dataclass(frozen=True)
class PodWarning:
    """A warning of the kubelet, or of what attaches volumes, about a pod."""

    reason: str
    """Kubernetes' word: FailedMount, FailedAttachVolume, FailedCreatePodSandBox, ..."""
    message: str


@dataclass(frozen=True)
class Snapshot:
    """Everything that one reconcile looks at."""

    training: Training
    jobs: tuple[Manifest, ...]
    """Jobs that carry the training's label, also those that somebody else owns; and a Job without the label
    that stands where one of the training's has to (creating ours said AlreadyExists)."""
    pods: tuple[Manifest, ...]
    """Pods of those Jobs."""
    samples: Mapping[str, LiveFacts]
    """The last answer of each running pod's trainer, by pod name."""
    refusals: Mapping[str, str]
    """By Job name: the message of the newest FailedCreate Event of a Job that has no living pod, or what the
    API server said when it refused the Job itself."""
    now: datetime
    options: Options
    warnings: Mapping[str, PodWarning] = field(default_factory=dict)
    """By pod name: what the newest Event says of a pod that has a node and does not start, where it is a warning."""
    policies: tuple[Policy, ...] = ()
    """All policies of the cluster."""
    unreadable_policies: Mapping[str, str] = field(default_factory=dict)
    """By name: what is wrong with stored policies that do not parse. Nothing runs until they are put right."""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the training's namespace by which policies may select."""


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
class Decision:
    """The answer: what to do, what the status is, what to announce, when to look again."""

    status: NnunetTrainingStatus
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds until the next look without an event; None for never."""
