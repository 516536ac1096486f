"""The part that all trainer pods share. They meet the `restricted` Pod Security Standard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_operator.api.base import GROUP
from nnunet_operator.api.contract import (
    CONTAINER_NAME,
    CONTRACT_ENV,
    IMAGE_DIGEST_ENV,
    IMAGE_ENV,
    METRICS_PORT,
    METRICS_PORT_NAME,
    PREPROCESSED_PATH,
    PROVEN_ENV,
    RAW_PATH,
    RESULTS_PATH,
    SCRATCH_PATH,
    TERMINATION_LOG,
    contract_for,
)
from nnunet_operator.api.environment import is_refused
from nnunet_operator.api.training import EnvVar, PullPolicy
from nnunet_operator.builders.model import Manifest, Options, Training
from nnunet_operator.builders.quantity import whole_cores

TRAINER_UID = 1000
"""User and group of the trainer; the group also owns what it writes to the claims."""
COMMAND = "/opt/nnunet/bin/nnunet-trainer"
"""By its absolute path, which its first line continues with the interpreter's: nothing looks along a PATH."""


@dataclass(frozen=True)
class Compute:
    """CPU, memory and GPUs of one pod, as quantities."""

    cpu: str
    memory: str
    gpus: int = 0
    gpu_resource_name: str = ""


@dataclass(frozen=True)
class Mount:
    """A claim, or a folder in it, at a path of the container."""

    role: str
    claim: str
    sub_path: str
    path: str
    read_only: bool


def fold_compute(training: Training) -> Compute:
    """Return what a pod gets that computes with the network."""
    resources = training.spec.resources
    return Compute(resources.cpu, resources.memory, resources.gpus, resources.gpu_resource_name)


def preprocessing_compute(training: Training) -> Compute:
    """Return what a pod gets that needs no network: never a GPU."""
    preprocessing = training.spec.resources.preprocessing
    return Compute(preprocessing.cpu, preprocessing.memory)


def raw_mount(training: Training) -> Mount:
    """Return the mount of the dataset: always read-only."""
    dataset = training.spec.dataset
    return Mount("raw", dataset.claim_name, dataset.sub_path, RAW_PATH, read_only=True)


def preprocessed_mount(training: Training, *, read_only: bool) -> Mount:
    """Return the mount of the preprocessed data, which trainings share."""
    claim = training.spec.storage.preprocessed
    return Mount("preprocessed", claim.claim_name, claim.sub_path, PREPROCESSED_PATH, read_only)


def results_mount(training: Training) -> Mount:
    """Return the mount of the results."""
    claim = training.spec.storage.results
    return Mount("results", claim.claim_name, claim.sub_path, RESULTS_PATH, read_only=False)


def image_of(training: Training, options: Options) -> str:
    """Return the image of the training's pods.

    The default image is pinned in the status once a node has pulled it, so that an upgrade of the operator never
    changes the image of a run that has begun.
    """
    provenance = training.status.provenance
    pinned = provenance.pinned_image if provenance else None
    return training.spec.trainer.image or pinned or options.trainer_image


def pod_template(
    training: Training,
    options: Options,
    *,
    labels: dict[str, str],
    annotations: Mapping[str, str] = {},
    arguments: Sequence[str],
    compute: Compute,
    mounts: Sequence[Mount],
    own_image: bool = False,
) -> Manifest:
    """Return the pod template of a Job of this training.

    With `own_image` nothing in it is the user's to choose but where it runs: the operator's trainer image, without the
    training's environment variables, labels, annotations and service account, which could make it answer what they
    like, or have somebody's webhook put another container beside it. Where it runs are node selector, tolerations,
    affinity, spread, priority and runtime class; pull secrets stay, as a node may need them.
    """
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": options.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": TRAINER_UID,
            "runAsGroup": TRAINER_UID,
            "fsGroup": TRAINER_UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(training, options, arguments, compute, mounts, own_image)],
        "volumes": _volumes(training, mounts),
    }
    spec.update(_placement(training, options))
    extra = training.spec.pod_template
    if own_image:
        return {"metadata": _metadata(labels, annotations), "spec": spec}
    if extra.service_account_name:
        spec["serviceAccountName"] = extra.service_account_name
    # The operator finds its children by its labels: a user's label must never shadow or forge one.
    foreign = {key: value for key, value in extra.labels.items() if not key.startswith(f"{GROUP}/")}
    return {"metadata": _metadata({**foreign, **labels}, {**annotations, **extra.annotations}), "spec": spec}


def _metadata(labels: Mapping[str, str], annotations: Mapping[str, str]) -> Manifest:
    return {"labels": dict(labels), **({"annotations": dict(annotations)} if annotations else {})}


def _container(
    training: Training,
    options: Options,
    arguments: Sequence[str],
    compute: Compute,
    mounts: Sequence[Mount],
    own_image: bool,
) -> Manifest:
    volume_of = _volume_names(mounts)
    policy = PullPolicy.IF_NOT_PRESENT if own_image else training.spec.trainer.image_pull_policy
    image = options.trainer_image if own_image else image_of(training, options)
    return {
        "name": CONTAINER_NAME,
        "image": image,
        "imagePullPolicy": str(policy),
        "command": [COMMAND],
        "args": list(arguments),
        "env": _env(
            training, compute, image, () if own_image else training.spec.trainer.env, _proven(training, arguments)
        ),
        "ports": [{"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT, "protocol": "TCP"}],
        "resources": _resources(compute),
        "volumeMounts": [
            *(_volume_mount(mount, volume_of[mount.claim]) for mount in mounts),
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "scratch", "mountPath": SCRATCH_PATH},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _env(training: Training, compute: Compute, image: str, variables: Sequence[EnvVar], proven: str) -> list[Manifest]:
    processes = whole_cores(compute.cpu)
    contract = contract_for(
        training.spec, training.namespace, training.name, training.uid, processes, training.status.policy
    )
    provenance = training.status.provenance
    digest = provenance.image_digest if provenance and provenance.image == image else None
    return [
        {"name": CONTRACT_ENV, "value": _literal(contract.to_text())},
        # Beside the contract, not in it: older images would refuse it.
        {"name": IMAGE_ENV, "value": _literal(image)},
        *([{"name": IMAGE_DIGEST_ENV, "value": _literal(digest)}] if digest else []),
        *([{"name": PROVEN_ENV, "value": proven}] if proven else []),
        {"name": "nnUNet_raw", "value": RAW_PATH},
        {"name": "HOME", "value": SCRATCH_PATH},
        {"name": "MPLCONFIGDIR", "value": f"{SCRATCH_PATH}/matplotlib"},
        # The schema refuses these, but not where a training or a definition is older than it.
        *({"name": variable.name, "value": variable.value} for variable in variables if not is_refused(variable.name)),
    ]


def _proven(training: Training, arguments: Sequence[str]) -> str:
    """Return the hashes of the checkpoints that were verified, which the evaluation is told; "" for the others."""
    if list(arguments) != ["evaluate"]:
        return ""
    hashes = {fold.fold: fold.checkpoint_hash for fold in training.status.folds if fold.checkpoint_hash}
    return json.dumps(hashes) if hashes else ""


def _literal(text: str) -> str:
    """Keep Kubernetes from expanding $(NAME) in a value that users can influence."""
    return text.replace("$(", "$$(")


def _resources(compute: Compute) -> Manifest:
    # No CPU limit: throttling would slow the data augmentation down while cores idle.
    requests = {"cpu": compute.cpu, "memory": compute.memory}
    limits = {"memory": compute.memory}
    if compute.gpus:
        requests[compute.gpu_resource_name] = str(compute.gpus)
        limits[compute.gpu_resource_name] = str(compute.gpus)
    return {"requests": requests, "limits": limits}


def _volume_names(mounts: Sequence[Mount]) -> dict[str, str]:
    """Name the volume of each claim after the first mount that uses it.

    One volume for each claim, not for each mount: the kubelet does not start pods that list a claim twice.
    """
    names: dict[str, str] = {}
    for mount in mounts:
        names.setdefault(mount.claim, mount.role)
    return names


def _volume_mount(mount: Mount, volume: str) -> Manifest:
    body: Manifest = {"name": volume, "mountPath": mount.path, "readOnly": mount.read_only}
    if mount.sub_path:
        body["subPath"] = mount.sub_path
    return body


def _volumes(training: Training, mounts: Sequence[Mount]) -> list[Manifest]:
    claims = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}} for claim, name in _volume_names(mounts).items()
    ]
    return [
        *claims,
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": training.spec.resources.shared_memory}},
        {"name": "scratch", "emptyDir": {}},
    ]


def _placement(training: Training, options: Options) -> Manifest:
    extra = training.spec.pod_template
    secrets = list(dict.fromkeys([*(secret.name for secret in extra.image_pull_secrets), *options.image_pull_secrets]))
    fields: Manifest = {
        "nodeSelector": dict(extra.node_selector),
        "tolerations": list(extra.tolerations),
        "affinity": extra.affinity,
        "priorityClassName": extra.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in secrets],
        "runtimeClassName": extra.runtime_class_name,
        "topologySpreadConstraints": list(extra.topology_spread_constraints),
    }
    return {key: value for key, value in fields.items() if value}
