"""Which image the helper pod gets: the one that the operator was installed with. Pure.

It mounts data of many, for somebody who may read or write them all. So its image is one that only those could choose
who installed the operator: the definition of trainings says it, which belongs to the whole cluster. A training, a Job
or a Deployment with the right labels could be anybody's.
"""

from nnunet_cli.kube.cluster import Object
from nnunet_cli.volumes.helper import Image

IMAGE = "nnunet.dev/trainer-image"
PULL_SECRETS = "nnunet.dev/trainer-image-pull-secrets"
"""Annotations, which the chart writes: the image, and the names of Secrets to pull it with, joined by commas."""


def image_of_definition(definition: Object) -> Image | None:
    """Return the image that the definition of trainings names; None where it names none."""
    annotations = definition["metadata"].get("annotations") or {}
    reference = annotations.get(IMAGE)
    secrets = tuple(name for name in annotations.get(PULL_SECRETS, "").split(",") if name)
    return Image(reference, secrets) if reference else None
