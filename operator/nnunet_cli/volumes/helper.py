"""The helper pod: what it is, and what it waits for. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.pod_template import DEFAULT_SECURITY, SecurityContext
from nnunet_cli.kube.cluster import Object
from nnunet_cli.text.words import listed

CONTAINER = "volume"
ROOT = "/volume"
"""Where the claim is mounted."""
_LABELS = {"app.kubernetes.io/name": "nnunetctl", "app.kubernetes.io/component": "volume-access"}
SELECTOR = ",".join(f"{key}={value}" for key, value in _LABELS.items())
AGENT_ENV = "NNUNETCTL_AGENT"
RUN_AGENT = ("python3", "-c", f"import os, sys; exec(os.environ['{AGENT_ENV}'])")
"""Runs the agent, whose source is in the environment: in the arguments of exec it would become part of a URL."""
IDLE_SECONDS = 120
"""The pod ends when nothing has been asked of it for so long: a program that died can't delete it."""
DEADLINE_SECONDS = 24 * 3600
"""It ends after this time in any case."""
_MODEST = {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "256Mi"}
RESOURCES: tuple[Object, ...] = (
    {
        "requests": {"cpu": "50m", "memory": "256Mi", "ephemeral-storage": "16Mi"},
        "limits": {"cpu": "4", "memory": "2Gi", "ephemeral-storage": "1Gi"},
    },
    {"requests": _MODEST, "limits": _MODEST},
    {},
)
"""What it asks for, and what in its place where a LimitRange or a quota of the namespace refuses that: limits that are
small and no more than what is requested; then what a LimitRange gives by itself. The first two say all that a quota may
ask a pod to say."""
_PULL_FAILURES = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_FAILURES = (*_PULL_FAILURES, "CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class Image:
    """An image with Python, and what it is pulled with."""

    reference: str
    pull_secrets: tuple[str, ...] = ()
    security: SecurityContext = DEFAULT_SECURITY
    """As whom it runs: as the trainer's pods, so that each can read what the other has written."""


def helper_pod(
    namespace: str,
    claim: str,
    image: Image,
    agent: str,
    *,
    read_only: bool,
    node: str | None = None,
    resources: Object = RESOURCES[0],
) -> Object:
    """Return a pod that mounts a claim and waits for commands; `node` is where it has to be, if anywhere.

    It meets the `restricted` Pod Security Standard and carries no label of the operator's.
    """
    spec: Object = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **image.security.to_pod(),
        },
        "containers": [_agent_container(image.reference, agent, resources, read_only=read_only)],
        "volumes": [
            {"name": "claim", "persistentVolumeClaim": {"claimName": claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in image.pull_secrets]
    if node is not None:
        there = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [there]}}
        spec["affinity"] = {"nodeAffinity": required}
        # GPU nodes are often tainted against what needs no GPU, and the volume is nowhere else.
        spec["tolerations"] = [{"operator": "Exists", "effect": "NoSchedule"}]
    metadata = {"generateName": "nnunetctl-", "namespace": namespace, "labels": _LABELS}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _agent_container(image: str, agent: str, resources: Object, *, read_only: bool) -> Object:
    return {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*RUN_AGENT, "wait", str(IDLE_SECONDS)],
        "env": [
            # Kubernetes would take $(NAME) for a variable.
            {"name": AGENT_ENV, "value": agent.replace("$(", "$$(")},
            {"name": "HOME", "value": "/tmp"},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "claim", "mountPath": ROOT, "readOnly": read_only},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def node_of_claim(claim: Object, pods: Sequence[Object]) -> str | None:
    """Return the node that a claim is bound to by the pods that use it; None where it may be mounted anywhere."""
    modes = set((claim.get("spec") or {}).get("accessModes") or [])
    if modes & {"ReadWriteMany", "ReadOnlyMany"}:
        return None
    for pod in pods:
        if (pod.get("status") or {}).get("phase") not in ("Pending", "Running"):
            continue
        volumes = pod["spec"].get("volumes") or []
        names = [(volume.get("persistentVolumeClaim") or {}).get("claimName") for volume in volumes]
        if claim["metadata"]["name"] in names and pod["spec"].get("nodeName"):
            return str(pod["spec"]["nodeName"])
    return None


@dataclass(frozen=True)
class Waiting:
    """Why a pod does not run yet."""

    text: str
    hopeless: bool = False
    """It will not run by itself."""


def why_waiting(pod: Object, warnings: Sequence[str]) -> Waiting | None:
    """Return why the helper pod does not run; None when it does. `warnings` are on it, oldest first."""
    status: dict[str, Any] = pod.get("status") or {}
    state = _container(status)
    if "running" in state:
        return None
    if status.get("phase") in ("Failed", "Succeeded"):
        over = state.get("terminated") or {}
        if over.get("reason") == "OOMKilled":
            return Waiting(f"it was killed as it needed more memory {_killed_for(pod)}", hopeless=True)
        words = [status.get("reason"), status.get("message"), over.get("reason"), over.get("message")]
        code = f"exit code {over['exitCode']}" if "exitCode" in over else ""
        said = ", ".join(str(word) for word in [*words, code] if word)
        return Waiting(f"it has ended ({said}). Does the image hold python3? Give another with --image", hopeless=True)
    held = state.get("waiting") or {}
    if held.get("reason") in _FAILURES:
        remedy = ". Give another image with --image" if held["reason"] in _PULL_FAILURES else ""
        return Waiting(f"{held['reason']}: {held.get('message', '')}{remedy}", hopeless=True)
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Waiting(f"it has no node: {condition.get('message') or condition.get('reason')}")
    if warnings:
        return Waiting(warnings[-1])
    return Waiting("its volume is being mounted and its image pulled")


def _killed_for(pod: Object) -> str:
    """Return which memory was too little, and what to do."""
    limits = next(
        (
            (one.get("resources") or {}).get("limits") or {}
            for one in pod["spec"]["containers"]
            if one["name"] == CONTAINER
        ),
        {},
    )
    memory = limits.get("memory")
    if memory is None:
        return "than its node has: try again, or ask who runs the cluster for a node with more"
    if limits.items() >= RESOURCES[0]["limits"].items():
        return f"than the {memory} that this program gives it: that is a fault of kubectl nnunet, report it"
    if limits.items() >= _MODEST.items():
        return (
            f"than {memory}, with which it is tried where a LimitRange or a quota of the namespace refuses "
            f"{RESOURCES[0]['limits']['memory']}: have these allow as much"
        )
    return f"than {memory}, which a LimitRange of the namespace gives it: have that give more"


def claim_problem(claim: str, found: Object | None, claims: Sequence[str]) -> str:
    """Return why a claim can't be mounted, with what to do; empty where it can."""
    if found is None:
        there = f"there are {listed(sorted(claims))}" if claims else "the namespace has none"
        return f"there is no PersistentVolumeClaim {claim}: {there}"
    phase = (found.get("status") or {}).get("phase")
    if phase == "Lost":
        return f"PersistentVolumeClaim {claim} has lost its volume: restore it, or give another"
    return ""


def _container(status: dict[str, Any]) -> dict[str, Any]:
    for container in status.get("containerStatuses") or []:
        if container.get("name") == CONTAINER:
            state: dict[str, Any] = container.get("state") or {}
            return state
    return {}
