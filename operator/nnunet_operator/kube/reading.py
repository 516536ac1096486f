"""Reads views out of Jobs and Pods. The only module that knows where Kubernetes keeps what."""

from collections.abc import Iterator
from sys import intern
from typing import Any

from nnunet_api.contract import CONTAINER_NAME, PREPARE_CONTAINER_NAME
from nnunet_api.kueue import PRIORITY_LABEL, QUEUE_LABEL
from nnunet_api.labels import (
    ASKED_FOR,
    FOLD_LABEL,
    OPERATORS_SETTINGS,
    PREPROCESSED_LABEL,
    STAGE_LABEL,
    TRAINING_LABEL,
)
from nnunet_api.slipped_in import Given, beside, given, of_itself
from nnunet_operator.kube.objects import (
    Manifest,
    container_named,
    controller_of,
    foreign_finalizers,
    parse_time,
    pod_spec_of,
    true_condition,
)
from nnunet_operator.kube.told import image_told, told_min_epochs, weights_told
from nnunet_operator.kube.views import NOBODY, ContainerView, JobView, Owner, PodView, Said, Termination

_CLAIM_AWAITED = "waiting for ephemeral volume controller to create"
"""In the scheduler's words on a pod whose own claim is not made."""
_REJECTED = "Pod was rejected"
"""How the kubelet's message begins, of a pod that it does not take."""
JOB_CONTROLLER = "kubernetes.io/job-controller"
"""Value of a Job's spec.managedBy where Kubernetes' own controller makes its pods."""


def job_view(body: Manifest) -> JobView:
    """Return what is kept of a Job."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    failed = true_condition(body, "Failed", "FailureTarget")
    return JobView(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        version=str(metadata.get("resourceVersion", "")),
        owner=_owner(body),
        training=_word(labels.get(TRAINING_LABEL)),
        maker=_word(labels.get(PREPROCESSED_LABEL)),
        created=parse_time(metadata.get("creationTimestamp")),
        deleting=bool(metadata.get("deletionTimestamp")),
        held_by=foreign_finalizers(body),
        suspended=bool(spec.get("suspend")),
        was_suspended=any(one.get("type") == "Suspended" for one in status.get("conditions") or []),
        queue=_word(labels.get(QUEUE_LABEL)),
        priority=_priority(labels, spec),
        taken_up=bool(status.get("startTime")),
        managed_by="" if spec.get("managedBy") == JOB_CONTROLLER else _word(spec.get("managedBy")),
        complete=true_condition(body, "Complete", "SuccessCriteriaMet") is not None,
        failure=None if failed is None else str(failed.get("message") or ""),
        backoff_limit=spec.get("backoffLimit"),
        out_of_time=failed is not None and failed.get("reason") == "DeadlineExceeded",
        scaled_down=spec.get("parallelism") == 0,
        several_pods=max(spec.get("parallelism") or 1, spec.get("completions") or 1) > 1,
        counts_all=not spec.get("podFailurePolicy"),
        failed=int(status.get("failed") or 0),
        has_pod=bool(status.get("active")),
        finished=parse_time(status.get("completionTime")),
        image=image_told(spec, CONTAINER_NAME),
        prepares_with=image_told(spec, PREPARE_CONTAINER_NAME),
        asked_for=_word(annotations.get(ASKED_FOR)),
        given=_given(container_named(CONTAINER_NAME, pod_spec_of(spec).get("containers"))),
        preparation_given=_given(container_named(PREPARE_CONTAINER_NAME, pod_spec_of(spec).get("initContainers"))),
        operators_settings=_word(annotations.get(OPERATORS_SETTINGS)),
        told_min_epochs=told_min_epochs(spec),
        weights=weights_told(spec),
    )


def pod_view(body: Manifest) -> PodView:
    """Return what is kept of a Pod."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = metadata.get("labels") or {}
    trainer = container_named(CONTAINER_NAME, spec.get("containers"))
    preparation = container_named(PREPARE_CONTAINER_NAME, spec.get("initContainers"))
    scheduling = [one for one in status.get("conditions") or [] if one.get("type") == "PodScheduled"]
    unscheduled = next((one for one in scheduling if one.get("status") == "False"), None)
    return PodView(
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        owner=_owner(body),
        stage=_word(labels.get(STAGE_LABEL)),
        fold=_word(labels.get(FOLD_LABEL)),
        created=parse_time(metadata.get("creationTimestamp")),
        deleting=bool(metadata.get("deletionTimestamp")),
        held_by=foreign_finalizers(body),
        node=_word(spec.get("nodeName")),
        image=_word(trainer.get("image")),
        memory=_word(((trainer.get("resources") or {}).get("limits") or {}).get("memory")),
        slipped_in=_slipped_in(spec, trainer, preparation),
        given=_given(trainer),
        prepares_with=_word(preparation.get("image")),
        preparation_given=_given(preparation),
        debugged=bool(spec.get("ephemeralContainers")),
        phase=_word(status.get("phase")),
        reason=_word(status.get("reason")),
        message=str(status.get("message") or ""),
        ip=str(status.get("podIP") or ""),
        started=parse_time(status.get("startTime")),
        gates=tuple(_word(one.get("name")) for one in spec.get("schedulingGates") or []),
        scheduled=bool(scheduling),
        placed=next((parse_time(one.get("lastTransitionTime")) for one in scheduling if one is not unscheduled), None),
        unscheduled=_said(unscheduled),
        lacks_claim=unscheduled is not None and _CLAIM_AWAITED in str(unscheduled.get("message")),
        unclaimed=_unclaimed(spec, status),
        rejected=str(status.get("message") or "").startswith(_REJECTED),
        disrupted=true_condition(body, "DisruptionTarget") is not None,
        preparing=tuple(_containers(status.get("initContainerStatuses"))),
        sidecars=tuple(
            _word(one["name"]) for one in spec.get("initContainers") or [] if one.get("restartPolicy") == "Always"
        ),
        containers=tuple(_containers(status.get("containerStatuses"))),
    )


def _word(value: Any) -> str:
    """Return a text that many objects have in common, once for all of them."""
    return intern(str(value or ""))


def _owner(body: Manifest) -> Owner:
    found = controller_of(body)
    kind, name, uid = _word(found.get("kind")), str(found.get("name") or ""), str(found.get("uid") or "")
    return Owner(_word(found.get("apiVersion")), kind, name, uid) if found else NOBODY


def _slipped_in(spec: Manifest, *ours: Manifest) -> tuple[str, ...]:
    found = [what for container in ours for what in of_itself(container)]
    found += beside(spec, (CONTAINER_NAME, PREPARE_CONTAINER_NAME))
    return tuple(dict.fromkeys(map(intern, found)))


def _given(container: Manifest) -> Given:
    return tuple((intern(what), intern(value)) for what, value in given(container)) if container else ()


def _unclaimed(spec: Manifest, status: Manifest) -> str:
    made = {one.get("name") for one in status.get("resourceClaimStatuses") or []}
    asked = [one for one in spec.get("resourceClaims") or [] if one.get("name") not in made]
    return next((_word(one.get("resourceClaimTemplateName")) for one in asked), "")


def _said(body: Manifest | None) -> Said | None:
    return None if body is None else Said(_word(body.get("reason")), str(body.get("message") or ""))


def _containers(statuses: list[Manifest] | None) -> Iterator[ContainerView]:
    for status in statuses or ():
        state: Manifest = status.get("state") or {}
        yield ContainerView(
            name=_word(status.get("name")),
            image=_word(status.get("image")),
            image_id=_word(status.get("imageID")),
            running=state.get("running") is not None,
            waiting=_said(state.get("waiting")),
            ended=_termination(state.get("terminated")),
        )


def _termination(body: Manifest | None) -> Termination | None:
    if body is None:
        return None
    code = body.get("exitCode")
    return Termination(
        exit_code=None if code is None else int(code),
        reason=_word(body.get("reason")),
        message=str(body.get("message") or ""),
        ran=bool(body.get("containerID") and body.get("startedAt")),
        finished=parse_time(body.get("finishedAt")),
    )


def _priority(labels: Manifest, spec: Manifest) -> str:
    # Kueue looks at the pods' own class only where the Job has none of Kueue's.
    if own := labels.get(PRIORITY_LABEL):
        return _word(f"WorkloadPriorityClass {own}")
    name = pod_spec_of(spec).get("priorityClassName")
    return _word(f"PriorityClass {name}" if name else "")
