"""Brings about what others in a cluster put in a training's way: what they have in force, and do to its Jobs.

The other rows are in bring.py.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.integration.runtime.bring import policy
from tests.integration.runtime.stage import NOWHERE, Stage, brings
from tests.support.api import Api, ApiError, Object
from tests.support.claims import are_bound, make_bound_claims
from tests.support.mutations import Mutations
from tests.support.quota import allow, forbid

TRIAL: Object = {"spec": {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}}


@brings
def tainted(stage: Stage) -> Iterator[None]:
    taint = {"key": "maintenance", "value": "yes", "effect": "NoSchedule"}
    stage.lab.api.merge("nodes", "", stage.node, {"spec": {"taints": [taint]}})
    stage.apply()
    try:
        yield
    finally:
        stage.lab.api.merge("nodes", "", stage.node, {"spec": {"taints": None}})


@brings
def job_suspended(stage: Stage) -> Iterator[None]:
    stage.apply()
    stage.pod()
    stage.lab.api.merge("jobs", stage.lab.namespace, f"{stage.name}-plan", {"spec": {"suspend": True}})
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
    lab.wait("the webhook to be in force", lambda: "failed calling webhook" in lab.api.refusal("jobs", trial))
    stage.apply()
    try:
        yield
    finally:
        lab.api.request("DELETE", f"{path}/{name}")


@brings
def quota(stage: Stage) -> Iterator[None]:
    forbid(stage.lab.api, stage.lab.namespace)
    stage.apply()
    try:
        yield
    finally:
        allow(stage.lab.api, stage.lab.namespace)


@brings
def quota_on_limits(stage: Stage) -> Iterator[None]:
    namespace = stage.held.namespace
    hard = {"metadata": {"name": "limits", "namespace": namespace}, "spec": {"hard": {"limits.cpu": "100"}}}
    stage.lab.api.create("resourcequotas", hard)
    trial = {"metadata": {"generateName": "trial-", "namespace": namespace}, **TRIAL}
    stage.lab.wait("the quota to be in force", lambda: "must specify" in stage.lab.api.refusal("pods", trial))
    stage.apply(stage.held)
    try:
        yield
    finally:
        stage.lab.api.delete("resourcequotas", namespace, "limits")


@brings
def claim_refused(stage: Stage) -> Iterator[None]:
    api, namespace = stage.lab.api, stage.lab.namespace
    hard = {"metadata": {"name": "storage", "namespace": namespace}, "spec": {"hard": {"requests.storage": "50Gi"}}}
    api.create("resourcequotas", hard)
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Gi"}}}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims?dryRun=All"

    def in_force() -> bool:
        try:
            api.request("POST", path, {"metadata": {"name": "trial"}, "spec": claim})
        except ApiError as error:
            return "exceeded quota" in error.message
        return False

    stage.lab.wait("the quota to be in force", in_force)
    stage.apply(storage={"preprocessed": {"localCopy": {"claim": {"storageClassName": "fast", "size": "100Gi"}}}})
    stage.planned()
    try:
        yield
    finally:
        api.delete("resourcequotas", namespace, "storage")


@brings
def claim_deleted(stage: Stage) -> Iterator[None]:
    api, namespace, name = stage.lab.api, stage.lab.namespace, "leaving"
    make_bound_claims(api, namespace, name)
    stage.lab.wait("the claim to be bound", lambda: are_bound(api, namespace, name))
    volume = {"name": "raw", "persistentVolumeClaim": {"claimName": name}}
    spec = {**TRIAL["spec"], "volumes": [volume], "nodeName": stage.node}
    api.create("pods", {"metadata": {"name": "user", "namespace": namespace}, "spec": spec})
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
    api.request("DELETE", path)
    assert "deletionTimestamp" in api.request("GET", path)["metadata"], "the pod keeps it"
    stage.apply(dataset={"name": "Dataset004_Hippocampus", "claimName": name})
    try:
        yield
    finally:
        api.request("DELETE", api.path("pods", namespace, "user"), {"gracePeriodSeconds": 0})


@brings
def foreign_resource(stage: Stage) -> Iterator[None]:
    api, namespace = stage.lab.api, stage.lab.namespace
    mutations, label = Mutations(api, namespace), 'object.metadata.?labels["nnunet.dev/training"].orValue("")'
    places = ("requests", "limits")
    patches = [
        f'JSONPatch{{op: "add", path: "/spec/containers/0/resources/{place}/example.org~1fpga", value: "1"}}'
        for place in places
    ]
    mutations.begin("fpga", "", "pods", f"[{', '.join(patches)}]", f'{label} == "{stage.name}"')
    container = {**TRIAL["spec"]["containers"][0], "resources": {place: {"cpu": "1"} for place in places}}
    metadata = {"generateName": "trial-", "namespace": namespace, "labels": {"nnunet.dev/training": stage.name}}
    trial: Object = {"metadata": metadata, "spec": {**TRIAL["spec"], "containers": [container]}}

    def in_force() -> bool:
        made = api.create("pods", trial, dryRun="All")
        return "example.org/fpga" in made["spec"]["containers"][0]["resources"]["limits"]

    stage.lab.wait("the rule", in_force)
    stage.apply()
    try:
        yield
    finally:
        mutations.end()


@brings
def limit_range(stage: Stage) -> Iterator[None]:
    namespace = stage.held.namespace
    limit = {"type": "Container", "default": {"cpu": "100m"}, "defaultRequest": {"cpu": "100m"}}
    body = {"metadata": {"name": "defaults", "namespace": namespace}, "spec": {"limits": [limit]}}
    stage.lab.api.create("limitranges", body)
    trial = {"metadata": {"generateName": "trial-", "namespace": namespace}, **TRIAL}
    greedy: Object = {**trial, "spec": {**TRIAL["spec"], "containers": [{**TRIAL["spec"]["containers"][0]}]}}
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
    stage.lab.wait(
        "the LimitRange to be in force", lambda: "less than or equal" in stage.lab.api.refusal("pods", greedy)
    )
    stage.apply(stage.held)
    try:
        yield
    finally:
        stage.lab.api.delete("limitranges", namespace, "defaults")


@brings
def pod_security(stage: Stage) -> Iterator[None]:
    lab, level = stage.held, "pod-security.kubernetes.io/enforce"
    lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {level: "restricted"}}})
    pod = {"containers": [{"name": "trial", "image": "trial"}]}
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": lab.namespace}, "spec": pod}
    lab.wait("Pod Security to be in force", lambda: "PodSecurity" in lab.api.refusal("pods", trial))
    unconfined = {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}
    stage.apply(lab, podTemplate={"annotations": unconfined})
    try:
        yield
    finally:
        lab.api.merge("namespaces", "", lab.namespace, {"metadata": {"labels": {level: None}}})


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


def _gone(api: Api, namespace: str, pod: str) -> bool:
    """Tell whether a pod is gone, and end it as a kubelet would where it is to go."""
    found = api.get("pods", namespace, pod)
    if found and "deletionTimestamp" in found["metadata"]:
        with suppress(ApiError):  # it may go at this moment
            api.request("DELETE", api.path("pods", namespace, pod), {"gracePeriodSeconds": 0})
    return found is None


@brings
def slipped_in(stage: Stage) -> Iterator[None]:
    api, name = stage.held.api, stage.held.namespace
    mutations = Mutations(api, name)
    variable = 'Object.spec.containers.env{name: "PYTHONPATH", value: "/nnunet/results"}'
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/0/env", value: [{variable}]}}]'
    mutations.begin("path", "", "pods", patch)
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": name}, **TRIAL}
    stage.held.wait("the rule", lambda: "env" in api.create("pods", trial, dryRun="All")["spec"]["containers"][0])
    try:
        with policy(stage, allowedEnv=[]):
            stage.apply(stage.held)
            pod = stage.pod(lab=stage.held)["metadata"]["name"]
            stage.held.kubelet.run(stage.pod(lab=stage.held))
            stage.held.wait("its pod to be gone", lambda: _gone(api, name, pod))
            yield
    finally:
        mutations.end()


@contextmanager
def jobs_get(stage: Stage, field: str, value: str) -> Iterator[None]:
    """Have a rule give the present training's Jobs a field of their spec; `value` is in CEL."""
    mutations = Mutations(stage.lab.api, stage.lab.namespace)
    patch = f'[JSONPatch{{op: "add", path: "/spec/{field}", value: {value}}}]'
    mutations.begin(field.lower(), "batch", "jobs", patch, f'object.metadata.name.startsWith("{stage.name}-")')
    container = {"name": "trial", "image": "trial"}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    metadata = {"name": f"{stage.name}-trial", "namespace": stage.lab.namespace}
    trial: Object = {"metadata": metadata, "spec": spec}
    stage.lab.wait("the rule", lambda: field in stage.lab.api.create("jobs", trial, dryRun="All")["spec"])
    try:
        yield
    finally:
        mutations.end()


@contextmanager
def managed_elsewhere(stage: Stage) -> Iterator[None]:
    """Have what makes the pods of the present training's Jobs be another controller, and nobody."""
    with jobs_get(stage, "managedBy", '"kueue.x-k8s.io/multikueue"'):
        yield


@brings
def deadline(stage: Stage) -> Iterator[None]:
    with jobs_get(stage, "activeDeadlineSeconds", "1"):
        stage.apply(podTemplate=NOWHERE)  # on a node its pod would need a kubelet to go
        yield


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

    found = lab.wait(name, uid, stage.name)
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
    try:
        yield
    finally:
        lab.api.merge("nnunettrainings", lab.namespace, stage.name, {"metadata": {"finalizers": []}})


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

    stage.lab.wait("the end", given_up, stage.name)
    yield
