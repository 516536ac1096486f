"""The life of a training as its user sees it: stages, parallelism, suspension, failure, deletion."""

import json
import uuid
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Api
from tests.support.builders import report, training
from tests.support.kubelet import Autopilot, contract_of
from tests.support.plan_facts import PLAN_FACTS

# In a soak test with the waits of Kubernetes' Job controller as they are.
pytestmark = pytest.mark.soak


def test_from_apply_to_a_score(lab: Lab) -> None:
    """Planning, then all folds, the verification, the evaluation; each starts when the one before is done."""
    lab.apply(training(lab.namespace))
    lab.wait_jobs("hippo-plan")
    lab.kubelet.run(lab.kubelet.pod("hippo", "plan"))
    lab.wait_reason("Progressing", "Planning")
    lab.kubelet.end(lab.kubelet.pod("hippo", "plan"))
    lab.wait_jobs("hippo-plan", "hippo-fold-0", "hippo-fold-1")
    for fold in ("0", "1"):
        lab.kubelet.run(lab.kubelet.pod("hippo", "fold", fold))
    lab.wait_reason("Progressing", "Training")
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait("fold 0 done", lambda: lab.status()["folds"][0]["phase"] == "Completed")
    lab.wait_jobs("hippo-plan", "hippo-fold-0", "hippo-fold-1")
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "1"))
    lab.kubelet.run(lab.kubelet.pod("hippo", "verify"))
    lab.wait_reason("Progressing", "Verifying")
    assert "hippo-evaluate" not in [job["metadata"]["name"] for job in lab.jobs()]
    lab.kubelet.end(lab.kubelet.pod("hippo", "verify"))
    lab.wait_reason("EpochsProven", "CheckpointsVerified")
    lab.kubelet.run(lab.kubelet.pod("hippo", "evaluate"))
    lab.wait_reason("Progressing", "Evaluating")
    lab.apply(training(lab.namespace, "tuned", initialWeights={"training": {"name": "hippo", "fold": "1"}}))
    lab.wait_reason("Progressing", "WaitingForWeights", "tuned")
    evaluation = lab.kubelet.pod("hippo", "evaluate")
    contract = contract_of(evaluation)
    model = f"{contract.run_folder}/{contract.dataset}/nnUNetTrainer__{PLAN_FACTS.plans_name}__{contract.configuration}"
    found = json.loads(report(contract, "evaluate"))
    found["evaluation"]["modelPath"] = f"{contract.run_folder}/../other"
    lab.kubelet.end(evaluation, message=json.dumps(found))
    lab.wait_reason("Complete", "TrainingComplete")
    # What waits for its weights begins by itself, with the checkpoint that was verified.
    (prepare,) = lab.kubelet.pod("tuned", "plan")["spec"]["initContainers"]
    assert f"--weights={model}/fold_1/checkpoint_final.pth" in prepare["args"]
    assert f"--weights-hash={'c' * 64}" in prepare["args"]
    status = lab.status()
    assert status["phase"] == "Completed"
    assert status["progress"]["summary"] == "20/20"
    assert status["results"]["meanValidationDice"] == 0.873
    assert status["results"]["modelPath"] == model, "whatever the image reports"
    assert status["provenance"]["datasetHash"] == "d" * 64
    assert status["startTime"] <= status["completionTime"]


def test_each_transition_is_announced_once(lab: Lab) -> None:
    """Events tell the story in order, and nothing twice."""
    lab.apply(training(lab.namespace))
    lab.plan_and_train()
    for reason, pods in (
        ("Training", [("fold", "0"), ("fold", "1")]),
        ("Verifying", [("verify", "")]),
        ("Evaluating", [("evaluate", "")]),
    ):
        running = [lab.kubelet.pod("hippo", stage, fold) for stage, fold in pods]
        for pod in running:
            lab.kubelet.run(pod)
        lab.wait_reason("Progressing", reason)  # each is seen running
        lab.wait_event("FoldStarted", times=2)
        for pod in running:
            lab.kubelet.end(pod)
    lab.wait_event("TrainingComplete")
    story = lab.events()
    once = ["Preprocessed", "Training", "Verifying", "CheckpointsVerified", "Evaluating", "TrainingComplete"]
    assert [reason for reason in story if reason in once] == once, story
    assert story.count("FoldStarted") == 2 and story.count("FoldCompleted") == 2, story


@pytest.fixture
def node(api: Api) -> Iterator[str]:
    """A node on which only what is bound to it lands."""
    name = f"node-{uuid.uuid4().hex[:8]}"
    api.create("nodes", {"metadata": {"name": name}, "spec": {"unschedulable": True}})
    yield name
    api.delete("nodes", "", name)


def test_a_job_deleted_as_kubectl_does_it_starts_no_second_attempt_beside_the_first(lab: Lab, node: str) -> None:
    """The Job is gone at once, its pod only after it has stopped: until then nobody takes its place."""
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    pod = lab.kubelet.pod("hippo", "fold", "0")
    path = lab.api.path("pods", lab.namespace, pod["metadata"]["name"])
    # On a node a pod stays until the kubelet has stopped it; one that is on none is gone at once.
    lab.api.request(
        "POST", f"{path}/binding", {"metadata": {"name": pod["metadata"]["name"]}, "target": {"name": node}}
    )
    lab.kubelet.run(pod)
    lab.wait_reason("Progressing", "Training")
    lab.api.delete("jobs", lab.namespace, "hippo-fold-0", propagation="Background")
    message = lab.wait_reason("Progressing", "Stopping")["message"]
    assert f"waits until pod {pod['metadata']['name']}" in message
    lab.look()
    lab.wait_jobs("hippo-plan")
    lab.api.request("DELETE", path, {"gracePeriodSeconds": 0})
    lab.wait_jobs("hippo-fold-0", "hippo-plan")
    assert lab.kubelet.pod("hippo", "fold", "0")["metadata"]["uid"] != pod["metadata"]["uid"]


def test_a_retry_looks_again_whether_the_preprocessed_data_is_there(lab: Lab) -> None:
    """Suspending a failed training and resuming it plans anew; that finds what is there, or makes what was lost."""
    lab.apply(training(lab.namespace, folds=[0, 1], maxParallelFolds=1))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "1"), 65, '{"message": "the preprocessed data is gone"}')
    lab.wait_reason("Failed", "WrongData")
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.wait_jobs("hippo-fold-0")
    lab.set(suspend=False)
    lab.wait_jobs("hippo-fold-0", "hippo-plan")
    lab.plan_and_train()
    lab.wait_jobs("hippo-fold-0", "hippo-fold-1", "hippo-plan")
    lab.wait_event("Resumed")


def test_no_more_folds_at_once_than_allowed(lab: Lab) -> None:
    """maxParallelFolds bounds the folds that hold a GPU; raising it takes effect at once."""
    lab.apply(training(lab.namespace, folds=[0, 1, 2, 3], maxParallelFolds=1))
    lab.plan_and_train()
    lab.wait_jobs("hippo-plan", "hippo-fold-0")
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait_reason("Progressing", "Training")
    lab.set(maxParallelFolds=2)
    lab.wait_jobs("hippo-plan", "hippo-fold-0", "hippo-fold-1")
    with Autopilot(lab.api, lab.namespace, lambda: 0.5) as kubelet:
        lab.wait_reason("Complete", "TrainingComplete")
    assert kubelet.most_running["hippo"] <= 2


def test_suspend_frees_the_gpus_and_resume_goes_on(lab: Lab) -> None:
    """Completed work is kept; what was running starts again from its checkpoint."""
    lab.apply(training(lab.namespace))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait("fold 0 done", lambda: lab.status()["folds"][0]["phase"] == "Completed")
    first = lab.kubelet.pod("hippo", "fold", "1")
    lab.kubelet.run(first)
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.wait_jobs("hippo-plan", "hippo-fold-0")
    assert lab.kubelet.pods("hippo") == []
    assert lab.status()["phase"] == "Suspended"
    lab.set(suspend=False)
    lab.wait_jobs("hippo-plan", "hippo-fold-0", "hippo-fold-1")
    second = lab.kubelet.pod("hippo", "fold", "1")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    lab.kubelet.end(second)
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")


def test_deletion_leaves_nothing(lab: Lab) -> None:
    """Kubernetes removes Jobs and Pods with the training that owns them; the operator does not make new ones."""
    lab.apply(training(lab.namespace))
    lab.plan_and_train()
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "0"))
    lab.api.delete("nnunettrainings", lab.namespace, "hippo")
    lab.wait_jobs()
    lab.wait("no pods", lambda: not lab.api.list("pods", lab.namespace))
    assert lab.api.get("nnunettrainings", lab.namespace, "hippo") is None
    gone = 'nnunet_operator_trainings{phase="Training"}'
    lab.wait("the operator to forget it", lambda: lab.operator.metrics()[gone] == 0)


def test_a_new_training_under_an_old_name_waits_for_the_old_ones_jobs(lab: Lab) -> None:
    """Two runs never share a Job."""
    lab.apply(training(lab.namespace))
    (old,) = lab.wait_jobs("hippo-plan")
    lab.api.delete("nnunettrainings", lab.namespace, "hippo", propagation="Orphan")
    lab.wait("the deletion", lambda: not lab.api.get("nnunettrainings", lab.namespace, "hippo"))
    lab.apply(training(lab.namespace))
    lab.wait_reason("Progressing", "ChildNotOwned")
    lab.api.delete("jobs", lab.namespace, "hippo-plan")
    (new,) = lab.wait(
        "a Job of its own", lambda: [job for job in lab.jobs() if job["metadata"]["uid"] != old["metadata"]["uid"]]
    )
    assert new["metadata"]["ownerReferences"][0]["uid"] == lab.training()["metadata"]["uid"]


def test_time_to_live(lab: Lab) -> None:
    """ttlSecondsAfterFinished deletes a training that has ended, also when it is set afterwards."""
    lab.apply(training(lab.namespace, folds=[0]))
    with Autopilot(lab.api, lab.namespace, lambda: 0.2):
        lab.wait_reason("Complete", "TrainingComplete")
    lab.set(ttlSecondsAfterFinished=2)
    lab.wait("the deletion", lambda: not lab.api.get("nnunettrainings", lab.namespace, "hippo"))
    lab.wait_jobs()


FAILURES = [
    pytest.param(64, "", "WrongConfiguration", id="configuration"),
    pytest.param(65, "", "WrongData", id="data"),
    pytest.param(69, "", "CheckpointUnusable", id="checkpoint"),
    pytest.param(70, "", "EpochsNotReached", id="epochs"),
    pytest.param(74, "", "StorageFailed", id="storage"),
    pytest.param(76, "", "GPUOutOfMemory", id="GPU memory"),
    pytest.param(137, "OOMKilled", "OutOfMemory", id="memory"),
]


@pytest.mark.parametrize(("code", "reason", "expected"), FAILURES)
def test_failures_that_a_retry_can_not_mend(lab: Lab, code: int, reason: str, expected: str) -> None:
    """One attempt, a reason, the trainer's words, and the other folds stop."""
    lab.apply(training(lab.namespace))
    lab.plan_and_train()
    lab.kubelet.run(lab.kubelet.pod("hippo", "fold", "1"))
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"), code, '{"message": "label 3 is missing in case 12"}', reason)
    failed = lab.wait_reason("Failed", expected)
    assert failed["status"] == "True" and "fold 0" in failed["message"]
    if code != 137:
        assert "label 3 is missing in case 12" in failed["message"]
    lab.wait("the other fold to be stopped", lambda: not lab.kubelet.pods("hippo"))
    attempts = lab.api.list("pods", lab.namespace, labelSelector="nnunet.dev/stage=fold,nnunet.dev/fold=0")
    assert len(attempts) <= 1
    assert lab.status()["phase"] == "Failed"


def test_retries_are_counted_and_preemptions_are_not(lab: Lab) -> None:
    """Exit 75 is free; other failures count against retryLimit; suspending and resuming tries again."""
    lab.apply(training(lab.namespace, folds=[0], retryLimit=0))
    lab.plan_and_train()
    first = lab.kubelet.pod("hippo", "fold", "0")
    lab.kubelet.run(first)
    lab.kubelet.end(first, 75, '{"message": "stopped after epoch 3"}')
    second = lab.kubelet.pod("hippo", "fold", "0")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    lab.kubelet.end(second, 1, "ZeroDivisionError: division by zero")
    failed = lab.wait_reason("Failed", "RetriesExhausted")
    assert "ZeroDivisionError" in failed["message"]
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    lab.set(suspend=False)
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
