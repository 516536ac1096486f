"""The numbers of a fold, with their units: the one place that names them.

Its trainer serves them while it runs and reports them when it ends, and the fold's status takes them over by name. The
trainer's metrics are made of them, and are for Prometheus alone. The image may be anybody's: `ServedFacts.of` refuses
what no trainer would serve.
"""

import math
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer
from pydantic_core import from_json

from nnunet_api.base import StatusModel
from nnunet_api.conditions import rfc3339
from nnunet_api.local_copy import CopyFacts, known_state
from nnunet_api.reasons import EarlyStoppingState

FACTS_PATH = "/facts"
"""Where a trainer serves `ServedFacts`, at the port of its metrics."""
FACTS_TYPE = "application/json"
FACTS_LIMIT = 16 * 1024
"""Bytes of `ServedFacts` that are read. A trainer serves about one KiB, and the operator keeps what each fold says."""
MAX_COUNT = 10**9
"""Upper limit of counts; far above any real one and safe for JSON and int64."""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _up_to_one(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= 1 else None


def _in_utc(value: datetime) -> datetime:
    """Return the time in UTC. Raises ValueError for one before Unix time, which no clock of a node shows."""
    try:
        time = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{value} is no time in UTC") from error
    if time.year < 1970:
        raise ValueError(f"{value} is before 1970")
    return time


Finite = Annotated[float | None, AfterValidator(_finite)]
"""A number. NaN and infinite ones, for which JSON has no word, become none."""
Dice = Annotated[float | None, AfterValidator(_up_to_one)]
"""A Dice coefficient (0 to 1). Anything else becomes none."""
Share = Annotated[float | None, AfterValidator(_up_to_one)]
"""A share of something (0 to 1). Anything else becomes none."""
UtcTime = Annotated[AwareDatetime, AfterValidator(_in_utc), PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A time with its zone, kept in UTC."""


class FoldNumbers(StatusModel):
    """What a fold's status inherits, and takes over from its trainer by name: a field here needs nothing else there."""

    checkpoint_epoch: int | None = None
    """Finished epochs that the newest durable checkpoint holds."""
    attempts: int = 0
    """Times the trainer of this fold was started."""
    lost_epochs: int = 0
    """Epochs that were begun and had to be trained again after an interruption."""
    training_loss: Finite = None
    """Training loss of the last finished epoch. By itself it says little. Absent while it is NaN or infinite."""
    validation_loss: Finite = None
    """Validation loss of the last finished epoch."""
    ema_pseudo_dice: Dice = None
    """Exponential moving average of the pseudo-Dice (0 to 1): a trend on patches, not a result."""
    best_ema_pseudo_dice: Dice = None
    """Best value of emaPseudoDice so far."""
    learning_rate: Finite = None
    """Learning rate of the last finished epoch."""
    epoch_seconds: Finite = None
    """Mean duration of an epoch in the present attempt, seconds."""
    median_epoch_seconds: Finite = None
    """Median duration of an epoch in the present attempt, seconds."""
    data_wait_seconds: Finite = None
    """Time of the last finished epoch in which the network had nothing to compute, for want of a batch, seconds."""
    checkpoint_seconds: Finite = None
    """Time of the last finished epoch in which checkpoints were written, seconds."""
    compile_seconds: Finite = None
    """What torch.compile took in the present attempt so far, seconds. Each attempt pays it anew. Absent where nothing
    was compiled."""
    data_wait_share: Share = None
    """Share (0 to 1) of an epoch's duration spent on waiting for data: median of the last 5 epochs of the present
    attempt, its first left out. Absent until there are 3."""
    fed_epoch_seconds: Finite = None
    """Median duration that these epochs would have had without waiting for data, seconds."""
    data_workers: int | None = None
    """Processes that augment training batches, for each GPU. 0: the trainer does so itself."""
    data_worker_use: Share = None
    """Share (0 to 1) of their time in which these computed, median of the same epochs; where there are none, of the
    time that the trainer waited. Near 1 they are too few; far below it they wait as well, for the preprocessed data or
    for CPU."""
    mean_validation_dice: Dice = None
    """Mean foreground Dice (0 to 1) of full-volume predictions of the fold's validation cases, final checkpoint."""


OF_ATTEMPT = (
    "data_wait_seconds",
    "checkpoint_seconds",
    "compile_seconds",
    "data_wait_share",
    "fed_epoch_seconds",
    "data_workers",
    "data_worker_use",
)
"""Numbers that are of one attempt, and those of the attempt before would look as if nothing had changed since."""


class EarlyStopFacts(StatusModel):
    """What the early-stopping rule came to in one fold."""

    state: EarlyStoppingState
    """Disabled, Watching, Observed, Annealing or Stopped."""
    epoch: int | None = None
    """Finished epochs at which the rule fired; none as long as it has not."""
    end_epoch: int | None = None
    """Finished epochs at which the training ends because of it; none where the rule has no effect."""
    ema_pseudo_dice: Dice = None
    """EMA of the pseudo-Dice when it fired."""
    ema_gain: Finite = None
    """Observed: EMA of the pseudo-Dice at the end of the schedule minus that when the rule fired: what stopping would
    have cost."""
    epochs_saved: int | None = None
    """Epochs of the schedule that are not trained because of the rule; Observed: that would not have been."""
    suppressed_epoch: int | None = None
    """Finished epochs at which the rule would have acted, had a policy not asked for more (modes Anneal and Stop)."""


class FoldProvenance(StatusModel):
    """The conditions under which a fold is trained."""

    seed: int | None = None
    """Seed, if there is one."""
    device: str | None = None
    """Name of the GPU, or of the processor's architecture for the CPU."""
    cuda_version: str | None = None
    """Version of CUDA that torch was built for."""
    torch_version: str | None = None
    """Version of torch."""
    torch_compile: str | None = None
    """Whether torch.compile makes the network faster: on, or off and why."""
    data_read_from: str | None = None
    """Where this attempt reads its preprocessed data, where a local copy is asked for: local copy, or claim."""
    nnunet_version: str | None = None
    """Version of nnunetv2."""
    configuration_hash: str | None = None
    """SHA-256 over the full effective configuration, which provenance.json in the fold's folder holds."""


class FoldFacts(FoldNumbers):
    """State of one fold."""

    fold: str
    """Name of the fold run (`FoldKey.name`): nnU-Net's name of the fold, with the replicate where there are several."""
    epoch: int
    """Finished epochs."""
    epochs_target: int
    """Epochs to train."""
    nonfinite_loss_epochs: int | None = None
    """Epochs in a row, up to the last one, whose training loss was NaN or infinite."""
    early_stopping: EarlyStopFacts | None = None
    """What the early-stopping rule came to."""
    held_seconds: Finite = None
    """Seconds that all attempts so far ran."""
    lost_seconds: Finite = None
    """Seconds of them whose work was lost: from the last durable checkpoint to the end of an interrupted attempt."""
    last_epoch_time: UtcTime | None = None
    """When this attempt last finished an epoch, by its node's clock."""
    passed_over: Annotated[str | None, Field(max_length=300)] = None
    """Checkpoints that this attempt found damaged and passed over, by name."""
    local_copy: Annotated[CopyFacts | None, BeforeValidator(known_state)] = None
    """How far this attempt's copy of the preprocessed data is; absent where none is asked for."""
    provenance: FoldProvenance | None = None
    """The conditions under which it is trained."""

    @property
    def planned_end(self) -> int:
        """Finished epochs at which this fold's training ends."""
        stopping = self.early_stopping
        return stopping.end_epoch if stopping and stopping.end_epoch is not None else self.epochs_target

    def impossible(self) -> str:
        """Return a number that no fold comes to, in words; empty where each may be right."""
        numbers = dict(self) | {f"early_stopping.{name}": value for name, value in self.early_stopping or ()}
        for name, value in numbers.items():
            if isinstance(value, int) and not 0 <= value <= MAX_COUNT:
                return f"{name} is {value}, not 0 to {MAX_COUNT}"
            if name.endswith("_seconds") and value is not None and value < 0:
                return f"{name} is {value}, which is negative"
            if name in ("epoch", "early_stopping.epoch") and (value or 0) > self.epochs_target:
                return f"{name} is {value}, of {self.epochs_target} to train"
        return ""


class ServedFacts(StatusModel):
    """What a trainer that runs answers at `FACTS_PATH`."""

    uid: Annotated[str, Field(max_length=64)]
    """UID of the training. An IP address that a dead pod left may belong to another training's pod by now."""
    facts: FoldFacts
    """State of the fold."""

    def to_body(self) -> bytes:
        """Return it as JSON."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()

    @classmethod
    def of(cls, body: bytes) -> Self:
        """Return what a trainer answered.

        Raises ValueError for what is too large, no JSON, of another shape, or impossible. Fields that are not known
        are those of another release, and are left out.
        """
        if len(body) > FACTS_LIMIT:
            raise ValueError(f"more than {FACTS_LIMIT} bytes")
        from_json(body, allow_inf_nan=False)  # JSON has no NaN, which the next line would not mind
        served = cls.model_validate_json(body, strict=True)
        if wrong := served.facts.impossible():
            raise ValueError(wrong)
        return served
