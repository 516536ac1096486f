"""Replicates, usage, provenance, damaged checkpoints and refused datasets, as the status tells of them."""

from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts, ReplicateScores
from nnunet_api.facts import FoldProvenance
from nnunet_operator.core.facts import deviation
from nnunet_operator.core.training import Training
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
    failed_by,
    fold_done,
    job,
    planned,
    reported,
    stated,
    still,
    verified,
    world,
)

ONE = training(folds=[0], schedule={"epochs": 10})


def test_replicates_are_folds_of_their_own() -> None:
    of = training(folds=[0, 1], replicates=2, trainer={"seed": 7}, schedule={"epochs": 10}, maxParallelFolds=3)
    names = ["0-r1", "1-r1", "0-r2", "1-r2"]
    result = decide(world(of, *planned(of)))
    assert created(result) == [f"hippo-fold-{name}" for name in names[:3]]
    assert [fold.name for fold in result.status.folds] == names
    manifest = job(of, FOLD, "1-r2")
    assert manifest["spec"]["template"]["spec"]["containers"][0]["args"] == ["train", "--fold", "1", "--replicate", "2"]
    folds = [o for name in names for o in fold_done(of, name)]
    assert created(decide(world(of, *planned(of), *folds))) == ["hippo-verify"]
    scores = [ReplicateScores(replicate=k, seed=6 + k, mean_validation_dice=dice) for k, dice in ((1, 0.8), (2, 0.9))]
    evaluation = job(of, EVALUATE, conditions=[COMPLETE])
    facts = EvaluationFacts(mean_validation_dice=0.85, replicates=scores, test_nsd=0.7, test_hd95_mm=3.5)
    done = ended(evaluation, 0, TerminationReport(message="ok", evaluation=facts))
    result = decide(world(of, *planned(of), *folds, *verified(of), evaluation, done))
    results = result.status.results
    assert results is not None and results.spread is not None and results.test_surface is not None
    assert [(one.replicate, one.seed, one.mean_validation_dice) for one in results.replicates] == [
        (1, 7, 0.8),
        (2, 8, 0.9),
    ]
    assert results.spread.validation_dice == pytest.approx(0.070711) and results.spread.test_dice is None
    assert (results.test_surface.nsd, results.test_surface.hd95_mm) == (0.7, 3.5)
    assert results.report_path == f"{result.status.run_path}/report.html"
    assert "in 2 replicates" in condition(result, "Complete").message
    assert "cross-validation Dice 0.850 ± 0.071" in condition(result, "Complete").message


@pytest.mark.parametrize(
    ("changes", "at_once"), [({}, 5), ({"maxParallelFolds": 7}, 7), ({"maxParallelFolds": 50}, 50)]
)
def test_all_folds_of_all_replicates_may_train_at_once(changes: dict[str, Any], at_once: int) -> None:
    of = training(replicates=10, trainer={"seed": 7}, **changes)
    assert len(created(decide(world(of, *planned(of))))) == at_once


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([0.5], None), ([0.5, None], None), ([0.5, 0.5], 0.0), ([1.0, 2.0, 3.0, 4.0], 1.2909944)],
)
def test_spread(values: list[float | None], expected: float | None) -> None:
    assert deviation(values) == (None if expected is None else pytest.approx(expected))


def test_gpu_seconds_are_counted_per_gpu_and_never_go_down() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, resources={"gpus": 2})
    objects, samples = still(of, held_seconds=100.4, lost_seconds=7)
    known = after(of, *objects, samples=samples)
    usage = known.status.usage
    assert usage is not None and (usage.gpu_seconds, usage.lost_gpu_seconds) == (201, 14)
    objects, samples = still(of, held_seconds=50, lost_seconds=0)
    usage = after(known, *objects, samples=samples).status.usage
    assert usage is not None and (usage.gpu_seconds, usage.lost_gpu_seconds) == (201, 14)
    evaluation = job(of, EVALUATE, conditions=[COMPLETE])
    report = TerminationReport(message="ok", evaluation=EvaluationFacts(held_seconds=30))
    done = [*planned(of), *reported(of, held_seconds=120, lost_seconds=7), *verified(of)]
    result = decide(world(known, *done, evaluation, ended(evaluation, 0, report)))
    assert result.status.usage is not None and result.status.usage.gpu_seconds == 240  # no test set: no GPU


def test_conditions_of_the_run_reach_the_provenance() -> None:
    of = training(folds=[0], schedule={"epochs": 10}, trainer={"seed": 3})
    stated_by_fold = FoldProvenance(
        device="NVIDIA A100", cuda_version="12.4", torch_compile="on", configuration_hash="f" * 64
    )
    provenance = decide(world(of, *planned(of), *reported(of, provenance=stated_by_fold))).status.provenance
    assert provenance is not None
    assert (provenance.seed, provenance.device, provenance.cuda_version) == (3, "NVIDIA A100", "12.4")
    assert provenance.torch_compile == "on"
    assert provenance.configuration_hash == "f" * 64


def test_a_damaged_checkpoint_is_named_once_for_each_attempt() -> None:
    def seen(of: Training, **sample: Any) -> tuple[Training, list[str]]:
        objects, samples = still(of, **sample)
        result = decide(world(of, *objects, samples=samples))
        named = [event.message for event in result.events if event.reason == "CheckpointPassedOver"]
        return after(of, *objects, samples=samples), named

    known, named = seen(ONE, attempts=1)
    assert named == []
    known, named = seen(known, attempts=2, passed_over="checkpoint_latest.pth")
    assert len(named) == 1 and "checkpoint_latest.pth is damaged" in named[0]
    known, named = seen(known, attempts=2, passed_over="checkpoint_latest.pth")
    assert named == []
    known, named = seen(known, attempts=3)
    assert named == [] and known.status.folds[0].passed_over is None
    known, named = seen(known, attempts=4, passed_over="checkpoint_latest.pth")
    assert len(named) == 1


def test_a_dataset_that_is_refused_says_so_in_its_condition() -> None:
    refused = job(ONE, PLAN, conditions=[failed_by()])
    said = TerminationReport(message="case_07: imagesTs/case_07_0000.nii.gz is the training case case_03")
    result = decide(world(ONE, refused, ended(refused, 65, said)))
    assert stated(result, "DatasetReady") == ("False", "WrongData")
    assert "imagesTs/case_07_0000.nii.gz" in condition(result, "DatasetReady").message
