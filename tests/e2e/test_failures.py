"""Wrong input and broken surroundings end in a Failed condition whose message can be acted on."""

from collections.abc import Callable

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import condition


def test_wrong_input_fails_in_planning_with_a_remedy(lab: Lab) -> None:
    """No GPU was asked for, no retry was burnt, and the message names what is wrong."""
    kube, namespace, name = lab.kube, lab.namespace, "no-labels"
    kube.apply(training(name, namespace, dataset={"name": "Dataset502_NoLabels"}))
    status = kube.wait_finished(namespace, name, timeout=120)
    failed = condition(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "WrongData"), failed
    assert "labelsTr" in failed["message"] and "mni_00" in failed["message"]
    assert len(kube.pods(namespace, name)) == 1
    assert status["phase"] == "Failed"


def test_too_little_memory_is_named_and_not_retried(lab: Lab) -> None:
    """The kernel kills the trainer; the message says which field to raise, and raising it mends the run."""
    kube, namespace, name = lab.kube, lab.namespace, "too-small"
    resources = {
        "gpus": 1,
        "cpu": "500m",
        "memory": "160Mi",
        "sharedMemory": "64Mi",
        "preprocessing": {"cpu": "1", "memory": "2Gi"},
    }
    kube.apply(training(name, namespace, resources=resources))
    failed = condition(kube.wait_finished(namespace, name, timeout=180), "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "OutOfMemory"), failed
    assert "resources.memory" in failed["message"]
    assert len(kube.pods(namespace, name, "fold")) <= 1
    kube.suspend(namespace, name, resources=resources | {"memory": "2Gi"})
    kube.resume(namespace, name)
    kube.wait_epoch(namespace, name, 1, timeout=300)


def test_a_full_results_volume_is_named_and_a_retry_goes_on(lab: Lab) -> None:
    """An alert comes before; the message names the volume; after room was made, suspend and resume goes on."""
    kube, name = lab.kube, "volume-full"
    namespace, fill = lab.small_results_namespace()
    kube.apply(training(name, namespace, epochs=300))  # longer than the alert takes
    kube.wait_epoch(namespace, name, 1, timeout=180)
    fill(leave=6 << 20)
    lab.monitoring.wait_alert("NnunetResultsVolumeFilling", namespace=namespace, training=name)
    assert "nnunet-results" in lab.first_command("NnunetResultsVolumeFilling", namespace, name)
    free: Callable[[], None] = fill()
    status = kube.wait_finished(namespace, name, timeout=180)
    failed = condition(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "StorageFailed"), failed
    assert "/nnunet/results" in failed["message"]
    assert len(kube.pods(namespace, name, "fold")) == 1
    free()
    kube.suspend(namespace, name)
    kube.resume(namespace, name)
    fold = kube.wait_complete(namespace, name, timeout=300)["folds"][0]
    assert (fold["epoch"], fold["attempts"]) == (300, 2)
