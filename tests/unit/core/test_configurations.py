"""Several configurations in one training: their fold runs, what is left out, and their scores."""

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    after,
    condition,
    created,
    decide,
    ended,
    evidence_of,
    fold_done,
    job,
    made,
    planned,
    proof,
    stated,
    verified,
    world,
)
from tests.support.plan_facts import PLAN_FACTS

BOTH = training(configurations=["3d_lowres", "2d"], folds=[0, 1], schedule={"epochs": 10})
SKIPS = training(
    configurations=["3d_lowres", "2d"], skipUnavailableConfigurations=True, folds=[0, 1], schedule={"epochs": 10}
)
LOWRES, PLANE = ["hippo-fold-3d-lowres-0", "hippo-fold-3d-lowres-1"], ["hippo-fold-2d-0", "hippo-fold-2d-1"]


def left_out(*names: str) -> list[Manifest]:
    """Return the completed planning, which says that it has left configurations out."""
    done = job(SKIPS, PLAN, conditions=[COMPLETE])
    facts = PLAN_FACTS.model_copy(update={"left_out_configurations": list(names)})
    return [done, ended(done, 0, TerminationReport(message="planned", plan=facts))]


@pytest.mark.parametrize(
    ("limit", "objects", "expected"),
    [
        pytest.param(5, planned(BOTH), [*LOWRES, *PLANE], id="all folds of all"),
        pytest.param(3, planned(BOTH), [*LOWRES, PLANE[0]], id="in their order, so many at once in all"),
        pytest.param(
            2, [*planned(BOTH), *fold_done(BOTH, "3d_lowres-0")], [LOWRES[1], PLANE[0]], id="one gives its place away"
        ),
        pytest.param(
            5,
            [*planned(BOTH), *(o for name in ("3d_lowres-0", "3d_lowres-1", "2d-0") for o in fold_done(BOTH, name))],
            [PLANE[1]],
            id="the verification waits for all",
        ),
    ],
)
def test_jobs_to_create(limit: int, objects: list[Manifest], expected: list[str]) -> None:
    of = training(configurations=["3d_lowres", "2d"], folds=[0, 1], schedule={"epochs": 10}, maxParallelFolds=limit)
    assert created(decide(world(of, *objects))) == expected


def test_what_is_not_planned_is_left_out_and_said() -> None:
    result = decide(world(SKIPS, *left_out("3d_lowres")))
    assert created(result) == PLANE
    assert result.status.left_out_configurations == ["3d_lowres"]
    assert [fold.name for fold in result.status.folds] == ["2d-0", "2d-1"]
    assert "left out: 3d_lowres" in condition(result, "DatasetReady").message
    assert result.status.progress and result.status.progress.summary == "0/20"
    (first, _) = made(SKIPS, result)
    env = first["spec"]["template"]["spec"]["containers"][0]["env"]
    assert '"leftOutConfigurations": ["3d_lowres"]' in env[0]["value"]
    # Its pod may be gone by the next look: then the status knows.
    later = after(SKIPS, *left_out("3d_lowres"))
    assert created(decide(world(later, job(SKIPS, PLAN, conditions=[COMPLETE])))) == PLANE
    assert [fold.name for fold in later.status.folds] == ["2d-0", "2d-1"]


@pytest.mark.parametrize(
    ("of", "names"),
    [(BOTH, ["3d_lowres"]), (SKIPS, ["3d_lowres", "2d"]), (SKIPS, ["3d_fullres"]), (SKIPS, [])],
    ids=["not allowed by the spec", "all", "one that nobody asked for", "none"],
)
def test_a_trainer_can_leave_out_only_what_the_spec_allows(of: Training, names: list[str]) -> None:
    result = decide(world(of, *left_out(*names)))
    assert created(result) == [*LOWRES, *PLANE] and result.status.left_out_configurations is None


def test_a_lost_status_has_planning_asked_once_more() -> None:
    """A fold's Job says that there was a plan, and not what it left out."""
    running = job(SKIPS, FOLD, "2d-0")
    assert created(decide(world(SKIPS, running))) == ["hippo-plan"]
    assert created(decide(world(BOTH, job(BOTH, FOLD, "2d-0")))) == [*LOWRES, PLANE[1]]


def folds_done() -> list[Manifest]:
    return [o for name in ("2d-0", "2d-1") for o in fold_done(SKIPS, name)]


def test_each_that_is_trained_has_to_be_proven_and_no_other() -> None:
    later = after(SKIPS, *left_out("3d_lowres"), *folds_done())
    whole = evidence_of(SKIPS)
    part = whole.model_copy(update={"folds": [fold for fold in whole.folds if fold.fold.startswith("2d")]})
    done = [*left_out("3d_lowres"), *folds_done()]
    assert created(decide(world(later, *done, *verified(SKIPS, part)))) == ["hippo-evaluate"]
    one = decide(world(later, *done, *verified(SKIPS, proof(10, fold="2d-0"))))
    assert stated(one, "Failed") == ("True", "EpochsNotReached")
    assert "fold 2d-1 proves none" in condition(one, "Failed").message
    both = [o for name in ("3d_lowres-0", "3d_lowres-1", "2d-0", "2d-1") for o in fold_done(BOTH, name)]
    assert stated(decide(world(BOTH, *planned(BOTH), *both, *verified(BOTH, part))), "Failed")[0] == "True"


def test_scores_stand_side_by_side() -> None:
    scores = EvaluationFacts(
        configurations=[
            ConfigurationScores(configuration="3d_lowres", mean_validation_dice=0.81),
            ConfigurationScores(configuration="2d", mean_validation_dice=0.79, spread=0.012),
        ]
    )
    over = job(BOTH, EVALUATE, conditions=[COMPLETE])
    report = TerminationReport(message="evaluated", evaluation=scores)
    result = decide(world(BOTH, *planned(BOTH), *verified(BOTH), over, ended(over, 0, report)))
    assert stated(result, "Complete") == ("True", "TrainingComplete")
    assert condition(result, "Complete").message == (
        "folds 0, 1 of 3d_lowres, 2d are trained and evaluated: cross-validation Dice of 3d_lowres 0.810, 2d 0.790 ± "
        "0.012"
    )
    results = result.status.results
    assert results and results.summary == "3d_lowres 0.810, 2d 0.790" and results.mean_validation_dice is None
    assert results.configurations and results.configurations[1].model_path == (
        "clinic/hippo-0a1b2c3d/Dataset004_Hippocampus/nnUNetTrainer__nnUNetPlans__2d"
    )
