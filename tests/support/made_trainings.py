"""Builders of trainings for tests: the smallest that works, and the changes that a test cares about."""

from datetime import UTC, datetime
from typing import Any

from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.options import JobOptions

UID = "0a1b2c3d-0000-4000-8000-000000000001"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
OPTIONS = JobOptions(trainer_image="registry.example/trainer:1")
FULL_POD_TEMPLATE: dict[str, Any] = {
    "labels": {"team": "a"},
    "annotations": {"note": "b"},
    "nodeSelector": {"gpu": "a100"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "low",
    "imagePullSecrets": [{"name": "pull"}],
    "runtimeClassName": "nvidia",
    "serviceAccountName": "trainer",
    "securityContext": {
        "runAsUser": 1500,
        "runAsGroup": 0,
        "fsGroup": 5000,
        "fsGroupChangePolicy": "Always",
        "supplementalGroups": [6000],
        "supplementalGroupsPolicy": "Strict",
        "seLinuxOptions": {"level": "s0:c1,c2", "type": "container_t"},
        "seccompProfile": {"type": "Localhost", "localhostProfile": "profiles/trainer.json"},
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "trainer"},
    },
    "hostUsers": False,
    "volumes": [
        {"name": "ca", "configMap": {"name": "corporate-ca", "optional": True}},
        {"name": "licence", "secret": {"secretName": "licence", "optional": False}},
    ],
    "jobAnnotations": {"provreq.kueue.x-k8s.io/maxRunDurationSeconds": "3600"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
    ],
}
"""spec.podTemplate with something in each field."""


def training(
    *,
    name: str = "hippo",
    status: NnunetTrainingStatus | None = None,
    deleting: bool = False,
    generation: int = 1,
    uid: str = UID,
    **spec: Any,
) -> Training:
    """Return a training of the smallest spec with `spec` (camelCase) on top."""
    return Training(
        namespace="clinic",
        name=name,
        uid=uid,
        generation=generation,
        resource_version="1",
        creation_timestamp=NOW,
        spec=NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset004_Hippocampus"}, **spec}),
        status=status or NnunetTrainingStatus(),
        deleting=deleting,
    )
