"""What is kept of the objects that are kept as JSON: trainings, policies and namespaces."""

from collections.abc import Iterable
from typing import Any

from nnunet_api.base import GROUP
from nnunet_api.bounds import MAX_READ, written_size
from nnunet_api.policy.namespace_selector import NAMESPACE_NAME_LABEL
from nnunet_operator.kube.objects import Manifest

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "ownerReferences",
)


SPEC_SIZE = "specSize"
"""Key of what is kept of an object whose spec is too large to be kept: its characters."""


def trim_resource(body: Manifest) -> Manifest:
    """Return what is needed of a policy."""
    return {"metadata": _metadata(body), "spec": body.get("spec") or {}, "status": body.get("status") or {}}


def trim_training(body: Manifest) -> Manifest:
    """Return what is needed of a training, or comparison; of a spec that is too large its size alone."""
    size = written_size(body.get("spec") or {})
    if size <= MAX_READ:
        return trim_resource(body)
    return {**trim_resource({**body, "spec": {}}), SPEC_SIZE: size}


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
