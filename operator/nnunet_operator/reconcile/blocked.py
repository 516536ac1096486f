"""Why a pod does not start: what Kubernetes says, turned into a reason, words and a remedy."""

import re
from dataclasses import dataclass

from nnunet_operator.api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_operator.api.reasons import Reason
from nnunet_operator.builders.model import Manifest
from nnunet_operator.reconcile.model import PodWarning
from nnunet_operator.reconcile.objects import container_statuses, shorten, status_of

IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
VOLUME_REASONS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

_FOLDER = (
    "A folder of the training is gone from its claim, or the node may not enter one above it (NFS with root_squash: "
    "give it o+x). Suspend and resume the training to have its folders made again"
)
_INJECTED = "A webhook of the cluster put this container into the pod: ask who runs the cluster"


@dataclass(frozen=True)
class Trouble:
    """What keeps a child from running, or what ended it."""

    reason: Reason
    message: str
    """For a child that waits: a clause that starts with a verb ("waits for a GPU: ..."), so that the
    sentence can name the child, or several that wait for the same. For a failure: a whole sentence."""
    detailed: bool = True
    """False where the pod that could have told more is gone, or not seen yet."""


def blocked_pod(pod: Manifest, gpu_resource: str) -> Trouble | None:
    """Return why a pod can't start, or None where it is starting or running as usual."""
    for condition in status_of(pod).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _unscheduled(condition, gpu_resource)
    for container in container_statuses(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        trouble = _waiting(str(waiting.get("reason") or ""), str(waiting.get("message") or ""), container)
        if trouble:
            return trouble
    return None


def _unscheduled(condition: Manifest, gpu_resource: str) -> Trouble | None:
    reason = condition.get("reason")
    if reason == "SchedulingGated":
        return Trouble(Reason.WAITING_FOR_QUEUE, "is held back by a scheduling gate of its pod")
    if reason != "Unschedulable":
        return None  # SchedulerError and the like: the scheduler tries again by itself
    return unschedulable(str(condition.get("message") or ""), gpu_resource)


def unschedulable(message: str, gpu_resource: str) -> Trouble:
    """Sort the scheduler's message ("0/3 nodes are available: ...") into a reason with a remedy."""
    # What the scheduler says about preemption changes often and helps nobody; in its place it may say "not found".
    said = (
        shorten(re.split(r"\s*preemption:|(?<=\.) not found$", message, maxsplit=1)[0]).rstrip(". ") or "no node fits"
    )
    lower = said.lower()
    if "persistentvolumeclaim" in lower or "persistent volumes to bind" in lower:
        return Trouble(Reason.CLAIM_NOT_BOUND, f"waits for a volume: {said}. {_claim_remedy(said)}")
    if f"insufficient {gpu_resource}".lower() in lower:
        return Trouble(Reason.WAITING_FOR_GPU, f"waits for a GPU: {said}. It starts as soon as one is free")
    return Trouble(Reason.WAITING_FOR_RESOURCES, f"waits for a node that fits: {said}. {_node_remedy(lower)}")


def _claim_remedy(said: str) -> str:
    missing = re.search(r'persistentvolumeclaim "([^"]+)" not found', said)
    if missing:
        return f"Create the PersistentVolumeClaim {missing[1]}; the training goes on by itself"
    return "See kubectl get pvc: a claim needs a StorageClass that can provide it, or a volume that matches"


def _node_remedy(lower: str) -> str:
    if "affinity" in lower or "selector" in lower:
        return "No free node has the labels that spec.podTemplate or a volume asks for"
    if "untolerated taint" in lower:
        return "Nodes are tainted: see spec.podTemplate.tolerations"
    if "insufficient" in lower:
        return "It starts as soon as a node has room; if no node is that large, ask for less in spec.resources"
    return "It starts as soon as a node fits"


def _waiting(reason: str, message: str, container: Manifest) -> Trouble | None:
    name = str(container.get("name") or "")
    foreign = "" if name in (CONTAINER_NAME, PREPARE_CONTAINER_NAME) else name
    if reason in IMAGE_REASONS:
        image = container.get("image") or "of the trainer"
        # The kubelet alternates between ErrImagePull and ImagePullBackOff, which quotes the former.
        said = re.sub(r'^Back-off pulling image "[^"]*"(: \w+)?:?\s*', "", message)
        detail = f": {shorten(said).rstrip('. ')}" if said else ""
        if foreign:
            return Trouble(
                Reason.IMAGE_UNAVAILABLE, f"waits for image {image} of container {foreign}{detail}. {_INJECTED}"
            )
        where = (
            "the chart's trainer.image, which makes the folders"
            if name == PREPARE_CONTAINER_NAME
            else "spec.trainer.image (where it is empty, and for the verification, the chart's trainer.image; after a "
            "change suspend and resume)"
        )
        return Trouble(
            Reason.IMAGE_UNAVAILABLE,
            f"waits for image {image}{detail}. Check {where}, the registry, and spec.podTemplate.imagePullSecrets",
        )
    if reason in CONFIG_REASONS:
        said = shorten(message).rstrip(". ") or reason
        if foreign:
            what = f"waits because container {foreign} of its pod can't be created: {said}. {_INJECTED}"
            return Trouble(Reason.CONTAINER_CONFIG_ERROR, what)
        remedy = _FOLDER if "subpath" in said.lower() else "Put right what it names"
        return Trouble(Reason.CONTAINER_CONFIG_ERROR, f"waits because its container can't be created: {said}. {remedy}")
    return None


def held_up(warning: PodWarning) -> Trouble:
    """Return the trouble of a pod that has a node and is not started there."""
    said = shorten(warning.message).rstrip(". ") or warning.reason
    if warning.reason in VOLUME_REASONS:
        remedy = (
            "See kubectl describe pvc, and whether another node holds the volume: folds on several nodes need claims "
            "with access mode ReadWriteMany"
        )
        return Trouble(Reason.VOLUME_UNAVAILABLE, f"waits because a volume can't be mounted: {said}. {remedy}")
    remedy = "The kubelet tries again by itself; if it lasts, ask who runs the cluster"
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, f"waits because its pod can't be started: {said}. {remedy}")


def rejected(message: str) -> Trouble:
    """Return the trouble of a Job, or of its pod, that the API server refused to create."""
    # The port that a connection came from differs each time, and the time that was left may; neither is news.
    said = shorten(re.sub(r"\S+:\d+->|\?timeout=\w+", "", message)).rstrip(". ")
    if "failed calling webhook" in said:
        remedy = "A webhook of the cluster does not answer: ask who runs the cluster. It goes on by itself once it does"
    elif "exceeded quota" in said:
        remedy = "Raise the namespace's quota or free some of it"
    elif "PodSecurity" in said:
        remedy = "Change spec.podTemplate or the namespace's Pod Security level"
    else:
        remedy = "Ask who runs the cluster about the rule that it names"
    return Trouble(Reason.POD_REJECTED, f"waits because the API server refuses its pod: {said}. {remedy}")


def queued(queue_name: str | None) -> Trouble:
    """Return the trouble of a Job that is suspended from outside."""
    if queue_name:
        return Trouble(Reason.WAITING_FOR_QUEUE, f"waits for admission by Kueue's LocalQueue {queue_name}")
    return Trouble(
        Reason.WAITING_FOR_QUEUE,
        "waits because its Job is suspended, which this operator never does: resume the Job, or see what suspended it",
    )


def not_owned(job: str, owner: str) -> Trouble:
    """Return the trouble of a child whose name somebody else's Job has taken."""
    return Trouble(
        Reason.CHILD_NOT_OWNED,
        f"waits because a Job named {job} exists and belongs to {owner}: delete that Job, or create the training "
        "under another name",
    )
