"""Early stopping as the status and the Events tell of it."""

from typing import Any

import pytest

from nnunet_api.facts import EarlyStopFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_operator.progress.model import LiveFacts
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    FOLD,
    after,
    condition,
    decide,
    job,
    live,
    planned,
    proof,
    reported,
    running,
    stated,
    verdict,
    verified,
    world,
)

STOP = {"mode": "Stop", "minEpochs": 4, "patienceEpochs": 3}
ANNEAL = STOP | {"mode": "Anneal", "annealEpochs": 3}


def test_an_early_stop_is_told_with_its_epoch() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, earlyStopping=STOP)
    objects = [*planned(of), *reported(of, epoch=5, early_stopping=verdict(5, 5))]
    result = decide(world(of, *objects))
    assert stated(result, "EarlyStopped") == ("True", "PlateauStopped")
    assert "fold 0 ended at epoch 5 of 10" in condition(result, "EarlyStopped").message
    few_words = proof(5, verdict(5, 5).model_copy(update={"epochs_saved": None}))
    proven = decide(world(of, *objects, *verified(of, few_words)))
    assert proven.status.folds[0].early_stopping == result.status.folds[0].early_stopping
    assert "not convergence" in condition(result, "EarlyStopped").message
    assert result.status.progress is not None and result.status.progress.percent == 100
    messages = {event.reason: event.message for event in result.events}
    assert "ended at epoch 5 of 10" in messages["PlateauFound"]
    assert messages["FoldCompleted"].startswith("fold 0 completed 5 epochs of 10, stopped early")
    # Its Job and report are lost: the epochs that were trained stay what they were.
    assert decide(world(after(of, *objects), planned(of)[0])).status.folds[0].epoch == 5


@pytest.mark.parametrize(
    ("rule", "sample", "expected", "says"),
    [
        ({}, live(epoch=3), ("False", "EarlyStoppingDisabled"), "Disabled"),
        (
            STOP,
            live(epoch=3, early_stopping=EarlyStopFacts(state=EarlyStoppingState.WATCHING)),
            ("False", "RuleNotFired"),
            "3 epochs",
        ),
        (
            ANNEAL,
            live(
                epoch=6,
                early_stopping=EarlyStopFacts(state=EarlyStoppingState.ANNEALING, epoch=5, end_epoch=8),
            ),
            ("False", "PlateauAnnealing"),
            "until epoch 8 (plateau at 5)",
        ),
        (
            STOP | {"mode": "Observe"},
            live(epoch=6, early_stopping=EarlyStopFacts(state=EarlyStoppingState.OBSERVED, epoch=5, epochs_saved=5)),
            ("False", "PlateauObserved"),
            "would have been cut off at epoch 5 of 10",
        ),
    ],
)
def test_the_rule_while_a_fold_trains(
    rule: dict[str, Any], sample: LiveFacts, expected: tuple[str, str], says: str
) -> None:
    of = training(folds=[0], schedule={"epochs": 10}, earlyStopping=rule)
    fold = job(of, FOLD, "0")
    result = decide(world(of, *planned(of), fold, running(fold), samples={"hippo-fold-0-x": sample}))
    assert stated(result, "EarlyStopped") == expected
    assert says in condition(result, "EarlyStopped").message


def test_a_fold_whose_report_is_lost_claims_no_epochs_that_the_rule_may_have_saved() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, earlyStopping=STOP)
    done = [*planned(of), job(of, FOLD, "0", conditions=[COMPLETE])]
    result = decide(world(of, *done))
    assert (result.status.folds[0].phase, result.status.folds[0].epoch) == ("Completed", 0)
    # The checkpoint knows.
    result = decide(world(of, *done, *verified(of, proof(5, verdict(5, 5)))))
    assert (result.status.folds[0].epoch, result.status.folds[0].epochs_target) == (5, 10)
    assert result.status.progress is not None and result.status.progress.percent == 100
    assert stated(result, "EarlyStopped") == ("True", "PlateauStopped")


def test_observing_tells_what_stopping_would_have_saved_and_cost() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, earlyStopping=STOP | {"mode": "Observe"})
    seen = EarlyStopFacts(state=EarlyStoppingState.OBSERVED, epoch=6, ema_gain=0.01234, epochs_saved=4)
    result = decide(world(of, *planned(of), *reported(of, early_stopping=seen)))
    assert stated(result, "EarlyStopped") == ("False", "PlateauObserved")
    message = condition(result, "EarlyStopped").message
    assert "fold 0 would have been cut off at epoch 6 of 10, saving 4 epochs" in message
    assert "changed by +0.0123 after that" in message and "not convergence" in message
