"""A stored comparison, and what is seen of its trainings and its Job. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_api.comparison.contract import ComparisonContract, ComparisonFacts
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.labels import STAGE_COMPARE, job_name
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.observation import State, Trouble
from nnunet_operator.core.training import Training


@dataclass(frozen=True)
class Comparison:
    """A stored NnunetComparison, parsed."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: NnunetComparisonSpec
    """With the names of the trainings that it makes (`template.with_made_names`)."""
    status: NnunetComparisonStatus
    deleting: bool = False
    """A deletion timestamp is set: nothing is created any more."""

    @property
    def job_name(self) -> str:
        """Name of its Job."""
        return job_name(self.name, STAGE_COMPARE)

    @property
    def made_names(self) -> list[str]:
        """Names of the trainings that it makes from its template."""
        return [name for arm in self.spec.ordered_arms if arm.patch is not None for name in arm.trainings]


@dataclass(frozen=True)
class Unreadable:
    """A training whose spec does not parse."""

    why: str


@dataclass(frozen=True)
class Stranger(Unreadable):
    """A training that has the name of one that the comparison makes, and was not made by it."""


Trainings = Mapping[str, Training | Unreadable]
"""The trainings of a comparison by name, as far as they are there."""


@dataclass(frozen=True)
class JobSeen:
    """Its Job as it is."""

    state: State
    uid: str = ""
    """UID of the Job; empty where there is none, or somebody else's."""
    name_free: bool = False
    """No Job stands under its name."""
    deleting: bool = False
    ended: bool = False
    trouble: Trouble | None = None
    """Why it is blocked, or has failed."""
    note: str = ""
    facts: ComparisonFacts | None = None
    """What the pod said that completed it."""
    doubt: str = ""
    """Why what that pod said is not believed."""
    look_in_seconds: float | None = None
    """Seconds after which it is to be looked at again, although nothing may have told of it; None for never."""

    @property
    def stands(self) -> bool:
        """It exists, is ours and stays."""
        return bool(self.uid) and not self.deleting


@dataclass(frozen=True)
class Make:
    """Create the trainings that there are none of yet: all of them, or none where one of them is refused."""

    specs: Mapping[str, NnunetTrainingSpec]
    """By name."""


@dataclass(frozen=True)
class SetSuspend:
    """Suspend a training that the comparison has made, or resume it."""

    training: str
    uid: str
    suspend: bool


@dataclass(frozen=True)
class Compare:
    """Start the Job. Claims and placement are those of the baseline's first training."""

    contract: ComparisonContract
    trainings: tuple[Training, ...]
    """The trainings of all arms; the first is the baseline's."""
