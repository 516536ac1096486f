"""What the operator keeps of Jobs and Pods: typed views. The only module that knows where Kubernetes keeps what.

Everything else reads views, so what is kept of an object and what is read of it can't differ. A view holds no more than
somebody reads, takes a fifth less memory than trimmed JSON text, is not parsed at each look, and nobody can change it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.initial_weights import WeightsSource
from nnunet_api.kueue import PRIORITY_LABEL, QUEUE_LABEL
from nnunet_api.labels import (
    ASKED_FOR,
    FOLD_LABEL,
    OPERATORS_SETTINGS,
    PREPROCESSED_LABEL,
    STAGE_LABEL,
    TRAINING_LABEL,
)
from nnunet_api.slipped_in import Given, beside, given, of_itself
from nnunet_operator.kube.objects import (
    Manifest,
    container_named,
    controller_of,
    foreign_finalizers,
    parse_time,
    pod_spec_of,
    true_condition,
)
from nnunet_operator.kube.told import image_told, told_min_epochs, weights_told


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str


_CLAIM_AWAITED = "waiting for ephemeral volume controller to create"
"""In the scheduler's words on a pod whose own claim is not made."""
_REJECTED = "Pod was rejected"
"""How the kubelet's message begins, of a pod that it does not take."""
JOB_CONTROLLER = "kubernetes.io/job-controller"
"""Value of a Job's spec.managedBy where Kubernetes' own controller makes its pods."""
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


def job_view(body: Manifest) -> JobView:
    """Return what is kept of a Job."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    failed = true_condition(body, "Failed", "FailureTarget")
    return JobView(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        owner=_owner(body),
        training=_word(labels.get(TRAINING_LABEL)),
        maker=_word(labels.get(PREPROCESSED_LABEL)),
        created=parse_time(metadata.get("creationTimestamp")),
        deleting=bool(metadata.get("deletionTimestamp")),
        held_by=foreign_finalizers(body),
        suspended=bool(spec.get("suspend")),
        was_suspended=any(one.get("type") == "Suspended" for one in status.get("conditions") or []),
        queue=_word(labels.get(QUEUE_LABEL)),
        priority=_priority(labels, spec),
        taken_up=bool(status.get("startTime")),
        managed_by="" if spec.get("managedBy") == JOB_CONTROLLER else _word(spec.get("managedBy")),
        complete=true_condition(body, "Complete", "SuccessCriteriaMet") is not None,
        failure=None if failed is None else str(failed.get("message") or ""),
        backoff_limit=spec.get("backoffLimit"),
        out_of_time=failed is not None and failed.get("reason") == "DeadlineExceeded",
        scaled_down=spec.get("parallelism") == 0,
        several_pods=max(spec.get("parallelism") or 1, spec.get("completions") or 1) > 1,
        counts_all=not spec.get("podFailurePolicy"),
        failed=int(status.get("failed") or 0),
        has_pod=bool(status.get("active")),
        finished=parse_time(status.get("completionTime")),
        image=image_told(spec, CONTAINER_NAME),
        prepares_with=image_told(spec, PREPARE_CONTAINER_NAME),
        asked_for=_word(annotations.get(ASKED_FOR)),
        given=_given(container_named(CONTAINER_NAME, pod_spec_of(spec).get("containers"))),
        preparation_given=_given(container_named(PREPARE_CONTAINER_NAME, pod_spec_of(spec).get("initContainers"))),
        operators_settings=_word(annotations.get(OPERATORS_SETTINGS)),
        told_min_epochs=told_min_epochs(spec),
        weights=weights_told(spec),
    )


def pod_view(body: Manifest) -> PodView:
    """Return what is kept of a Pod."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = metadata.get("labels") or {}
    trainer = container_named(CONTAINER_NAME, spec.get("containers"))
    preparation = container_named(PREPARE_CONTAINER_NAME, spec.get("initContainers"))
    scheduling = [one for one in status.get("conditions") or [] if one.get("type") == "PodScheduled"]
    unscheduled = next((one for one in scheduling if one.get("status") == "False"), None)
    return PodView(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        owner=_owner(body),
        stage=_word(labels.get(STAGE_LABEL)),
        fold=_word(labels.get(FOLD_LABEL)),
        created=parse_time(metadata.get("creationTimestamp")),
        deleting=bool(metadata.get("deletionTimestamp")),
        held_by=foreign_finalizers(body),
        node=_word(spec.get("nodeName")),
        image=_word(trainer.get("image")),
        memory=_word(((trainer.get("resources") or {}).get("limits") or {}).get("memory")),
        slipped_in=_slipped_in(spec, trainer, preparation),
        given=_given(trainer),
        prepares_with=_word(preparation.get("image")),
        preparation_given=_given(preparation),
        debugged=bool(spec.get("ephemeralContainers")),
        phase=_word(status.get("phase")),
        reason=_word(status.get("reason")),
        message=str(status.get("message") or ""),
        ip=str(status.get("podIP") or ""),
        started=parse_time(status.get("startTime")),
        gates=tuple(_word(one.get("name")) for one in spec.get("schedulingGates") or []),
        scheduled=bool(scheduling),
        placed=next((parse_time(one.get("lastTransitionTime")) for one in scheduling if one is not unscheduled), None),
        unscheduled=_said(unscheduled),
        lacks_claim=unscheduled is not None and _CLAIM_AWAITED in str(unscheduled.get("message")),
        unclaimed=_unclaimed(spec, status),
        rejected=str(status.get("message") or "").startswith(_REJECTED),
        disrupted=true_condition(body, "DisruptionTarget") is not None,
        preparing=tuple(_containers(status.get("initContainerStatuses"))),
        sidecars=tuple(
            _word(one["name"]) for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"
        ),
        containers=tuple(_containers(status.get("containerStatuses"))),
    )


def _word(value: Any) -> str:
    """Return a text that many objects have in common, once for all of them."""
    return intern(str(value or ""))


def _owner(body: Manifest) -> Owner:
    found = controller_of(body)
    kind, name, uid = _word(found.get("kind")), str(found.get("name") or ""), str(found.get("uid") or "")
    return Owner(_word(found.get("apiVersion")), kind, name, uid) if found else NOBODY


def _slipped_in(spec: Manifest, *ours: Manifest) -> tuple[str, ...]:
    found = [what for container in ours for what in of_itself(container)]
    found += beside(spec, (CONTAINER_NAME, PREPARE_CONTAINER_NAME))
    return tuple(dict.fromkeys(map(intern, found)))


def _given(container: Manifest) -> Given:
    return tuple((intern(what), intern(value)) for what, value in given(container)) if container else ()


def _unclaimed(spec: Manifest, status: Manifest) -> str:
    made = {one.get("name") for one in status.get("resourceClaimStatuses") or []}
    asked = [one for one in spec.get("resourceClaims") or [] if one.get("name") not in made]
    return next((_word(one.get("resourceClaimTemplateName")) for one in asked), "")


def _said(body: Manifest | None) -> Said | None:
    return None if body is None else Said(_word(body.get("reason")), str(body.get("message") or ""))


def _containers(statuses: list[Manifest] | None) -> Iterator[ContainerView]:
    for status in statuses or ():
        state: Manifest = status.get("state") or {}
        yield ContainerView(
            name=_word(status.get("name")),
            image=_word(status.get("image")),
            image_id=_word(status.get("imageID")),
            running=state.get("running") is not None,
            waiting=_said(state.get("waiting")),
            ended=_termination(state.get("terminated")),
        )


def _termination(body: Manifest | None) -> Termination | None:
    if body is None:
        return None
    code = body.get("exitCode")
    return Termination(
        exit_code=None if code is None else int(code),
        reason=_word(body.get("reason")),
        message=str(body.get("message") or ""),
        ran=bool(body.get("containerID") and body.get("startedAt")),
        finished=parse_time(body.get("finishedAt")),
    )


def _named(name: str, containers: tuple[ContainerView, ...]) -> ContainerView | None:
    return next((one for one in containers if one.name == name), None)


def _priority(labels: Manifest, spec: Manifest) -> str:
    # Kueue looks at the pods' own class only where the Job has none of Kueue's.
    if own := labels.get(PRIORITY_LABEL):
        return _word(f"WorkloadPriorityClass {own}")
    name = pod_spec_of(spec).get("priorityClassName")
    return _word(f"PriorityClass {name}" if name else "")
