"""How far a suspension or a resumption has come, as a table."""

from typing import Any

import pytest

from nnunet_cli.kube.watched import Watched, watched
from nnunet_cli.suspend.suspension import State, judge_resumption, judge_suspension
from tests.support.made_statuses import condition


def training(*conditions: dict[str, Any], generation: int = 2) -> Watched:
    found = [{"observedGeneration": 2, **each} for each in conditions]
    metadata = {"namespace": "clinic", "name": "hippo", "uid": "u", "generation": generation}
    return watched({"metadata": metadata, "spec": {}, "status": {"conditions": found}})


RUNS = condition("Progressing", "Training", "folds 0 and 1 train")
WAITS = condition("Progressing", "WaitingForGPU", "fold 0 waits for a GPU", "False")
STOPS = condition("Progressing", "Stopping", "fold 0: being stopped")
FREE = condition("Suspended", "NotSuspended", "spec.suspend is false", "False")
STOPPING = condition("Suspended", "Stopping", "pods stop", "False")
SUSPENDED = condition("Suspended", "SuspendedByUser", "no pod runs")
HELD = condition("Suspended", "PolicyChanged", "policy house: must be 1000")
COMPLETE = condition("Complete", "TrainingComplete", "test Dice 0.861")
FAILED = condition("Failed", "WrongData", "no such dataset")


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (training(), State.WAITING, "the operator has not looked at it yet"),
        (training(FREE, RUNS), State.WAITING, "folds 0 and 1 train"),
        (training(STOPPING, STOPS), State.WAITING, "being stopped"),
        (training(SUSPENDED), State.DONE, "suspended: no pod runs"),
        (training(SUSPENDED, generation=3), State.WAITING, "no pod runs"),
        (training(HELD), State.WAITING, "must be 1000"),
        (training(COMPLETE, FREE), State.DONE, "nothing left to suspend"),
        (training(FAILED, FREE), State.WAITING, "no such dataset"),
    ],
)
def test_suspension(found: Watched, state: State, words: str) -> None:
    outcome = judge_suspension(found)
    assert (outcome.state, words in outcome.text) == (state, True), outcome


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (training(), State.WAITING, "the operator has not looked at it yet"),
        (training(SUSPENDED), State.WAITING, "no pod runs"),
        (training(STOPPING, STOPS), State.WAITING, "being stopped"),
        (training(FREE, RUNS), State.DONE, "resumed. Training: folds 0 and 1 train"),
        (training(FREE, WAITS), State.DONE, "resumed. WaitingForGPU: fold 0 waits for a GPU"),
        (training(FREE, RUNS, generation=3), State.WAITING, ""),
        (training(HELD), State.REFUSED, "a policy holds it (PolicyChanged): policy house: must be 1000. It goes on"),
        (training(COMPLETE, SUSPENDED), State.DONE, "nothing left to do"),
        (training(FAILED, FREE), State.REFUSED, "it has failed: no such dataset"),
    ],
)
def test_resumption(found: Watched, state: State, words: str) -> None:
    outcome = judge_resumption(found)
    assert (outcome.state, words in outcome.text) == (state, True), outcome
