"""Trainings that are restored from a backup, with their status and without it: new objects of the same names."""

import pytest

from tests.integration.conftest import Lab
from tests.support.api import Object
from tests.support.builders import training


def restore(lab: Lab, saved: Object, *, with_status: bool) -> None:
    """Delete a training, and create it anew as it was saved: what tools for backups do."""
    name = saved["metadata"]["name"]
    lab.api.delete("nnunettrainings", lab.namespace, name)
    lab.wait("the training to be gone", lambda: lab.api.get("nnunettrainings", lab.namespace, name) is None)
    lab.wait_jobs()
    lab.operator.kill()  # or else it has begun before its status is there
    metadata = {key: saved["metadata"][key] for key in ("name", "namespace")}
    lab.apply({**{key: saved[key] for key in ("apiVersion", "kind", "spec")}, "metadata": metadata})
    if with_status:
        lab.api.merge("nnunettrainings", lab.namespace, name, {"status": saved["status"]}, sub="status")
    lab.operator.start()


@pytest.mark.parametrize("with_status", [True, False], ids=["with its status", "without it"])
def test_a_training_that_had_not_ended_begins_anew(lab: Lab, with_status: bool) -> None:
    """In a folder of its own, from the planning on; it says so where its status tells of another run."""
    lab.apply(training(lab.namespace))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.wait_event("FoldCompleted")
    saved = lab.training()
    restore(lab, saved, with_status=with_status)
    lab.wait_jobs("hippo-plan")
    lab.wait("another run", lambda: lab.status().get("runPath", "") not in ("", saved["status"]["runPath"]))
    assert [fold["phase"] for fold in lab.status()["folds"]] == ["Pending", "Pending"]
    if with_status:
        lab.wait_event("FormerRunForgotten")
    lab.plan_and_train()
    for fold in ("0", "1"):
        lab.kubelet.end(lab.kubelet.pod("hippo", "fold", fold))
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")


def test_a_training_that_is_complete_stays_so_with_its_status(lab: Lab) -> None:
    """Nothing runs, and the status names the folder in which its model is. Without the status it begins anew."""
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    saved = lab.training()
    restore(lab, saved, with_status=True)
    lab.apply(training(lab.namespace, "later"))
    lab.wait_jobs("later-plan")
    assert lab.status() == saved["status"]
    assert "FormerRunForgotten" not in lab.events()


def test_a_training_that_is_suspended_before_the_backup_waits_for_a_person(lab: Lab) -> None:
    """So a cluster that is restored with no statuses at all starts nothing by itself."""
    lab.apply(training(lab.namespace, folds=[0]))
    lab.plan_and_train()
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    restore(lab, lab.training(), with_status=False)
    lab.wait_reason("Suspended", "SuspendedByUser")
    assert lab.jobs() == []
