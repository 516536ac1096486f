"""Whatever is killed, at most one epoch is lost, and nothing runs twice."""

import random
import signal
import time

import pytest

from tests import sizes
from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import Object, kill_container

EPOCHS = 80  # far longer than tests and operator take to act
ITERATIONS = 6


def test_a_fold_goes_on_after_kill_9_a_deleted_pod_and_a_suspension(lab: Lab) -> None:
    """The status counts attempts and lost epochs; each interruption costs at most the epoch that was under way. While
    the training is suspended no pod holds a GPU."""
    kube, namespace, name = lab.kube, lab.namespace, "interrupted"
    kube.apply(training(name, namespace, epochs=EPOCHS, iterations=ITERATIONS))

    kube.wait_epoch(namespace, name, 2, timeout=180)
    kill_container(kube.pods(namespace, name, "fold")[-1], "nnunet-trainer", signal.SIGKILL)
    wait_attempt(lab, name, 2)
    kube.wait_epoch(namespace, name, 4, timeout=120)
    kube.run(
        "delete", "pod", kube.pods(namespace, name, "fold")[-1]["metadata"]["name"], "-n", namespace, "--wait=false"
    )
    begun = wait_attempt(lab, name, 3)
    restarts = lambda: [reason for reason, _ in kube.events(namespace, name)].count("FoldRestarted") == 2  # noqa: E731
    kube.wait("two Events about restarts", restarts, timeout=30, about=(namespace, name))

    kube.wait_epoch(namespace, name, begun["epoch"] + 1, timeout=120)
    kube.suspend(namespace, name)
    assert not kube.pods(namespace, name, "fold")
    stopped_at = kube.status(namespace, name)["folds"][0]["epoch"]
    assert begun["epoch"] < stopped_at < EPOCHS
    kube.resume(namespace, name)

    fold = kube.wait_complete(namespace, name, timeout=240)["folds"][0]
    assert (fold["epoch"], fold["attempts"]) == (EPOCHS, 4)
    assert 0 <= fold["lostEpochs"] <= 3


def wait_attempt(lab: Lab, name: str, number: int) -> Object:
    """Wait until the first fold is in this attempt and return its status."""
    about = lab.namespace, name

    def begun() -> Object | None:
        folds = lab.kube.status(*about)["folds"]
        return folds[0] if folds[0]["attempts"] == number else None

    found: Object = lab.kube.wait(f"attempt {number}", begun, timeout=90, about=about)
    return found


@pytest.mark.soak
def test_training_goes_on_while_the_api_server_is_gone(lab: Lab) -> None:
    """Without an API server for a while: the same pod trains on, the same operator catches up."""
    kube, namespace, name = lab.kube, lab.namespace, "cut-off"
    kube.apply(training(name, namespace, epochs=1000, iterations=ITERATIONS))
    before = kube.wait_epoch(namespace, name, 1, timeout=180)["folds"][0]["epoch"]
    pod = kube.pods(namespace, name, "fold")[-1]["metadata"]["name"]
    operator = lab.operator_pod()
    lab.cluster.stop_component("kube-apiserver")
    time.sleep(sizes.OUTAGE_SECONDS)
    lab.cluster.start_component("kube-apiserver")
    # It may refuse what is asked of custom resources for up to half a minute: its storage of them is initialised then.
    about = ("get", "nnt", name, "-n", namespace, "-o", "name")
    kube.wait("trainings to be served", lambda: kube.run(*about, check=False).startswith("nnunettraining"), timeout=60)
    lab.wait_admission()
    after = kube.wait_epoch(namespace, name, before + 2, timeout=90)["folds"][0]
    assert after["attempts"] == 1
    assert kube.pods(namespace, name, "fold")[-1]["metadata"]["name"] == pod
    now = lab.operator_pod()
    assert now["metadata"]["name"] == operator["metadata"]["name"]
    assert (
        now["status"]["containerStatuses"][0]["restartCount"]
        == operator["status"]["containerStatuses"][0]["restartCount"]
    )
    kube.run("delete", "nnt", name, "-n", namespace)
    kube.wait("the pods to be gone", lambda: not kube.pods(namespace, name), timeout=150)


@pytest.mark.soak
def test_an_operator_that_is_killed_changes_nothing(lab: Lab) -> None:
    """SIGKILL to the operator while it plans, trains and evaluates: same result, one Job for each stage, no stuck
    state."""
    kube, namespace, name = lab.kube, lab.namespace, "headless"
    rng = random.Random(sizes.seed(20))
    more = sizes.POD_KILLS - 3
    epochs = 10 + 2 * more  # an epoch takes a second, a kill with the new start three to ten
    kube.apply(training(name, namespace, epochs=epochs, iterations=ITERATIONS, folds=[0, 1], maxParallelFolds=1))
    kill_operator_once(lab, name, "plan")
    kill_operator_once(lab, name, "fold")
    for _ in range(more):
        time.sleep(rng.uniform(0.2, 6))
        kill_operator(lab)
    kill_operator_once(lab, name, "evaluate")
    status = kube.wait_complete(namespace, name, timeout=300)
    jobs = sorted(job["metadata"]["name"] for job in kube.jobs(namespace, name))
    assert jobs == [f"{name}-evaluate", f"{name}-fold-0", f"{name}-fold-1", f"{name}-plan", f"{name}-verify"]
    folds = [(fold["epoch"], fold["attempts"], fold["lostEpochs"]) for fold in status["folds"]]
    assert folds == [(epochs, 1, 0), (epochs, 1, 0)]


def kill_operator_once(lab: Lab, name: str, stage: str) -> None:
    """Kill the operator when a training has a pod of a stage."""
    about = lab.namespace, name
    lab.kube.wait(f"a pod of stage {stage}", lambda: lab.kube.pods(*about, stage), timeout=300, about=about)
    kill_operator(lab)


def kill_operator(lab: Lab) -> None:
    """End the operator by SIGKILL and wait for another to be ready."""
    pod = lab.operator_pod()
    kill_container(pod, "nnunet-operator", signal.SIGKILL)
    # Replacing the pod saves the kubelet's back-off for restarts, minutes after 20 of them.
    lab.kube.run("delete", "pod", pod["metadata"]["name"], "-n", lab.OPERATOR_NAMESPACE, "--force", "--grace-period=0")
    lab.wait_operator_ready()
