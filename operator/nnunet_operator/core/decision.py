"""What the core answers: which children to start and to stop, the new status, what to announce. Plain data, no I/O."""

from dataclasses import dataclass
from typing import Literal

from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core.observation import Child


@dataclass(frozen=True)
class Start:
    """Start a child, as the new status has it; one that exists already is left as it is."""

    child: Child


@dataclass(frozen=True)
class Stop:
    """Stop a child. Its name stays taken until nothing of it runs any more."""

    child: Child
    job_uid: str
    """UID of the Job to stop: one that has taken its place since is left alone."""


@dataclass(frozen=True)
class DeleteTraining:
    """Delete the training itself: its time to live after the end is over."""


Action = Start | Stop | DeleteTraining


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
    """In the order in which they are to be done."""
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    """Seconds until the next look without an event; None for never."""

    @property
    def start(self) -> tuple[Child, ...]:
        """The children to start."""
        return tuple(action.child for action in self.actions if isinstance(action, Start))

    @property
    def stop(self) -> tuple[Stop, ...]:
        """The children to stop."""
        return tuple(action for action in self.actions if isinstance(action, Stop))
