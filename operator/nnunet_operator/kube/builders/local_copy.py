"""The volume of a fold's pod for its copy of the preprocessed data, and what the trainer is told of it."""

import json
from collections.abc import Mapping

from kubernetes.utils.quantity import parse_quantity

from nnunet_api.local_copy import (
    LOCAL_COPY_ENV,
    LOCAL_COPY_FIELD,
    LOCAL_COPY_PATH,
    LOCAL_COPY_VOLUME,
    CopyOrder,
    LocalCopy,
    Medium,
)
from nnunet_operator.kube.objects import Manifest


def copy_volume(copy: LocalCopy) -> Manifest:
    """Return the volume: a folder on the node, or a claim of the pod's own."""
    if copy.claim:
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": copy.claim.storage_class_name,
            "resources": {"requests": {"storage": copy.claim.size}},
        }
        return {"name": LOCAL_COPY_VOLUME, "ephemeral": {"volumeClaimTemplate": {"spec": spec}}}
    medium = {"medium": copy.medium} if copy.medium else {}
    return {"name": LOCAL_COPY_VOLUME, "emptyDir": {**medium, "sizeLimit": copy.size_limit}}


def copy_mount() -> Manifest:
    """Return the mount of the volume."""
    return {"name": LOCAL_COPY_VOLUME, "mountPath": LOCAL_COPY_PATH}


def copy_told(copy: LocalCopy, ephemeral_storage: str | None) -> Mapping[str, str]:
    """Return the variable by which a trainer knows of the volume. `ephemeral_storage` is the limit of its pod, if any.

    What is on the node's disk counts against that, too: the kubelet evicts a pod that has more.
    """
    limits = {}
    if copy.size_limit:
        limits[f"{LOCAL_COPY_FIELD}.sizeLimit"] = copy.size_limit
        if not copy.medium and ephemeral_storage:
            limits["spec.resources.ephemeralStorage"] = ephemeral_storage
    elif copy.claim:
        limits[f"{LOCAL_COPY_FIELD}.claim.size"] = copy.claim.size
    field, size = min(limits.items(), key=lambda each: parse_quantity(each[1]))
    medium = Medium.CLAIM if copy.claim else Medium.MEMORY if copy.medium else Medium.DISK
    order = CopyOrder(
        medium=medium,
        # A claim's volume may be larger than asked for, and has no other limit than its file system.
        size_limit=None if copy.claim else int(parse_quantity(size)),
        limited_by=field,
    )
    return {LOCAL_COPY_ENV: json.dumps(order.to_json_dict(), sort_keys=True)}
