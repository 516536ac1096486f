"""Why a pod does not start: what Kubernetes says, turned into a reason, a case and words."""

import re
from dataclasses import dataclass

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.reasons import Reason
from nnunet_api.refusals import case_of
from nnunet_api.remedies.remedy import Case
from nnunet_api.training import KIND
from nnunet_operator.core.observation import Trouble
from nnunet_operator.kube.endings import shorten
from nnunet_operator.kube.views import NOBODY, ContainerView, Owner, PodView, Said

_UNSIGNED = "SignatureValidationFailed"
IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        _UNSIGNED,
    }
)
_ABOUT_CLAIMS = (
    "persistentvolumeclaim",
    "persistent volumes to bind",
    "storageclass",
    "non-existent pv",
    "enough free storage",
)
"""Words of the scheduler on claims."""
CLAIM_REFUSED = "FailedBinding"
"""Kubernetes' word for a pod's own claim that it can't make."""
VOLUME_REASONS = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
USUAL_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Why a container waits as all do. Every other reason is told, also those that kubelets to come may give."""
_CREATED = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
"""Reasons that their messages make plain."""

_CONTROL_PLANE = r"untolerated taint \{node-role\.kubernetes\.io/(?:control-plane|master):[^}]*\}"
"""In the scheduler's words: nodes on which no training is to run."""
_OF_POD = r'^ephemeral volume \S+: create PVC \S+: |"[^"]+" (?=is (?:forbidden|invalid))'
"""In what is said of a pod's own claim: names that are others with each pod."""


@dataclass(frozen=True)
class PodWarning:
    """A warning of the kubelet, or of what attaches volumes, about a pod."""

    reason: str
    """Kubernetes' word: FailedMount, FailedAttachVolume, FailedCreatePodSandBox, ..."""
    message: str


def blocked_pod(pod: PodView, gpu_resource: str) -> Trouble | None:
    """Return why a pod can't start, or None where it is starting or running as usual.

    `gpu_resource` is what GPUs are asked for by; empty where none are.
    """
    if pod.unscheduled:
        return _unscheduled(pod.unscheduled, pod.gates, gpu_resource)
    if not pod.image:
        matter = f"can't be followed: pod {pod.name} has no container {CONTAINER_NAME}, which something has renamed"
        return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.CHANGED)
    for container in (*pod.preparing, *pod.containers):
        if container.waiting and (trouble := _waiting(container.waiting, container)):
            return trouble
    return None


def _unscheduled(said: Said, gates: tuple[str, ...], gpu_resource: str) -> Trouble:
    if said.reason == "SchedulingGated":
        named = f" ({', '.join(gates)})" if gates else ""
        return Trouble(Reason.WAITING_FOR_QUEUE, f"is held back by a scheduling gate of its pod{named}")
    if said.reason == "Unschedulable":
        return unschedulable(said.message, gpu_resource)
    # SchedulerError and the like: the scheduler tries again by itself, and may do so for ever.
    why = shorten(said.message).rstrip(". ") or said.reason
    if "volume" in why.lower():
        return Trouble(Reason.CLAIM_NOT_BOUND, f"waits for a volume: {why}")
    return Trouble(Reason.WAITING_FOR_RESOURCES, f"waits for the scheduler, which fails: {why}")


def unschedulable(message: str, gpu_resource: str) -> Trouble:
    """Sort the scheduler's message ("0/3 nodes are available: ...") into a reason and a case."""
    # What the scheduler says about preemption changes often and helps nobody; in its place it may say "not found".
    said = (
        shorten(re.split(r"\s*preemption:|(?<=\.) not found$", message, maxsplit=1)[0]).rstrip(". ") or "no node fits"
    )
    lower = said.lower()
    if "readwriteoncepod" in lower:
        return Trouble(Reason.VOLUME_UNAVAILABLE, f"waits for a volume: {said}")
    if any(words in lower for words in _ABOUT_CLAIMS):
        return Trouble(Reason.CLAIM_NOT_BOUND, f"waits for a volume: {said}", _case_of_claim(lower))
    if "cannot allocate all claims" in lower or "resourceclaim" in lower or "device class" in lower:
        return Trouble(Reason.WAITING_FOR_GPU, f"waits for a GPU: {said}", Case.DEVICES)
    if gpu_resource and f"insufficient {gpu_resource}".lower() in lower:
        return Trouble(Reason.WAITING_FOR_GPU, f"waits for a GPU: {said}")
    return Trouble(Reason.WAITING_FOR_RESOURCES, f"waits for a node that fits: {said}", _case_of_nodes(lower))


def _case_of_claim(lower: str) -> str:
    if re.search(r'persistentvolumeclaim "[^"]+" not found', lower):
        return Case.CLAIM_MISSING
    return Case.CLAIM_DELETED if re.search(r'persistentvolumeclaim "[^"]+" is being deleted', lower) else ""


def _case_of_nodes(lower: str) -> str:
    # A resource with a domain is never one that a training asks for beside its GPUs.
    if re.search(r"insufficient [\w.-]+/", lower):
        return Case.FOREIGN_RESOURCE
    if any(words in lower for words in ("affinity", "selector", "topology spread", "volume zone")):
        return Case.NODE_LABELS
    # Each cluster has nodes of the control plane, which are not meant where others lack room.
    tainted = re.sub(_CONTROL_PLANE, "", lower) if "insufficient" in lower else lower
    return Case.NODE_TAINTS if "untolerated taint" in tainted or "were unschedulable" in tainted else ""


def _waiting(waiting: Said, container: ContainerView) -> Trouble | None:
    reason, message, name = waiting.reason, waiting.message, container.name
    foreign = "" if name in (CONTAINER_NAME, PREPARE_CONTAINER_NAME) else name
    if reason in IMAGE_REASONS:
        image = container.image or "of the trainer"
        # The kubelet alternates between ErrImagePull and ImagePullBackOff, which quotes the former.
        said = re.sub(r'^Back-off pulling image "[^"]*"(: \w+)?:?\s*', "", message)
        detail = f": {shorten(said).rstrip('. ')}" if said else ""
        if foreign:
            matter = f"waits for image {image} of container {foreign}{detail}"
            return Trouble(Reason.IMAGE_UNAVAILABLE, matter, Case.INJECTED)
        case = Case.FOLDERS if name == PREPARE_CONTAINER_NAME else ""
        # A back-off quotes it.
        case = Case.SIGNATURE if _UNSIGNED in f"{reason} {message}" else case
        return Trouble(Reason.IMAGE_UNAVAILABLE, f"waits for image {image}{detail}", case)
    if reason in USUAL_REASONS:
        return None
    said = shorten(message).rstrip(". ") or reason
    if reason == "CrashLoopBackOff":
        matter = f"waits because container {name} of its pod ends again and again: {said}"
        return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.INJECTED if foreign else Case.CHANGED)
    if reason not in _CREATED and said != reason:
        said = f"{reason}: {said}"
    if foreign:
        matter = f"waits because container {foreign} of its pod can't be created: {said}"
        return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.INJECTED)
    matter = f"waits because its container can't be created: {said}"
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, _case_of_container(reason, said.lower()))


def _case_of_container(reason: str, lower: str) -> str:
    if "subpath" in lower:
        return Case.FOLDERS
    if re.search(r"\b(seccomp|apparmor)\b", lower):
        return Case.PROFILE
    return "" if reason in _CREATED else Case.ON_NODE


def held_up(warning: PodWarning) -> Trouble:
    """Return the trouble of a pod that has a node and is not started there, or that lacks a claim of its own."""
    said = shorten(warning.message).rstrip(". ") or warning.reason
    if warning.reason == CLAIM_REFUSED:
        matter = f"waits for a volume, whose claim can't be made: {re.sub(_OF_POD, '', said)}"
        return Trouble(Reason.CLAIM_NOT_BOUND, matter, Case.CLAIM_REFUSED)
    if warning.reason in VOLUME_REASONS:
        return Trouble(Reason.VOLUME_UNAVAILABLE, f"waits because a volume can't be mounted: {said}")
    case = Case.PROFILE if re.search(r"hostUsers|user namespaces|idmap", said) else Case.ON_NODE
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, f"waits because its pod can't be started: {said}", case)


def rejected(message: str, what: str = "pod") -> Trouble:
    """Return the trouble of a Job, or of its pod, that the API server did not create."""
    said = quoted(message)
    return Trouble(Reason.POD_REJECTED, f"waits because the API server refuses its {what}: {said}", case_of(said))


def quoted(message: str) -> str:
    """Return what the API server said, as it says it each time."""
    # The port that a connection came from differs each time, as does the name of a pod, and the time that was left may;
    # none of it is news. Without names, what is said of several folds is said once.
    steady = re.sub(r"\S+:\d+->|\?timeout=\w+|^Error creating: ", "", message)
    return shorten(
        re.sub(r'\b(pods?|jobs?\.batch) "[^"]+" (?=is (?:forbidden|invalid))', r"\1 ", steady, flags=re.I)
    ).rstrip(". ")


def unplaced() -> Trouble:
    """Return the trouble of a pod of which no scheduler has said anything for long."""
    matter = "waits for the scheduler, which has said nothing of its pod so far"
    return Trouble(Reason.WAITING_FOR_RESOURCES, matter, Case.UNPLACED)


def unclaimed(template: str) -> Trouble:
    """Return the trouble of a pod for which Kubernetes has made no claim from its ResourceClaimTemplate for long."""
    matter = f"waits for the claim of its GPUs, which Kubernetes has not made of ResourceClaimTemplate {template}"
    return Trouble(Reason.WAITING_FOR_GPU, matter, Case.UNCLAIMED)


def scaled_down() -> Trouble:
    """Return the trouble of a Job whose parallelism somebody has set to 0."""
    matter = "waits because the parallelism of its Job was set to 0"
    return Trouble(Reason.WAITING_FOR_QUEUE, matter, Case.JOB_SUSPENDED)


def several_pods() -> Trouble:
    """Return the trouble of a Job that something has make more than one pod."""
    matter = "can't go on: something has its Job make several pods (parallelism, completions), which stop each other"
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.CHANGED)


def unseen(job: str, label: str) -> Trouble:
    """Return the trouble of a Job that counts a pod which no watch shows: it lacks the label by which it is known."""
    matter = f"can't be followed: the pod of its Job {job} lacks the label {label}, which something has taken off"
    return Trouble(Reason.CONTAINER_CONFIG_ERROR, matter, Case.CHANGED)


def managed(job: str, manager: str) -> Trouble:
    """Return the trouble of a Job whose pods another controller makes, such as MultiKueue in another cluster."""
    matter = f"waits because its Job {job} is managed by {manager}, whose pods this operator can't see"
    return Trouble(Reason.CHILD_NOT_OWNED, matter, Case.MANAGED)


def not_owned(job: str, owner: Owner) -> Trouble:
    """Return the trouble of a child whose name somebody else's Job has taken.

    Another training would make its Job again at once: the Jobs of a-b and of a.b have the same names.
    """
    name = "nobody" if owner == NOBODY else f"{owner.kind} {owner.name}"
    matter = f"waits because a Job named {job} exists and belongs to {name}"
    return Trouble(Reason.CHILD_NOT_OWNED, matter, Case.OTHER_TRAINING if owner.kind == KIND else "")
