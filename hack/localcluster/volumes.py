"""Persistent volumes: folders of the cluster's state folder, bound to claims that all pods may share."""

import os
import re
from pathlib import Path

from hack.localcluster import cleanup, host
from hack.localcluster.errors import ClusterError
from hack.localcluster.kubectl import Kubectl
from hack.localcluster.layout import Layout

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_POD_USER = 1000  # the user and group that the product's pods run as


def make_volume(layout: Layout, client: Kubectl, name: str, namespace: str, size: str, limited: bool) -> Path:
    """Make a ReadWriteMany claim that is bound to a folder, and return the folder. Repeating it is harmless.

    Args:
        layout: The cluster's folders.
        client: kubectl of the cluster.
        name: The claim's name.
        namespace: The claim's namespace, which must exist.
        size: A Kubernetes quantity, such as 10Gi.
        limited: Whether `size` is a hard limit; then the volume lives in memory.
    """
    limit = size_in_bytes(size)
    folder = layout.volumes / namespace / name
    folder.mkdir(parents=True, exist_ok=True)
    if limited and str(folder) not in cleanup.mounts_of(layout):
        host.run("mount", "-t", "tmpfs", "-o", f"size={limit}", "nnunet-volume", str(folder))
    if os.geteuid() == 0:
        os.chown(folder, _POD_USER, _POD_USER)
    volume = f"{namespace}-{name}"
    if client.run("get", "pv", volume, "--ignore-not-found", "--output=jsonpath={.status.phase}") == "Released":
        client.run("delete", "pv", volume)  # its namespace was deleted: a released volume never binds again
    client.apply(*_objects(volume, name, namespace, size, folder))
    client.run("wait", f"pvc/{name}", f"--namespace={namespace}", "--for=jsonpath={.status.phase}=Bound")
    return folder


def _objects(volume: str, claim: str, namespace: str, size: str, folder: Path) -> tuple[dict[str, object], ...]:
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    return (
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                **common,
                "capacity": {"storage": size},
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
                "hostPath": {"path": str(folder), "type": "Directory"},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {**common, "volumeName": volume, "resources": {"requests": {"storage": size}}},
        },
    )


def size_in_bytes(size: str) -> int:
    """Return a Kubernetes quantity such as 10Gi in bytes. Raises ClusterError when it is none."""
    found = re.fullmatch(r"(\d+)([A-Za-z]*)", size)
    if not found or found[2] not in _UNITS:
        raise ClusterError(f"volume size {size!r}: use a whole number with a unit, for example 10Gi or 96Mi")
    return int(found[1]) * _UNITS[found[2]]
