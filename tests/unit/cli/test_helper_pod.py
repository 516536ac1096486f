"""The helper pod: what it may do, where it goes, what it waits for, which image it gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from nnunet_cli.volumes import agent
from nnunet_cli.volumes.helper import (
    DEADLINE_SECONDS,
    IDLE_SECONDS,
    RESOURCES,
    Image,
    claim_problem,
    helper_pod,
    node_of_claim,
    why_waiting,
)
from nnunet_cli.volumes.images import image_of_definition
from tests.support.chart import render

AGENT = Path(agent.__file__).read_text()


def pod(**changes: Any) -> dict[str, Any]:
    return helper_pod("clinic", "nnunet-raw", Image("trainer:1", ("pull",)), AGENT, **{"read_only": True, **changes})


def test_it_is_no_pod_of_the_operator() -> None:
    """The chart's guard refuses those with its labels, or with a training as owner."""
    metadata = pod()["metadata"]
    assert not any(key.startswith("nnunet.dev/") for key in metadata["labels"]) and "ownerReferences" not in metadata
    assert metadata["labels"]["app.kubernetes.io/name"] == "nnunetctl"


def test_it_holds_nothing_and_ends_by_itself() -> None:
    spec = pod()["spec"]
    (container,) = spec["containers"]
    assert spec["activeDeadlineSeconds"] == DEADLINE_SECONDS and spec["restartPolicy"] == "Never"
    assert container["command"][-2:] == ["wait", str(IDLE_SECONDS)]
    assert not any("gpu" in key for part in container["resources"].values() for key in part)
    assert spec["imagePullSecrets"] == [{"name": "pull"}] and spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        (None, {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000, "fsGroupChangePolicy": "OnRootMismatch"}),
        ('{"runAsUser":1500,"supplementalGroups":[5000]}', {"runAsUser": 1500, "supplementalGroups": [5000]}),
        ("{}", {}),
        ('{"of":"another version"}', {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}),
    ],
)
def test_it_runs_as_the_operator_lets_trainers_run(noted: str | None, expected: dict[str, Any]) -> None:
    """Or one could not read what the other has written."""
    notes = {"nnunet.dev/trainer-image": "trainer:1"}
    notes |= {"nnunet.dev/trainer-security-context": noted} if noted else {}
    image = image_of_definition({"metadata": {"annotations": notes}})
    assert image
    found = helper_pod("n", "c", image, AGENT, read_only=True)["spec"]["securityContext"]
    assert found["runAsNonRoot"] is True and found["seccompProfile"] == {"type": "RuntimeDefault"}
    ids = {key: value for key, value in found.items() if key not in ("runAsNonRoot", "seccompProfile")}
    assert ids | expected == ids and ids.keys() - expected.keys() <= {"fsGroupChangePolicy"}


def test_it_says_all_that_a_quota_may_ask_for() -> None:
    (container,) = pod()["spec"]["containers"]
    assert all(part.keys() == {"cpu", "memory", "ephemeral-storage"} for part in container["resources"].values())


@pytest.mark.parametrize("read_only", [True, False])
def test_only_a_push_can_write(read_only: bool) -> None:
    (container,) = pod(read_only=read_only)["spec"]["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "claim"]
    assert mount["readOnly"] is read_only


def test_kubernetes_takes_nothing_in_the_agent_for_a_variable() -> None:
    spec = helper_pod("n", "c", Image("i"), "print('$(HOME)')", read_only=True)["spec"]
    assert spec["containers"][0]["env"][0]["value"] == "print('$$(HOME)')"


def claim(*modes: str) -> dict[str, Any]:
    return {"metadata": {"name": "nnunet-raw"}, "spec": {"accessModes": list(modes)}, "status": {"phase": "Bound"}}


def user(claim_name: str, phase: str = "Running", node: str | None = "gpu-1") -> dict[str, Any]:
    volumes = [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": claim_name}}]
    return {"spec": {"nodeName": node, "volumes": volumes}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("modes", "pods", "node"),
    [
        (["ReadWriteOnce"], [user("nnunet-raw")], "gpu-1"),
        (["ReadWriteOnce"], [user("other"), user("nnunet-raw", "Succeeded")], None),
        (["ReadWriteOnce"], [user("nnunet-raw", "Pending", None)], None),
        (["ReadWriteOnce", "ReadWriteMany"], [user("nnunet-raw")], None),
        (["ReadWriteOnce"], [], None),
    ],
)
def test_it_goes_where_the_volume_is(modes: list[str], pods: list[Any], node: str | None) -> None:
    assert node_of_claim(claim(*modes), pods) == node
    spec = pod(node=node)["spec"]
    assert ("affinity" in spec) == ("tolerations" in spec) == (node is not None)
    assert node is None or node in json.dumps(spec["affinity"])


def status(phase: str = "Pending", conditions: Any = (), **state: Any) -> dict[str, Any]:
    statuses = [{"name": "volume", "state": state}] if state else []
    return {"status": {"phase": phase, "conditions": list(conditions), "containerStatuses": statuses}}


NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no volume"}
SCHEDULED = {"type": "PodScheduled", "status": "True"}


@pytest.mark.parametrize(
    ("found", "warnings", "text", "hopeless"),
    [
        (status(), [], "its volume is being mounted and its image pulled", False),
        (status(conditions=[NO_NODE]), [], "it has no node: 0/3 nodes: no volume", False),
        (status(conditions=[SCHEDULED]), ["FailedAttachVolume: Multi-Attach error"], "Multi-Attach", False),
        (status(waiting={"reason": "ContainerCreating"}), ["FailedMount: away"], "FailedMount: away", False),
        (status(waiting={"reason": "ErrImagePull", "message": "not found"}), [], "Give another image with", True),
        (status(waiting={"reason": "CreateContainerConfigError", "message": "uid"}), [], "Error: uid", True),
        (status("Failed", terminated={"exitCode": 127, "message": "no python3"}), [], "exit code 127", True),
        ({"status": {"phase": "Failed", "reason": "Evicted"}}, [], "it has ended (Evicted)", True),
    ],
)
def test_what_it_waits_for(found: Any, warnings: list[str], text: str, hopeless: bool) -> None:
    waiting = why_waiting(found, warnings)
    assert waiting is not None and text in waiting.text and waiting.hopeless == hopeless, waiting


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        (RESOURCES[0], "than the 2Gi that this program gives it"),
        (RESOURCES[1], "than 512Mi, with which it is tried where a LimitRange or a quota of the namespace refuses 2Gi"),
        (
            {"limits": {"memory": "64Mi"}},
            "than 64Mi, which a LimitRange of the namespace gives it: have that give more",
        ),
        ({"limits": {"memory": "512Mi"}}, "than 512Mi, which a LimitRange of the namespace gives it"),
        ({}, "than its node has"),
    ],
)
def test_whose_limit_it_was_killed_at(resources: dict[str, Any], says: str) -> None:
    """A LimitRange is asked for only where one has set it."""
    killed = status("Failed", terminated={"reason": "OOMKilled", "exitCode": 137})
    waiting = why_waiting({**pod(resources=resources), **killed}, [])
    assert waiting is not None and waiting.hopeless and f"needed more memory {says}" in waiting.text, waiting


def test_one_that_runs_waits_for_nothing() -> None:
    assert why_waiting(status("Running", running={}), ["FailedMount: earlier"]) is None


def test_claims_that_can_not_be_mounted() -> None:
    assert claim_problem("raw", None, ["b", "a"]) == "there is no PersistentVolumeClaim raw: there are a and b"
    assert claim_problem("raw", None, []).endswith("the namespace has none")
    assert "lost its volume" in claim_problem("raw", {"status": {"phase": "Lost"}}, [])
    assert claim_problem("raw", {"status": {"phase": "Pending"}}, []) == "", "its first user may bind it"


@pytest.mark.built
@pytest.mark.parametrize("keep", [True, False])
def test_the_image_is_the_one_that_the_chart_installs(keep: bool) -> None:
    """Only who may write the definition of trainings, for the whole cluster, decides what runs with a claim."""
    values = {
        "trainer": {"image": {"repository": "reg/t", "tag": "9"}, "imagePullSecrets": [{"name": "a"}, {"name": "b"}]},
        "crds": {"keep": keep},
    }
    definitions = [body for body in render(values) if body["kind"] == "CustomResourceDefinition"]
    named = {body["metadata"]["name"]: image_of_definition(body) for body in definitions}
    assert named == {
        "nnunettrainings.nnunet.dev": Image("reg/t:9", ("a", "b")),
        "nnunettrainingpolicies.nnunet.dev": None,
        "nnunetcomparisons.nnunet.dev": None,
        "nnunettestsets.nnunet.dev": None,
    }
    kept = {(body["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") for body in definitions}
    assert kept == ({"keep"} if keep else {None})


def test_a_definition_that_names_no_image() -> None:
    assert image_of_definition({"metadata": {"name": "nnunettrainings.nnunet.dev"}}) is None
