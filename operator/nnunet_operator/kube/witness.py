"""What pods have that the operator has not given to them, and whether the report of one that proves is believed.

A verification's report is the proof, so nobody else may have written it. What others do to the pods of the other stages
is recorded, and policies judge it. The guard of Jobs and Pods at admission keeps others from writing such pods and
their status. This is what the operator sees for itself, also where that guard is off.
"""

from nnunet_api.slipped_in import other_image, others, same_image, shown
from nnunet_operator.core.rounding import harmless
from nnunet_operator.kube.views import JobView, PodView


def doubt_of(job: JobView, pod: PodView) -> str:
    """Return why the report of an ended pod of a Job is not believed, or ""."""
    if (pod.owner.api_version, pod.owner.kind, pod.owner.uid) != ("batch/v1", "Job", job.uid):
        return f"pod {pod.name} is not of Job {job.name}"
    if not same_image(job.image, pod.image):
        return (
            f"pod {pod.name} has image {pod.image or 'unknown'}, not {job.image}. If a webhook takes images from "
            "another registry, give the operator's trainer image by digest (the chart's trainer.image.digest), or "
            "exempt pods with the label nnunet.dev/stage=verify (or compare) from it"
        )
    if found := _put_in(job, pod):
        return (
            f"the container of pod {pod.name} has {shown(found)}, which the operator has not given "
            "to it and by which it can run other code than its image's. If a webhook puts that into all pods, exempt "
            "pods with the label nnunet.dev/stage=verify (or compare) from it"
        )
    # It could write into the file from which the kubelet takes the report.
    if pod.debugged:
        return f"an ephemeral container was attached to pod {pod.name}"
    if not (pod.termination and pod.termination.ran):
        return f"the container of pod {pod.name} never ran"
    return ""


def not_given(job: JobView, pod: PodView) -> tuple[str, ...]:
    """Return what other code a pod of a Job has run, as far as it can be seen; nothing of one that has not begun."""
    if not pod.has_run:
        return ()
    images = ((job.image, pod.image), (job.prepares_with, pod.prepares_with))
    # Nothing is asked of by a Job that was made before the operator noted down the image, or whose note is gone.
    strange = [what for asked, runs in images if asked and runs for what in other_image(asked, runs)]
    return tuple(dict.fromkeys((*map(harmless, strange), *_put_in(job, pod))))


def _put_in(job: JobView, pod: PodView) -> tuple[str, ...]:
    given = (*others(job.given, pod.given), *others(job.preparation_given, pod.preparation_given))
    return tuple(dict.fromkeys(map(harmless, (*pod.slipped_in, *given))))
