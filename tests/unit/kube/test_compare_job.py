"""The Job of a comparison: in the operator's image, with the runs and nothing else, read-only."""

from typing import Any

import pytest

from nnunet_api.comparison.contract import COMPARISON_CONTRACT_ENV
from nnunet_api.contract import IMAGE_ENV
from nnunet_operator.kube.builders.comparison import compare_job
from tests.support.made_comparisons import UID, arm, comparison, wanted
from tests.support.made_trainings import FULL_POD_TEMPLATE, OPTIONS


def made(*trainings: Any, **spec: Any) -> Any:
    of = comparison(**spec)
    return compare_job(of, OPTIONS, wanted(of, *(trainings or (arm("long"), arm("short")))))


def test_what_a_quota_may_ask_for_can_be_given() -> None:
    given = {"cpu": "2", "cpuLimit": "4", "memory": "8Gi", "ephemeralStorage": "1Gi"}
    (container,) = made(resources=given)["spec"]["template"]["spec"]["containers"]
    requests = {"cpu": "2", "memory": "8Gi", "ephemeral-storage": "1Gi"}
    limits = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "1Gi"}
    assert container["resources"] == {"requests": requests, "limits": limits}


def storage(claim: str, folder: str = "") -> dict[str, Any]:
    return {"results": {"claimName": claim, "subPath": folder}}


def test_it_sees_the_runs_folders_alone_and_changes_nothing() -> None:
    trainings = (
        arm("long", storage=storage("one", "a")),
        arm("short", storage=storage("two")),
        arm("third", storage=storage("one")),
    )
    pod = made(*trainings)["spec"]["template"]["spec"]
    claims = {v["name"]: v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    assert claims == {
        "results-0": {"claimName": "one", "readOnly": True},
        "results-1": {"claimName": "two", "readOnly": True},
    }
    (container,) = pod["containers"]
    mounts = [mount for mount in container["volumeMounts"] if mount["name"] in claims]
    runs = ["long-uid-of-l", "short-uid-of-s", "third-uid-of-t"]
    assert [mount["mountPath"] for mount in mounts] == [f"/nnunet/results/clinic/{run}" for run in runs]
    assert [mount["subPath"] for mount in mounts] == [f"a/clinic/{runs[0]}", f"clinic/{runs[1]}", f"clinic/{runs[2]}"]
    assert all(mount["readOnly"] for mount in mounts)
    assert "fsGroup" not in pod["securityContext"], "no kubelet changes whose the files are"
    assert not pod["automountServiceAccountToken"] and "initContainers" not in pod


def test_nothing_in_it_is_the_users_but_where_it_runs() -> None:
    mine = {"image": "mine:1", "env": [{"name": "LD_LIBRARY", "value": "x"}], "seed": 1}
    body = made(arm("long", trainer=mine, podTemplate=FULL_POD_TEMPLATE, queueName="gpus"), arm("short"))
    (container,) = body["spec"]["template"]["spec"]["containers"]
    assert container["image"] == OPTIONS.trainer_image and container["args"] == ["compare"]
    names = [variable["name"] for variable in container["env"]]
    assert names == [COMPARISON_CONTRACT_ENV, IMAGE_ENV, "HOME"] and "ports" not in container
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    labels = body["spec"]["template"]["metadata"]["labels"]
    assert labels["nnunet.dev/comparison"] == "shorter" and labels["nnunet.dev/stage"] == "compare"
    assert "nnunet.dev/training" not in labels
    for field in ("nodeSelector", "priorityClassName"):
        assert body["spec"]["template"]["spec"][field] == FULL_POD_TEMPLATE[field]


@pytest.mark.parametrize(
    ("of_training", "own", "queue"),
    [("gpus", None, "gpus"), ("gpus", "small", "small"), (None, "small", "small"), (None, None, None)],
)
def test_its_queue_is_its_own_or_the_baselines_and_its_priority_the_baselines(
    of_training: str | None, own: str | None, queue: str | None
) -> None:
    body = made(arm("long", queueName=of_training, queuePriorityClassName="low"), arm("short"), queueName=own)
    labels = body["metadata"]["labels"]
    assert labels.get("kueue.x-k8s.io/queue-name") == queue and labels["kueue.x-k8s.io/priority-class"] == "low"
    assert body["spec"].get("suspend", False) is bool(queue), "Kueue resumes what it admits"


def test_it_belongs_to_the_comparison_and_gives_up_at_some_point() -> None:
    body = made(retryLimit=1)
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("NnunetComparison", UID, True)
    assert body["metadata"]["name"] == "shorter-compare" and body["spec"]["backoffLimit"] == 1
    codes = [rule["onExitCodes"] for rule in body["spec"]["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    assert [code["containerName"] for code in codes] == ["trainer", "trainer"]


def test_names_of_users_are_not_expanded_in_what_it_is_told() -> None:
    of = comparison()
    told = wanted(of, arm("long"), arm("short"))
    contract = told.contract.model_copy(update={"classes": ["$(HOME)"]})
    body = compare_job(of, OPTIONS, type(told)(contract, told.trainings))
    (container,) = body["spec"]["template"]["spec"]["containers"]
    assert "$$(HOME)" in container["env"][0]["value"]
