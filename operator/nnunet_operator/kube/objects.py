"""Reading objects in their JSON form, whatever their kind."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

Manifest = dict[str, Any]
"""A Kubernetes object in its JSON form."""

_FOREGROUND, _ORPHAN, _COUNTED = "foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking"
"""Finalizers of Kubernetes itself, which takes them off once it is done with what an object owns."""


def controller_of(obj: Manifest) -> Manifest:
    """Return the controlling owner reference, or {}."""
    references: Iterable[Manifest] = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), {})


def parse_time(text: Any) -> datetime | None:
    """Return a Kubernetes timestamp as a datetime, or None where there is none."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


def true_condition(obj: Manifest, *types: str) -> Manifest | None:
    """Return the first condition of one of these types that is True, in the order of `types`."""
    conditions: Iterable[Manifest] = (obj.get("status") or {}).get("conditions") or []
    by_type = {str(condition.get("type")): condition for condition in conditions if condition.get("status") == "True"}
    return next((by_type[type_] for type_ in types if type_ in by_type), None)


def foreign_finalizers(obj: Manifest) -> tuple[str, ...]:
    """Return the finalizers of others, which keep an object there while it is being deleted.

    None where Kubernetes is still to orphan what it owns: nobody may delete that then.
    """
    finalizers: Iterable[str] = obj["metadata"].get("finalizers") or ()
    return (
        ()
        if _ORPHAN in finalizers
        else tuple(sorted(str(one) for one in finalizers if one not in (_FOREGROUND, _COUNTED)))
    )


def pod_spec_of(job_spec: Manifest) -> Manifest:
    """Return the spec of the pods that a Job makes, or {}."""
    found: Manifest = (job_spec.get("template") or {}).get("spec") or {}
    return found


def container_named(name: str, containers: Iterable[Manifest] | None) -> Manifest:
    """Return the container that has this name, or {}."""
    return next((one for one in containers or () if one.get("name") == name), {})
