"""Ways around the policies by the status of Jobs and Pods, which the operator believes, and what stops each.

Stan has no role of this project: he may do anything to Jobs and Pods of the namespace, their subresources included.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_operator.core.observation import Child
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.stages import manifest_of
from tests.integration.policy.bypass import stopped_by_admission
from tests.integration.policy.support import MERGE, OPERATOR, STRATEGIC, Answer, Gate
from tests.integration.policy.test_bypass_by_jobs import OURS, POD, allowed, job, make, pod
from tests.support.api import Object, wait_for
from tests.support.builders import report
from tests.support.kubelet import contract_of
from tests.support.made_trainings import OPTIONS
from tests.support.made_trainings import training as training_of
from tests.support.node import FakeNode

NODE = "n1"
STAGES = ("plan", "fold", "verify", "evaluate")
NOW = "2026-03-01T12:00:00Z"
DONE: Object = {
    "conditions": [{"type": type_, "status": "True"} for type_ in ("SuccessCriteriaMet", "Complete")],
    "active": 0,
    "ready": 0,
    "succeeded": 1,
    "completionTime": "2100-01-01T00:00:00Z",
}


@pytest.fixture
def stan(gate: Gate, clinical: str) -> str:
    """Who may do anything to Jobs and Pods of the clinical namespace, and nothing else."""
    subresources = ["status", "ephemeralcontainers", "binding", "exec", "attach", "eviction", "resize"]
    everything = ["pods", *(f"pods/{name}" for name in subresources), "bindings"]
    rules = [
        {"apiGroups": [""], "resources": everything, "verbs": ["*"]},
        {"apiGroups": ["batch"], "resources": ["jobs", "jobs/status"], "verbs": ["*"]},
    ]
    gate.allow("stan", rules, clinical)
    return "stan"


@pytest.fixture
def jobs(gate: Gate, clinical: str) -> dict[str, Object]:
    """The Pods of the Jobs of all stages, as the operator makes them, on a node that is stan's to imagine."""
    reference = allowed(gate, clinical)
    spec: Object = {"folds": [0], "schedule": {"epochs": 2000}, "trainer": {"seed": 1}}
    of = replace(training_of(**spec), namespace=clinical, uid=reference["uid"])
    for stage in STAGES:
        body = manifest_of(of, OPTIONS, child(of, stage))
        body["spec"]["template"]["spec"]["nodeName"] = NODE
        answer = make(gate, body)
        assert answer.ok, answer.message
    wait_for("the Job controller to make the Pods", lambda: len(pods(gate, clinical)) == len(STAGES))
    # It writes that after them, and Kubernetes takes no end of a Job without it, whoever writes it.
    begun = lambda: all("startTime" in job["status"] for job in gate.client.list("jobs", clinical))  # noqa: E731
    wait_for("the Job controller to say that it has begun", begun)
    return {body["metadata"]["labels"]["nnunet.dev/stage"]: body for body in pods(gate, clinical)}


def child(of: Training, stage: str) -> Child:
    return Child(of.name, stage, FoldKey(of.spec.configuration_names[0], "0") if stage == "fold" else None)


def pods(gate: Gate, namespace: str) -> list[Object]:
    return gate.client.list("pods", namespace, labelSelector="nnunet.dev/training=hippo")


def path_of(gate: Gate, body: Object, sub: str = "status") -> str:
    meta = body["metadata"]
    return gate.client.path("pods", meta["namespace"], f"{meta['name']}/{sub}" if sub else meta["name"])


def job_of(gate: Gate, body: Object, sub: str = "") -> str:
    name = body["metadata"]["ownerReferences"][0]["name"]
    return gate.client.path("jobs", body["metadata"]["namespace"], f"{name}/{sub}" if sub else name)


def success(body: Object) -> Object:
    """Return the status of a Pod whose trainer has done all that it was asked for."""
    labels = body["metadata"]["labels"]
    words = report(contract_of(body), labels["nnunet.dev/stage"], labels.get("nnunet.dev/fold", ""))
    ended = {"exitCode": 0, "reason": "Completed", "message": words, "startedAt": NOW, "finishedAt": NOW}
    state = {"terminated": ended | {"containerID": "containerd://1"}}
    image = body["spec"]["containers"][0]["image"]
    container = {"name": "trainer", "image": image, "imageID": image, "ready": False, "restartCount": 0, "state": state}
    return {"phase": "Succeeded", "containerStatuses": [container]}


def forge_pod(gate: Gate, body: Object, **status: object) -> Answer:
    return gate.ask("PATCH", path_of(gate, body), {"status": status}, "stan", MERGE)


def look_alike(gate: Gate, body: Object, sub: str) -> Answer:
    """Bind a pod of stan's own, without a label, under the labels of ours."""
    namespace = body["metadata"]["namespace"]
    mine = pod(namespace, ownerReferences=body["metadata"]["ownerReferences"]) | {
        "spec": {**POD, "schedulerName": "stans"}
    }
    assert make(gate, mine, "stan").ok
    labels = {key: value for key, value in body["metadata"]["labels"].items() if key.startswith("nnunet.dev/")}
    binding: Object = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "pod", "labels": labels},
        "target": {"kind": "Node", "name": NODE},
    }
    return gate.ask("POST", f"/api/v1/namespaces/{namespace}/{sub}", binding, "stan")


ATTEMPTS: dict[str, tuple[Callable[[Gate, Object], Answer], str]] = {
    "a Job is complete": (
        lambda gate, body: gate.ask("PATCH", job_of(gate, body, "status"), {"status": DONE}, "stan", MERGE),
        "may not change status.conditions, status.active",
    ),
    "a Job's label": (
        lambda gate, body: gate.ask(
            "PATCH", job_of(gate, body, "status"), {"metadata": {"labels": {"nnunet.dev/fold": "4"}}}, "stan", MERGE
        ),
        "labels under nnunet.dev/ of jobs",
    ),
    "a Job's owner": (
        lambda gate, body: gate.ask(
            "PATCH", job_of(gate, body, "status"), {"metadata": {"ownerReferences": None}}, "stan", MERGE
        ),
        "metadata.ownerReferences of jobs",
    ),
    "a Pod has succeeded": (
        lambda gate, body: forge_pod(gate, body, **success(body)),
        "status.phase, status.containerStatuses of pods",
    ),
    "a Pod has reported": (
        lambda gate, body: forge_pod(gate, body, containerStatuses=success(body)["containerStatuses"]),
        "status.containerStatuses of pods",
    ),
    "a Pod has succeeded, by PUT": (
        lambda gate, body: gate.ask(
            "PUT", path_of(gate, body), {**gate.done("GET", path_of(gate, body, "")), "status": success(body)}, "stan"
        ),
        "status.phase, status.containerStatuses of pods",
    ),
    "a Pod was evicted": (
        lambda gate, body: forge_pod(gate, body, phase="Failed", reason="Evicted"),
        "status.phase, status.reason of pods",
    ),
    "a Pod's address, for the scraper": (
        lambda gate, body: forge_pod(gate, body, podIP="127.0.0.1", podIPs=[{"ip": "127.0.0.1"}]),
        "status.podIP, status.podIPs of pods",
    ),
    "a Pod's label": (
        lambda gate, body: gate.ask(
            "PATCH", path_of(gate, body), {"metadata": {"labels": {"nnunet.dev/stage": "verify2"}}}, "stan", MERGE
        ),
        "labels under nnunet.dev/ of pods",
    ),
    "a container beside the trainer": (
        lambda gate, body: gate.ask(
            "PATCH",
            path_of(gate, body, "ephemeralcontainers"),
            {"spec": {"ephemeralContainers": [{"name": "x", "image": "mine:1", "targetContainerName": "trainer"}]}},
            "stan",
            STRATEGIC,
        ),
        "spec.ephemeralContainers of pods",
    ),
    "the labels of a binding": (
        lambda gate, body: look_alike(gate, body, "pods/pod/binding"),
        "may not make pods with labels under nnunet.dev/",
    ),
    "the labels of a binding, in the old way": (
        lambda gate, body: look_alike(gate, body, "bindings"),
        "may not make bindings with labels under nnunet.dev/",
    ),
}


@pytest.mark.parametrize("what", ATTEMPTS)
def test_writing_what_the_operator_believes_is_stopped_by_admission(
    gate: Gate, stan: str, jobs: dict[str, Object], what: str
) -> None:
    attempt, words = ATTEMPTS[what]
    answer = attempt(gate, jobs["verify"])
    stopped_by_admission(answer, "nnunet-jobs")
    assert words in answer.message


def test_no_stage_can_be_ended_by_who_may_do_all_to_jobs_and_pods(
    gate: Gate, stan: str, clinical: str, jobs: dict[str, Object]
) -> None:
    """From the plan to the evaluation, without a container having run: what once made a training complete."""
    for stage, body in jobs.items():
        stopped_by_admission(forge_pod(gate, body, **success(body)), "nnunet-jobs")
        job_status = gate.ask("PATCH", job_of(gate, body, "status"), {"status": DONE}, stan, MERGE)
        stopped_by_admission(job_status, "nnunet-jobs")
        of_its_own = gate.done("GET", job_of(gate, body))
        assert "conditions" not in of_its_own.get("status", {}), stage
    assert {body["status"]["phase"] for body in pods(gate, clinical)} == {"Pending"}


@pytest.mark.parametrize("owned", [True, False], ids=["with its owner", "for it to adopt"])
def test_a_pod_that_the_job_controller_would_count_is_stopped_by_admission(
    gate: Gate, stan: str, clinical: str, jobs: dict[str, Object], owned: bool
) -> None:
    theirs = jobs["fold"]["metadata"]
    counted = {"batch.kubernetes.io/controller-uid": theirs["ownerReferences"][0]["uid"]}
    owner = {"ownerReferences": theirs["ownerReferences"]} if owned else {}
    body = pod(clinical, labels=counted, finalizers=["batch.kubernetes.io/job-tracking"], **owner)
    path = gate.client.path("pods", clinical)

    def refused() -> Answer | None:
        answer = gate.ask("POST", f"{path}?dryRun=All", body, stan)
        return None if answer.ok else answer

    # The API server hears of Jobs by a watch, which it begins when it first needs them.
    stopped_by_admission(wait_for("admission to know the Job", refused), "nnunet-pods-of-jobs")
    plain = pod(clinical, **owner)
    assert make(gate, plain, stan).ok
    labelled = {"metadata": {"labels": counted}}
    for sub in ("", "status"):
        answer = gate.ask("PATCH", path_of(gate, plain, sub), labelled, stan, MERGE)
        stopped_by_admission(answer, "nnunet-pods-of-jobs")


@pytest.mark.parametrize("who", ["stan", "system:kube-scheduler", OPERATOR])
def test_a_pod_of_a_training_is_counted_by_no_other_job(
    gate: Gate, stan: str, clinical: str, jobs: dict[str, Object], who: str
) -> None:
    """Nobody may, who believes that he may do the rest: nnunet-pods-of-jobs does not look at Pods with our label."""
    gate.allow(who, [{"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["*"]}], clinical)
    counted = {"batch.kubernetes.io/controller-uid": jobs["verify"]["metadata"]["ownerReferences"][0]["uid"]}
    for sub in ("", "status"):
        answer = gate.ask("PATCH", path_of(gate, jobs["fold"], sub), {"metadata": {"labels": counted}}, who, MERGE)
        stopped_by_admission(answer, "nnunet-jobs")
        assert "batch.kubernetes.io/controller-uid" in answer.message
    both = pod(clinical, labels={**OURS, **counted})
    stopped_by_admission(make(gate, both, who), "nnunet-jobs")
    unlabelled = {
        "metadata": {"labels": {**counted, **dict.fromkeys(jobs["fold"]["metadata"]["labels"], None), **counted}}
    }
    assert not gate.ask("PATCH", path_of(gate, jobs["fold"]), unlabelled, who, MERGE).ok, "the label is dropped with it"


@pytest.mark.parametrize("how", ["exec?command=sh", "attach?stdin=true"])
def test_entering_the_verification_is_stopped_by_admission(
    gate: Gate, stan: str, clinical: str, jobs: dict[str, Object], how: str
) -> None:
    def refused(stage: str, who: str = stan) -> str:
        return gate.ask("POST", path_of(gate, jobs[stage], how), as_=who).denial[0]

    # As above: it is to hear of the Job first.
    assert wait_for("admission to know the Job", lambda: refused("verify")) == "nnunet-verification"
    assert refused("fold") == "", "others may be looked into"
    gate.allow("root", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}], clinical)
    assert refused("verify", "root") == ""


def test_a_pod_of_a_job_with_a_long_name_is_known_by_it(gate: Gate, stan: str, clinical: str) -> None:
    body = job(clinical, f"{'long-' * 11}verify", labels={**OURS, "nnunet.dev/stage": "verify"}, template=OURS)
    assert make(gate, body).ok
    (theirs,) = wait_for("the Job controller to make the Pod", lambda: pods(gate, clinical))
    path = path_of(gate, theirs, "exec?command=sh")
    wait_for("admission to know the Job", lambda: gate.ask("POST", path, as_=stan).denial[0] == "nnunet-verification")


def test_entering_a_comparison_is_stopped_by_admission_too(gate: Gate, stan: str, clinical: str) -> None:
    """Its pod says which way of training is good enough."""
    labels = {"nnunet.dev/comparison": "shorter", "nnunet.dev/stage": "compare"}
    stopped_by_admission(
        make(gate, job(clinical, "shorter-compare", labels=labels, template=labels), stan), "nnunet-jobs"
    )
    assert make(gate, job(clinical, "shorter-compare", labels=labels, template=labels)).ok
    theirs = {"labelSelector": "nnunet.dev/comparison=shorter"}
    (body,) = wait_for("the Job controller to make the Pod", lambda: gate.client.list("pods", clinical, **theirs))
    path = path_of(gate, body, "exec?command=sh")
    wait_for("admission to know the Job", lambda: gate.ask("POST", path, as_=stan).denial[0] == "nnunet-verification")
    reported = gate.ask("PATCH", path_of(gate, body), {"status": {"phase": "Succeeded"}}, stan, STRATEGIC)
    stopped_by_admission(reported, "nnunet-jobs")
    uid = body["metadata"]["ownerReferences"][0]["uid"]
    counted = pod(clinical, labels={"batch.kubernetes.io/controller-uid": uid})
    stopped_by_admission(make(gate, counted, stan), "nnunet-pods-of-jobs")


def test_who_counts_a_job_and_when_it_has_failed_is_fixed(gate: Gate, stan: str, jobs: dict[str, Object]) -> None:
    changes: list[Object] = [
        {"managedBy": "example.org/stan"},
        {"podFailurePolicy": {"rules": []}},
        {"podReplacementPolicy": "TerminatingOrFailed"},
    ]
    for spec in changes:
        answer = gate.ask("PATCH", job_of(gate, jobs["verify"]), {"spec": spec}, stan, MERGE)
        assert answer.status in (403, 422), answer.message
        assert f"spec.{min(spec)}" in answer.message


def test_what_holds_up_a_training_brings_it_no_nearer_to_its_end(
    gate: Gate, stan: str, clinical: str, jobs: dict[str, Object]
) -> None:
    """Nothing stops who may do all to Jobs and Pods from deleting or holding them: none of it counts as done."""
    body = jobs["verify"]
    held = {"metadata": {"finalizers": ["example.org/held"]}}
    assert gate.ask("PATCH", path_of(gate, body, ""), held, stan, MERGE).ok, "the Job controller counts it no more"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": body["metadata"]["name"]}}
    assert gate.ask("POST", path_of(gate, body, "eviction"), eviction, stan).ok

    def others() -> list[str]:
        names = {one["metadata"]["name"] for one in pods(gate, clinical) if one["metadata"]["labels"] == labels}
        return sorted(names - {body["metadata"]["name"]})

    labels = body["metadata"]["labels"]
    ended = {"phase": "Failed", "containerStatuses": success(body)["containerStatuses"]}
    assert gate.ask("PATCH", path_of(gate, body), {"status": ended}, f"system:node:{NODE}", STRATEGIC).ok
    wait_for("another verification", others)
    counted = gate.done("GET", job_of(gate, body)).get("status", {})
    assert not counted.get("succeeded") and "conditions" not in counted, counted
    assert gate.ask("PATCH", path_of(gate, body, ""), {"metadata": {"finalizers": None}}, stan, MERGE).ok


def test_a_resize_changes_what_the_trainer_may_use_and_nothing_else(
    gate: Gate, stan: str, jobs: dict[str, Object]
) -> None:
    """No guard looks at pods/resize: what else it says is dropped by the API server, and all but CPU and memory."""
    before = gate.done("GET", path_of(gate, jobs["verify"], ""))
    (trainer,) = before["spec"]["containers"]
    less = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "10m", "memory": "64Mi"}}
    container = {"name": "trainer", "image": "mine:1", "command": ["sh"], "env": [{"name": "A", "value": "b"}]}
    patch = {
        "metadata": {"labels": {"nnunet.dev/stage": "fold"}, "ownerReferences": None, "annotations": {"a": "b"}},
        "spec": {"containers": [{**container, "resources": less}], "serviceAccountName": "stan", "nodeName": "n2"},
        "status": success(before),
    }
    with FakeNode(gate.client, NODE):
        answer = gate.ask("PATCH", path_of(gate, before, "resize"), patch, "stan", STRATEGIC)
    assert answer.ok, answer.message
    after = gate.done("GET", path_of(gate, before, ""))
    assert after["spec"]["containers"][0].pop("resources") == {
        **less,
        "limits": {**trainer["resources"]["limits"], **less["limits"]},
    }
    trainer.pop("resources")
    for body in (before, after):
        for key in ("resourceVersion", "generation", "managedFields"):
            body["metadata"].pop(key, None)
        body["status"].pop("conditions", None)
        body["status"].pop("observedGeneration", None)
    assert after == before


def test_pods_of_other_jobs_are_not_looked_at(gate: Gate, stan: str, clinical: str, jobs: dict[str, Object]) -> None:
    assert make(gate, job(clinical, "other"), stan).ok
    uid = gate.done("GET", gate.client.path("jobs", clinical, "other"))["metadata"]["uid"]
    assert make(gate, pod(clinical, labels={"batch.kubernetes.io/controller-uid": uid}), stan).ok


def test_what_is_no_report_may_be_written_into_the_status(gate: Gate, stan: str, jobs: dict[str, Object]) -> None:
    """A scheduler of one's own says why a pod waits, and Kueue takes the time when it stops a Job."""
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
    body = jobs["fold"]
    said = {"status": {"conditions": [waits]}}
    assert gate.ask("PATCH", path_of(gate, body), said, stan, STRATEGIC).ok
    assert gate.ask("PATCH", job_of(gate, body), {"spec": {"suspend": True}}, stan, MERGE).ok
    wait_for("the Job to be stopped", lambda: "startTime" not in gate.done("GET", job_of(gate, body)).get("status", {}))
    assert gate.ask("PATCH", job_of(gate, body, "status"), {"status": {"startTime": None}}, stan, MERGE).ok


def test_the_kubelet_and_the_controllers_end_a_job(gate: Gate, clinical: str, jobs: dict[str, Object]) -> None:
    body = jobs["verify"]
    running = {"phase": "Running", "podIP": "10.0.0.7", "podIPs": [{"ip": "10.0.0.7"}], "hostIP": "10.0.0.1"}
    for status in (running, success(body)):
        answer = gate.ask("PATCH", path_of(gate, body), {"status": status}, f"system:node:{NODE}", STRATEGIC)
        assert answer.ok, answer.message

    def complete() -> bool:
        conditions = gate.done("GET", job_of(gate, body)).get("status", {}).get("conditions", [])
        return any(condition["type"] == "Complete" and condition["status"] == "True" for condition in conditions)

    wait_for("the Job controller to say that the Job is complete", complete)
    of_the_operator = gate.ask("PATCH", path_of(gate, jobs["plan"]), {"status": running}, OPERATOR, STRATEGIC)
    assert of_the_operator.status == 403 and "cannot patch" in of_the_operator.message, "RBAC: it has no need to"
    disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC", "message": "x"}
    collected = {"status": {"phase": "Failed", "conditions": [disrupted]}}
    collector = "system:serviceaccount:kube-system:pod-garbage-collector"
    answer = gate.ask("PATCH", path_of(gate, jobs["plan"]), collected, collector, STRATEGIC)
    assert answer.ok, json.dumps(answer.body)
    assert OURS.items() <= jobs["plan"]["metadata"]["labels"].items()
