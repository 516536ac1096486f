"""The part that all trainer pods share. They meet the `restricted` Pod Security Standard."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from nnunet_api.base import GROUP
from nnunet_api.contract import (
    COMMAND,
    CONTAINER_NAME,
    CONTRACT_ENV,
    HOME_VARIABLES,
    IMAGE_DIGEST_ENV,
    IMAGE_ENV,
    METRICS_PORT,
    METRICS_PORT_NAME,
    PREPARE_CONTAINER_NAME,
    RAW_PATH,
    SCRATCH_PATH,
    TERMINATION_LOG,
    VOLUMES_PATH,
    contract_for,
)
from nnunet_api.env_var import EnvVar
from nnunet_api.environment import is_refused
from nnunet_api.local_copy import LocalCopy
from nnunet_api.pod_template import Volume
from nnunet_api.resources import Resources
from nnunet_api.training import PullPolicy
from nnunet_operator.core.training import Training, image_of
from nnunet_operator.kube.builders.local_copy import copy_mount, copy_told, copy_volume
from nnunet_operator.kube.builders.mounts import Mount, claim_volumes, volume_mounts, whole_claims
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.security import CONFINED, security_context
from nnunet_operator.kube.objects import Manifest

GPU_CLAIM = "gpu"
"""What a pod calls the claim of its GPUs."""


@dataclass(frozen=True)
class Compute:
    """CPU, memory and GPUs of one pod, as quantities."""

    cpu: str
    memory: str
    cpu_limit: str | None = None
    ephemeral_storage: str | None = None
    gpus: int = 0
    gpu_resource_name: str = ""
    gpu_claim_template_name: str | None = None
    """ResourceClaimTemplate by whose claim the GPUs come, in place of the extended resource."""
    shared_memory: str = ""
    """Limit of /dev/shm; empty for that of the training."""

    @property
    def claims_gpus(self) -> bool:
        """The pod gets its GPUs by a claim of its own."""
        return bool(self.gpus and self.gpu_claim_template_name)


def fold_compute(training: Training, configuration: str) -> Compute:
    """Return what a pod gets that computes with the network of a configuration."""
    return _compute(training.spec.resources.of(configuration))


def prediction_compute(training: Training) -> Compute:
    """Return what a pod gets that computes with the networks of any of the configurations, or of two of them."""
    return _compute(training.spec.resources.of_all(training.spec.configuration_names))


def _compute(own: Resources) -> Compute:
    return Compute(
        own.cpu,
        own.memory,
        own.cpu_limit,
        own.ephemeral_storage,
        own.gpus,
        own.gpu_resource_name,
        own.gpu_claim_template_name,
        own.shared_memory,
    )


def preprocessing_compute(training: Training) -> Compute:
    """Return what a pod gets that needs no network: never a GPU."""
    own = training.spec.resources.preprocessing
    return Compute(own.cpu, own.memory, own.cpu_limit, own.ephemeral_storage)


def pod_template(
    training: Training,
    options: JobOptions,
    *,
    labels: dict[str, str],
    annotations: Mapping[str, str] = {},
    arguments: Sequence[str],
    compute: Compute,
    mounts: Sequence[Mount],
    own_image: bool = False,
    prepares: Sequence[str] = (),
    told: Mapping[str, str] = {},
    local_copy: LocalCopy | None = None,
) -> Manifest:
    """Return the pod template of a Job of this training. `told` are variables that only this stage is given.

    With `local_copy` the trainer gets a volume for its copy of the preprocessed data.

    With `prepares`, the arguments of a command, the operator's own image first makes the folders that are mounted: it
    alone sees the claims as a whole.

    With `own_image` nothing in it is the user's to choose but where it runs: the operator's trainer image, without the
    training's environment variables, labels, annotations and service account, which could make it answer what they
    like, or have somebody's webhook put another container beside it. Where it runs are node selector, tolerations,
    affinity, spread, priority and runtime class; pull secrets stay, as a node may need them.
    """
    extra_volumes = () if own_image else training.spec.pod_template.volumes
    told = {**told, **(copy_told(local_copy, compute.ephemeral_storage) if local_copy else {})}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": options.termination_grace_period_seconds,
        "securityContext": security_context(training, options, mounts),
        **({"initContainers": [_preparing(training, options, prepares, compute, mounts)]} if prepares else {}),
        "containers": [_container(training, options, arguments, compute, mounts, own_image, told)],
        "volumes": _volumes(compute.shared_memory or training.spec.resources.shared_memory, mounts, extra_volumes),
    }
    if local_copy:
        spec["volumes"].append(copy_volume(local_copy))
        spec["containers"][0]["volumeMounts"].append(copy_mount())
    if compute.claims_gpus:
        spec["resourceClaims"] = [{"name": GPU_CLAIM, "resourceClaimTemplateName": compute.gpu_claim_template_name}]
    spec.update(_placement(training, options))
    extra = training.spec.pod_template
    if not extra.host_users:
        spec["hostUsers"] = False
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
    options: JobOptions,
    arguments: Sequence[str],
    compute: Compute,
    mounts: Sequence[Mount],
    own_image: bool,
    told: Mapping[str, str] = {},
) -> Manifest:
    policy = PullPolicy.IF_NOT_PRESENT if own_image else training.spec.trainer.image_pull_policy
    image = options.trainer_image if own_image else image_of(training, options)
    return {
        "name": CONTAINER_NAME,
        "image": image,
        "imagePullPolicy": str(policy),
        "command": [COMMAND],
        "args": list(arguments),
        "env": _env(training, compute, image, () if own_image else training.spec.trainer.env, told),
        "ports": [{"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT, "protocol": "TCP"}],
        "resources": _resources(compute),
        "volumeMounts": [
            *volume_mounts(mounts),
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "scratch", "mountPath": SCRATCH_PATH},
            *(_extra_mount(volume) for volume in (() if own_image else training.spec.pod_template.volumes)),
        ],
        "securityContext": CONFINED,
        "terminationMessagePath": TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _preparing(
    training: Training, options: JobOptions, arguments: Sequence[str], compute: Compute, mounts: Sequence[Mount]
) -> Manifest:
    """Return the container that makes the folders. It asks for as much as the trainer's: the pod as a whole no more."""
    container = _container(training, options, arguments, compute, whole_claims(mounts), own_image=True)
    del container["ports"]
    return {**container, "name": PREPARE_CONTAINER_NAME}


def _env(
    training: Training, compute: Compute, image: str, variables: Sequence[EnvVar], told: Mapping[str, str]
) -> list[Manifest]:
    processes = max(1, int(parse_quantity(compute.cpu)))  # whole cores
    contract = contract_for(
        training.spec,
        training.namespace,
        training.name,
        training.uid,
        processes,
        training.status.policy,
        training.status.left_out_configurations or (),
    )
    provenance = training.status.provenance
    digest = provenance.image_digest if provenance and provenance.image == image else None
    return [
        {"name": CONTRACT_ENV, "value": literal(contract.to_text())},
        # Beside the contract, not in it: older images would refuse it.
        {"name": IMAGE_ENV, "value": literal(image)},
        *([{"name": IMAGE_DIGEST_ENV, "value": literal(digest)}] if digest else []),
        *({"name": name, "value": value} for name, value in told.items()),
        {"name": "nnUNet_raw", "value": RAW_PATH},
        *({"name": name, "value": value} for name, value in HOME_VARIABLES.items()),
        # The schema refuses these, but not where a training or a definition is older than it.
        *(_variable(variable) for variable in variables if not is_refused(variable.name)),
    ]


def _variable(variable: EnvVar) -> Manifest:
    if variable.value_from:
        return {"name": variable.name, "valueFrom": variable.value_from.to_json_dict()}
    return {"name": variable.name, "value": variable.value}


def literal(text: str) -> str:
    """Keep Kubernetes from expanding $(NAME), and from reading $$ as $, in a value that users can influence."""
    return text.replace("$", "$$")


def _resources(compute: Compute) -> Manifest:
    # No CPU limit unless somebody asks for it: throttling slows the data augmentation down while cores idle.
    requests = {"cpu": compute.cpu, "memory": compute.memory}
    limits = {"memory": compute.memory}
    if compute.cpu_limit is not None:
        limits["cpu"] = compute.cpu_limit
    if compute.ephemeral_storage is not None:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = compute.ephemeral_storage
    if compute.claims_gpus:
        return {"requests": requests, "limits": limits, "claims": [{"name": GPU_CLAIM}]}
    if compute.gpus:
        requests[compute.gpu_resource_name] = str(compute.gpus)
        limits[compute.gpu_resource_name] = str(compute.gpus)
    return {"requests": requests, "limits": limits}


def _extra_mount(volume: Volume) -> Manifest:
    return {"name": f"extra-{volume.name}", "mountPath": f"{VOLUMES_PATH}/{volume.name}", "readOnly": True}


def _extra_volume(volume: Volume) -> Manifest:
    """Return a volume of the user's. Its name has a beginning that none of the operator's has."""
    source = {key: value for key, value in volume.to_json_dict().items() if key != "name"}
    return {"name": f"extra-{volume.name}", **source}


def _volumes(shared_memory: str, mounts: Sequence[Mount], extra: Sequence[Volume]) -> list[Manifest]:
    return [
        *claim_volumes(mounts),
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
        {"name": "scratch", "emptyDir": {}},
        *map(_extra_volume, extra),
    ]


def _placement(training: Training, options: JobOptions) -> Manifest:
    extra = training.spec.pod_template
    secrets = list(dict.fromkeys([*(secret.name for secret in extra.image_pull_secrets), *options.image_pull_secrets]))
    fields: Manifest = {
        "nodeSelector": dict(extra.node_selector),
        "tolerations": [toleration.to_json_dict() for toleration in extra.tolerations],
        "affinity": extra.affinity,
        "priorityClassName": extra.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in secrets],
        "runtimeClassName": extra.runtime_class_name,
        "topologySpreadConstraints": list(extra.topology_spread_constraints),
    }
    return {key: value for key, value in fields.items() if value}
