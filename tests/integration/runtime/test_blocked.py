"""Why nothing runs: each cause has a condition, a word in `kubectl get` and a message that says what to do."""

import socket
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from nnunet_api.contract import METRICS_PORT
from tests.integration.conftest import Lab, make_namespace
from tests.support.api import Api, Object
from tests.support.builders import training
from tests.support.claims import make_bound_claims, make_claims
from tests.support.made_trainings import FULL_POD_TEMPLATE
from tests.support.node import FakeNode
from tests.support.process import OperatorProcess
from tests.support.quota import allow, forbid
from tests.support.trainer import Trainer
from tests.support.worker import ADDRESSES

# In a soak test with the waits of Kubernetes' Job controller as they are.
pytestmark = pytest.mark.soak

ERRORS = 'nnunet_operator_reconciles_total{kind="NnunetTraining",result="error"}'


@pytest.fixture
def node(api: Api) -> Iterator[str]:
    """A node with processors and memory, but without a GPU."""
    with FakeNode(api, f"node-{uuid.uuid4().hex[:8]}", cpu="64", memory="256Gi") as name:
        yield name


def test_waiting_for_a_node(lab: Lab) -> None:
    """No node at all."""
    lab.apply(training(lab.namespace))
    condition = lab.wait_reason("Progressing", "WaitingForResources")
    assert condition["status"] == "False"
    assert "no nodes available" in condition["message"]
    assert lab.status()["phase"] == "WaitingForResources"
    shown = lab.describe()
    assert "pods/hippo-plan-" in shown and " FailedScheduling x" in shown, "what a wait in vain prints tells the same"


def test_waiting_for_a_claim(lab: Lab, node: str) -> None:
    """The claims don't exist, then they exist but are not bound."""
    lab.apply(training(lab.namespace))
    condition = lab.wait_reason("Progressing", "ClaimNotBound")
    assert "nnunet-raw" in condition["message"]
    make_claims(lab.api, lab.namespace)
    lab.wait("another message", lambda: "not found" not in lab.condition("Progressing")["message"])
    assert lab.condition("Progressing")["reason"] == "ClaimNotBound"


def wait_scheduled(lab: Lab) -> None:
    """Wait until the planning pod has a node."""
    placed = lambda: lab.kubelet.pod("hippo", "plan")["spec"].get("nodeName")  # noqa: E731
    lab.wait("planning to be scheduled", placed)


def test_waiting_for_a_gpu(lab: Lab, node: str) -> None:
    """Planning fits the node; the folds need a GPU that it does not have."""
    make_bound_claims(lab.api, lab.namespace)
    lab.apply(training(lab.namespace))
    wait_scheduled(lab)
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"))
    condition = lab.wait_reason("Progressing", "WaitingForGPU")
    assert "Insufficient nvidia.com/gpu" in condition["message"]
    assert "folds 0 and 1" in condition["message"]
    lab.wait_event("WaitingForGPU")


def test_image_that_can_not_start(lab: Lab, node: str) -> None:
    """The kubelet says why; the user reads which image and what to check."""
    make_bound_claims(lab.api, lab.namespace)
    lab.apply(training(lab.namespace))
    wait_scheduled(lab)
    lab.kubelet.wait(
        lab.kubelet.pod("hippo", "plan"),
        "ImagePullBackOff",
        'Back-off pulling image "x": ErrImagePull: manifest unknown',
    )
    condition = lab.wait_reason("Progressing", "ImageUnavailable")
    assert "registry.example/trainer:1" in condition["message"] and "manifest unknown" in condition["message"]


def test_pod_security_refuses(api: Api, start_operator: Callable[..., OperatorProcess]) -> None:
    """No pod comes into being; the reason is found in an Event of the Job."""
    namespace = make_namespace(api, **RESTRICTED)
    lab = Lab(api, namespace, start_operator(namespace))
    lab.apply(training(namespace, "good"))
    unconfined = {"container.apparmor.security.beta.kubernetes.io/trainer": "unconfined"}
    lab.apply(training(namespace, "bad", podTemplate={"annotations": unconfined}))
    condition = lab.wait_reason("Progressing", "PodRejected", "bad")
    assert "PodSecurity" in condition["message"] and "apparmor" in condition["message"].lower()
    lab.kubelet.pod("good", "plan")  # the operator's own pods meet the restricted standard
    assert lab.status("bad")["phase"] == "PodRejected"
    lab.wait_event("PodRejected", name="bad")


RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def test_all_that_a_pod_template_may_say_is_within_the_restricted_standard(
    api: Api, start_operator: Callable[..., OperatorProcess]
) -> None:
    """Users, groups, SELinux, Secrets, volumes: the API server makes the pods, and they have what was asked for."""
    namespace = make_namespace(api, **RESTRICTED)
    lab = Lab(api, namespace, start_operator(namespace))
    asked = {key: FULL_POD_TEMPLATE[key] for key in ("securityContext", "volumes", "jobAnnotations", "hostUsers")}
    # A claim's group is not for a training to say: the pod is in it, and the claim stays as it is.
    identity = {**asked["securityContext"], "supplementalGroups": [6000, 5000]}
    del identity["fsGroup"], identity["fsGroupChangePolicy"]
    source = {"secretKeyRef": {"name": "wandb", "key": "token", "optional": True}}
    variables = [{"name": "WANDB_API_KEY", "valueFrom": source}]
    lab.apply(training(namespace, folds=[0], trainer={"env": variables}, podTemplate=asked))
    lab.apply(training(namespace, "assigned", podTemplate={"securityContext": {}}))
    for stage in ("plan", "fold", "verify", "evaluate"):
        pod = lab.kubelet.pod("hippo", stage)
        security = pod["spec"]["securityContext"]
        assert identity.items() <= security.items() and "fsGroup" not in security, security
        assert pod["spec"]["hostUsers"] is False
        (trainer,) = pod["spec"]["containers"]
        own = stage != "verify"
        assert any(one.get("valueFrom") == source for one in trainer["env"]) is own
        paths = {one["mountPath"] for one in trainer["volumeMounts"] if one.get("readOnly")}
        assert ({"/nnunet/volumes/ca", "/nnunet/volumes/licence"} <= paths) is own
        job = lab.api.get("jobs", namespace, pod["metadata"]["labels"]["job-name"])
        assert job and (asked["jobAnnotations"].items() <= job["metadata"]["annotations"].items()) is own
        lab.kubelet.end(pod)
    lab.wait_reason("Complete", "TrainingComplete")
    left = lab.kubelet.pod("assigned", "plan")["spec"]["securityContext"]
    assert left == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_quota_refuses_until_it_is_raised(lab: Lab) -> None:
    """A quota that is used up is named; once raised the training goes on by itself."""
    forbid(lab.api, lab.namespace)
    lab.apply(training(lab.namespace))
    condition = lab.wait_reason("Progressing", "PodRejected")
    assert "exceeded quota" in condition["message"]
    allow(lab.api, lab.namespace)
    lab.wait_reason("Progressing", "WaitingForResources")


def test_quota_refuses_the_next_pod(lab: Lab) -> None:
    """A fold was preempted, and meanwhile somebody else has used the quota up: not "Starting" for ever."""
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    first = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(first)
    lab.wait_reason("Progressing", "Training")
    time.sleep(1.1)  # the times of pods and Events have whole seconds
    forbid(lab.api, lab.namespace)
    lab.kubelet.end(first, 75, '{"message": "stopped on request"}')
    condition = lab.wait_reason("Progressing", "PodRejected")
    assert "exceeded quota" in condition["message"]
    allow(lab.api, lab.namespace)
    lab.wait_reason("Progressing", "WaitingForResources")


def test_a_volume_that_can_not_be_attached(lab: Lab, node: str) -> None:
    """The pod has a node and does not start there; only Events tell why, and only while they are the latest word."""
    make_bound_claims(lab.api, lab.namespace)
    lab.apply(training(lab.namespace))
    wait_scheduled(lab)
    pod = lab.kubelet.pod("hippo", "plan")
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    lab.api.merge("pods", lab.namespace, pod["metadata"]["name"], {"status": {"startTime": started}}, sub="status")
    lab.kubelet.wait(pod, "ContainerCreating", "")
    time.sleep(1.1)  # the scheduler's Event may be written later, but is of an earlier second
    say(lab, pod, "Warning", "FailedAttachVolume", "Multi-Attach error for volume pvc-1")
    condition = lab.wait_reason("Progressing", "VolumeUnavailable")
    assert "Multi-Attach error for volume pvc-1" in condition["message"]
    assert lab.status()["phase"] == "VolumeUnavailable"
    time.sleep(1.1)
    say(lab, pod, "Normal", "Pulling", "Pulling image")
    lab.wait_reason("Progressing", "Starting")


def say(lab: Lab, pod: Object, type_: str, reason: str, message: str) -> None:
    """Record an Event on a pod, as the kubelet and the attacher of volumes do."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    about = {"kind": "Pod", "namespace": lab.namespace, **{key: pod["metadata"][key] for key in ("name", "uid")}}
    event = {"type": type_, "reason": reason, "message": message, "lastTimestamp": now, "involvedObject": about}
    lab.api.create("events", {"metadata": {"generateName": "pod-", "namespace": lab.namespace}, **event})


def test_quota_on_jobs(lab: Lab) -> None:
    """The Job itself is refused."""
    forbid(lab.api, lab.namespace, "count/jobs.batch")
    lab.apply(training(lab.namespace))
    condition = lab.wait_reason("Progressing", "PodRejected")
    assert "exceeded quota" in condition["message"]
    assert lab.jobs() == []


@pytest.fixture
def webhook_down(lab: Lab) -> Iterator[Callable[[], None]]:
    """A function that puts a webhook for Jobs in place that nobody answers; it is taken away at the end."""
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    name = f"down-{lab.namespace}"
    webhook = {
        "name": "mjob.example.org",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 3,
        "clientConfig": {"url": "https://127.0.0.1:1/mutate"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.namespace}},
        "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}],
    }
    pod = {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}
    trial: Object = {
        "metadata": {"generateName": "trial-", "namespace": lab.namespace},
        "spec": {"template": {"spec": pod}},
    }

    def put() -> None:
        lab.api.request("POST", path, {"metadata": {"name": name}, "webhooks": [webhook]})
        lab.wait("the webhook to be in force", lambda: "failed calling webhook" in lab.api.refusal("jobs", trial))

    yield put
    lab.api.request("DELETE", f"{path}/{name}")


def test_a_webhook_that_does_not_answer_hides_nothing(lab: Lab, webhook_down: Callable[[], None]) -> None:
    """The API server answers HTTP 500 then: it is said what stands in the way, and what has nothing to do with it."""
    lab.apply(training(lab.namespace, "early"))
    lab.wait_jobs("early-plan")
    lab.wait_reason("Progressing", "WaitingForResources", "early")
    webhook_down()
    lab.apply(training(lab.namespace, "new"))
    refused = lab.wait_reason("Progressing", "PodRejected", "new")
    assert 'failed calling webhook "mjob.example.org"' in refused["message"]
    assert "A webhook of the cluster does not answer" in refused["message"]
    assert lab.status("new")["phase"] == "PodRejected"
    lab.wait_event("PodRejected", name="new")
    lab.kubelet.end(lab.kubelet.pod("early", "plan"))
    lab.wait_reason("DatasetReady", "Preprocessed", "early")
    both = lab.wait_reason("Progressing", "PodRejected", "early")["message"]
    assert both.startswith("each of folds 0 and 1 waits because the API server refuses its Job: Internal error"), both
    version = lab.training("new")["metadata"]["resourceVersion"]
    before = lab.operator.metrics()[ERRORS]
    lab.wait("another attempt", lambda: lab.operator.metrics()[ERRORS] >= before + 2)
    assert lab.training("new")["metadata"]["resourceVersion"] == version, "the same is said once"
    path = f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/down-{lab.namespace}"
    lab.api.request("PATCH", path, {"webhooks": []}, "application/merge-patch+json")
    lab.wait_jobs("early-fold-0", "early-fold-1", "early-plan", "new-plan")
    lab.wait_reason("Progressing", "WaitingForResources", "new")


@pytest.mark.parametrize("claims", [False, True])
def test_someone_elses_job_has_the_name(lab: Lab, claims: bool) -> None:
    """A Job that is not the training's is never touched, and is named; also one that names it as its owner."""
    lab.apply(training(lab.namespace, suspend=True))
    lab.wait_reason("Progressing", "SuspendedByUser")
    container = {"name": "c", "image": "registry.example/other:1"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    metadata: Object = {"name": "hippo-plan", "namespace": lab.namespace}
    if claims:
        uid = lab.training()["metadata"]["uid"]
        owner = {"apiVersion": "example.com/v1", "kind": "X", "name": "hippo", "uid": uid, "controller": True}
        metadata["ownerReferences"] = [owner]
    lab.api.create("jobs", {"metadata": metadata, "spec": {"template": template}})
    lab.set(suspend=False)
    condition = lab.wait_reason("Progressing", "ChildNotOwned")
    assert "hippo-plan" in condition["message"]
    (job,) = lab.jobs()
    assert "deletionTimestamp" not in job["metadata"]


@pytest.mark.timing
def test_progress_comes_from_the_pods_facts(lab: Lab, trainer: Trainer) -> None:
    """At most a poll interval old, and asked for once in an interval; it stays when the pod is silent."""
    trainer.says(0)
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"), trainer.address)
    took = []
    for epoch in (3, 4, 5, 7):
        trainer.says(epoch)
        began = time.monotonic()
        lab.wait(f"epoch {epoch}", lambda: lab.status()["folds"][0]["epoch"] == epoch)  # noqa: B023
        took.append(time.monotonic() - began)
    assert min(took) < 2.5, took
    assert lab.status()["progress"]["summary"] == "7/10"
    asked, began = len(trainer.asked), time.monotonic()
    time.sleep(5)
    more = len(trainer.asked) - asked
    assert 2 <= more <= (time.monotonic() - began) / 0.9 + 1, more  # a look may be a tenth early
    trainer.answer = b"garbage that is no facts"
    time.sleep(2)
    assert lab.status()["progress"]["summary"] == "7/10"
    assert lab.condition("Progressing")["reason"] == "Training"


@pytest.mark.timing
def test_a_pod_that_does_not_answer_holds_nobody_up(lab: Lab) -> None:
    """A silent pod costs its own training two seconds a look, and others nothing."""
    with socket.create_server((f"{ADDRESSES}.78", METRICS_PORT)):  # which accepts and says nothing
        lab.apply(training(lab.namespace, folds=[0]))
        lab.plan_and_train()
        lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"), f"{ADDRESSES}.78")
        lab.wait_reason("Progressing", "Training")
        took = []
        for number in range(5):
            began = time.monotonic()
            lab.apply(training(lab.namespace, f"other-{number}"))
            lab.wait_reason("Progressing", "WaitingForResources", f"other-{number}")
            took.append(time.monotonic() - began)
    assert min(took) < 3, took
    assert lab.operator.metrics()['nnunet_operator_scrapes_total{result="failed"}'] >= 1
