"""Whether the report of a verification's pod is believed: it is the proof, so nobody else may have written it.

The guard of Jobs and Pods at admission keeps others from writing such pods and their status. This is what the operator
sees for itself, also where that guard is off.
"""

from nnunet_api.contract import CONTAINER_NAME
from nnunet_operator.builders.model import Manifest
from nnunet_operator.reconcile.objects import (
    asked_image,
    container_named,
    controller_of,
    name_of,
    trainer_state,
    uid_of,
)


def doubt_of(job: Manifest, pod: Manifest) -> str:
    """Return why the report of an ended pod of a Job is not believed, or ""."""
    name, owner = name_of(pod), controller_of(pod)
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("uid")) != ("batch/v1", "Job", uid_of(job)):
        return f"pod {name} is not of Job {name_of(job)}"
    container = container_named(CONTAINER_NAME, (pod.get("spec") or {}).get("containers"))
    asked, runs = asked_image(job), str(container.get("image") or "")
    if not _same(asked, runs):
        return (
            f"pod {name} has image {runs or 'unknown'}, not {asked}. If a webhook takes images from another registry, "
            "give the operator's trainer image by digest (the chart's trainer.image.digest), or exempt pods with the "
            "label nnunet.dev/stage=verify from it"
        )
    # It could write into the file from which the kubelet takes the report.
    if (pod.get("spec") or {}).get("ephemeralContainers"):
        return f"an ephemeral container was attached to pod {name}"
    ended = trainer_state(pod, "terminated") or {}
    if not (ended.get("containerID") and ended.get("startedAt")):
        return f"the container of pod {name} never ran"
    return ""


def _same(asked: str, runs: str) -> bool:
    """Tell whether two references name the same image: by digest wherever it is taken from, or word for word."""
    _, _, digest = asked.partition("@")
    return bool(runs) and (asked == runs or (digest.startswith("sha256:") and runs.endswith(f"@{digest}")))
