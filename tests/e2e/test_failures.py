"""Wrong input and broken surroundings end in a Failed condition whose message can be acted on, some with an alert.

A training that stands still is in test_disturbances.py, one that a policy holds in test_bystander.py.
"""

from typing import Any

from tests.e2e.conftest import Lab
from tests.support.kube import Object, condition
from tests.support.small_training import training, yielding

SMALL = {
    "gpus": 1,
    "cpu": "500m",
    "memory": "160Mi",
    "sharedMemory": "64Mi",
    "preprocessing": {"cpu": "1", "memory": "2Gi"},
}

SMALL_RESULTS = "small-results"
FULL = "volume-full"
# What it is planned with is that of the training of test_disturbances.py, so that what both need is made once.
UNTIL_FULL: dict[str, Any] = {
    "before": 3,
    "epochs": 6,
    "storage": {"results": {"claimName": SMALL_RESULTS}},
    "yields": True,
}


def in_the_background(lab: Lab) -> list[Object]:
    """What fails without that anybody does something, and what stands still until its volume is full."""
    lab.make_small_volume(SMALL_RESULTS)
    # In the environment of the training of test_disturbances.py, so that what both need is made once.
    env = [{"name": "HOLD_BEFORE_EPOCH", "value": "3"}]
    image = lab.references["dishonest"]
    diverging = {"device": "cpu", "className": "DivergingTrainer", "image": image, "env": env}
    return [
        yielding(training("no-labels", lab.namespace, dataset={"name": "Dataset502_NoLabels"})),
        yielding(training("too-small", lab.namespace, resources=SMALL)),
        yielding(training("diverging", lab.namespace, epochs=9, trainer=diverging, retryLimit=0)),
        lab.held_training(FULL, **UNTIL_FULL),
    ]


def failed(lab: Lab, name: str, reason: str) -> str:
    """Wait until a training has failed for a reason and return what it says."""
    status = lab.kube.wait_finished(lab.namespace, name, timeout=400)
    found = condition(status, "Failed")
    assert (found["status"], found["reason"], status["phase"]) == ("True", reason, "Failed"), found
    return str(found["message"])


def test_wrong_input_fails_in_planning_with_a_remedy(lab: Lab) -> None:
    """No GPU was asked for, no retry was burnt, and the message names what is wrong."""
    said = failed(lab, "no-labels", "WrongData")
    assert "labelsTr" in said and "mni_00" in said
    assert len(lab.kube.pods(lab.namespace, "no-labels")) == 1


def test_a_loss_that_is_no_number(lab: Lab) -> None:
    """Nothing of it is saved, and the alert names the training."""
    failed(lab, "diverging", "LossNotFinite")
    lab.monitoring.wait_alert("NnunetTrainingLossNaN", namespace=lab.namespace, training="diverging")
    assert "not finite numbers" in lab.first_command("NnunetTrainingLossNaN", lab.namespace, "diverging")


def mended(lab: Lab) -> None:
    """Raise the memory of a training that has met its end."""
    kube, namespace, name = lab.kube, lab.namespace, "too-small"
    assert "resources.memory" in failed(lab, name, "OutOfMemory")
    assert len(kube.pods(namespace, name, "fold")) <= 1
    kube.suspend(namespace, name, resources=SMALL | {"memory": "2Gi"})
    kube.resume(namespace, name)
    kube.wait_epoch(namespace, name, 1, timeout=300)
    lab.drop(name)


def filled_up(lab: Lab) -> Object:
    """Let a training meet a volume that is nearly full, full, and no longer; return the fold at its last epoch."""
    kube, namespace, fill = lab.kube, lab.namespace, lab.filling(SMALL_RESULTS)
    with lab.held(FULL, **UNTIL_FULL):
        kube.wait_epoch(namespace, FULL, 2, timeout=400)
        fill(leave=6 << 20)
        lab.hold(FULL, 4, results=SMALL_RESULTS)  # how much is left is told after each epoch
        lab.monitoring.wait_alert("NnunetResultsVolumeFilling", namespace=namespace, training=FULL)
        said = lab.first_command("NnunetResultsVolumeFilling", namespace, FULL)
        assert SMALL_RESULTS in said and f"{FULL}-fold-0" in said, said
        free = fill()
        lab.hold(FULL, None, results=SMALL_RESULTS)
        assert "/nnunet/results" in failed(lab, FULL, "StorageFailed")
        assert len(kube.pods(namespace, FULL, "fold")) == 1
        free()
        kube.suspend(namespace, FULL)
        kube.resume(namespace, FULL)
        found: Object = kube.wait_epoch(namespace, FULL, 6, timeout=300)["folds"][0]
        return found


STORIES = [mended, filled_up]


def test_too_little_memory_is_named_and_not_retried(lab: Lab) -> None:
    """The kernel kills the trainer; the message says which field to raise, and raising it mends the run."""
    lab.told(mended)


def test_a_full_results_volume_is_named_and_a_retry_goes_on(lab: Lab) -> None:
    """An alert comes before; the message names the volume; after room was made, suspend and resume goes on."""
    fold = lab.told(filled_up)
    assert (fold["epoch"], fold["attempts"]) == (6, 2)
