"""What is not the trainer's doing, on a real API server: pods that a node turns away, and a training that is held."""

import uuid

import pytest

from tests.integration.conftest import Lab
from tests.support.builders import training

# In a soak test with the waits of Kubernetes' Job controller as they are.
pytestmark = pytest.mark.soak

NO_GPU = "Pod was rejected: Allocate failed due to no healthy devices present"


def test_pods_that_a_node_turns_away_are_no_attempts(lab: Lab) -> None:
    """The real Job controller gives up; the Job is made anew after a pause, which a killed operator keeps."""
    node = f"gpu-{uuid.uuid4().hex[:8]}"
    lab.apply(training(lab.namespace, folds=[0], retryLimit=0))
    lab.plan_and_train()
    lab.kubelet.turn_away(lab.kubelet.pod("hippo", "fold", "0"), node, "UnexpectedAdmissionError", NO_GPU)
    condition = lab.wait_reason("Progressing", "ContainerConfigError")
    assert f"was turned away by node {node} (UnexpectedAdmissionError): {NO_GPU}" in condition["message"]
    assert "kubectl describe node NODE" in condition["message"]
    assert lab.status()["phase"] == "ContainerConfigError" and lab.condition("Failed")["status"] == "False"
    (lost,) = lab.status()["renewedJobs"]
    assert (lost["name"], lost["count"], lost["failedAttempts"]) == ("hippo-fold-0", 1, 0)
    lab.operator.kill()
    lab.operator.start()
    lab.wait(
        "another Job",
        lambda: (
            {job["metadata"]["uid"] for job in lab.jobs() if job["metadata"]["name"] == lost["name"]} - {lost["uid"]}
        ),
    )
    assert lab.status()["renewedJobs"] == [lost]
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait_reason("Progressing", "Training")
    # A crash of the trainer still is one.
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"), 1, "ValueError: y")
    assert "exit code 1: ValueError: y" in lab.wait_reason("Failed", "RetriesExhausted")["message"]


def test_a_training_that_somebody_holds_is_stopped_while_it_is_deleted(lab: Lab) -> None:
    """Nothing of it runs on, its status tells who holds it and follows its spec, and it goes when it is let go."""
    finalizer = "backup.example.org/wait"
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(pod)
    lab.wait_reason("Progressing", "Training")
    lab.api.merge("nnunettrainings", lab.namespace, "hippo", {"metadata": {"finalizers": [finalizer]}})
    lab.api.delete("nnunettrainings", lab.namespace, "hippo")
    condition = lab.wait_reason("Progressing", "Stopping")
    assert f"finalizer {finalizer} holds it" in condition["message"]
    name = pod["metadata"]["name"]
    lab.wait("the trainer to be stopped", lambda: lab.api.get("pods", lab.namespace, name) is None)
    lab.wait_jobs("hippo-plan")
    lab.set(suspend=True)
    # Of a pod that has gone the operator learns by its watch, which may be later than the suspension.
    rest = f"the training is being deleted; finalizer {finalizer} holds it; nothing of it runs"
    told = lambda: (  # noqa: E731
        lab.status()["observedGeneration"] == lab.training()["metadata"]["generation"]
        and rest in lab.condition("Progressing")["message"]
    )
    lab.wait("the status of the present spec, with nothing that runs", told)
    lab.api.merge("nnunettrainings", lab.namespace, "hippo", {"metadata": {"finalizers": []}})
    lab.wait("the end", lambda: lab.api.get("nnunettrainings", lab.namespace, "hippo") is None)
