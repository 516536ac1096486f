"""The Job around a trainer pod: ownership, retries, and which exits count as a failure."""

from nnunet_api.base import API_VERSION
from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.exit_codes import TERMINAL_EXIT_CODES, ExitCode
from nnunet_api.fold_key import FoldKey
from nnunet_api.kueue import PRIORITY_LABEL, QUEUE_LABEL
from nnunet_api.labels import ASKED_FOR, OPERATORS_SETTINGS, child_labels, job_name
from nnunet_api.pod_template import RESERVED_ANNOTATIONS
from nnunet_api.stages import STAGES
from nnunet_api.training import KIND
from nnunet_operator.core.outdated import asked_for, operators_settings
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.objects import Manifest

LASTS_SECONDS = 10 * 365 * 24 * 3600
"""Time for which a Job that has ended stays: for good, as Jobs go with their training. That the field is set keeps the
usual rules of clusters, which give a time to live to each Job that has none, from taking away what a Job came to."""


def job(
    training: Training,
    options: JobOptions,
    stage: str,
    template: Manifest,
    key: FoldKey | None = None,
    priority: str = "",
) -> Manifest:
    """Return the Job of a stage, or of one fold, around its pod template.

    `priority` is Kueue's WorkloadPriorityClass of this stage in place of the training's.
    """
    spec = training.spec
    name, labels = job_name(training.name, stage, key), child_labels(training.name, stage, key)
    # As its pods: the verification's Job gets none, by which a webhook could be had to change what it says.
    given = {} if STAGES[stage].proves else spec.pod_template.job_annotations
    annotations = {key: value for key, value in given.items() if not key.startswith(RESERVED_ANNOTATIONS)}
    if spec.queue_name:
        labels[QUEUE_LABEL] = spec.queue_name
    if priority or spec.queue_priority_class_name:  # also without a queue: the cluster may give one to each Job
        labels[PRIORITY_LABEL] = priority or spec.queue_priority_class_name or ""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": training.namespace,
            "labels": labels,
            "annotations": {
                **annotations,
                ASKED_FOR: asked_for(training.spec, stage, key),
                OPERATORS_SETTINGS: operators_settings(options),
            },
            "ownerReferences": [owner_reference(KIND, training.name, training.uid)],
        },
        "spec": job_spec(template, max(0, spec.retry_limit - training.status.failed_attempts(name)), spec.queue_name),
    }


def job_spec(template: Manifest, backoff_limit: int, queue: str | None) -> Manifest:
    """Return the spec of a Job of one pod at a time around its template; `queue` is Kueue's, if any."""
    return {
        # Kueue resumes what it admits. Created running, a Job that Kueue does not see would run outside all quota.
        **({"suspend": True} if queue else {}),
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": backoff_limit,
        "ttlSecondsAfterFinished": LASTS_SECONDS,
        # Two attempts must never write the same run: a new pod waits until the old one has ended.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": failure_rules(template)},
        "template": template,
    }


def owner_reference(kind: str, name: str, uid: str) -> Manifest:
    """Return the reference by which Kubernetes deletes a child with its owner, an object of ours."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def failure_rules(template: Manifest) -> list[Manifest]:
    """Rules in order, the first that matches wins; what none matches counts against backoffLimit."""
    terminal = [int(code) for code in TERMINAL_EXIT_CODES]
    containers = [CONTAINER_NAME, *(PREPARE_CONTAINER_NAME for _ in template["spec"].get("initContainers", ()))]

    def on_exit(action: str, *codes: int) -> list[Manifest]:
        return [
            {"action": action, "onExitCodes": {"containerName": name, "operator": "In", "values": sorted(codes)}}
            for name in containers
        ]

    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        *on_exit("Ignore", int(ExitCode.PREEMPTED)),
        *on_exit("FailJob", *terminal),
    ]
