"""Wrong input and broken surroundings end in a Failed condition whose message can be acted on."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.builders import DATASET, TINY_NETWORK, training
from tests.e2e.conftest import Lab
from tests.e2e.kube import condition

Change = dict[str, Any]


@pytest.mark.parametrize(
    ("name", "change", "reason", "words"),
    [
        ("no-dataset", {"dataset": {"name": "Dataset999_Nothing"}}, "WrongData", ["Dataset999_Nothing", DATASET]),
        ("no-labels", {"dataset": {"name": "Dataset502_NoLabels"}}, "WrongData", ["labelsTr", "mni_00"]),
        ("no-config", {"configuration": "3d_fulres"}, "WrongConfiguration", ["3d_fulres", "3d_fullres"]),
        (
            "no-class",
            {"trainer": {"device": "cpu", "className": "nnUNetTrainerNoMiroring"}},
            "WrongConfiguration",
            ["nnUNetTrainerNoMiroring", "nnUNetTrainerNoMirroring"],
        ),
    ],
)
def test_wrong_input_fails_in_planning_with_a_remedy(
    lab: Lab, name: str, change: Change, reason: str, words: list[str]
) -> None:
    """No GPU was asked for, no retry was burnt, and the message names what is wrong and what there is."""
    kube, namespace = lab.kube, lab.namespace
    kube.apply(training(name, namespace, **change))
    status = kube.wait_finished(namespace, name, timeout=120)
    failed = condition(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", reason), failed
    for word in words:
        assert word in failed["message"]
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
    kube.wait_complete(namespace, name, timeout=300)


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


def test_lost_preprocessed_data_is_named_and_a_retry_makes_it_again(lab: Lab) -> None:
    """Somebody cleaned up while a training was suspended: no retry is burnt, and the fold goes on where it was."""
    kube, namespace, name = lab.kube, lab.namespace, "cleaned-up"
    planning = {"configurations": {"3d_tiny": TINY_NETWORK}, "gpuMemoryTargetGB": 7}  # a result of its own
    kube.apply(training(name, namespace, epochs=150, planning=planning))
    before = kube.wait_epoch(namespace, name, 3, timeout=180)
    kube.suspend(namespace, name)
    shutil.rmtree(lab.volume("nnunet-preprocessed") / before["provenance"]["preprocessedPath"])
    kube.resume(namespace, name)
    failed = condition(kube.wait_finished(namespace, name, timeout=90), "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "WrongData"), failed
    assert "preprocessed data" in failed["message"]
    assert len(kube.pods(namespace, name, "fold")) == 1

    kube.suspend(namespace, name)
    kube.resume(namespace, name)
    status = kube.wait_complete(namespace, name, timeout=240)
    assert status["provenance"]["preprocessedPath"] == before["provenance"]["preprocessedPath"]
    fold = status["folds"][0]
    assert fold["epoch"] == 150 and fold["lostEpochs"] <= 1, fold
