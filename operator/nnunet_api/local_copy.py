"""`storage.preprocessed.localCopy`: a copy of the preprocessed data on the node of a fold, and what is told of it."""

import math
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from nnunet_api.base import ApiModel, ObjectName, Quantity, StatusModel, cel

LOCAL_COPY_ENV = "NNUNET_RUN_LOCAL_COPY"
"""Environment variable that carries `CopyOrder` as JSON. Not part of the contract, which older images would refuse."""
LOCAL_COPY_PATH = "/nnunet/local"
LOCAL_COPY_VOLUME = "local"
LOCAL_COPY_FIELD = "spec.storage.preprocessed.localCopy"
SIZE_BOUNDS = ("1Mi", "64Ti")
"""Least and most that a volume may have: what is less was given without its unit."""

ONE_VOLUME_RULE = "has(self.sizeLimit) != has(self.claim)"
MEDIUM_RULE = "!has(self.medium) || has(self.sizeLimit)"


def bounds_rule(field: str) -> str:
    """Return the CEL rule by which a quantity, where it is given, is a size of a volume."""
    size = f"quantity(string(self.{field}))"
    return (
        f"!has(self.{field}) || ({size}.compareTo(quantity('{SIZE_BOUNDS[0]}')) >= 0 && "
        f"{size}.compareTo(quantity('{SIZE_BOUNDS[1]}')) <= 0)"
    )


def _bounds(field: str) -> tuple[str, str]:
    return bounds_rule(
        field
    ), f"{field} must be at least {SIZE_BOUNDS[0]} and at most {SIZE_BOUNDS[1]}: give a unit, such as 50Gi"


class LocalClaim(ApiModel):
    """A claim that each pod of a fold gets for itself, and that is deleted with it (a generic ephemeral volume)."""

    model_config = ConfigDict(json_schema_extra=cel(_bounds("size")))

    storage_class_name: ObjectName
    """StorageClass of the claim: of volumes on the node, or fast ones. Policies with allowedClaims have to allow it, as
    storageclasses/NAME."""
    size: Quantity
    """What the claim asks for."""


class LocalCopy(ApiModel):
    """A volume of the pods that train, to which each copies the preprocessed data of its configuration before the first
    epoch. Give sizeLimit for an empty folder on the node, or claim."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (ONE_VOLUME_RULE, "give one of sizeLimit and claim"),
            (MEDIUM_RULE, "medium goes with sizeLimit: leave it out where claim is given"),
            _bounds("sizeLimit"),
        )
    )

    size_limit: Quantity | None = None
    """Most that a folder on the node may hold (an emptyDir): its disk, or by medium its memory. What does not fit is
    read from the claim, with a warning that says how much it takes."""
    medium: Literal["Memory"] | None = None
    """Memory: in the node's memory, where what is copied counts against resources.memory. Default: the node's disk,
    where it counts against resources.ephemeralStorage if that is given."""
    claim: LocalClaim | None = None
    """A claim of each pod's own in place of a folder on the node, by which the scheduler chooses a node with room."""


class Medium(StrEnum):
    """Where a copy lies."""

    DISK = "Disk"
    MEMORY = "Memory"
    CLAIM = "Claim"


class CopyOrder(StatusModel):
    """What a trainer is told of the volume for its copy."""

    medium: Medium
    """What the volume is."""
    size_limit: int | None = None
    """Bytes that may be written to it; None where the file system alone knows."""
    limited_by: str = ""
    """Field of the training that gives this limit."""


class CopyState(StrEnum):
    """How far a fold's copy is."""

    COPYING = "Copying"
    IN_USE = "InUse"
    SKIPPED = "Skipped"
    """The fold reads from the claim."""


_Bytes = Annotated[int, Field(ge=0, le=2**60)]
_LONGEST = 10**9
"""Seconds, far above any real time."""


class CopyFacts(StatusModel):
    """What a trainer says of its copy."""

    state: CopyState
    """Copying, InUse or Skipped."""
    total_bytes: _Bytes | None = None
    """Size of what is copied."""
    copied_bytes: _Bytes | None = None
    """Part of it that is there."""
    seconds: Annotated[float | None, Field(ge=0, le=_LONGEST, allow_inf_nan=False)] = None
    """What the copying took in this attempt."""
    why: Annotated[str | None, Field(max_length=500)] = None
    """Why there is none, with what to do about it."""
    interrupted: Annotated[int, Field(ge=0, le=1000)] = 0
    """Attempts in a row, up to this one, that ended while they copied."""

    @property
    def share(self) -> float:
        """Share (0 to 1) of the data that is read from the copy, or will be by what is there of it."""
        if self.state is not CopyState.COPYING:
            return float(self.state is CopyState.IN_USE)
        return min(1.0, (self.copied_bytes or 0) / self.total_bytes) if self.total_bytes else 0.0


PERCENT_STEP = 10
"""The status tells the progress in steps, so that it is not written all the time."""


def known_state(value: Any) -> Any:
    """Read what has a state of another version as nothing: more is told with the next facts."""
    return None if isinstance(value, dict) and value.get("state") not in list(CopyState) else value


class FoldCopy(StatusModel):
    """What the status says of a fold's copy of the preprocessed data on its node."""

    state: CopyState
    """Copying, InUse, or Skipped: then the fold reads from the claim."""
    percent: int | None = None
    """Share of it that is copied, in steps of 10, while it is Copying."""
    total_bytes: int | None = None
    """Size of what is copied."""
    seconds: int | None = None
    """What the copying took."""
    why: Annotated[str | None, Field(max_length=512)] = None
    """Skipped: why, with what to do about it."""

    @property
    def words(self) -> str:
        """In words, as a clause that goes behind the fold's name; empty where nothing is to be said."""
        if self.state is CopyState.COPYING:
            return f"copies its preprocessed data to its node ({self.percent or 0} %)"
        return f"reads its data from the claim, without a local copy: {self.why}" if self.why else ""


def percent(copied: int | None, total: int | None) -> int:
    """Return the share that is copied, rounded down to a step."""
    return min(100, 100 * (copied or 0) // total) // PERCENT_STEP * PERCENT_STEP if total else 0


def gibibytes(size: int) -> str:
    """Return a size as a quantity that is large enough for it and for the blocks of a file system."""
    return f"{max(1, math.ceil(size * 1.05 / 2**30))}Gi"
