"""Brings about what stands in a training's way: a function for each row of `hack.generate.obstacles`, by its name.

What others in the cluster do is in bring_by_others.py.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nnunet_api.contract import TerminationReport
from tests.integration.conftest import Lab
from tests.integration.runtime.stage import NOWHERE, PLAN_ROOM, Stage, brings
from tests.support.api import wait_for
from tests.support.builders import evidence, words
from tests.support.devices import Devices

FULL = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
NO_GPU = "Pod was rejected: Allocate failed due to no healthy devices present"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
UNKNOWN_OPERATOR = {"matchExpressions": [{"key": "gpu", "operator": "Exist"}]}


def spec_alone(name: str, **spec: Any) -> None:
    """Register what the spec alone brings about."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply(**spec)
        yield

    deed.__name__ = name
    brings(deed)


spec_alone("too_large", resources={"preprocessing": {"cpu": "1", "memory": "9999Gi"}})
spec_alone("no_such_node", podTemplate=NOWHERE)
spec_alone("weights_missing", initialWeights={"training": {"name": "gone"}})
spec_alone("claim_missing", dataset={"name": "Dataset004_Hippocampus", "claimName": "gone"})
spec_alone("claim_unbound", dataset={"name": "Dataset004_Hippocampus", "claimName": "unbound"})
spec_alone("no_service_account", podTemplate={"serviceAccountName": "nobody"})
spec_alone("no_kueue", queueName="gpus")
spec_alone("value", podTemplate={"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [UNKNOWN_OPERATOR]}}}})
spec_alone("suspended", suspend=True)
spec_alone("invalid", planning={"configurations": {"own": {"inherits_from": "3d_fullres", "spacing": [1.5] * 20_000}}})


def pod_waits(name: str, reason: str, message: str, container: str = "trainer") -> None:
    """Register a pod whose container waits for a reason."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply()
        pod = stage.placed()
        state = {"waiting": {"reason": reason, "message": message}}
        body = {"name": container, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        image = next((one["image"] for one in pod["spec"]["initContainers"] if one["name"] == container), "x")
        where = "initContainerStatuses" if container == "prepare" else "containerStatuses"
        stage.write(pod, phase="Pending", **{where: [{**body, "image": image}]})
        yield

    deed.__name__ = name
    brings(deed)


pod_waits("image", "ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: manifest unknown')
pod_waits("signature", "SignatureValidationFailed", "no key matches")
pod_waits("image_of_folders", "ErrImagePull", "manifest unknown", "prepare")
pod_waits("image_of_others", "ErrImagePull", "manifest unknown", "proxy")
pod_waits("restarted", "CrashLoopBackOff", "back-off 5m0s restarting failed container")
pod_waits("no_secret", "CreateContainerConfigError", 'secret "wandb" not found')
pod_waits("no_folder", "CreateContainerConfigError", 'failed to create subPath directory for volumeMount "results"')
pod_waits("no_profile", "CreateContainerError", 'cannot load seccomp profile "/var/lib/kubelet/seccomp/a.json"')
pod_waits("container_of_others", "CreateContainerError", "no such file", "proxy")


def fails(name: str, code: int, message: str, reason: str = "", **spec: Any) -> None:
    """Register a planning that ends with a code."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply(**spec)
        stage.lab.kubelet.end(stage.pod(), code, message, reason)
        yield

    deed.__name__ = name
    brings(deed)


fails("configuration", 64, words(TerminationReport(message="there is no trainer class X")))
fails("data", 65, words(TerminationReport(message="dataset.json is missing")))
fails("storage", 74, words(TerminationReport(message="no space left on the claim")))
fails("memory", 137, "", "OOMKilled")
fails("crashes", 1, "Traceback\nValueError: y", retryLimit=0)


def fold_fails(name: str, code: int, message: str, **spec: Any) -> None:
    """Register a fold that ends with a code."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply(**spec)
        stage.planned()
        stage.lab.kubelet.end(stage.pod("fold"), code, words(TerminationReport(message=message)))
        yield

    deed.__name__ = name
    brings(deed)


fold_fails("checkpoint", 69, "of fold 0's checkpoints none loads")
fold_fails("gpu_memory", 76, "CUDA out of memory")
fold_fails("not_finite", 77, "epoch 0 left weights that are not finite numbers", retryLimit=0)


@brings
def no_gpu(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.planned()
    yield


@brings
def no_template(stage: Stage) -> Iterator[None]:
    stage.apply(resources={**PLAN_ROOM, "gpuClaimTemplateName": "gone"})
    stage.planned()
    yield


@brings
def no_device(stage: Stage) -> Iterator[None]:
    with Devices(stage.lab.api, stage.node, 0) as devices:
        devices.template(stage.lab.namespace, "one-gpu")
        stage.apply(resources={**PLAN_ROOM, "gpuClaimTemplateName": "one-gpu"})
        stage.planned()
        yield


@brings
def volume(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.says(stage.placed(), "Warning", "FailedAttachVolume", "Multi-Attach error for volume pvc-1")
    yield


def nothing_begins(name: str, container: str = "") -> None:
    """Register a pod that has had its node for an hour, with a container before the trainer that still runs, if any."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply()
        pod = stage.placed()
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3600))
        placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": since}
        body = {"name": container, "image": "x", "imageID": "", "ready": False, "restartCount": 0}
        before = [{**body, "state": {"running": {"startedAt": since}}}] if container else []
        stage.write(pod, conditions=[placed], initContainerStatuses=before)
        yield

    deed.__name__ = name
    brings(deed)


nothing_begins("silent_node")
nothing_begins("slow_folders", "prepare")
nothing_begins("slow_container", "vault-init")


@brings
def sandbox(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.says(stage.placed(), "Warning", "FailedCreatePodSandBox", "failed to set up sandbox container")
    yield


@brings
def turned_away(stage: Stage) -> Iterator[None]:
    stage.apply(retryLimit=0, podTemplate=NOWHERE)  # which the scheduler leaves to us
    stage.lab.kubelet.turn_away(stage.pod(), stage.node, "UnexpectedAdmissionError", NO_GPU)
    yield


@brings
def over_its_limit(stage: Stage) -> Iterator[None]:
    stage.apply(retryLimit=0)
    pod = stage.placed()
    ended = {"exitCode": 137, "reason": "Error", "message": "", "containerID": "containerd://1"}
    body = {"name": "trainer", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{**body, "state": {"terminated": ended}}]
    stage.write(pod, phase="Failed", reason="Evicted", message=FULL, containerStatuses=statuses)
    yield


@brings
def sidecar(stage: Stage) -> Iterator[None]:
    stage.apply()
    pod = stage.placed()
    began, ended = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) for ago in (90, 60))
    over = {"exitCode": 0, "startedAt": began, "finishedAt": ended, "containerID": "containerd://1"}
    states = {"proxy": {"running": {"startedAt": began}}, "trainer": {"terminated": over}}
    body = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{**body, "name": name, "state": state} for name, state in states.items()]
    stage.write(pod, phase="Running", containerStatuses=statuses)
    yield


def _stall(stage: Stage, **spec: Any) -> None:
    stage.trainer.says(3)
    stage.apply(stallTimeoutSeconds=10, **spec)
    stage.planned()
    stage.lab.kubelet.run(stage.pod("fold"), stage.trainer.address)


@brings
def stall(stage: Stage) -> Iterator[None]:
    _stall(stage)
    yield


def _starved(stage: Stage, **told: Any) -> None:
    stage.trainer.says(5, data_wait_share=0.38, data_workers=8, **told)
    stage.apply(resources={**PLAN_ROOM, "cpu": "8"})
    stage.planned()
    stage.lab.kubelet.run(stage.pod("fold"), stage.trainer.address)


@brings
def starved(stage: Stage) -> Iterator[None]:
    _starved(stage, data_worker_use=0.97)
    yield


@brings
def starved_by_volume(stage: Stage) -> Iterator[None]:
    _starved(stage, data_worker_use=0.2)
    yield


@brings
def stalls(stage: Stage) -> Iterator[None]:
    _stall(stage, restartOnStall=True, retryLimit=0)
    yield


def _verified(stage: Stage, message: str, lab: Lab | None = None) -> None:
    stage.trained(lab)
    (lab or stage.lab).kubelet.end(stage.pod("verify", lab), message=message)


FOUR = words(TerminationReport(message="verified", evidence=evidence({"0": 4})))


@brings
def too_few_epochs(stage: Stage) -> Iterator[None]:
    stage.apply()
    _verified(stage, FOUR)
    yield


@brings
def no_evidence(stage: Stage) -> Iterator[None]:
    stage.apply()
    _verified(stage, "")
    yield


@contextmanager
def policy(stage: Stage, epochs: int = 1, **rules: Any) -> Iterator[None]:
    """Have a policy for the namespace of what is held that asks for epochs and more, known to the operator."""
    api, name = stage.held.api, f"p-{stage.held.namespace}"
    body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": name}}
    spec = {"mode": "Enforce", "namespaces": [stage.held.namespace], "rules": {"minEpochs": epochs, **rules}}
    made = api.apply("nnunettrainingpolicies", {**body, "spec": spec})
    generation = made["metadata"]["generation"]

    def known() -> bool:
        found = api.get("nnunettrainingpolicies", "", name) or {}
        return bool(found.get("status", {}).get("observedGeneration") == generation)

    wait_for("the policy to be known", known)
    try:
        yield
    finally:
        if api.get("nnunettrainingpolicies", "", name):
            api.delete("nnunettrainingpolicies", "", name)


@brings
def denied(stage: Stage) -> Iterator[None]:
    with policy(stage, 1000):
        stage.apply(stage.held)
        yield


@brings
def verifier_by_tag(stage: Stage) -> Iterator[None]:
    with policy(stage, requireImageDigest=True):
        stage.apply(stage.held, trainer={"image": f"registry.example/mine@sha256:{'c' * 64}"})
        yield


@brings
def changed(stage: Stage) -> Iterator[None]:
    stage.apply(stage.held, podTemplate=NOWHERE)
    stage.held.wait("its start", lambda: stage.held.status(stage.name).get("startTime"), stage.name)
    with policy(stage, 1000):
        yield


@brings
def no_policy(stage: Stage) -> Iterator[None]:
    api, name = stage.held.api, stage.held.namespace
    stage.apply(stage.held, podTemplate=NOWHERE)  # a pod that has no node yet is gone at once
    api.merge("namespaces", "", name, {"metadata": {"labels": {"nnunet.dev/clinical": "true"}}})
    try:
        yield
    finally:
        api.merge("namespaces", "", name, {"metadata": {"labels": {"nnunet.dev/clinical": None}}})


@brings
def below_policy(stage: Stage) -> Iterator[None]:
    with policy(stage, 10):
        stage.apply(stage.held)
        _verified(stage, FOUR, stage.held)
        yield


@brings
def no_evidence_for_policy(stage: Stage) -> Iterator[None]:
    with policy(stage, 10):
        stage.apply(stage.held)
        _verified(stage, "", stage.held)
        yield
