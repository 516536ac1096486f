"""Brings about what stands in a training's way: a function for each row of `hack.generate.obstacles`, by its name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nnunet_api.contract import TerminationReport
from tests.integration.conftest import Lab
from tests.support.api import Object, wait_for
from tests.support.builders import evidence, training, words
from tests.support.mutations import Mutations
from tests.support.quota import allow, forbid
from tests.support.trainer import Trainer

FULL = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
NO_GPU = "Pod was rejected: Allocate failed due to no healthy devices present"
NOWHERE = {"nodeSelector": {"gpu": "h200"}}
"""spec.podTemplate for pods that no node takes."""
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
UNKNOWN_OPERATOR = {"matchExpressions": [{"key": "gpu", "operator": "Exist"}]}
TRIAL: Object = {"spec": {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}}
PLAN_ROOM = {"preprocessing": {"cpu": "1", "memory": "1Gi"}}


class Stage:
    """A namespace in which trainings meet obstacles one after the other, with a node that has no GPU."""

    def __init__(self, lab: Lab, held: Lab, node: str, trainer: Trainer) -> None:
        self.lab = lab
        self.held = held
        """A namespace for what concerns all that is in it."""
        self.node = node
        self.trainer = trainer
        self.name = ""
        """Of the present training."""

    def apply(self, lab: Lab | None = None, **spec: Any) -> None:
        """Create the present training: fold 0 alone, small enough for the node."""
        lab = lab or self.lab
        lab.apply(training(lab.namespace, self.name, **{"folds": [0], "resources": PLAN_ROOM, **spec}))

    def pod(self, stage: str = "plan", lab: Lab | None = None) -> Object:
        """Wait for the present training's pod of a stage to have a node, where there is one for it."""
        lab = lab or self.lab
        return lab.kubelet.pod(self.name, stage, "0" if stage == "fold" else "")

    def placed(self) -> Object:
        """Wait for the planning pod to have a node."""
        wait_for("a node", lambda: self.pod()["spec"].get("nodeName"), 60, lambda: self.lab.describe(self.name))
        return self.pod()

    def planned(self, lab: Lab | None = None) -> None:
        """Let planning succeed."""
        (lab or self.lab).kubelet.end(self.pod(lab=lab))

    def trained(self, lab: Lab | None = None) -> None:
        """Let planning and fold 0 succeed."""
        self.planned(lab)
        (lab or self.lab).kubelet.end(self.pod("fold", lab))

    def says(self, pod: Object, type_: str, reason: str, message: str) -> None:
        """Record an Event on a pod that has been on its node for a minute."""
        started = {"startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))}
        lab, name = self.lab, pod["metadata"]["name"]
        lab.api.merge("pods", lab.namespace, name, {"status": started}, sub="status")
        lab.kubelet.wait(pod, "ContainerCreating", "")
        time.sleep(1.1)  # the scheduler's Event may be written later, but is of an earlier second
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"kind": "Pod", "namespace": lab.namespace, "name": name, "uid": pod["metadata"]["uid"]}
        event = {"type": type_, "reason": reason, "message": message, "lastTimestamp": now, "involvedObject": about}
        lab.api.create("events", {"metadata": {"generateName": "pod-", "namespace": lab.namespace}, **event})

    def write(self, pod: Object, **status: Any) -> None:
        """Write a pod's status."""
        self.lab.api.merge("pods", self.lab.namespace, pod["metadata"]["name"], {"status": status}, sub="status")


Bring = Callable[[Stage], Iterator[None]]
"""Brings something about, yields while it is to be seen, and takes it away."""
BRING: dict[str, Callable[[Stage], Any]] = {}


def brings(deed: Bring) -> Bring:
    """Register a function under its name."""
    BRING[deed.__name__] = contextmanager(deed)
    return deed


def spec_alone(name: str, **spec: Any) -> None:
    """Register what the spec alone brings about."""

    def deed(stage: Stage) -> Iterator[None]:
        stage.apply(**spec)
        yield

    deed.__name__ = name
    brings(deed)


spec_alone("too_large", resources={"preprocessing": {"cpu": "1", "memory": "9999Gi"}})
spec_alone("no_such_node", podTemplate=NOWHERE)
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
pod_waits("image_of_folders", "ErrImagePull", "manifest unknown", "prepare")
pod_waits("image_of_others", "ErrImagePull", "manifest unknown", "proxy")
pod_waits("no_secret", "CreateContainerConfigError", 'secret "wandb" not found')
pod_waits("no_folder", "CreateContainerConfigError", 'failed to create subPath directory for volumeMount "results"')
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
def tainted(stage: Stage) -> Iterator[None]:
    taint = {"key": "maintenance", "value": "yes", "effect": "NoSchedule"}
    stage.lab.api.merge("nodes", "", stage.node, {"spec": {"taints": [taint]}})
    stage.apply()
    yield
    stage.lab.api.merge("nodes", "", stage.node, {"spec": {"taints": None}})


@brings
def job_suspended(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.pod()
    stage.lab.api.merge("jobs", stage.lab.namespace, f"{stage.name}-plan", {"spec": {"suspend": True}})
    yield


@brings
def volume(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.says(stage.placed(), "Warning", "FailedAttachVolume", "Multi-Attach error for volume pvc-1")
    yield


@brings
def sandbox(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.says(stage.placed(), "Warning", "FailedCreatePodSandBox", "failed to set up sandbox container")
    yield


@brings
def webhook(stage: Stage) -> Iterator[None]:
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    lab, name = stage.lab, f"down-{stage.lab.namespace}"
    body = {
        **{"name": "vjob.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "None"},
        **{"failurePolicy": "Fail", "timeoutSeconds": 3, "clientConfig": {"url": "https://127.0.0.1:1/validate"}},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.namespace}},
        "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}],
    }
    lab.api.request("POST", path, {"metadata": {"name": name}, "webhooks": [body]})
    container = {"name": "trial", "image": "trial"}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": lab.namespace}, "spec": spec}
    wait_for("the webhook to be in force", lambda: "failed calling webhook" in lab.api.refusal("jobs", trial))
    stage.apply()
    yield
    lab.api.request("DELETE", f"{path}/{name}")


@brings
def quota(stage: Stage) -> Iterator[None]:
    forbid(stage.lab.api, stage.lab.namespace)
    stage.apply()
    yield
    allow(stage.lab.api, stage.lab.namespace)


@brings
def quota_on_limits(stage: Stage) -> Iterator[None]:
    namespace = stage.held.namespace
    hard = {"metadata": {"name": "limits", "namespace": namespace}, "spec": {"hard": {"limits.cpu": "100"}}}
    stage.lab.api.create("resourcequotas", hard)
    trial = {"metadata": {"generateName": "trial-", "namespace": namespace}, **TRIAL}
    wait_for("the quota to be in force", lambda: "must specify" in stage.lab.api.refusal("pods", trial))
    stage.apply(stage.held)
    yield
    stage.lab.api.delete("resourcequotas", namespace, "limits")


@brings
def limit_range(stage: Stage) -> Iterator[None]:
    namespace = stage.held.namespace
    limit = {"type": "Container", "default": {"cpu": "100m"}, "defaultRequest": {"cpu": "100m"}}
    body = {"metadata": {"name": "defaults", "namespace": namespace}, "spec": {"limits": [limit]}}
    stage.lab.api.create("limitranges", body)
    trial = {"metadata": {"generateName": "trial-", "namespace": namespace}, **TRIAL}
    greedy: Object = {**trial, "spec": {**TRIAL["spec"], "containers": [{**TRIAL["spec"]["containers"][0]}]}}
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    wait_for("the LimitRange to be in force", lambda: "less than or equal" in stage.lab.api.refusal("pods", greedy))
    stage.apply(stage.held)
    yield
    stage.lab.api.delete("limitranges", namespace, "defaults")


@brings
def pod_security(stage: Stage) -> Iterator[None]:
    lab, level = stage.held, "pod-security.kubernetes.io/enforce"
    lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {level: "restricted"}}})
    pod = {"containers": [{"name": "trial", "image": "trial"}]}
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": lab.namespace}, "spec": pod}
    wait_for("Pod Security to be in force", lambda: "PodSecurity" in lab.api.refusal("pods", trial))
    unconfined = {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}
    stage.apply(lab, podTemplate={"annotations": unconfined})
    yield
    lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {level: None}}})


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


@brings
def name_taken(stage: Stage) -> Iterator[None]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "registry.example/other:1"}]}}
    metadata = {"name": f"{stage.name}-plan", "namespace": stage.lab.namespace}
    stage.lab.api.create("jobs", {"metadata": metadata, "spec": {"template": template}})
    stage.apply()
    yield


@brings
def name_of_other_training(stage: Stage) -> Iterator[None]:
    name = stage.name
    stage.apply()
    stage.pod()
    stage.name = name.replace("-", ".")
    stage.apply()
    yield


@contextmanager
def managed_elsewhere(stage: Stage) -> Iterator[None]:
    """Have what makes the pods of the present training's Jobs be another controller, and nobody."""
    mutations = Mutations(stage.lab.api, stage.lab.namespace)
    value = '[JSONPatch{op: "add", path: "/spec/managedBy", value: "kueue.x-k8s.io/multikueue"}]'
    mutations.begin("managed", "batch", "jobs", value, f'object.metadata.name.startsWith("{stage.name}-")')
    container = {"name": "trial", "image": "trial"}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    metadata = {"name": f"{stage.name}-trial", "namespace": stage.lab.namespace}
    trial: Object = {"metadata": metadata, "spec": spec}
    wait_for("the rule", lambda: "managedBy" in stage.lab.api.create("jobs", trial, dryRun="All")["spec"])
    yield
    mutations.end()


@brings
def managed(stage: Stage) -> Iterator[None]:
    with managed_elsewhere(stage):
        stage.apply()
        yield


@brings
def evidence_gone(stage: Stage) -> Iterator[None]:
    with managed_elsewhere(stage):
        stage.apply(retryLimit=0)
        for child in ("plan", "fold-0"):
            _complete(stage, f"{stage.name}-{child}")
        first = _complete(stage, f"{stage.name}-verify")
        _complete(stage, f"{stage.name}-verify", after=first)  # one such loss is forgiven
        yield


def _complete(stage: Stage, name: str, after: str = "") -> str:
    """Report what a controller elsewhere copies back of a Job that is done; return its UID.

    `after` is the UID of the Job before it, of the same name.
    """
    lab = stage.lab

    def uid() -> str | None:
        job = lab.api.get("jobs", lab.namespace, name)
        return None if job is None or job["metadata"]["uid"] == after else str(job["metadata"]["uid"])

    found = wait_for(name, uid, 60, lambda: lab.describe(stage.name))
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    said = {"status": "True", "reason": "Done", "message": "", "lastTransitionTime": now}
    conditions = [{**said, "type": type_} for type_ in ("SuccessCriteriaMet", "Complete")]
    begun = {"startTime": now, "active": 1, "ready": 1}
    ended = {"active": 0, "ready": 0, "succeeded": 1, "completionTime": now, "conditions": conditions}
    for status in (begun, ended):
        lab.api.merge("jobs", lab.namespace, name, {"status": status}, sub="status")
    return found


@brings
def finalizer(stage: Stage) -> Iterator[None]:
    lab = stage.lab
    stage.apply()
    stage.pod()
    held = {"metadata": {"finalizers": ["backup.example.org/wait"]}}
    lab.api.merge("nnunettrainings", lab.namespace, stage.name, held)
    lab.api.delete("nnunettrainings", lab.namespace, stage.name)
    yield
    lab.api.merge("nnunettrainings", lab.namespace, stage.name, {"metadata": {"finalizers": []}})


def _stall(stage: Stage, **spec: Any) -> None:
    stage.trainer.says(3)
    stage.apply(stallTimeoutSeconds=10, **spec)
    stage.planned()
    stage.lab.kubelet.run(stage.pod("fold"), stage.trainer.address)


@brings
def stall(stage: Stage) -> Iterator[None]:
    _stall(stage)
    yield


@brings
def stalls(stage: Stage) -> Iterator[None]:
    _stall(stage, restartOnStall=True, retryLimit=0)
    yield


@brings
def job_deleted(stage: Stage) -> Iterator[None]:
    stage.apply(retryLimit=1, podTemplate=NOWHERE)  # on a node its pod would need a kubelet to go
    seen: set[str] = set()

    def given_up() -> bool:
        name = f"{stage.name}-plan"
        job = stage.lab.api.get("jobs", stage.lab.namespace, name)
        if job and job["metadata"]["uid"] not in seen:
            seen.add(job["metadata"]["uid"])
            stage.lab.api.delete("jobs", stage.lab.namespace, name)
        return bool(stage.lab.condition("Failed", stage.name).get("status") == "True")

    wait_for("the end", given_up, 60, lambda: stage.lab.describe(stage.name))
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
def policy(stage: Stage, epochs: int) -> Iterator[None]:
    """Have a policy for the namespace of what is held that asks for epochs, known to the operator."""
    api, name = stage.held.api, f"p-{stage.held.namespace}"
    body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": name}}
    spec = {"mode": "Enforce", "namespaces": [stage.held.namespace], "rules": {"minEpochs": epochs}}
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
def changed(stage: Stage) -> Iterator[None]:
    stage.apply(stage.held, podTemplate=NOWHERE)
    wait_for("its start", lambda: stage.held.status(stage.name).get("startTime"))
    with policy(stage, 1000):
        yield


@brings
def no_policy(stage: Stage) -> Iterator[None]:
    api, name = stage.held.api, stage.held.namespace
    stage.apply(stage.held, podTemplate=NOWHERE)  # a pod that has no node yet is gone at once
    api.merge("namespaces", "", name, {"metadata": {"labels": {"nnunet.dev/clinical": "true"}}})
    yield
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
