"""The demo's claims with its dataset: folders of this machine on the local cluster, volumes of its own on another."""

import io
import tarfile
import tempfile
from pathlib import Path

from hack.demo.dataset import write_dataset
from hack.localcluster import Cluster, CurrentCluster
from hack.localcluster.kubectl import Kubectl
from nnunet_api.contract import RAW_PATH

RAW, PREPROCESSED, RESULTS = "nnunet-raw", "nnunet-preprocessed", "nnunet-results"
CLAIMS = (RAW, PREPROCESSED, RESULTS)
COPIER = "dataset-copier"


def provide(cluster: Cluster, namespace: str, image: str) -> str:
    """Make the three claims, put the dataset into the first, and return in words where the results will be.

    `image` is one with tar in it that the cluster can pull. Raises ClusterError.
    """
    if isinstance(cluster, CurrentCluster):
        _provide_on_current(cluster.client(), namespace, image)
        return f"in claim {RESULTS}"
    folders = {claim: cluster.make_volume(claim, namespace=namespace) for claim in CLAIMS}
    write_dataset(folders[RAW])
    return f"in claim {RESULTS}, on this machine under {folders[RESULTS]}"


def _provide_on_current(kubectl: Kubectl, namespace: str, image: str) -> None:
    for claim in CLAIMS:
        # A claim that is there already is taken: on a cluster with several nodes it has to be ReadWriteMany.
        if not kubectl.succeeds("get", "pvc", claim, f"--namespace={namespace}"):
            spec: dict[str, object] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
            metadata = {"name": claim, "namespace": namespace}
            kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    where = f"--namespace={namespace}"
    kubectl.apply(_copier(namespace, image))
    try:
        kubectl.run("wait", f"pod/{COPIER}", where, "--for=condition=Ready", "--timeout=300s", seconds=310)
        unpack = ("exec", "--stdin", COPIER, where, "--", "tar", "--extract", f"--directory={RAW_PATH}", "--file=-")
        kubectl.run(*unpack, stdin=_dataset(), seconds=120)
    finally:
        kubectl.run("delete", "pod", COPIER, where, "--grace-period=1", "--ignore-not-found")


def _dataset() -> bytes:
    """Return the dataset as an archive."""
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=buffer, mode="w") as archive:
        dataset = write_dataset(Path(folder))
        archive.add(dataset, dataset.name)
    return buffer.getvalue()


def _copier(namespace: str, image: str) -> dict[str, object]:
    """Return a pod that waits with the raw claim mounted; it meets the restricted Pod Security Standard."""
    security: dict[str, object] = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
    security["seccompProfile"] = {"type": "RuntimeDefault"}
    container = {
        "name": "copier",
        "image": image,
        "command": ["sleep", "600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "raw", "mountPath": RAW_PATH}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": COPIER, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": security,
            "containers": [container],
            "volumes": [{"name": "raw", "persistentVolumeClaim": {"claimName": RAW}}],
        },
    }
