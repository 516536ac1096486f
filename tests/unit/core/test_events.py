"""Events: one for each transition, none for none."""

from dataclasses import replace

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.progress.model import LiveFacts
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    VERIFY,
    after,
    decide,
    ended,
    fold_done,
    job,
    live,
    planned,
    running,
    stored,
    unschedulable,
    verified,
    waiting,
    world,
)

ONE = training(folds=[0], schedule={"epochs": 10})
POD = "hippo-fold-0-x"
BOTH = ("checkpoint_latest.pth", "checkpoint_best.pth")


def said(of: Training, *objects: Manifest, samples: dict[str, LiveFacts] | None = None) -> list[str]:
    """Return the reasons of the Events, after checking that a second look announces nothing."""
    result = decide(world(of, *objects, samples=samples))
    again = decide(world(replace(of, status=stored(result.status)), *objects, samples=samples))
    assert again.events == ()
    return [event.reason for event in result.events]


def test_the_life_of_a_training() -> None:
    plan_job, fold, evaluation = job(ONE, PLAN), job(ONE, FOLD, "0"), job(ONE, EVALUATE)
    check = job(ONE, VERIFY)
    done = job(ONE, EVALUATE, conditions=[COMPLETE])
    facts = TerminationReport(message="ok", evaluation=EvaluationFacts(mean_validation_dice=0.9))
    steps: list[tuple[list[Manifest], list[str]]] = [
        ([], ["VeryShortSchedule", "Starting", "PlannerAdvice"]),
        ([plan_job], []),
        ([plan_job, running(plan_job)], ["Planning"]),
        ([*planned(ONE)], ["Preprocessed", "Starting"]),
        ([*planned(ONE), fold, waiting(fold, "ContainerCreating")], []),
        ([*planned(ONE), fold, running(fold)], ["FoldStarted", "Training"]),
        ([*planned(ONE), *fold_done(ONE, "0")], ["FoldCompleted", "Starting"]),
        ([*planned(ONE), *fold_done(ONE, "0"), check, running(check)], ["Verifying"]),
        ([*planned(ONE), *fold_done(ONE, "0"), *verified(ONE)], ["CheckpointsVerified", "Starting"]),
        ([*planned(ONE), *fold_done(ONE, "0"), *verified(ONE), evaluation, running(evaluation)], ["Evaluating"]),
        ([*planned(ONE), *fold_done(ONE, "0"), *verified(ONE), done, ended(done, 0, facts)], ["TrainingComplete"]),
    ]
    known = ONE
    for objects, expected in steps:
        assert said(known, *objects) == expected
        known = after(known, *objects)


def test_completion_tells_the_dice() -> None:
    done = job(ONE, EVALUATE, conditions=[COMPLETE])
    facts = TerminationReport(message="ok", evaluation=EvaluationFacts(mean_validation_dice=0.9))
    result = decide(world(ONE, *planned(ONE), *fold_done(ONE, "0"), *verified(ONE), done, ended(done, 0, facts)))
    messages = {event.reason: event.message for event in result.events}
    assert "cross-validation Dice 0.900" in messages["TrainingComplete"]
    assert messages["FoldCompleted"] == "fold 0 completed 10 epochs, validation Dice 0.870"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (live(epoch=5, attempts=1), []),
        (live(epoch=4, attempts=2, checkpoint_epoch=4), ["FoldRestarted"]),
    ],
)
def test_a_restart_tells_attempt_and_epoch(sample: LiveFacts, expected: list[str]) -> None:
    fold = job(ONE, FOLD, "0")
    objects = [*planned(ONE), fold, running(fold)]
    known = after(ONE, *objects, samples={POD: live(epoch=4, attempts=1)})
    assert said(known, *objects, samples={POD: sample}) == expected
    if expected:
        (event,) = decide(world(known, *objects, samples={POD: sample})).events
        assert event.message == "fold 0: attempt 2 goes on from epoch 4 of 10"


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (BOTH[0], f"{BOTH[0]} is damaged and was passed over; the newest checkpoint that loads is used"),
        (
            ", ".join(BOTH),
            f"{', '.join(BOTH)} are damaged and were passed over; the newest checkpoint that loads is used",
        ),
    ],
)
def test_damaged_checkpoints_are_named(named: str, words: str) -> None:
    fold = job(ONE, FOLD, "0")
    objects = [*planned(ONE), fold, running(fold)]
    known = after(ONE, *objects, samples={POD: live(epoch=4, attempts=1)})
    sample = live(epoch=3, attempts=2, checkpoint_epoch=3, passed_over=named)
    assert said(known, *objects, samples={POD: sample}) == ["FoldRestarted", "CheckpointPassedOver"]
    assert decide(world(known, *objects, samples={POD: sample})).events[1].message == f"fold 0: {words}"


def test_the_first_sample_is_no_second_start() -> None:
    fold = job(ONE, FOLD, "0")
    objects = [*planned(ONE), fold, running(fold)]
    assert said(after(ONE, *objects), *objects, samples={POD: live(epoch=0, attempts=1)}) == []


def test_a_new_pod_that_has_not_spoken_yet_is_no_second_start() -> None:
    fold = job(ONE, FOLD, "0")
    known = after(ONE, *planned(ONE), fold, running(fold), samples={POD: live(epoch=4, attempts=1)})
    between = after(known, *planned(ONE), fold)
    assert said(between, *planned(ONE), fold, running(fold, name="new")) == ["Training"]


def test_blocked_and_free_again() -> None:
    fold = job(ONE, FOLD, "0")
    known = after(ONE, *planned(ONE))
    stuck = unschedulable(fold, "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
    assert said(known, *planned(ONE), fold, stuck) == ["WaitingForGPU"]
    assert said(after(known, *planned(ONE), fold, stuck), *planned(ONE), fold, running(fold)) == [
        "FoldStarted",
        "Training",
    ]


def test_suspension_and_resumption() -> None:
    fold = job(ONE, FOLD, "0")
    objects = [*planned(ONE), fold, running(fold)]
    known = replace(after(ONE, *objects), spec=ONE.spec.model_copy(update={"suspend": True}))
    assert said(known, *objects) == ["Stopping"]
    stopped = after(after(known, *objects), *planned(ONE))
    assert said(after(known, *objects), *planned(ONE)) == ["SuspendedByUser"]
    assert said(replace(stopped, spec=ONE.spec), *planned(ONE)) == ["Resumed", "Starting"]


def test_failure_is_announced_once() -> None:
    bad = job(ONE, PLAN, conditions=[{"type": "Failed", "status": "True"}])
    assert said(after(ONE), bad, ended(bad, 65)) == ["WrongData"]


def test_nnunets_advice_on_planners_is_given_once() -> None:
    first = decide(world(ONE))
    assert [event.type for event in first.events if event.reason == "PlannerAdvice"] == ["Normal"]
    assert "PlannerAdvice" not in [event.reason for event in decide(world(after(ONE))).events]
    planning = ONE.spec.planning.model_copy(update={"planner": "nnUNetPlannerResEncL"})
    other = replace(ONE, spec=ONE.spec.model_copy(update={"planning": planning}))
    assert "PlannerAdvice" not in [event.reason for event in decide(world(other)).events]
