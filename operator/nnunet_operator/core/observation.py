"""What is seen of a training's children: how each is, whatever runs it. Plain data, no Kubernetes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nnunet_api.contract import TerminationReport
from nnunet_api.facts import FoldFacts
from nnunet_api.fold_key import FoldKey
from nnunet_api.initial_weights import WeightsSource
from nnunet_api.labels import job_name
from nnunet_api.reasons import Reason
from nnunet_api.stages import STAGES
from nnunet_operator.progress.model import LiveFacts


class State(StrEnum):
    """State of a child."""

    ABSENT = "absent"
    STARTING = "starting"
    RUNNING = "running"
    BLOCKED = "blocked"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Child:
    """A Job that a training needs at some point."""

    training: str
    stage: str
    fold: FoldKey | None = None
    """The fold run, where the stage trains folds."""

    @property
    def label(self) -> str:
        """Value of its fold's label; empty where it has none."""
        return self.fold.label if self.fold else ""

    @property
    def name(self) -> str:
        """Name of the Job."""
        return job_name(self.training, self.stage, self.fold)

    @property
    def subject(self) -> str:
        """How sentences call it."""
        return self.fold.subject if self.fold else STAGES[self.stage].subject


@dataclass(frozen=True)
class Trouble:
    """What keeps a child from running, or what ended it."""

    reason: Reason
    matter: str
    """What is the matter; what to do is said by the remedy of reason and case.

    For a child that waits: a clause that starts with a verb ("waits for a GPU: ..."), so that the sentence can name the
    child, or several that wait for the same. For a failure: a whole sentence.
    """
    case: str = ""
    """A Case, where the operator knows more than the reason says."""
    detailed: bool = True
    """False where the pod that could have told more is gone, or not seen yet."""


@dataclass(frozen=True)
class Loss:
    """How a Job failed, in part or wholly by what was not the trainer's doing."""

    attempts: int
    """Attempts of the trainer that failed in it."""
    last_attempt: str
    """How the last of them ended, as a clause; empty where none did."""
    matter: str
    """How the last pod was lost, as a clause that starts with a verb."""
    case: str
    """A Case: what lost it."""


@dataclass(frozen=True)
class Observation:
    """A child as it is."""

    child: Child
    state: State
    job_uid: str = ""
    """UID of its Job; empty where there is none, or somebody else's."""
    kept: str = ""
    """What the API server said when it refused to delete its Job; empty where it did not."""
    name_free: bool = False
    """No Job stands under its name."""
    deleting: bool = False
    """Its Job is ours and is being deleted."""
    ended: bool = False
    """Its Job has ended by itself: there is nothing to stop."""
    trouble: Trouble | None = None
    """Why it is blocked or failed, or what ended the attempt before the one that starts."""
    loss: Loss | None = None
    """Its Job has failed, and not by the trainer alone."""
    note: str = ""
    """What to say beside the state, for example how the last attempt ended."""
    report: TerminationReport | None = None
    """What the newest attempt that ended said."""
    success_seen: bool = False
    """The pod whose success completed its Job is still there."""
    success_report: TerminationReport | None = None
    """What that pod said. An attempt before it may have said something else."""
    doubt: str = ""
    """Why what that pod said is not believed."""
    slipped_in: tuple[str, ...] = ()
    """What pods of it have run that the operator has not given to them; of what proves, `doubt` says it."""
    pod: str = ""
    """Name of the pod of its present or last attempt."""
    sample: LiveFacts | None = None
    """What the running attempt's trainer says."""
    image: str = ""
    """Image that its Job was made with."""
    image_digest: str = ""
    """Image as the node resolved it; of a verification, that of the pod whose report is believed."""
    own_image: str = ""
    """Planning: the operator's own image, which made the folders."""
    own_digest: str = ""
    """The same as the node resolved it."""
    maker: str = ""
    """Planning: MAKER of the folder of preprocessed data in which it works; empty where the whole claim is mounted."""
    weights: WeightsSource | None = None
    """Planning: what the operator knew of the weights that it had copied; None where none were."""
    asked_for: str = ""
    """Mark of what the training asked for when its Job was made; empty where that is not known."""
    operators_settings: str = ""
    """Mark of the operator's settings when its Job was made; empty where that is not known."""
    idle: bool = False
    """Nothing of its Job runs, and nothing that has just ended is still to be counted: stopping it costs nothing."""
    told_min_epochs: int = 0
    """Epochs before which its trainer was told not to stop."""
    created: datetime | None = None
    finished: datetime | None = None
    look_in_seconds: float | None = None
    """Seconds after which it is to be looked at again, although nothing may have told of it; None for never."""

    @property
    def live(self) -> FoldFacts | None:
        """What the running attempt's trainer says of its fold, as far as it can."""
        return self.sample.facts if self.sample else None

    @property
    def exists(self) -> bool:
        """Its Job exists and is ours."""
        return bool(self.job_uid)

    @property
    def stands(self) -> bool:
        """Its Job exists, is ours and stays."""
        return self.exists and not self.deleting
