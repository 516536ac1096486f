"""What the operator keeps of Jobs and Pods: typed views. `reading` makes them.

Everything else reads views, so what is kept of an object and what is read of it can't differ. A view holds no more than
somebody reads, takes a fifth less memory than trimmed JSON text, is not parsed at each look, and nobody can change it.
"""

from dataclasses import dataclass
from datetime import datetime

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.initial_weights import WeightsSource
from nnunet_api.slipped_in import Given


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str


NOBODY = Owner("", "", "", "")


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job."""

    name: str
    uid: str
    version: str
    """Its resourceVersion."""
    owner: Owner
    training: str
    """Value of the label that names its training."""
    maker: str
    """Planning: MAKER of the folder of preprocessed data in which it works."""
    created: datetime | None
    deleting: bool
    held_by: tuple[str, ...]
    """Finalizers of others."""
    suspended: bool
    was_suspended: bool
    taken_up: bool
    """Kubernetes' Job controller has gone about its pods."""
    queue: str
    """Kueue's LocalQueue, by its label, which webhooks give and people change; empty where it has none."""
    priority: str
    """The kind and the name of the class by which Kueue orders it; empty where it names none."""
    managed_by: str
    """What makes its pods in place of Kubernetes' own Job controller; empty where nothing does."""
    complete: bool
    """It has completed, or is about to."""
    failure: str | None
    """Message of the condition that says that it has failed, or is about to; None where none says so."""
    backoff_limit: int | None
    """Failures that it forgives; None where it does not say."""
    out_of_time: bool
    """It failed because somebody gave it an activeDeadlineSeconds."""
    scaled_down: bool
    """Somebody has set its parallelism to 0."""
    several_pods: bool
    """Something has it make several pods, which would stop each other."""
    counts_all: bool
    """It lacks the rules by which failures count: a webhook that is built with old libraries drops what it does not
    know."""
    failed: int
    """Pods of it that have failed."""
    has_pod: bool
    """It counts a pod that has not ended."""
    finished: datetime | None
    image: str
    """Image that the operator asked for when it made the Job; empty where that can't be read.

    Not what the container has: a webhook may have put another registry into it, and would do so again.
    """
    prepares_with: str
    """The operator's own image, by which it makes the folders; empty where it makes none."""
    asked_for: str
    """Mark of what the training asked for when the Job was made (`core.outdated`)."""
    operators_settings: str
    """Mark of the operator's settings then."""
    given: Given
    """What its trainer's container alone may have from it."""
    preparation_given: Given
    """What the container that makes the folders alone may have from it."""
    told_min_epochs: int
    """Epochs before which its trainer was told not to stop; 0 where that can't be read."""
    weights: WeightsSource | None
    """Planning: what the operator knew of the weights that it had copied; None where none were."""

    @property
    def ended(self) -> bool:
        """It has ended by itself, or is about to: it gets no further pod."""
        return self.complete or self.failure is not None


@dataclass(frozen=True, slots=True)
class Said:
    """A reason and a message, as Kubernetes gives them."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Termination:
    """How a container ended."""

    exit_code: int | None
    reason: str
    message: str
    ran: bool
    """It was started; else it ended before that."""
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class ContainerView:
    """A container of a pod, as its status has it."""

    name: str
    image: str
    image_id: str
    running: bool
    waiting: Said | None
    ended: Termination | None


@dataclass(frozen=True, slots=True)
class PodView:
    """A Pod."""

    name: str
    uid: str
    owner: Owner
    stage: str
    fold: str
    """Value of its fold's label; empty where it has none."""
    created: datetime | None
    deleting: bool
    held_by: tuple[str, ...]
    """Finalizers of others."""
    node: str
    """Empty before it has one."""
    image: str
    """Image that its spec has for the trainer's container; empty where there is no such container."""
    memory: str
    """Limit that its spec has for the trainer's container; empty where it has none."""
    slipped_in: tuple[str, ...]
    """What the operator never gives: what has its containers of ours run other code, and how others reach into them."""
    given: Given
    """What its trainer's container may have from its Job alone."""
    prepares_with: str
    """Image that its spec has for the container that makes the folders; empty where there is no such container."""
    preparation_given: Given
    """What that container may have from its Job alone."""
    debugged: bool
    """An ephemeral container was attached to it."""
    phase: str
    reason: str
    message: str
    ip: str
    started: datetime | None
    """When a kubelet took it over."""
    gates: tuple[str, ...]
    """Its scheduling gates."""
    scheduled: bool
    """A scheduler has spoken on it."""
    placed: datetime | None
    """When it got its node."""
    unscheduled: Said | None
    """Why the scheduler has found no node for it."""
    lacks_claim: bool
    """Kubernetes has not made the claim of a volume that it has for itself."""
    unclaimed: str
    """ResourceClaimTemplate of which Kubernetes has made no claim for it; empty where none is missing."""
    rejected: bool
    """A kubelet says that it does not take it, be it that it ran before the node came up again."""
    disrupted: bool
    """Evicted, preempted, or lost with its node."""
    preparing: tuple[ContainerView, ...]
    """Its init containers, those that webhooks injected included."""
    sidecars: tuple[str, ...]
    """Those of them that go on beside the trainer."""
    containers: tuple[ContainerView, ...]
    """Its other containers, those that webhooks injected included."""

    @property
    def trainer(self) -> ContainerView | None:
        """The trainer's container, found by its name: webhooks put others before and behind it."""
        return _named(CONTAINER_NAME, self.containers)

    @property
    def preparation(self) -> ContainerView | None:
        """The container that makes the folders."""
        return _named(PREPARE_CONTAINER_NAME, self.preparing)

    @property
    def termination(self) -> Termination | None:
        """How the trainer's container ended."""
        return self.trainer.ended if self.trainer else None

    @property
    def running(self) -> bool:
        """The trainer's container runs."""
        return self.trainer is not None and self.trainer.running

    @property
    def begun(self) -> bool:
        """The trainer, or what makes its folders, has been started."""
        ours = [one for one in (self.trainer, self.preparation) if one]
        return self.phase not in ("", "Pending") or any(one.running for one in ours)

    @property
    def has_run(self) -> bool:
        """The same, and also where its folders have been made and the trainer can't be started."""
        return self.begun or (self.preparation is not None and self.preparation.ended is not None)

    @property
    def over(self) -> bool:
        """Its attempt has ended."""
        return self.phase in ("Succeeded", "Failed") or self.termination is not None


def _named(name: str, containers: tuple[ContainerView, ...]) -> ContainerView | None:
    return next((one for one in containers if one.name == name), None)
