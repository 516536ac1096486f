"""Which image the helper pod gets where none is given: one that the trainings of the namespace use. Pure."""

from collections.abc import Sequence

from nnunet_api.contract import CONTAINER_NAME
from nnunet_cli.kube.cluster import Object
from nnunet_cli.volumes.helper import Image

OPERATOR_LABELS = "app.kubernetes.io/name=nnunet-operator"
_ENV_IMAGE = "NNUNET_OPERATOR_TRAINER_IMAGE"
_ENV_SECRETS = "NNUNET_OPERATOR_TRAINER_IMAGE_PULL_SECRETS"


def image_of_jobs(jobs: Sequence[Object]) -> Image | None:
    """Return the image of the newest Job; None where there is none."""
    for job in sorted(jobs, key=lambda job: str(job["metadata"].get("creationTimestamp")), reverse=True):
        spec = job["spec"]["template"]["spec"]
        for container in spec["containers"]:
            if container["name"] == CONTAINER_NAME:
                secrets = spec.get("imagePullSecrets") or []
                return Image(container["image"], tuple(secret["name"] for secret in secrets))
    return None


def image_of_training(training: Object) -> Image | None:
    """Return the image that a training asks for or was run with; None where it tells of none."""
    spec = training.get("spec") or {}
    provenance = (training.get("status") or {}).get("provenance") or {}
    reference = (spec.get("trainer") or {}).get("image") or provenance.get("image")
    secrets = (spec.get("podTemplate") or {}).get("imagePullSecrets") or []
    return Image(reference, tuple(secret["name"] for secret in secrets)) if reference else None


def image_of_operator(deployments: Sequence[Object]) -> Image | None:
    """Return the trainer image in the settings of an operator; None where none tells."""
    for deployment in deployments:
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            values = {item["name"]: item.get("value") or "" for item in container.get("env") or []}
            if values.get(_ENV_IMAGE):
                secrets = [name for name in values.get(_ENV_SECRETS, "").split(",") if name]
                return Image(values[_ENV_IMAGE], tuple(secrets))
    return None
