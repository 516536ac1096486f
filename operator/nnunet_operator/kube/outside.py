"""What ended a pod from outside: a kubelet that turned it away or lost it, an eviction, a container of others.

None of it is the trainer's doing. The kubelet's words for it come first: what the container said says nothing of it.
"""

import re
from dataclasses import dataclass

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.remedies.remedy import Case
from nnunet_operator.kube.views import ContainerView, PodView

_UNKNOWN = ("ContainerStatusUnknown", "Unknown")
"""Reasons that a kubelet and a container runtime give where the container is gone, as after a start of the node."""
_LACKING = ("AppArmor", "SupplementalGroupsPolicyNotSupported")
"""Reasons of a kubelet whose node lacks what the pod's security context asks for."""
_NOT_STARTED = ("StartError", "ContainerCannotRun")
"""Reasons of a container whose process the node's runtime could not start: a broken driver, device, or hook of it."""
_OF_IMAGES = re.compile(r'exec: "|executable file .*not found|exec format error|argument list too long')
"""What such a runtime says of the image, or of what the trainer is given, where no other node would do better."""


@dataclass(frozen=True)
class Outside:
    """What ended a pod from outside."""

    what: str
    """A clause that starts with a verb: was evicted from node gpu-1."""
    said: str
    """What Kubernetes, or the container, said of it."""
    case: Case


def outside_of(pod: PodView) -> Outside | None:
    """Return what ended a pod from outside, or None where nothing is known to have."""
    if pod.phase != "Failed":
        return None
    node = f"node {pod.node}" if pod.node else "its node"
    because = f" ({pod.reason})" if pod.reason else ""
    if not pod.disrupted and (pod.rejected or not any(map(_began, _all(pod)))):
        case = Case.PROFILE if pod.reason in _LACKING else Case.BY_NODE
        return Outside(f"was turned away by {node}{because}", pod.message, case)
    if pod.reason == "Evicted":
        return Outside(f"was evicted from {node}", pod.message, Case.EVICTED)
    if pod.disrupted:
        return None
    if pod.reason == "DeadlineExceeded":
        return Outside(f"was ended by {node} because it has an activeDeadlineSeconds", pod.message, Case.DEADLINE)
    if pod.reason:
        return Outside(f"was ended by {node}{because}", pod.message, Case.BY_NODE)
    ours = [one.ended for one in (pod.preparation, pod.trainer) if one and one.ended]
    stuck = next((ended for ended in ours if ended.reason in _NOT_STARTED), None)
    if stuck and _is_of_node(stuck.message):
        return Outside(f"could not be started by {node} ({stuck.reason})", stuck.message, Case.BY_NODE)
    unknown = next((ended for ended in ours if ended.reason in _UNKNOWN), None)
    if unknown:
        what = f"was lost on {node}, which does not know how its container ended ({unknown.reason})"
        return Outside(what, unknown.message, Case.BY_NODE)
    return None if any(ended.exit_code for ended in ours) else _by_others(pod)


def _is_of_node(said: str) -> bool:
    """Tell whether a runtime could not start a process for what another node may do better."""
    return bool(said) and not _OF_IMAGES.search(said)


def _by_others(pod: PodView) -> Outside | None:
    """Return the container of others that made a pod fail although none of ours did."""
    for one in _all(pod):
        if one.name not in (CONTAINER_NAME, PREPARE_CONTAINER_NAME) and one.ended and one.ended.exit_code:
            reason = "" if one.ended.reason in ("", "Error") else f" ({one.ended.reason})"
            code = f"{one.ended.exit_code}{reason}"
            what = f"ended because container {one.name} in it, which is not the trainer's, ended with exit code {code}"
            return Outside(what, one.ended.message, Case.INJECTED)
    return None


def _began(container: ContainerView) -> bool:
    return container.running or container.ended is not None


def _all(pod: PodView) -> tuple[ContainerView, ...]:
    return (*pod.preparing, *pod.containers)
