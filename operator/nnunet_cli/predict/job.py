"""The Job that predicts. It belongs to whoever asks for it: no label of the operator's, no owner. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from nnunet_api.contract import (
    COMMAND,
    CONTAINER_NAME,
    CONTRACT_ENV,
    RAW_PATH,
    RESULTS_PATH,
    SCRATCH_PATH,
    TERMINATION_LOG,
)
from nnunet_api.exit_codes import TERMINAL_EXIT_CODES, ExitCode
from nnunet_api.kueue import PRIORITY_LABEL, QUEUE_LABEL
from nnunet_api.labels import MAX_LABEL, short_name
from nnunet_api.prediction import IMAGES_PATH, PREDICTION_ENV, SEGMENTATIONS_PATH
from nnunet_api.training import Device
from nnunet_cli.kube.cluster import Object
from nnunet_cli.predict.request import Compute, Request
from nnunet_cli.volumes.helper import Image

ASKED_FOR = "predict.nnunet.dev/asked-for"
"""Annotation: the hash of all that decides what comes out."""
LABELS = {"app.kubernetes.io/name": "nnunetctl", "app.kubernetes.io/component": "prediction"}
UNKNOWN_COMMAND = 2
"""Exit code of an image whose trainer has no such command."""
TTL_SECONDS = 30 * 86400
"""A Job that nobody comes back for goes by itself."""
_GPU_CLAIM = "gpu"


@dataclass(frozen=True)
class Mount:
    """A folder of a claim in the pod."""

    claim: str
    folder: str
    path: str
    read_only: bool = True


@dataclass(frozen=True)
class Folders:
    """Where on claims a prediction reads and writes."""

    run: Mount
    images: Mount
    segmentations: Mount

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """All of them."""
        return self.run, self.images, self.segmentations


def folders_of(
    request: Request, run: tuple[str, str], images: tuple[str, str], segmentations: tuple[str, str]
) -> Folders:
    """Return the mounts of a prediction; each place is a claim and a folder on it."""
    return Folders(
        Mount(*run, f"{RESULTS_PATH}/{request.contract.run_folder}"),
        Mount(*images, IMAGES_PATH),
        Mount(*segmentations, SEGMENTATIONS_PATH, read_only=False),
    )


def job_name(training: str, key: str) -> str:
    """Return the name of the Job, by which the same command finds it again."""
    end = f"-predict-{key}"
    return short_name(training.replace(".", "-"), MAX_LABEL - len(end)) + end


def prediction_job(request: Request, image: Image, folders: Folders, compute: Compute) -> Object:
    """Return the Job. Its pod meets the `restricted` Pod Security Standard and has no token.

    Of the training's podTemplate it has what says where pods run. Variables, volumes, labels, annotations and the
    service account could lead a trusted image to code of somebody's: they are left out, as for the verification.
    """
    contract, spec = request.contract, request.spec
    labels = {**LABELS, "app.kubernetes.io/instance": short_name(contract.name)}
    queue = {QUEUE_LABEL: spec.queue_name} if spec.queue_name else {}
    if spec.queue_priority_class_name:
        queue[PRIORITY_LABEL] = spec.queue_priority_class_name
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(contract.name, request.prediction.key),
            "namespace": contract.namespace,
            "labels": {**labels, **queue},
            "annotations": {ASKED_FOR: request.prediction.asked_for},
        },
        "spec": {
            # Created running, a Job that Kueue does not see would run outside all quota.
            **({"suspend": True} if spec.queue_name else {}),
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": spec.retry_limit,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            # Two attempts must never write the same folder.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {"rules": _failure_rules()},
            "template": {"metadata": {"labels": labels}, "spec": _pod(request, image, folders, compute)},
        },
    }


def _failure_rules() -> list[Object]:
    def on_exit(action: str, *codes: int) -> Object:
        values = sorted(codes)
        return {
            "action": action,
            "onExitCodes": {"containerName": CONTAINER_NAME, "operator": "In", "values": values},
        }

    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        on_exit("Ignore", ExitCode.PREEMPTED),
        on_exit("FailJob", UNKNOWN_COMMAND, *TERMINAL_EXIT_CODES),
    ]


def _pod(request: Request, image: Image, folders: Folders, compute: Compute) -> Object:
    extra, own = request.spec.pod_template, request.resources
    gpus = _gpus(request)
    spec: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **image.security.to_pod(),
        },
        "containers": [_container(request, image, folders, compute)],
        "volumes": [
            *_claims(folders.mounts),
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": own.shared_memory}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    if not extra.host_users:
        spec["hostUsers"] = False
    if gpus and own.gpu_claim_template_name:
        spec["resourceClaims"] = [{"name": _GPU_CLAIM, "resourceClaimTemplateName": own.gpu_claim_template_name}]
    secrets = list(dict.fromkeys([*image.pull_secrets, *(secret.name for secret in extra.image_pull_secrets)]))
    placed: Object = {
        "nodeSelector": dict(extra.node_selector),
        "tolerations": [one.to_json_dict() for one in extra.tolerations],
        "affinity": extra.affinity,
        "priorityClassName": extra.priority_class_name,
        "imagePullSecrets": [{"name": name} for name in secrets],
        "runtimeClassName": None if compute.cpu_only else extra.runtime_class_name,
    }
    return spec | {key: value for key, value in placed.items() if value}


def _container(request: Request, image: Image, folders: Folders, compute: Compute) -> Object:
    names = _volume_names(folders.mounts)
    return {
        "name": CONTAINER_NAME,
        "image": image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [COMMAND],
        "args": ["predict"],
        "env": [
            {"name": CONTRACT_ENV, "value": _literal(request.contract.to_text())},
            {"name": PREDICTION_ENV, "value": _literal(request.prediction.to_text())},
            {"name": "nnUNet_raw", "value": RAW_PATH},
            {"name": "HOME", "value": SCRATCH_PATH},
            {"name": "MPLCONFIGDIR", "value": f"{SCRATCH_PATH}/matplotlib"},
        ],
        "resources": _resources(request, compute),
        "volumeMounts": [
            *(
                {
                    "name": names[mount.claim],
                    "mountPath": mount.path,
                    "subPath": mount.folder,
                    "readOnly": mount.read_only,
                }
                for mount in folders.mounts
            ),
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


def _gpus(request: Request) -> int:
    """Return 1 where the networks compute on a GPU: nnU-Net predicts with one."""
    return min(1, request.resources.gpus) if request.contract.device is Device.CUDA else 0


def _resources(request: Request, compute: Compute) -> Object:
    own = request.resources
    memory = compute.memory or own.memory
    requests, limits = {"cpu": compute.cpu or own.cpu, "memory": memory}, {"memory": memory}
    if own.cpu_limit is not None:
        limits["cpu"] = compute.cpu or own.cpu_limit
    if own.ephemeral_storage is not None:
        requests["ephemeral-storage"] = limits["ephemeral-storage"] = own.ephemeral_storage
    if gpus := _gpus(request):
        if own.gpu_claim_template_name:
            return {"requests": requests, "limits": limits, "claims": [{"name": _GPU_CLAIM}]}
        requests[own.gpu_resource_name] = limits[own.gpu_resource_name] = str(gpus)
    return {"requests": requests, "limits": limits}


def _volume_names(mounts: Sequence[Mount]) -> dict[str, str]:
    """Name the volume of each claim: the kubelet does not start pods that list a claim twice."""
    claims = list(dict.fromkeys(mount.claim for mount in mounts))
    return {claim: f"claim-{number}" for number, claim in enumerate(claims)}


def _claims(mounts: Sequence[Mount]) -> list[Object]:
    """Return the volumes. A claim that is only read is read-only as a whole: its owner does not change."""
    read_only = {claim: all(one.read_only for one in mounts if one.claim == claim) for claim in _volume_names(mounts)}
    return [
        {
            "name": name,
            "persistentVolumeClaim": {"claimName": claim, **({"readOnly": True} if read_only[claim] else {})},
        }
        for claim, name in _volume_names(mounts).items()
    ]


def _literal(text: str) -> str:
    """Keep Kubernetes from expanding $(NAME), and from reading $$ as $."""
    return text.replace("$", "$$")
