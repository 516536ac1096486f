"""Ways around the policies by Jobs and Pods that look like the operator's, and what stops each."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.policy.bypass import stopped_by_admission, stopped_by_schema
from tests.integration.policy.support import JSON_PATCH, MERGE, OPERATOR, Answer, Gate
from tests.support.api import Object, wait_for
from tests.support.builders import training

CONFINED: Object = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD: Object = {
    "restartPolicy": "Never",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [{"name": "trainer", "image": "trainer:1", "securityContext": CONFINED}],
}
"""The least that the operator's account may make."""
OURS = {"nnunet.dev/training": "hippo"}


def owner(uid: str = "8b1f9a3c-0000-4000-8000-000000000000") -> Object:
    return {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTraining",
        "name": "hippo",
        "uid": uid,
        "controller": True,
    }


def allowed(gate: Gate, namespace: str) -> Object:
    """Create a training that keeps the rules and return the reference to it: Jobs without an owner are collected."""
    good = training(namespace, schedule={"epochs": 2000}, trainer={"seed": 1})
    created = gate.create(good, "erin", dry_run=False)
    assert created.ok, created.message
    return owner(created.body["metadata"]["uid"])


def job(
    namespace: str, name: str = "job", labels: Object | None = None, template: Object | None = None, **meta: Any
) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, **meta},
        "spec": {"backoffLimit": 0, "template": {"metadata": {"labels": template or {}}, "spec": POD}},
    }


def pod(namespace: str, **meta: Any) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod", "namespace": namespace, **meta}, "spec": POD}


def make(gate: Gate, body: Object, as_: str = "") -> Answer:
    kind = {"Job": "jobs", "Pod": "pods"}[body["kind"]]
    return gate.ask("POST", gate.client.path(kind, body["metadata"]["namespace"]), body, as_)


@pytest.mark.parametrize(
    "build",
    [
        lambda n: job(n, labels=OURS),
        lambda n: job(n, template=OURS),
        lambda n: job(n, ownerReferences=[owner()]),
        lambda n: pod(n, labels=OURS),
        lambda n: pod(n, ownerReferences=[owner()]),
    ],
    ids=["Job, label", "Job, label of its Pods", "Job, owner", "Pod, label", "Pod, owner"],
)
def test_jobs_and_pods_made_by_hand_are_stopped_by_admission(
    gate: Gate, clinical: str, build: Callable[[str], Object]
) -> None:
    stopped_by_admission(make(gate, build(clinical), "erin"), "nnunet-jobs")


def test_pods_that_another_controller_would_make_are_stopped_by_admission(gate: Gate, clinical: str) -> None:
    template = {"metadata": {"labels": {"app": "x", **OURS}}, "spec": {"containers": POD["containers"]}}
    spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "x"}, "spec": spec}
    path = f"/apis/apps/v1/namespaces/{clinical}/replicasets"
    assert gate.ask("POST", path, body, "erin").ok

    def refused() -> str:
        conditions = gate.done("GET", f"{path}/x").get("status", {}).get("conditions", [])
        return "".join(condition.get("message", "") for condition in conditions)

    assert "ValidatingAdmissionPolicy 'nnunet-jobs'" in wait_for("the ReplicaSet to be refused its Pod", refused)


@pytest.fixture
def trained(gate: Gate, clinical: str) -> str:
    """A clinical namespace with a Job of the operator, its Pod, and a Job of erin's that has no part in it."""
    metadata: dict[str, Any] = {"labels": OURS, "template": OURS, "ownerReferences": [allowed(gate, clinical)]}
    assert make(gate, job(clinical, "ours", **metadata), OPERATOR).ok, "the operator may"
    assert make(gate, job(clinical, "other"), "erin").ok, "without our labels anybody may"
    wait_for("the Job controller to make the Pod", lambda: pods(gate, clinical))
    return clinical


def pods(gate: Gate, namespace: str) -> list[Object]:
    return gate.client.list("pods", namespace, labelSelector="nnunet.dev/training=hippo")


CHANGES: dict[str, tuple[str, Object, str]] = {
    "its label": ("ours", {"metadata": {"labels": {"nnunet.dev/training": "other"}}}, "labels under nnunet.dev/"),
    "its label for another": (
        "ours",
        {"metadata": {"labels": {**OURS, "nnunet.dev/x": "1"}}},
        "labels under nnunet.dev/",
    ),
    "what it was made for": (
        "ours",
        {"metadata": {"annotations": {"nnunet.dev/asked-for": "0123456789abcdef"}}},
        "annotations under nnunet.dev/",
    ),
    "its owner": ("ours", {"metadata": {"ownerReferences": None}}, "metadata.ownerReferences"),
    "its parallelism": ("ours", {"spec": {"parallelism": 8}}, "spec.parallelism"),
    "its backoff limit": ("ours", {"spec": {"backoffLimit": 99}}, "spec.backoffLimit"),
    "its deadline": ("ours", {"spec": {"activeDeadlineSeconds": 5}}, "spec.activeDeadlineSeconds"),
    "the label of another Job": ("other", {"metadata": {"labels": OURS}}, "labels under nnunet.dev/"),
    "the owner of another Job": ("other", {"metadata": {"ownerReferences": [owner()]}}, "metadata.ownerReferences"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_changing_a_job_is_stopped_by_admission(gate: Gate, trained: str, what: str) -> None:
    name, patch, words = CHANGES[what]
    answer = gate.ask("PATCH", gate.client.path("jobs", trained, name), patch, "erin", MERGE)
    stopped_by_admission(answer, "nnunet-jobs")
    assert f"may not change {words} of jobs of a training" in answer.message


def test_changing_a_pod_is_stopped_by_admission(gate: Gate, trained: str) -> None:
    (ours,) = pods(gate, trained)
    path = gate.client.path("pods", trained, ours["metadata"]["name"])
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "mine:1"}]
    for patch, type_, words in (
        (image, JSON_PATCH, "spec.containers"),
        ({"metadata": {"labels": {"nnunet.dev/training": None}}}, MERGE, "labels under nnunet.dev/"),
        ({"spec": {"activeDeadlineSeconds": 1}}, MERGE, "spec.activeDeadlineSeconds"),
    ):
        answer = gate.ask("PATCH", path, patch, "erin", type_)
        stopped_by_admission(answer, "nnunet-jobs")
        assert words in answer.message


def test_the_image_of_a_suspended_job_is_stopped_by_the_api_server(gate: Gate, clinical: str) -> None:
    body = job(clinical, "ours", labels=OURS, template=OURS)
    body["spec"]["suspend"] = True
    assert make(gate, body).ok
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mine:1"}]
    stopped_by_schema(
        gate.ask("PATCH", gate.client.path("jobs", clinical, "ours"), patch, "erin", JSON_PATCH), "immutable"
    )


FOR_A_WEBHOOK = {"sidecar.istio.io/inject": "true", "instrumentation.opentelemetry.io/inject-python": "stan/mine"}


@pytest.mark.parametrize("stage", ["verify", "compare"])
def test_what_a_webhook_goes_by_is_not_given_to_a_pod_that_proves(gate: Gate, clinical: str, stage: str) -> None:
    """The template of a Job that a queue has suspended can be changed, and Kueue changes it."""
    labels = {"nnunet.dev/stage": stage, **(OURS if stage == "verify" else {"nnunet.dev/comparison": "shorter"})}
    body = job(clinical, "proves", labels=labels, template=labels)
    body["spec"]["suspend"] = True
    assert make(gate, body).ok
    path = gate.client.path("jobs", clinical, "proves")
    for given in ({"annotations": FOR_A_WEBHOOK}, {"labels": {"azure.workload.identity/use": "true"}}):
        answer = gate.ask("PATCH", path, {"spec": {"template": {"metadata": given}}}, "erin", MERGE)
        stopped_by_admission(answer, "nnunet-jobs")
        assert "may not change spec.template.metadata of jobs of a training" in answer.message
    queued = {
        "labels": {"kueue.x-k8s.io/podset": "main"},
        "annotations": {"autoscaling.x-k8s.io/consume-provisioning-request": "x", "kueue.x-k8s.io/workload": "y"},
    }
    admitted = {"template": {"metadata": queued, "spec": {"nodeSelector": {"pool": "gpu"}}}}
    assert gate.ask("PATCH", path, {"spec": admitted}, "erin", MERGE).ok
    assert gate.ask("PATCH", path, {"spec": {"suspend": False}}, "erin", MERGE).ok


def test_queueing_finalizers_and_deletion_pass(gate: Gate, clinical: str) -> None:
    """What Kueue does to admit a Job, with no more rights than erin's, and what the controllers of Kubernetes do."""
    body = job(clinical, "ours", labels=OURS, template=OURS, ownerReferences=[allowed(gate, clinical)])
    body["spec"]["suspend"] = True
    assert make(gate, body, OPERATOR).ok
    path = gate.client.path("jobs", clinical, "ours")
    placed = {"nodeSelector": {"pool": "gpu"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    queue = {"labels": {"kueue.x-k8s.io/podset": "main"}, "annotations": {"a": "b"}}
    for patch in (
        {"metadata": {"finalizers": ["example.org/held"], "annotations": {"kueue.x-k8s.io/x": "1"}}},
        {"spec": {"template": {"metadata": queue, "spec": placed}}},
        {"spec": {"suspend": False}},
    ):
        assert gate.ask("PATCH", path, patch, "erin", MERGE).ok, patch
    wait_for("the Job controller to make the Pod", lambda: pods(gate, clinical))
    assert gate.ask("PATCH", path, {"spec": {"suspend": True}}, "erin", MERGE).ok
    wait_for("the Job controller to delete the Pod", lambda: not pods(gate, clinical))
    assert gate.ask("DELETE", f"{path}?propagationPolicy=Background", None, "erin").ok
    assert gate.ask("PATCH", path, {"metadata": {"finalizers": []}}, "erin", MERGE).ok
    wait_for("the Job to be gone", lambda: gate.ask("GET", path).status == 404)


def test_the_garbage_collector_may_orphan_and_delete(gate: Gate, clinical: str) -> None:
    body = job(clinical, "ours", labels=OURS, template=OURS, ownerReferences=[allowed(gate, clinical)])
    assert make(gate, body, OPERATOR).ok
    # The collector orphans what it knows of, and hears of Jobs and of trainings in no order.
    wait_for("the Job controller to make the Pod", lambda: pods(gate, clinical))
    path = gate.client.path("jobs", clinical, "ours")
    assert gate.ask("DELETE", f"{gate.path(clinical)}?propagationPolicy=Orphan", None, "erin").ok
    # The collector looks every 30 s whether there are new kinds.
    wait_for("the training to be gone", lambda: gate.ask("GET", gate.path(clinical)).status == 404)
    assert "ownerReferences" not in gate.done("GET", path)["metadata"]
