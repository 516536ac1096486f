"""A fold that waits for data, from the trainer's facts to the condition: it appears, is right, stays and goes away."""

from typing import Any

from tests.integration.conftest import Lab
from tests.support.builders import training
from tests.support.trainer import Trainer

RESOURCES: dict[str, Any] = {"cpu": "8", "preprocessing": {"cpu": "1", "memory": "1Gi"}}
NUMBERS = {"data_wait_seconds": 26.6, "checkpoint_seconds": 1.2, "data_workers": 8, "data_worker_use": 0.97}


def told(lab: Lab, trainer: Trainer, epoch: int, share: float | None) -> tuple[str, str]:
    """Let fold 0 finish an epoch of which it waits for a share, and return what the condition says then."""
    numbers = {} if share is None else {**NUMBERS, "data_wait_share": share, "fed_epoch_seconds": 70 * (1 - share)}
    trainer.says(epoch, median_epoch_seconds=70.0, **numbers)
    lab.wait(f"epoch {epoch}", lambda: lab.status()["folds"][0].get("epoch") == epoch)
    found = lab.condition("DataStarved")
    return found["status"], found["reason"]


def test_it_appears_is_right_and_goes_away(lab: Lab, trainer: Trainer) -> None:
    lab.apply(training(lab.namespace, folds=[0], resources=RESOURCES))
    lab.plan_and_train()
    fold = lab.kubelet.pod("hippo", "fold", "0")
    trainer.says(0)
    lab.kubelet.run(fold, trainer.address)
    starved, fed = ("True", "DataTooSlow"), ("False", "NotDataStarved")
    assert told(lab, trainer, 1, None) == fed, "nothing is measured yet"
    assert told(lab, trainer, 4, 0.38) == starved
    message = lab.condition("DataStarved")["message"]
    assert "fold 0 waits 38 % of its time for data (an epoch takes 70 s, and would take 43 s" in message
    assert "raise spec.resources.cpu from 8 to 16" in message and "kubectl nnunet suspend hippo" in message
    lab.wait_event("DataTooSlow")
    status = lab.status()
    assert (status["phase"], status["problem"]["reason"]) == ("Training", "DataTooSlow")
    assert lab.condition("Progressing")["status"] == "True"
    (known,) = status["folds"]
    assert (known["dataWaitShare"], known["dataStarved"], known["dataWorkers"]) == (0.38, True, 8)
    assert told(lab, trainer, 5, 0.15) == starved, "it does not flap"
    since = lab.condition("DataStarved")["lastTransitionTime"]
    # As it says: suspend, raise, resume.
    lab.set(suspend=True)
    lab.wait_reason("Suspended", "SuspendedByUser")
    assert lab.condition("DataStarved")["status"] == "False" and "dataWaitShare" not in lab.status()["folds"][0]
    lab.set(suspend=False, resources={**RESOURCES, "cpu": "16"})
    again = lab.kubelet.pod("hippo", "fold", "0")
    assert again["metadata"]["uid"] != fold["metadata"]["uid"]
    assert again["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "16"
    lab.kubelet.run(again, trainer.address)
    trainer.says(9, attempts=2, data_wait_share=0.02, data_workers=16)
    lab.wait("epoch 9", lambda: lab.status()["folds"][0].get("epoch") == 9)
    found = lab.condition("DataStarved")
    assert (found["status"], found["reason"]) == fed and found["lastTransitionTime"] >= since
    assert "problem" not in lab.status()
