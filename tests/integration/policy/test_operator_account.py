"""What whoever holds the token of the operator's account can make of it: no more than Jobs of trainings."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_operator.kube.builders.comparison import compare_job
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from tests.integration.policy.bypass import stopped_by_admission
from tests.integration.policy.support import OPERATOR, Answer, Gate
from tests.integration.policy.test_bypass_by_jobs import CONFINED, OURS, POD, allowed, job, owner
from tests.support.api import Object
from tests.support.builders import comparison, training
from tests.support.made_comparisons import comparison as comparison_of
from tests.support.made_comparisons import wanted
from tests.support.made_trainings import FULL_POD_TEMPLATE, OPTIONS
from tests.support.made_trainings import training as training_of

GUARD = "nnunet-operator-account"
ENV: list[Any] = [
    {"name": "nnUNet_compile", "value": "f"},
    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": True}}},
]
FULL: dict[str, Any] = {
    "queueName": "gpus",
    "testSet": {},
    "folds": [0],
    "trainer": {"image": "mine:1", "seed": 1, "env": ENV},
    "dataset": {"name": "Dataset004_Hippocampus", "claimName": "archive", "subPath": "a/b"},
    "storage": {"preprocessed": {"localCopy": {"claim": {"storageClassName": "nvme", "size": "1Gi"}}}},
    "podTemplate": FULL_POD_TEMPLATE,
}


def dry_run(gate: Gate, body: Object, as_: str = OPERATOR) -> Answer:
    return gate.ask("POST", f"{gate.client.path('jobs', body['metadata']['namespace'])}?dryRun=All", body, as_)


@pytest.mark.parametrize("spec", [{}, FULL], ids=["smallest", "largest"])
@pytest.mark.parametrize("stage", ["plan", "fold", "verify", "evaluate"])
def test_the_jobs_of_all_stages_pass(gate: Gate, namespace: str, stage: str, spec: dict[str, Any]) -> None:
    of = replace(training_of(**spec), namespace=namespace)
    build: dict[str, Callable[[], Object]] = {
        "plan": lambda: plan_job(of, OPTIONS),
        "fold": lambda: fold_job(of, OPTIONS, FoldKey(of.spec.configuration_names[0], "0")),
        "verify": lambda: verify_job(of, OPTIONS),
        "evaluate": lambda: evaluate_job(of, OPTIONS),
    }
    answer = dry_run(gate, build[stage]())
    assert answer.ok, answer.message


@pytest.mark.parametrize("spec", [{}, FULL], ids=["smallest", "largest"])
def test_the_job_of_a_comparison_passes(gate: Gate, namespace: str, spec: dict[str, Any]) -> None:
    of = replace(comparison_of(), namespace=namespace)
    trainings = tuple(replace(training_of(name=name, **spec), namespace=namespace) for name in ("long", "short"))
    answer = dry_run(gate, compare_job(of, OPTIONS, wanted(of, *trainings)))
    assert answer.ok, answer.message


def container(**changes: Any) -> Object:
    return {"containers": [{**POD["containers"][0], **changes}]}


def security(**changes: Any) -> Object:
    return container(securityContext={**CONFINED, **changes})


def own_claim(**spec: Any) -> Object:
    """Return a volume with a claim that is made for the pod."""
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": asked}}}


ROOT: Object = {"securityContext": {**POD["securityContext"], "runAsUser": 0, "runAsNonRoot": False}}
SECRETS: dict[str, tuple[Object, str]] = {
    "by a volume": ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "volumes"),
    "by a variable": (container(env=ENV), "containers.env"),
}
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
PODS: dict[str, tuple[Object, str]] = {
    "the node's disk": ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes"),
    "a token by a volume": ({"volumes": [{"name": "v", **TOKEN}]}, "volumes"),
    "an empty folder beside a driver of any kind": (
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "csi": {"driver": "d"}}]},
        "volumes",
    ),
    "a claim of its own with the data of another": (
        {"volumes": [own_claim(dataSource={"kind": "PersistentVolumeClaim", "name": "theirs"})]},
        "volumes",
    ),
    "a claim of its own on a volume by its name": ({"volumes": [own_claim(volumeName="theirs")]}, "volumes"),
    "a claim of its own on a volume by its labels": (
        {"volumes": [own_claim(selector={"matchLabels": {"a": "b"}})]},
        "volumes",
    ),
    **{
        f"a claim of its own with {what}, by which a controller may fill it": (
            {
                "volumes": [
                    {
                        "name": "v",
                        "ephemeral": {
                            "volumeClaimTemplate": own_claim()["ephemeral"]["volumeClaimTemplate"]
                            | {"metadata": {what: {"example.org/copy-of": "theirs"}}}
                        },
                    }
                ]
            },
            "volumes",
        )
        for what in ("labels", "annotations")
    },
    "what the node knows of the pod": (
        container(env=[{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]),
        "containers.env",
    ),
    "another domain of SELinux": (
        {"securityContext": {**POD["securityContext"], "seLinuxOptions": {"type": "spc_t"}}},
        "securityContext",
    ),
    "another user of SELinux": (
        {"securityContext": {**POD["securityContext"], "seLinuxOptions": {"user": "root"}}},
        "securityContext",
    ),
    "a Secret by all variables": (container(envFrom=[{"secretRef": {"name": "s"}}]), "containers.env"),
    "the node's network": ({"hostNetwork": True}, "hostNetwork"),
    "the node's processes": ({"hostPID": True}, "hostPID"),
    "the node's memory": ({"hostIPC": True}, "hostIPC"),
    "a node of its choice": ({"nodeName": "control-plane"}, "nodeName"),
    "the devices of somebody's claim": (
        {"resourceClaims": [{"name": "gpu", "resourceClaimName": "theirs"}]},
        "resourceClaims",
    ),
    "a port of the node": (container(ports=[{"containerPort": 80, "hostPort": 80}]), "containers.ports"),
    "a token": ({"automountServiceAccountToken": True}, "automountServiceAccountToken"),
    "a token by default": ({"automountServiceAccountToken": None}, "automountServiceAccountToken"),
    "root": (ROOT, "securityContext"),
    "no words on root": ({"securityContext": None}, "securityContext"),
    "system calls": (
        {"securityContext": {**POD["securityContext"], "seccompProfile": {"type": "Unconfined"}}},
        "securityContext",
    ),
    "all files": (
        {"securityContext": {**POD["securityContext"], "appArmorProfile": {"type": "Unconfined"}}},
        "securityContext",
    ),
    "kernel settings": (
        {"securityContext": {**POD["securityContext"], "sysctls": [{"name": "a", "value": "b"}]}},
        "securityContext",
    ),
    "privileges": (security(privileged=True, allowPrivilegeEscalation=True), "containers.securityContext"),
    "more privileges than the parent": (security(allowPrivilegeEscalation=True), "containers.securityContext"),
    "a capability": (security(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]}), "containers.securityContext"),
    "all capabilities": (security(capabilities={}), "containers.securityContext"),
    "root in the container": (security(runAsUser=0), "containers.securityContext"),
    "no words in the container": (container(securityContext=None), "containers.securityContext"),
    "an init container": (
        {"initContainers": [{"name": "i", "image": "i:1", "securityContext": {"privileged": True}}]},
        "containers.securityContext",
    ),
}


@pytest.mark.parametrize("what", PODS)
def test_a_pod_that_is_more_than_a_trainer_is_stopped_by_admission(gate: Gate, namespace: str, what: str) -> None:
    changes, words = PODS[what]
    body = job(namespace, labels=OURS, template=OURS, ownerReferences=[owner()])
    assert dry_run(gate, body).ok
    body["spec"]["template"]["spec"] = {**POD, **changes}
    answer = dry_run(gate, body)
    stopped_by_admission(answer, GUARD)
    assert f"in spec.template.spec: {words}" in answer.message


def test_devices_by_a_claim_of_the_pod_s_own_pass_admission(gate: Gate, namespace: str) -> None:
    body = job(namespace, labels=OURS, template=OURS, ownerReferences=[owner()])
    body["spec"]["template"]["spec"] = {**POD, "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "one"}]}
    answer = dry_run(gate, body)
    assert answer.ok, answer.message


@pytest.mark.parametrize("what", SECRETS)
def test_secrets_of_the_clusters_own_namespaces_are_stopped_by_admission(gate: Gate, namespace: str, what: str) -> None:
    """Whoever has the operator's token could name a training that is not there."""
    changes, words = SECRETS[what]
    for where, passes in ((namespace, True), ("kube-system", False)):
        body = job(where, labels=OURS, template=OURS, ownerReferences=[owner()])
        body["spec"]["template"]["spec"] = {**POD, **changes}
        answer = dry_run(gate, body)
        assert answer.ok is passes, answer.message
        if not passes:
            stopped_by_admission(answer, GUARD)
            assert f"in spec.template.spec: {words}" in answer.message


OTHERS: dict[str, list[Object]] = {
    "none": [],
    "of another kind": [{**owner(), "apiVersion": "v1", "kind": "ConfigMap"}],
    "of another group": [{**owner(), "apiVersion": "example.org/v1"}],
    "not the controller": [{**owner(), "controller": False}],
}


@pytest.mark.parametrize("owners", OTHERS.values(), ids=OTHERS)
def test_a_job_that_no_training_owns_is_stopped_by_admission(gate: Gate, owners: list[Object]) -> None:
    answer = dry_run(gate, job("kube-system", ownerReferences=owners))
    stopped_by_admission(answer, GUARD)
    assert (
        "the operator may not touch Job kube-system/job: no NnunetTraining or NnunetComparison is the controller"
        in answer.message
    )


def test_a_privileged_job_in_kube_system_is_stopped_by_admission(gate: Gate) -> None:
    """With a training named as its owner that is not there, as it can't be seen here whether it is."""
    body = job("kube-system", ownerReferences=[owner()])
    disk = {"volumes": [{"name": "root", "hostPath": {"path": "/"}}], "serviceAccountName": "job-controller"}
    privileged = security(privileged=True, allowPrivilegeEscalation=True)
    body["spec"]["template"]["spec"] = {**POD, **privileged, **disk}
    stopped_by_admission(dry_run(gate, body), GUARD)


def test_deleting_others_jobs_and_trainings_without_an_end_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    allowed(gate, clinical)
    gate.client.create("jobs", job(clinical, "theirs"))
    stopped_by_admission(gate.ask("DELETE", gate.client.path("jobs", clinical, "theirs"), as_=OPERATOR), GUARD)
    answer = gate.ask("DELETE", gate.path(clinical), as_=OPERATOR)
    stopped_by_admission(answer, GUARD)
    assert "its spec.ttlSecondsAfterFinished is not set" in answer.message


def test_it_deletes_comparisons_alone_that_have_an_end(gate: Gate, clinical: str) -> None:
    gate.client.create("nnunetcomparisons", comparison(clinical))
    path = gate.client.path("nnunetcomparisons", clinical, "shorter")
    answer = gate.ask("DELETE", path, as_=OPERATOR)
    stopped_by_admission(answer, GUARD)
    assert "its spec.ttlSecondsAfterFinished is not set" in answer.message
    gate.client.merge("nnunetcomparisons", clinical, "shorter", {"spec": {"ttlSecondsAfterFinished": 0}})
    assert gate.ask("DELETE", path, as_=OPERATOR).ok


def test_deleting_its_jobs_and_trainings_at_their_end_passes(gate: Gate, clinical: str) -> None:
    made = gate.create(training(clinical, "old", **LASTING), dry_run=False).body
    # By its own name: with another one the garbage collector finds no such owner, and is the first to delete it.
    itself = {**owner(made["metadata"]["uid"]), "name": "old"}
    body = job(clinical, "ours", labels=OURS, template=OURS, ownerReferences=[itself])
    assert gate.ask("POST", gate.client.path("jobs", clinical), body, OPERATOR).ok
    assert gate.ask("DELETE", gate.client.path("jobs", clinical, "ours"), as_=OPERATOR).ok
    assert gate.ask("DELETE", gate.path(clinical, "old"), as_=OPERATOR).ok


LASTING: dict[str, Any] = {"schedule": {"epochs": 2000}, "trainer": {"seed": 1}, "ttlSecondsAfterFinished": 0}


def test_others_are_not_bound_by_it(gate: Gate, clinical: str) -> None:
    gate.allow("erin", [{"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]}], clinical)
    assert dry_run(gate, job(clinical), "erin").ok
