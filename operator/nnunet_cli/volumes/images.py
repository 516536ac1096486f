"""Which image the helper pod gets: the one that the operator was installed with. Pure.

It mounts data of many, for somebody who may read or write them all. So its image is one that only those could choose
who installed the operator: the definition of trainings says it, which belongs to the whole cluster. A training, a Job
or a Deployment with the right labels could be anybody's.
"""

from nnunet_api.pod_template import DEFAULT_SECURITY, SecurityContext
from nnunet_cli.kube.cluster import Object
from nnunet_cli.volumes.helper import Image

IMAGE = "nnunet.dev/trainer-image"
PULL_SECRETS = "nnunet.dev/trainer-image-pull-secrets"
SECURITY = "nnunet.dev/trainer-security-context"
"""Annotations, which the chart writes: the image, the names of Secrets to pull it with, joined by commas, and as whom
the trainer's pods run, as JSON."""


def image_of_definition(definition: Object) -> Image | None:
    """Return the image that the definition of trainings names; None where it names none."""
    annotations = definition["metadata"].get("annotations") or {}
    reference = annotations.get(IMAGE)
    secrets = tuple(name for name in annotations.get(PULL_SECRETS, "").split(",") if name)
    return Image(reference, secrets, security_of_definition(definition)) if reference else None


def security_of_definition(definition: Object) -> SecurityContext:
    """Return as whom the operator lets pods run."""
    text = (definition["metadata"].get("annotations") or {}).get(SECURITY)
    try:
        return SecurityContext.model_validate_json(text) if text else DEFAULT_SECURITY
    except ValueError:  # of another version
        return DEFAULT_SECURITY
