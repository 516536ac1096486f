"""Builders of policies for tests: the smallest that works, and what a test cares about."""

from datetime import UTC, datetime
from typing import Any

from nnunet_api.policy.decision import Policy, Subject
from nnunet_api.policy.model import NnunetTrainingPolicySpec
from nnunet_api.training import NnunetTrainingSpec

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def policy(name: str = "house", mode: str = "Enforce", generation: int = 1, **spec: Any) -> Policy:
    """Return a policy for all namespaces, where `spec` (camelCase) says nothing else."""
    body = {"mode": mode, "rules": {}, **spec}
    if not {"namespaces", "namespaceSelector"} & set(body):
        body["namespaceSelector"] = {}
    return Policy(name, generation, NnunetTrainingPolicySpec.model_validate(body))


def exception(**changes: Any) -> dict[str, Any]:
    """Return an exception for clinic/hippo."""
    return {
        "namespace": "clinic",
        "name": "hippo",
        "reason": "the scanner is gone and no case can be added",
        "ticket": "QM-17",
        "approvedBy": "dr.x@example.org",
        "expiresAt": "2026-06-01T00:00:00Z",
        **changes,
    }


def subject(namespace: str = "clinic", name: str = "hippo", **spec: Any) -> Subject:
    """Return a training of the smallest spec with `spec` (camelCase) on top."""
    body = {"dataset": {"name": "Dataset004_Hippocampus"}, **spec}
    return Subject(namespace, name, NnunetTrainingSpec.model_validate(body))
