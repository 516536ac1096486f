"""One training is disturbed in each way, another left in peace: at most an epoch is lost each time, nothing runs
twice, and all weights are the same in the end."""

import hashlib
import signal
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Lab
from tests.support.kube import Object, condition, kill_container
from tests.support.small_training import training, yielding

# In a soak test with the waits of Kubernetes' Job controller as they are.
pytestmark = pytest.mark.soak

EPOCHS = 7
CALM, NAME = "undisturbed", "disturbed"
SEED = 9
SOMEBODY = "erin"
"""Who edits the namespace and nothing else: so she may delete and evict pods."""
RBAC = "rbac.authorization.k8s.io"
EDITS: Object = {
    "apiVersion": f"{RBAC}/v1",
    "kind": "RoleBinding",
    "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
    "subjects": [{"apiGroup": RBAC, "kind": "User", "name": SOMEBODY}],
}

HELD: dict[str, Any] = {
    "before": 3,
    "epochs": EPOCHS,
    "trainer": {"seed": SEED},
    "restartOnStall": False,
    "yields": True,
}


def in_the_background(lab: Lab) -> list[Object]:
    """The training that is to be disturbed until it stands still, and the one that is left in peace."""
    return [lab.held_training(NAME, **HELD), left_in_peace(lab)]


def left_in_peace(lab: Lab) -> Object:
    """Return the training that is left in peace, by nnU-Net's own class in the operator's own image."""
    return yielding(training(CALM, lab.namespace, epochs=EPOCHS, trainer={"device": "cpu", "seed": SEED}))


@pytest.fixture(scope="module")
def disturbed(lab: Lab) -> Iterator[Lab]:
    """The laboratory with a training that stands still before its third epoch, and somebody who may end its pods."""
    lab.kube.apply({**EDITS, "metadata": {"name": SOMEBODY, "namespace": lab.namespace}})
    for verb, kind, sub in (("delete", "pods", ""), ("create", "pods", "eviction")):
        right = {"verb": verb, "resource": kind, "subresource": sub, "namespace": lab.namespace}
        lab.kube.wait(f"her right to {verb} {kind} {sub}", partial(lab.kube.api.may, SOMEBODY, right), timeout=90)
    with lab.held(NAME, **HELD):
        lab.kube.wait_epoch(lab.namespace, NAME, 2, timeout=400)
        yield lab


def go_on(lab: Lab) -> None:
    """Let the training finish an epoch, and stand still before the next."""
    epoch = fold_of(lab)["epoch"] + 1
    lab.hold(NAME, epoch + 1)
    lab.kube.wait_epoch(lab.namespace, NAME, epoch, timeout=180)


def fold_of(lab: Lab) -> Object:
    """Return what the status tells of its fold."""
    fold: Object = lab.kube.status(lab.namespace, NAME)["folds"][0]
    return fold


Fold = tuple[Object, Object]
"""What the status told of the fold before its pod was ended, and tells when the next attempt has finished an epoch."""


def interrupted(lab: Lab, how: Callable[[Object], object]) -> Fold:
    """End its pod in some way, and wait until the next attempt has finished an epoch."""
    before = fold_of(lab)
    how(lab.kube.fold_pod(lab.namespace, NAME))
    lab.kube.wait_attempt(lab.namespace, NAME, before["attempts"] + 1)
    go_on(lab)
    return before, fold_of(lab)


# Kubernetes waits after a failed pod, and twice as long after each further one of the same Job: between those that fail
# comes each time what has the operator make the Job anew.


@pytest.fixture(scope="module")
def deleted(disturbed: Lab) -> Fold:
    """Its pod is deleted by somebody who edits the namespace."""

    def delete(pod: Object) -> None:
        there = ("pod", pod["metadata"]["name"], "-n", disturbed.namespace)
        disturbed.kube.run("delete", *there, "--wait=false", f"--as={SOMEBODY}")

    return interrupted(disturbed, delete)


@pytest.fixture(scope="module")
def killed(disturbed: Lab, deleted: Fold) -> Fold:
    """Then it gets SIGKILL."""
    return interrupted(disturbed, lambda pod: kill_container(pod, "nnunet-trainer", signal.SIGKILL))


@pytest.fixture(scope="module")
def evicted(disturbed: Lab, killed: Fold) -> Fold:
    """Then she evicts it."""
    return interrupted(disturbed, lambda pod: disturbed.kube.evict(pod, SOMEBODY))


def costs_at_most_an_epoch(lab: Lab, fold: Fold) -> None:
    """Fail unless the status counts the attempt and what it lost, and an Event tells of it."""
    before, after = fold
    assert after["attempts"] == before["attempts"] + 1
    assert after["lostEpochs"] <= before["lostEpochs"] + 1, fold
    lab.kube.wait_event(lab.namespace, NAME, "FoldRestarted", text=f"attempt {after['attempts']} goes on")


def test_a_deleted_pod_costs_at_most_an_epoch(disturbed: Lab, deleted: Fold) -> None:
    costs_at_most_an_epoch(disturbed, deleted)


def test_a_fold_that_stands_still_is_reported_and_restarted(disturbed: Lab) -> None:
    """A frozen trainer: Stalled says so, and restartOnStall lets a new one go on from the checkpoint."""
    lab, kube, namespace = disturbed, disturbed.kube, disturbed.namespace
    before, frozen = fold_of(lab), kube.fold_pod(namespace, NAME)
    kill_container(frozen, "nnunet-trainer", signal.SIGSTOP)
    kube.change(namespace, NAME, stallTimeoutSeconds=12)
    kube.wait_event(namespace, NAME, "NoEpochFinished")
    lab.monitoring.wait_alert("NnunetTrainingStalled", namespace=namespace, training=NAME)
    assert "has not finished an epoch" in lab.first_command("NnunetTrainingStalled", namespace, NAME)
    # A frozen process can't answer SIGTERM either: it is killed when its grace period is over.
    kube.change(namespace, NAME, restartOnStall=True)
    kube.wait_event(namespace, NAME, "RestartedAfterStall")
    kube.wait_attempt(namespace, NAME, before["attempts"] + 1)
    # The next one stands still because these tests want it to.
    kube.change(namespace, NAME, restartOnStall=False, stallTimeoutSeconds=1800)
    fold = kube.wait_epoch(namespace, NAME, before["epoch"], timeout=180)["folds"][0]
    assert fold["stallRestarts"] == 1 and fold["lostEpochs"] <= before["lostEpochs"] + 1
    assert kube.fold_pod(namespace, NAME)["metadata"]["name"] != frozen["metadata"]["name"]
    moved = lambda: kube.condition(namespace, NAME, "Stalled").get("status") == "False"  # noqa: E731
    kube.wait("Stalled to be false", moved, timeout=60, about=(namespace, NAME))


def test_kill_9_costs_at_most_an_epoch(disturbed: Lab, killed: Fold) -> None:
    costs_at_most_an_epoch(disturbed, killed)


def test_no_pod_holds_a_gpu_while_it_is_suspended(disturbed: Lab) -> None:
    """It ends before the epoch that it stood before, and goes on from there."""
    kube, about = disturbed.kube, (disturbed.namespace, NAME)
    before = fold_of(disturbed)
    kube.suspend(*about)
    assert not kube.pods(*about, "fold")
    assert fold_of(disturbed)["epoch"] == before["epoch"]
    kube.resume(*about)
    kube.wait_attempt(*about, before["attempts"] + 1)
    go_on(disturbed)


def test_an_eviction_costs_at_most_an_epoch(disturbed: Lab, evicted: Fold) -> None:
    costs_at_most_an_epoch(disturbed, evicted)


@pytest.mark.usefixtures("evicted")
def test_the_result_is_that_of_a_training_left_in_peace(disturbed: Lab) -> None:
    """Its evaluation is evicted, too: all weights and scores are those of an undisturbed run."""
    lab, kube, about = disturbed, disturbed.kube, (disturbed.namespace, NAME)
    kube.apply(left_in_peace(lab))
    lab.hold(NAME, None)
    (evaluating,) = kube.wait("the evaluation's pod", lambda: kube.pods(*about, "evaluate"), timeout=400, about=about)
    kube.evict(evaluating, SOMEBODY)
    status = kube.wait_complete(*about, timeout=400)
    calm = kube.wait_complete(lab.namespace, CALM, timeout=400)
    fold, left = status["folds"][0], calm["folds"][0]
    assert (fold["epoch"], left["epoch"], left["attempts"]) == (EPOCHS, EPOCHS, 1)
    assert fold["attempts"] >= 4 and fold["lostEpochs"] <= fold["attempts"] - 1
    assert len([job for job in kube.jobs(*about) if job["metadata"]["labels"]["nnunet.dev/stage"] == "fold"]) == 1
    for key in ("trainingLoss", "validationLoss", "emaPseudoDice", "meanValidationDice"):
        assert fold[key] == left[key], key
    results = lab.volume("nnunet-results")
    assert tensors(results / status["runPath"]) == tensors(results / calm["runPath"])


def tensors(run: Path) -> dict[str, str]:
    """Return a digest of each tensor of the final checkpoint of a run: weights and the optimizer's state."""
    (path,) = run.glob("**/checkpoint_final.pth")
    with zipfile.ZipFile(path) as archive:  # which is what torch.save writes
        names = [name for name in archive.namelist() if "/data/" in name]
        assert names
        return {name.split("/", 1)[1]: hashlib.sha256(archive.read(name)).hexdigest() for name in names}


def test_without_a_test_set_the_validation_is_what_counts(lab: Lab) -> None:
    """And its evaluation asks for no GPU."""
    kube, about = lab.kube, (lab.namespace, CALM)
    kube.apply(left_in_peace(lab))
    status = kube.wait_complete(*about, timeout=400)
    assert "testDice" not in status["results"]
    assert condition(status, "Evaluated")["reason"] == "CrossValidationScored"
    gpus = {job["metadata"]["labels"]["nnunet.dev/stage"]: gpus_of(job) for job in kube.jobs(*about)}
    assert gpus == {"plan": 0, "fold": 1, "verify": 0, "evaluate": 0}


def gpus_of(job: Object) -> int:
    """Return how many GPUs a Job asks for."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return int(container["resources"].get("limits", {}).get("nvidia.com/gpu", 0))
