"""The Job that computes the verdict of a comparison: in the operator's own image, with the runs read-only.

Nothing in it is the user's to choose but where it runs, as for the verification: placement, pull secrets and priorities
are those of the baseline's first training, which the policies have let run; and so is the queue, where spec.queueName
names none.
"""

from collections.abc import Sequence

from nnunet_api.comparison.contract import COMPARISON_CONTRACT_ENV
from nnunet_api.comparison.model import KIND
from nnunet_api.contract import IMAGE_ENV, RESULTS_PATH, SCRATCH_PATH
from nnunet_api.folders import inside
from nnunet_api.kueue import PRIORITY_LABEL, QUEUE_LABEL
from nnunet_api.labels import comparison_labels
from nnunet_operator.core.comparison.model import Compare, Comparison
from nnunet_operator.core.training import Training, run_of
from nnunet_operator.kube.builders.job import job_spec, owner_reference
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.pod import Compute, literal, pod_template
from nnunet_operator.kube.objects import Manifest


def compare_job(comparison: Comparison, options: JobOptions, wanted: Compare) -> Manifest:
    """Return the Job of a comparison."""
    labels = comparison_labels(comparison.name)
    template = _template(comparison, options, wanted, labels)
    baseline = wanted.trainings[0]
    queue_name = comparison.spec.queue_name or baseline.spec.queue_name
    queue = {QUEUE_LABEL: queue_name, PRIORITY_LABEL: baseline.spec.queue_priority_class_name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": comparison.job_name,
            "namespace": comparison.namespace,
            "labels": {**labels, **{key: value for key, value in queue.items() if value}},
            "ownerReferences": [owner_reference(KIND, comparison.name, comparison.uid)],
        },
        "spec": job_spec(template, comparison.spec.retry_limit, queue_name),
    }


def _template(comparison: Comparison, options: JobOptions, wanted: Compare, labels: dict[str, str]) -> Manifest:
    resources = comparison.spec.resources
    template = pod_template(
        wanted.trainings[0],
        options,
        labels=labels,
        arguments=["compare"],
        compute=Compute(resources.cpu, resources.memory, resources.cpu_limit, resources.ephemeral_storage),
        mounts=(),
        own_image=True,
    )
    spec = template["spec"]
    for key in ("fsGroup", "fsGroupChangePolicy"):  # nothing on a claim is written
        spec["securityContext"].pop(key, None)
    (container,) = spec["containers"]
    del container["ports"]
    container["env"] = [
        {"name": COMPARISON_CONTRACT_ENV, "value": literal(wanted.contract.to_text())},
        {"name": IMAGE_ENV, "value": literal(options.trainer_image)},
        {"name": "HOME", "value": SCRATCH_PATH},
    ]
    names = _volume_names(wanted.trainings)
    container["volumeMounts"] += [_mount(training, names) for training in wanted.trainings]
    spec["volumes"] += [
        {"name": name, "persistentVolumeClaim": {"claimName": claim, "readOnly": True}} for claim, name in names.items()
    ]
    return template


def _volume_names(trainings: Sequence[Training]) -> dict[str, str]:
    """Name a volume for each claim: the kubelet does not start pods that list a claim twice."""
    claims = dict.fromkeys(training.spec.storage.results.claim_name for training in trainings)
    return {claim: f"results-{number}" for number, claim in enumerate(claims)}


def _mount(training: Training, names: dict[str, str]) -> Manifest:
    """Return the mount of a run's folder, and of nothing beside it."""
    results = training.spec.storage.results
    run = run_of(training)
    return {
        "name": names[results.claim_name],
        "mountPath": f"{RESULTS_PATH}/{run}",
        "subPath": inside(results.sub_path, run),
        "readOnly": True,
    }
