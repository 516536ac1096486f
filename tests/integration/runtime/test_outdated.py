"""What was wrong with a training is put right while nothing of it runs: its Job is made anew, on a real API server."""

from typing import Any

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Object
from tests.support.builders import training

POD: Object = {"restartPolicy": "Never", "containers": [{"name": "trial", "image": "trial"}]}


def seen(lab: Lab) -> None:
    """Wait until the operator has looked at the present spec."""
    current = lambda: lab.status().get("observedGeneration") == lab.training()["metadata"]["generation"]  # noqa: E731
    lab.wait("the status of the present spec", current)


def only_job(lab: Lab) -> Object:
    (job,) = lab.wait_jobs("hippo-plan")
    return job


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"serviceAccountName": "absent"}, 'serviceaccount "absent" not found'),
        ({"priorityClassName": "absent"}, "no PriorityClass with name absent was found"),
        ({"runtimeClassName": "absent"}, 'RuntimeClass "absent" not found'),
    ],
    ids=["service account", "priority class", "runtime class"],
)
def test_a_pod_template_that_is_put_right(lab: Lab, wrong: Object, says: str) -> None:
    """The Job that could have no pod would wait for ever."""
    lab.apply(training(lab.namespace, podTemplate=wrong))
    message = lab.wait_reason("Progressing", "PodRejected")["message"]
    assert says in message and "put its name in spec.podTemplate right" in message
    lab.set(podTemplate=dict.fromkeys(wrong))
    lab.kubelet.run(lab.kubelet.pod("hippo", "plan"))
    lab.wait_reason("Progressing", "Planning")
    assert [job.get("lost", 0) for job in lab.status()["jobs"]] == [0]


def test_an_affinity_that_kubernetes_does_not_know(lab: Lab) -> None:
    """No Job comes into being; the message calls it the training's own value."""
    lab.apply(training(lab.namespace, podTemplate={"affinity": needs("Exist")}))
    message = lab.wait_reason("Progressing", "PodRejected")["message"]
    assert "matchExpressions[0].operator" in message and "The value comes from this training" in message
    lab.set(podTemplate={"affinity": needs("DoesNotExist")})
    lab.kubelet.pod("hippo", "plan")


def needs(operator: str) -> Object:
    """Return an affinity to nodes by a label."""
    terms = [{"matchExpressions": [{"key": "gpu", "operator": operator}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def test_a_quota_on_what_a_training_leaves_open(lab: Lab) -> None:
    """The message names the field, and with it the pod is made."""
    quota = {"metadata": {"name": "team", "namespace": lab.namespace}, "spec": {"hard": {"limits.cpu": "100"}}}
    lab.api.create("resourcequotas", quota)
    trial: Object = {"metadata": {"generateName": "trial-", "namespace": lab.namespace}, "spec": POD}
    lab.wait("the quota to be in force", lambda: "must specify" in lab.api.refusal("pods", trial))
    lab.apply(training(lab.namespace))
    message = lab.wait_reason("Progressing", "PodRejected")["message"]
    assert "must specify limits.cpu" in message and "spec.resources.cpuLimit" in message
    lab.set(resources={"preprocessing": {"cpuLimit": "8"}})
    pod = lab.kubelet.pod("hippo", "plan")
    (trainer,) = pod["spec"]["containers"]
    assert trainer["resources"]["limits"]["cpu"] == "8"


def test_a_job_that_a_queue_holds(lab: Lab) -> None:
    """What others change in it makes nothing anew, nor does what is none of its business; what it asks for does."""
    lab.apply(training(lab.namespace, queueName="gpus"))
    lab.wait_reason("Progressing", "WaitingForQueue")
    template = {"spec": {"nodeSelector": {"pool": "b"}}, "metadata": {"labels": {"team": "b"}}}
    lab.api.merge("jobs", lab.namespace, "hippo-plan", {"spec": {"template": template}})
    first = only_job(lab)["metadata"]["uid"]
    lab.set(maxParallelFolds=1, resources={"memory": "64Gi"})
    seen(lab)
    assert only_job(lab)["metadata"]["uid"] == first
    lab.set(resources={"preprocessing": {"memory": "1Gi"}})

    def anew() -> bool:
        job: Any = only_job(lab)
        limits = job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        return bool(job["metadata"]["uid"] != first and limits["memory"] == "1Gi")

    lab.wait("another Job", anew)
    assert lab.condition("Failed").get("status") != "True"
    first = only_job(lab)["metadata"]["uid"]
    lab.set(queueName="others")
    other = lambda: only_job(lab)["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "others"  # noqa: E731
    lab.wait("a Job in the other queue", other)
    assert only_job(lab)["metadata"]["uid"] != first
