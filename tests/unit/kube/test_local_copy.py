"""The volume of a fold's pod for a copy of its data: only where it is asked for, and as it is asked for."""

import json
from typing import Any

import pytest
from kubernetes.aio.client import V1Job

from nnunet_api.fold_key import FoldKey
from nnunet_api.local_copy import LOCAL_COPY_ENV
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import OPTIONS, training

FIELD = "spec.storage.preprocessed.localCopy"
MEMORY = {"sizeLimit": "512Mi", "medium": "Memory"}
CLAIM = {"claim": {"storageClassName": "nvme", "size": "100Gi"}}


def copying(copy: dict[str, Any] | None = None, **spec: Any) -> Training:
    storage: dict[str, Any] = {"storage": {"preprocessed": {"localCopy": copy}}} if copy else {}
    return training(selection={}, testSet={}, **storage, **spec)


def fold(of: Training) -> Manifest:
    return fold_job(of, OPTIONS, FoldKey("3d_fullres", "0"))


def pod(job: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def volume(job: Manifest) -> dict[str, Any] | None:
    return next((one for one in pod(job)["volumes"] if one["name"] == "local"), None)


def told(job: Manifest) -> dict[str, Any] | None:
    env = {one["name"]: one["value"] for one in pod(job)["containers"][0]["env"]}
    order: dict[str, Any] | None = json.loads(env[LOCAL_COPY_ENV]) if LOCAL_COPY_ENV in env else None
    return order


@pytest.mark.parametrize(
    ("copy", "source", "order"),
    [
        (
            {"sizeLimit": "50Gi"},
            {"emptyDir": {"sizeLimit": "50Gi"}},
            {"medium": "Disk", "sizeLimit": 50 * 2**30, "limitedBy": f"{FIELD}.sizeLimit"},
        ),
        (
            MEMORY,
            {"emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
            {"medium": "Memory", "sizeLimit": 2**29, "limitedBy": f"{FIELD}.sizeLimit"},
        ),
        (
            CLAIM,
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "nvme",
                            "resources": {"requests": {"storage": "100Gi"}},
                        }
                    }
                }
            },
            {"medium": "Claim", "limitedBy": f"{FIELD}.claim.size"},
        ),
    ],
    ids=["disk", "memory", "claim"],
)
def test_a_fold_gets_the_volume(copy: dict[str, Any], source: dict[str, Any], order: dict[str, Any]) -> None:
    job = fold(copying(copy))
    assert volume(job) == {"name": "local", **source}
    mounts = pod(job)["containers"][0]["volumeMounts"]
    assert [one for one in mounts if one["name"] == "local"] == [{"name": "local", "mountPath": "/nnunet/local"}]
    assert told(job) == {"limitedBy": "", **order}
    assert V1Job.model_validate(job).model_dump(mode="json", by_alias=True, exclude_none=True) == job


@pytest.mark.parametrize("copy", [MEMORY, CLAIM], ids=["memory", "claim"])
def test_nothing_else_of_any_job_is_another(copy: dict[str, Any]) -> None:
    """The other stages read a part of the data, and once; and what asks for no copy has the Jobs of before."""
    plain, of = copying(), copying(copy)
    for build in (plan_job, verify_job, evaluate_job):
        assert build(of, OPTIONS) == build(plain, OPTIONS)
    with_copy, without = fold(of), fold(plain)
    assert volume(without) is None and told(without) is None
    pod(with_copy)["volumes"].pop()
    container = pod(with_copy)["containers"][0]
    container["volumeMounts"].pop()
    container["env"] = [one for one in container["env"] if one["name"] != LOCAL_COPY_ENV]
    mark = "nnunet.dev/asked-for"
    assert with_copy["metadata"]["annotations"].pop(mark) != without["metadata"]["annotations"].pop(mark)
    assert with_copy == without


@pytest.mark.parametrize(
    ("copy", "resources", "limit"),
    [
        ({"sizeLimit": "50Gi"}, {"ephemeralStorage": "20Gi"}, "spec.resources.ephemeralStorage"),
        ({"sizeLimit": "50Gi"}, {"ephemeralStorage": "51Gi"}, f"{FIELD}.sizeLimit"),
        (MEMORY, {"ephemeralStorage": "1Mi"}, f"{FIELD}.sizeLimit"),
        (
            {"sizeLimit": "50Gi"},
            {"configurations": {"3d_fullres": {"ephemeralStorage": "20Gi"}}},
            "spec.resources.ephemeralStorage",
        ),
    ],
)
def test_the_trainer_knows_the_limit_that_binds_first(
    copy: dict[str, Any], resources: dict[str, Any], limit: str
) -> None:
    order = told(fold(copying(copy, resources=resources)))
    assert order and order["limitedBy"] == limit
