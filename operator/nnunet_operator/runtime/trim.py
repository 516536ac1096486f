"""What of an object is worth keeping: the parts that `reconcile` reads."""

import json
from collections.abc import Iterable
from typing import Any

from nnunet_api.base import GROUP
from nnunet_api.bounds import MAX_READ, written_size
from nnunet_api.contract import CONTAINER_NAME, CONTRACT_ENV, IMAGE_ENV
from nnunet_api.policy.model import NAMESPACE_NAME_LABEL
from nnunet_operator.builders.model import Manifest
from nnunet_operator.reconcile.objects import SPEC_SIZE, told, told_min_epochs

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "ownerReferences",
)
_POD_STATUS = ("phase", "reason", "message", "podIP", "startTime")
_CONTAINER_STATUS = ("name", "image", "imageID", "state", "restartCount")
_JOB_STATUS = ("conditions", "active", "ready", "succeeded", "failed", "terminating", "startTime", "completionTime")


def trim_resource(body: Manifest) -> Manifest:
    """Return what is needed of a policy."""
    return {"metadata": _metadata(body), "spec": body.get("spec") or {}, "status": body.get("status") or {}}


def trim_training(body: Manifest) -> Manifest:
    """Return what is needed of a training; of a spec that is too large its size alone."""
    size = written_size(body.get("spec") or {})
    if size <= MAX_READ:
        return trim_resource(body)
    return {**trim_resource({**body, "spec": {}}), SPEC_SIZE: size}


def trim_job(body: Manifest) -> Manifest:
    """Return what is needed of a Job."""
    spec = body.get("spec") or {}
    variables = {IMAGE_ENV: told(body, IMAGE_ENV)}
    if min_epochs := told_min_epochs(body):
        # Of the run contract, which is long, only what is held against the policies.
        variables[CONTRACT_ENV] = json.dumps({"policy": {"minEpochs": min_epochs}})
    trainer = {"name": CONTAINER_NAME, "env": [{"name": name, "value": value} for name, value in variables.items()]}
    return {
        "metadata": _metadata(body),
        "spec": {"suspend": bool(spec.get("suspend")), "template": {"spec": {"containers": [trainer]}}},
        "status": _pick(body.get("status") or {}, _JOB_STATUS),
    }


def trim_pod(body: Manifest) -> Manifest:
    """Return what is needed of a Pod."""
    status = body.get("status") or {}
    kept = _pick(status, _POD_STATUS)
    kept["conditions"] = [
        _pick(condition, ("type", "status", "reason", "message")) for condition in status.get("conditions") or []
    ]
    for field in ("initContainerStatuses", "containerStatuses"):
        if status.get(field):
            kept[field] = [_pick(container, _CONTAINER_STATUS) for container in status[field]]
    return {"metadata": _metadata(body), "spec": _pod_spec(body.get("spec") or {}), "status": kept}


def _pod_spec(spec: Manifest) -> Manifest:
    """Return where a pod runs, and by what its report is believed (reconcile/witness.py)."""
    images = [_pick(container, ("name", "image")) for container in spec.get("containers") or []]
    strangers = [_pick(container, ("name",)) for container in spec.get("ephemeralContainers") or []]
    return {
        **_pick(spec, ("nodeName",)),
        **({"containers": images} if images else {}),
        **({"ephemeralContainers": strangers} if strangers else {}),
    }


def trim_namespace(body: Manifest) -> Manifest:
    """Return what is needed of a namespace: the labels by which policies may select."""
    kept = _metadata(body)
    labels = body["metadata"].get("labels") or {}
    kept["labels"] = {**kept.get("labels", {}), **_pick(labels, (NAMESPACE_NAME_LABEL,))}
    return {"metadata": kept}


def _metadata(body: Manifest) -> Manifest:
    metadata = body["metadata"]
    kept = _pick(metadata, _METADATA)
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key.startswith(f"{GROUP}/")}
    if labels:
        kept["labels"] = labels
    return kept


def _pick(body: Manifest, fields: Iterable[str]) -> dict[str, Any]:
    return {field: body[field] for field in fields if body.get(field) is not None}
