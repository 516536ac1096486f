"""Folds that stand still: when that is said, and what is done about it."""

from dataclasses import replace
from typing import Any

import pytest

from nnunet_operator.core.training import Training
from nnunet_operator.progress.model import LiveFacts
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    after,
    condition,
    decide,
    deleted,
    job,
    planned,
    running,
    stated,
    still,
    verdict,
    world,
)


@pytest.mark.parametrize(
    ("sample", "stalled"),
    [
        ({"still_seconds": 99}, False),
        ({"still_seconds": 101}, True),
        ({"still_seconds": 101, "median_epoch_seconds": 30}, False),
        ({"still_seconds": 151, "median_epoch_seconds": 30}, True),
        ({"still_seconds": 9999, "epoch": 10}, False),
        ({"still_seconds": 9999, "epoch": 5, "early_stopping": verdict(5, 5)}, False),
        ({}, False),
    ],
)
def test_a_stall(sample: dict[str, Any], stalled: bool) -> None:
    of = training(folds=[0], schedule={"epochs": 10}, stallTimeoutSeconds=100)
    objects, samples = still(of, **sample)
    result = decide(world(of, *objects, samples=samples))
    assert stated(result, "Stalled") == (("True", "NoEpochFinished") if stalled else ("False", "NotStalled"))
    assert ("NoEpochFinished" in [event.reason for event in result.events]) == stalled
    assert deleted(result) == [] and deleted(decide(world(after(of, *objects, samples=samples), *objects))) == []


STALL: dict[str, Any] = {"folds": [0], "schedule": {"epochs": 10}, "stallTimeoutSeconds": 100, "retryLimit": 1}
RESTARTED = training(**STALL, restartOnStall=True)


def restarts(of: Training) -> tuple[str | None, int]:
    (fold,) = of.status.folds
    return fold.stalled_pod, fold.stall_restarts


@pytest.mark.parametrize("known_to_stand_still", [False, True])
def test_a_trainer_older_than_the_facts_never_counts_as_stalled(known_to_stand_still: bool) -> None:
    """Nobody knows whether it moves, whatever an older operator saw. A restart would cost one that does an epoch."""
    objects, samples = still(RESTARTED, still_seconds=101)
    of = after(RESTARTED, *objects, samples=samples) if known_to_stand_still else RESTARTED
    result = decide(world(of, *objects, samples={"hippo-fold-0-x": LiveFacts(None, still_seconds=1e6)}))
    assert stated(result, "Stalled") == ("False", "NotStalled")
    assert deleted(result) == [] and result.status.folds[0].stall_restarts == 0


def test_a_stall_is_told_with_what_to_look_at_and_without_a_clock() -> None:
    of = training(**STALL)
    objects, samples = still(of, still_seconds=101)
    message = condition(decide(world(of, *objects, samples=samples)), "Stalled").message
    for words in ("fold 0 since epoch 3", "pod hippo-fold-0-x", "See its log", "sharedMemory", "restartOnStall"):
        assert words in message
    known = after(of, *objects, samples=samples)
    objects, samples = still(of, still_seconds=5000)
    assert decide(world(known, *objects, samples=samples)).status == known.status


def test_a_stalled_fold_is_restarted_once_the_status_tells_of_it() -> None:
    objects, samples = still(RESTARTED, still_seconds=101)
    first = decide(world(RESTARTED, *objects, samples=samples))
    assert deleted(first) == []
    known = after(RESTARTED, *objects, samples=samples)
    assert restarts(known) == ("hippo-fold-0-x", 0)
    second = decide(world(known, *objects, samples=samples))
    assert (deleted(second), second.status.folds) == (["hippo-fold-0"], known.status.folds)
    assert [job.stopping for job in second.status.jobs] == [True]
    # The restart counts when the Job goes, once.
    going = [*planned(RESTARTED), job(RESTARTED, FOLD, "0", deleting=True)]
    third = decide(world(known, *going))
    assert [event.message for event in third.events if event.reason == "RestartedAfterStall"] == [
        "fold 0 stood still at epoch 3 and is restarted from its checkpoint (restart 1)"
    ]
    known = after(known, *going)
    assert restarts(known) == (None, 1) and restarts(after(known, *going)) == (None, 1)
    assert stated(decide(world(known, *going)), "Stalled") == ("False", "NotStalled")
    # It stands still once more than retryLimit forgives.
    failed = decide(world(known, *objects, samples=samples))
    assert stated(failed, "Failed") == ("True", "Stalled")
    assert "after 1 restart, as many" in condition(failed, "Failed").message
    # A retry has the whole retryLimit again.
    known = after(known, *objects, samples=samples)
    suspended = replace(known, spec=known.spec.model_copy(update={"suspend": True}))
    assert restarts(after(suspended, *objects, samples=samples)) == (None, 0)


@pytest.mark.parametrize(
    "sample",
    [
        pytest.param({"still_seconds": 0}, id="it measures anew"),
        pytest.param(None, id="the pod no longer answers"),
    ],
)
def test_an_operator_that_is_killed_before_it_restarts_a_fold_goes_on(sample: dict[str, Any] | None) -> None:
    objects, samples = still(RESTARTED, still_seconds=101)
    known = after(RESTARTED, *objects, samples=samples)
    samples = still(RESTARTED, **sample)[1] if sample else {}
    result = decide(world(known, *objects, samples=samples))
    assert (deleted(result), result.status.folds) == (["hippo-fold-0"], known.status.folds)


@pytest.mark.parametrize("pod_is_there", [False, True])
def test_an_operator_that_is_killed_after_it_restarted_a_fold_counts_that_once(pod_is_there: bool) -> None:
    objects, samples = still(RESTARTED, still_seconds=101)
    known = after(RESTARTED, *objects, samples=samples)
    new = job(RESTARTED, FOLD, "0")
    objects = [*planned(RESTARTED), new, *([running(new, name="new")] if pod_is_there else [])]
    result = decide(world(known, *objects))
    assert deleted(result) == []
    known = after(known, *objects)
    assert restarts(known) == (None, 1) and restarts(after(known, *objects)) == (None, 1)


def test_a_fold_that_finishes_an_epoch_after_all_is_left_alone() -> None:
    objects, samples = still(RESTARTED, still_seconds=101)
    known = after(RESTARTED, *objects, samples=samples)
    objects, samples = still(RESTARTED, still_seconds=0, epoch=4)
    result = decide(world(known, *objects, samples=samples))
    assert deleted(result) == [] and stated(result, "Stalled") == ("False", "NotStalled")
    assert restarts(after(known, *objects, samples=samples)) == (None, 0)


def test_more_time_has_an_effect_at_once() -> None:
    of = training(**STALL)
    objects, samples = still(of, still_seconds=101)
    known = after(of, *objects, samples=samples)
    patient = replace(known, spec=training(**STALL | {"stallTimeoutSeconds": 900}).spec, generation=2)
    assert stated(decide(world(patient, *objects, samples=samples)), "Stalled") == ("False", "NotStalled")


def test_restarts_that_are_switched_on_during_a_stall_begin_at_once() -> None:
    objects, samples = still(RESTARTED, still_seconds=101)
    known = after(training(**STALL), *objects, samples=samples)
    asked = replace(known, spec=RESTARTED.spec, generation=2)
    assert deleted(decide(world(asked, *objects, samples=samples))) == ["hippo-fold-0"]
    assert restarts(after(asked, *planned(RESTARTED), job(RESTARTED, FOLD, "0", deleting=True))) == (None, 1)


def test_a_pod_that_never_answered_is_not_said_to_stand_still() -> None:
    objects, _ = still(RESTARTED)
    assert stated(decide(world(RESTARTED, *objects)), "Stalled") == ("False", "NotStalled")
