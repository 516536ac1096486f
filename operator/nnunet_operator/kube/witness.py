"""Whether the report of a verification's pod is believed: it is the proof, so nobody else may have written it.

The guard of Jobs and Pods at admission keeps others from writing such pods and their status. This is what the operator
sees for itself, also where that guard is off.
"""

from nnunet_operator.kube.views import JobView, PodView


def doubt_of(job: JobView, pod: PodView) -> str:
    """Return why the report of an ended pod of a Job is not believed, or ""."""
    if (pod.owner.api_version, pod.owner.kind, pod.owner.uid) != ("batch/v1", "Job", job.uid):
        return f"pod {pod.name} is not of Job {job.name}"
    if not _same(job.image, pod.image):
        return (
            f"pod {pod.name} has image {pod.image or 'unknown'}, not {job.image}. If a webhook takes images from "
            "another registry, give the operator's trainer image by digest (the chart's trainer.image.digest), or "
            "exempt pods with the label nnunet.dev/stage=verify (or compare) from it"
        )
    if pod.slipped_in:
        return (
            f"the container of pod {pod.name} has {', '.join(pod.slipped_in)[:200]}, which the operator has not given "
            "to it and by which it can run other code than its image's. If a webhook puts that into all pods, exempt "
            "pods with the label nnunet.dev/stage=verify (or compare) from it"
        )
    # It could write into the file from which the kubelet takes the report.
    if pod.debugged:
        return f"an ephemeral container was attached to pod {pod.name}"
    if not (pod.termination and pod.termination.ran):
        return f"the container of pod {pod.name} never ran"
    return ""


def _same(asked: str, runs: str) -> bool:
    """Tell whether two references name the same image: by digest wherever it is taken from, or word for word."""
    _, _, digest = asked.partition("@")
    return bool(runs) and (asked == runs or (digest.startswith("sha256:") and runs.endswith(f"@{digest}")))
