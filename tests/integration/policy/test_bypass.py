"""Ways around the policies that ordinary rights might open, and what stops each: admission, schema or RBAC."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from nnunet_operator.settings import Settings
from tests.integration.policy.support import (
    APPLY,
    JSON_PATCH,
    MERGE,
    POLICIES,
    STRATEGIC,
    Answer,
    Gate,
    exception,
    in_time,
    policy_body,
)
from tests.integration.support.api import Object, wait_for
from tests.integration.support.builders import training

OPERATOR = "system:serviceaccount:nnunet-system:nnunet-operator"
LABEL = "nnunet.dev/clinical"
POINTER = "/metadata/labels/nnunet.dev~1clinical"


def stopped_by_admission(answer: Answer, policy: str) -> None:
    assert (answer.status, answer.denial[0]) == (403, policy), answer.message


def stopped_by_schema(answer: Answer, words: str) -> None:
    assert answer.status in (400, 422), answer.message
    assert words in answer.message
    assert answer.denial[0] == ""


def stopped_by_rbac(answer: Answer, verb: str, resource: str) -> None:
    assert answer.status == 403, answer.message
    assert f'cannot {verb} resource "{resource}"' in answer.message


@pytest.fixture
def clinical(gate: Gate) -> str:
    """A clinical namespace in which erin has `edit` and ned may do all to namespaces, and a policy for it."""
    namespace = gate.namespace(clinical="true")
    gate.bind("erin", "edit", namespace)
    gate.wait_allowed(
        "erin", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": namespace}
    )
    everything = ["namespaces", "namespaces/status", "namespaces/finalize"]
    gate.allow("ned", [{"apiGroups": [""], "resources": everything, "verbs": ["*"]}])
    rules = {"minEpochs": 1001, "requireSeed": True}
    gate.write("house", namespaceSelector={"matchLabels": {LABEL: "true"}}, rules=rules)
    return namespace


def raw(gate: Gate, namespace: str, spec: str, as_: str = "erin") -> Answer:
    """Create a training from text, which may say what no parser would write."""
    metadata = json.dumps({"name": "raw", "namespace": namespace})
    head = '"apiVersion":"nnunet.dev/v1alpha1","kind":"NnunetTraining"'
    text = f'{{{head},"metadata":{metadata},"spec":{{"dataset":{{"name":"Dataset001_A"}},{spec}}}}}'
    return gate.ask("POST", gate.client.path("nnunettrainings", namespace), text, as_)


# The training itself


@pytest.mark.parametrize("query", ["", "?dryRun=All", "?fieldValidation=Ignore"])
def test_create_is_stopped_by_admission(gate: Gate, clinical: str, query: str) -> None:
    path = gate.client.path("nnunettrainings", clinical) + query
    stopped_by_admission(gate.ask("POST", path, training(clinical), "erin"), "nnunet-policy-enforce")


def test_a_generated_name_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    body = training(clinical)
    body["metadata"] = {"generateName": "hippo", "namespace": clinical}
    stopped_by_admission(gate.create(body, "erin"), "nnunet-policy-enforce")


def test_server_side_apply_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    answer = gate.ask("PATCH", gate.path(clinical) + "?fieldManager=x", training(clinical), "erin", APPLY)
    stopped_by_admission(answer, "nnunet-policy-enforce")


@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ("1e3", "must be written as a whole number"),
        ("2000.0", "must be written as a whole number"),
        ("2e400", ""),
        ('"2000"', "must be of type integer"),
        ("1e30", "less than or equal to 100000"),
        ("99999999999999999999999", ""),
        ("-5", "greater than or equal to 1"),
        ("true", "spec.schedule.epochs in body must be"),
        ("[2000]", "must be of type integer"),
    ],
)
def test_epochs_that_are_no_number_of_epochs_are_stopped_by_schema(
    gate: Gate, clinical: str, epochs: str, words: str
) -> None:
    stopped_by_schema(raw(gate, clinical, f'"trainer":{{"seed":1}},"schedule":{{"epochs":{epochs}}}'), words)


@pytest.mark.parametrize(
    "spec",
    [
        '"schedule":{"epochs":null}',
        '"schedule":null',
        '"schedule":{}',
        '"trainer":null,"schedule":{"epochs":2000}',
        '"trainer":{"seed":null},"schedule":{"epochs":2000}',
        '"schedule":null,"earlyStopping":null,"trainer":null,"resources":null,"folds":null,"suspend":null',
        '"schedule":{"epochs":2000},"schedule":{"epochs":10},"trainer":{"seed":1}',
        '"schedule":{"epochs":2000,"epochs":10},"trainer":{"seed":1}',
        '"suspend":true,"schedule":{"epochs":10}',
    ],
)
def test_null_missing_and_double_blocks_are_stopped_by_admission(gate: Gate, clinical: str, spec: str) -> None:
    """Null is the default, of two the last counts: what is judged is what would be stored."""
    stopped_by_admission(raw(gate, clinical, spec), "nnunet-policy-enforce")


def test_shortening_later_is_stopped_by_schema(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    assert gate.create(good, "erin", dry_run=False).ok
    for patch, words in (
        ({"schedule": {"epochs": 10}}, "schedule can't change"),
        ({"schedule": None}, "schedule can't change"),
        ({"earlyStopping": {"mode": "Stop", "minEpochs": 1}}, "earlyStopping can't change"),
        ({"trainer": {"seed": None}}, "trainer can't change"),
    ):
        stopped_by_schema(gate.ask("PATCH", gate.path(clinical), {"spec": patch}, "erin", MERGE), words)


def test_writing_the_status_is_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    lie = {"status": {"phase": "Completed"}}
    created = gate.create(good | lie, "erin", dry_run=False)
    assert created.ok
    assert "status" not in created.body, "it is dropped from what is created"
    through = gate.ask("PATCH", gate.path(clinical), lie, "erin", MERGE)
    assert "status" not in through.body, "and from what is changed"
    stopped_by_rbac(
        gate.ask("PATCH", f"{gate.path(clinical)}/status", lie, "erin", MERGE), "patch", "nnunettrainings/status"
    )


# Labels of the namespace


def current(gate: Gate, namespace: str) -> Object:
    return gate.done("GET", f"/api/v1/namespaces/{namespace}")


def unlabelled(gate: Gate, namespace: str) -> Object:
    body = current(gate, namespace)
    del body["metadata"]["labels"][LABEL]
    return body


def applied(namespace: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {LABEL: "no"}}}


NONE: Object = {"metadata": {"labels": {LABEL: None}}}
WAYS: dict[str, Callable[[Gate, str], tuple[str, str, Any, str]]] = {
    "merge patch, removed": lambda _, n: ("PATCH", "", NONE, MERGE),
    "merge patch, changed": lambda _, n: ("PATCH", "", {"metadata": {"labels": {LABEL: "false"}}}, MERGE),
    "merge patch, all labels null": lambda _, n: ("PATCH", "", {"metadata": {"labels": None}}, MERGE),
    "merge patch, another added": lambda _, n: ("PATCH", "", {"metadata": {"labels": {"nnunet.dev/x": "1"}}}, MERGE),
    "JSON patch, removed": lambda _, n: ("PATCH", "", [{"op": "remove", "path": POINTER}], JSON_PATCH),
    "JSON patch, replaced": lambda _, n: ("PATCH", "", [{"op": "replace", "path": POINTER, "value": ""}], JSON_PATCH),
    "JSON patch, moved": lambda _, n: (
        "PATCH",
        "",
        [{"op": "move", "from": POINTER, "path": "/metadata/labels/mine"}],
        JSON_PATCH,
    ),
    "strategic patch": lambda _, n: ("PATCH", "", NONE, STRATEGIC),
    "strategic patch, replace directive": lambda _, n: (
        "PATCH",
        "",
        {"metadata": {"labels": {"$patch": "replace"}}},
        STRATEGIC,
    ),
    "PUT": lambda gate, n: ("PUT", "", unlabelled(gate, n), "application/json"),
    "server-side apply": lambda _, n: ("PATCH", "?fieldManager=x&force=true", applied(n), APPLY),
    "status, merge patch": lambda _, n: ("PATCH", "/status", NONE, MERGE),
    "status, PUT": lambda gate, n: ("PUT", "/status", unlabelled(gate, n), "application/json"),
    "status, apply": lambda _, n: ("PATCH", "/status?fieldManager=x&force=true", applied(n), APPLY),
    "finalize, PUT": lambda gate, n: ("PUT", "/finalize", unlabelled(gate, n), "application/json"),
    "delete, to make it anew": lambda _, n: ("DELETE", "", None, "application/json"),
}


def test_the_operators_settings_are_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    """Its Deployment, and its ServiceAccount's right to make Jobs and write statuses. No setting turns policies off."""
    deployment = "/apis/apps/v1/namespaces/nnunet-system/deployments/nnunet-operator"
    paused = {"spec": {"replicas": 0}}
    stopped_by_rbac(gate.ask("PATCH", deployment, paused, "erin", MERGE), "patch", "deployments")
    stopped_by_rbac(gate.ask("DELETE", deployment, None, "erin"), "delete", "deployments")
    token = "/api/v1/namespaces/nnunet-system/serviceaccounts/nnunet-operator/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    stopped_by_rbac(gate.ask("POST", token, request, "erin"), "create", "serviceaccounts/token")
    for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        path = f"/apis/admissionregistration.k8s.io/v1/{kind}/nnunet-policy-enforce"
        stopped_by_rbac(gate.ask("DELETE", path, None, "erin"), "delete", kind)
    assert not [name for name in Settings.model_fields if "polic" in name]


@pytest.mark.parametrize("way", WAYS)
def test_leaving_the_policy_by_the_namespaces_label_is_stopped_by_admission(
    gate: Gate, clinical: str, way: str
) -> None:
    method, tail, body, type_ = WAYS[way](gate, clinical)
    answer = gate.ask(method, f"/api/v1/namespaces/{clinical}{tail}", body, "ned", type_)
    stopped_by_admission(answer, "nnunet-namespace-labels")
    assert "ask those who may update nnunettrainingpolicies" in answer.message
    assert current(gate, clinical)["metadata"]["labels"][LABEL] == "true"


def test_a_new_namespace_with_a_label_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    metadata = {"generateName": "new-", "labels": {"nnunet.dev/site": "a"}}
    stopped_by_admission(
        gate.ask("POST", "/api/v1/namespaces", {"metadata": metadata}, "ned"), "nnunet-namespace-labels"
    )


def test_other_labels_and_namespaces_are_free(gate: Gate, clinical: str) -> None:
    path = f"/api/v1/namespaces/{clinical}"
    other = {"metadata": {"labels": {"team": "a"}, "annotations": {"nnunet.dev/x": "1"}}}
    assert gate.ask("PATCH", path, other, "ned", MERGE).ok
    assert gate.ask("PUT", f"{path}/finalize", current(gate, clinical), "ned").ok
    free = gate.namespace()
    assert gate.ask("DELETE", f"/api/v1/namespaces/{free}", None, "ned").ok
    wait_for("the namespace to be gone", lambda: gate.ask("GET", f"/api/v1/namespaces/{free}").status == 404, 40)


def test_who_writes_policies_may_label_and_delete_namespaces_to_the_end(gate: Gate, clinical: str) -> None:
    gate.bind("pia", "nnunet-policy-admin")
    gate.allow("pia", [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]}])
    path = f"/api/v1/namespaces/{clinical}"
    assert gate.ask("PATCH", path, {"metadata": {"labels": {"nnunet.dev/site": "a"}}}, "pia", MERGE).ok
    assert gate.ask("DELETE", path, None, "pia").ok
    wait_for("the namespace to be gone", lambda: gate.ask("GET", path).status == 404, 40)


# The policies


def test_policies_of_people_with_edit_or_admin_are_stopped_by_rbac(gate: Gate, clinical: str) -> None:
    gate.bind("ada", "admin")
    gate.wait_allowed("ada", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": "x"})
    path = f"{POLICIES}/house"
    for user in ("erin", "ada"):
        stopped_by_rbac(gate.ask("DELETE", path, None, user), "delete", "nnunettrainingpolicies")
        stopped_by_rbac(gate.ask("DELETE", POLICIES, None, user), "deletecollection", "nnunettrainingpolicies")
        mine = policy_body("mine", namespaces=[clinical])
        stopped_by_rbac(gate.ask("POST", POLICIES, mine, user), "create", "nnunettrainingpolicies")
        softer = gate.ask("PATCH", path, {"spec": {"mode": "Audit"}}, user, MERGE)
        stopped_by_rbac(softer, "patch", "nnunettrainingpolicies")
    assert gate.ask("GET", path, None, "ada").ok, "they may read them"


def test_a_policy_that_is_gone_leaves_a_clinical_namespace_closed_by_admission(gate: Gate, clinical: str) -> None:
    good = training(clinical, schedule={"epochs": 2000}, trainer={"seed": 1})
    assert gate.create(good, "erin").ok
    gate.clear()
    answer = gate.create(good, "erin")
    assert "no params found" in answer.message
    assert "nnunet-policy-enforce-clinical" in answer.message
    gate.write("house", namespaceSelector={"matchLabels": {LABEL: "true"}}, rules={"minEpochs": 1001})
    assert gate.create(good, "erin").ok


def test_an_exception_that_ended_a_second_ago_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    granted = exception(clinical, minEpochs=10, liftedRules=["requireSeed"], expiresAt=in_time(seconds=3))
    gate.write("house", namespaces=[clinical], rules={"minEpochs": 1001, "requireSeed": True}, exceptions=[granted])
    assert gate.create(training(clinical), "erin").ok
    time.sleep(3.1)
    stopped_by_admission(gate.create(training(clinical), "erin"), "nnunet-policy-enforce")


@pytest.mark.parametrize("after", [{"days": 730}, {"days": 366, "minutes": 1}, {"seconds": -1}], ids=str)
def test_an_exception_for_too_long_or_that_is_over_is_stopped_by_admission(
    gate: Gate, clinical: str, after: dict[str, float]
) -> None:
    wrong = exception(clinical, expiresAt=in_time(**after))
    gate.bind("pia", "nnunet-policy-admin")
    gate.wait_allowed("pia", {"verb": "create", "group": "nnunet.dev", "resource": "nnunettrainingpolicies"})
    made = gate.ask("POST", POLICIES, policy_body("new", namespaces=["x"], exceptions=[wrong]), "pia")
    changed = gate.ask("PATCH", f"{POLICIES}/house", {"spec": {"exceptions": [wrong]}}, "pia", MERGE)
    for answer in (made, changed):
        stopped_by_admission(answer, "nnunet-exceptions")
        assert f"expiresAt of {clinical}/hippo is {wrong['expiresAt']}, must be after now" in answer.message


def test_an_exception_is_granted_for_a_year_and_stays_when_it_is_over(gate: Gate, clinical: str) -> None:
    year, short = exception("x", expiresAt=in_time(days=365, hours=23)), exception("y", expiresAt=in_time(seconds=2))
    gate.put("house", namespaces=[clinical], exceptions=[year, short])
    time.sleep(2.1)
    gate.put("house", namespaces=[clinical], exceptions=[year, short], mode="Warn")
    longer = gate.ask(
        "PATCH", f"{POLICIES}/house", {"spec": {"exceptions": [year, {**short, "ticket": "QM-18"}]}}, type_=MERGE
    )
    stopped_by_admission(longer, "nnunet-exceptions")


def test_an_exception_without_a_clock_is_stopped_by_admission(gate: Gate, clinical: str) -> None:
    body = gate.done("GET", f"{POLICIES}/house")
    body["metadata"]["managedFields"] = [{}]
    body["spec"]["exceptions"] = [exception(clinical)]
    answer = gate.ask("PUT", f"{POLICIES}/house", body)
    stopped_by_admission(answer, "nnunet-exceptions")
    assert "metadata.managedFields does not tell" in answer.message


# Jobs and Pods


POD: Object = {"restartPolicy": "Never", "containers": [{"name": "trainer", "image": "trainer:1"}]}
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
    assert make(gate, body, OPERATOR).ok
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "mine:1"}]
    stopped_by_schema(
        gate.ask("PATCH", gate.client.path("jobs", clinical, "ours"), patch, "erin", JSON_PATCH), "immutable"
    )


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
    wait_for("the Job controller to delete the Pod", lambda: not pods(gate, clinical), 40)
    assert gate.ask("DELETE", f"{path}?propagationPolicy=Background", None, "erin").ok
    assert gate.ask("PATCH", path, {"metadata": {"finalizers": []}}, "erin", MERGE).ok
    wait_for("the Job to be gone", lambda: gate.ask("GET", path).status == 404)


def test_the_garbage_collector_may_orphan_and_delete(gate: Gate, clinical: str) -> None:
    body = job(clinical, "ours", labels=OURS, template=OURS, ownerReferences=[allowed(gate, clinical)])
    assert make(gate, body, OPERATOR).ok
    path = gate.client.path("jobs", clinical, "ours")
    assert gate.ask("DELETE", f"{gate.path(clinical)}?propagationPolicy=Orphan", None, "erin").ok
    wait_for("the training to be gone", lambda: gate.ask("GET", gate.path(clinical)).status == 404)
    assert "ownerReferences" not in gate.done("GET", path)["metadata"]
