"""Whatever is killed, at most one epoch is lost, and nothing runs twice."""

import random
import signal
import time

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import kill_container

EPOCHS = 80  # far longer than tests and operator take to act
HEADLESS_EPOCHS = 40
ITERATIONS = 6


def test_a_fold_goes_on_after_kill_9_and_after_its_pod_was_deleted(lab: Lab) -> None:
    """The status counts attempts and lost epochs; each interruption costs at most the epoch that was under way."""
    kube, namespace, name = lab.kube, lab.namespace, "interrupted"
    kube.apply(training(name, namespace, epochs=EPOCHS, iterations=ITERATIONS))

    kube.wait_epoch(namespace, name, 2, timeout=180)
    kill_container(kube.pods(namespace, name, "fold")[-1], "nnunet-trainer", signal.SIGKILL)
    kube.wait(
        "a second attempt",
        lambda: kube.status(namespace, name)["folds"][0]["attempts"] == 2,
        timeout=90,
        about=(namespace, name),
    )
    before = kube.wait_epoch(namespace, name, 4, timeout=120)["folds"][0]["epoch"]
    kube.run(
        "delete", "pod", kube.pods(namespace, name, "fold")[-1]["metadata"]["name"], "-n", namespace, "--wait=false"
    )

    status = kube.wait_complete(namespace, name, timeout=240)
    fold = status["folds"][0]
    assert before >= 4
    assert fold["epoch"] == EPOCHS
    assert fold["attempts"] == 3
    assert 0 <= fold["lostEpochs"] <= 2
    restarts = [message for reason, message in kube.events(namespace, name) if reason == "FoldRestarted"]
    assert len(restarts) == 2, restarts


def test_suspend_stops_at_a_finished_epoch_and_resume_goes_on(lab: Lab) -> None:
    """No pod holds a GPU while suspended; the second attempt starts where the first one stopped."""
    kube, namespace, name = lab.kube, lab.namespace, "paused"
    kube.apply(training(name, namespace, epochs=EPOCHS, iterations=ITERATIONS))
    kube.wait_epoch(namespace, name, 2, timeout=180)
    kube.suspend(namespace, name)
    assert not kube.pods(namespace, name, "fold")
    stopped_at = kube.status(namespace, name)["folds"][0]["epoch"]
    kube.resume(namespace, name)
    fold = kube.wait_complete(namespace, name, timeout=240)["folds"][0]
    assert (fold["epoch"], fold["attempts"]) == (EPOCHS, 2)
    assert fold["lostEpochs"] <= 1
    assert 2 <= stopped_at < EPOCHS


def test_training_goes_on_while_the_api_server_is_gone(lab: Lab) -> None:
    """60 s without an API server: the same pod trains on, the same operator catches up."""
    kube, namespace, name = lab.kube, lab.namespace, "cut-off"
    kube.apply(training(name, namespace, epochs=1000, iterations=ITERATIONS))
    before = kube.wait_epoch(namespace, name, 1, timeout=180)["folds"][0]["epoch"]
    pod = kube.pods(namespace, name, "fold")[-1]["metadata"]["name"]
    operator = lab.operator_pod()
    lab.cluster.stop_component("kube-apiserver")
    time.sleep(60)
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


def test_an_operator_killed_at_random_moments_changes_nothing(lab: Lab) -> None:
    """SIGKILL to the operator 20 times in one run: same result, one Job for each stage, no stuck state."""
    kube, namespace, name = lab.kube, lab.namespace, "headless"
    rng = random.Random(20)
    kube.apply(
        training(name, namespace, epochs=HEADLESS_EPOCHS, iterations=ITERATIONS, folds=[0, 1], maxParallelFolds=1)
    )
    for _ in range(20):
        time.sleep(rng.uniform(0.2, 6))
        pod = lab.operator_pod()
        kill_container(pod, "nnunet-operator", signal.SIGKILL)
        # Replacing the pod saves the kubelet's back-off for restarts, minutes after 20 of them.
        kube.run("delete", "pod", pod["metadata"]["name"], "-n", lab.OPERATOR_NAMESPACE, "--force", "--grace-period=0")
        lab.wait_operator_ready()
    status = kube.wait_complete(namespace, name, timeout=300)
    jobs = sorted(job["metadata"]["name"] for job in kube.jobs(namespace, name))
    assert jobs == [f"{name}-evaluate", f"{name}-fold-0", f"{name}-fold-1", f"{name}-plan", f"{name}-verify"]
    folds = [(fold["epoch"], fold["attempts"], fold["lostEpochs"]) for fold in status["folds"]]
    assert folds == [(HEADLESS_EPOCHS, 1, 0), (HEADLESS_EPOCHS, 1, 0)]
