"""Numbers in the status: from metrics, from last words, from memory; never invented, never lost, never noisy."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.facts import FoldFacts
from nnunet_api.fold_status import FoldStatus
from nnunet_api.folders import maker_of
from nnunet_api.labels import PREPROCESSED_LABEL
from nnunet_api.reasons import FoldPhase
from nnunet_api.status import Progress
from nnunet_operator.core.progress import seconds_left, total_progress
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.progress.model import LiveFacts
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    VERIFY,
    after,
    condition,
    decide,
    ended,
    fold_done,
    job,
    live,
    made,
    planned,
    pod,
    running,
    stated,
    verified,
    world,
)
from tests.support.plan_facts import PLAN_FACTS

TEN = {"epochs": 10}
ONE = training(folds=[0], schedule=TEN)
POD = "hippo-fold-0-x"
SAMPLE = live(
    epoch=4,
    epochs_target=10,
    training_loss=-0.812345678,
    ema_pseudo_dice=0.7,
    epoch_seconds=20.0,
    checkpoint_epoch=4,
    attempts=1,
    lost_epochs=0,
    last_epoch_time=NOW - timedelta(seconds=7),
)


def changed(**facts: Any) -> LiveFacts:
    """Return what the trainer says with these changes."""
    return live(**(dict(SAMPLE.facts or ()) | facts))


def report(**facts: Any) -> TerminationReport:
    return TerminationReport(message="ended", fold=FoldFacts(**{"fold": "0", "epochs_target": 10, **facts}))


def trained(of: Training = ONE, sample: LiveFacts = SAMPLE) -> Training:
    """Return the training after one look at a running fold."""
    return after(of, *planned(of), *fold(of), samples={POD: sample})


def fold(of: Training, index: str = "0") -> tuple[Manifest, Manifest]:
    body = job(of, FOLD, index)
    return body, running(body)


def look(of: Training, *objects: Manifest, sample: LiveFacts | None = None) -> FoldStatus:
    result = decide(world(of, *planned(of), *objects, samples={POD: sample} if sample else {}))
    return result.status.folds[0]


def test_a_running_fold_tells_its_numbers() -> None:
    status = trained().status
    known = status.folds[0]
    assert (known.phase, known.epoch, known.epochs_target, known.attempts) == (FoldPhase.RUNNING, 4, 10, 1)
    assert known.training_loss == -0.81235  # five digits: noise is no news
    assert status.progress is not None
    assert (status.progress.summary, status.progress.percent) == ("4/10", 40)
    assert status.progress.estimated_seconds_left == 120
    assert status.progress.last_epoch_time == NOW - timedelta(seconds=7)
    assert status.phase == "Training"


def test_numbers_do_not_go_back_when_a_pod_vanishes() -> None:
    assert look(trained()).epoch == 4
    assert look(trained(), *fold(ONE)).epoch == 4
    assert look(trained(), job(ONE, FOLD, "0")).epoch == 4


def test_numbers_go_back_when_an_attempt_really_resumes_from_an_earlier_epoch() -> None:
    resumed = changed(epoch=3, checkpoint_epoch=3, attempts=2, lost_epochs=1)
    known = look(trained(), *fold(ONE), sample=resumed)
    assert (known.epoch, known.attempts, known.lost_epochs) == (3, 2, 1)


def test_last_words_count_until_the_next_attempt_speaks() -> None:
    body = job(ONE, FOLD, "0")
    old = ended(body, 75, report(epoch=5, attempts=1, checkpoint_epoch=5), name="old")
    new = running(body, name=POD)
    assert look(trained(), body, old).epoch == 5
    assert look(trained(), body, old, new).epoch == 5
    second = after(trained(), *planned(ONE), body, old, new, samples={POD: live(epoch=6, attempts=2)})
    assert look(second, body, old, new).epoch == 6  # the old pod still lies about; its words are older


def test_a_completed_fold() -> None:
    known = look(trained(), *fold_done(ONE, "0", dice=0.87654321))
    assert (known.phase, known.epoch, known.mean_validation_dice) == (FoldPhase.COMPLETED, 10, 0.87654)


def test_a_completed_fold_whose_pod_is_gone_has_all_its_epochs() -> None:
    known = look(ONE, job(ONE, FOLD, "0", conditions=[COMPLETE]))
    assert (known.phase, known.epoch) == (FoldPhase.COMPLETED, 10)


def test_a_job_that_is_complete_before_its_pod_is_seen_to_end_keeps_its_facts() -> None:
    done, pod_done = fold_done(ONE, "0")
    early = after(ONE, *planned(ONE), done, running(done))
    assert early.status.folds[0].phase == FoldPhase.RUNNING
    assert look(early, done, pod_done).mean_validation_dice == 0.87


@pytest.mark.parametrize(
    "sample",
    [
        changed(epoch=-1, epochs_target=10**12, attempts=-5),
        changed(training_loss=math.inf, validation_loss=math.nan, ema_pseudo_dice=17, epoch_seconds=math.nan),
        changed(last_epoch_time=datetime(2999, 1, 1, tzinfo=UTC)),
    ],
)
def test_nonsense_changes_nothing(sample: LiveFacts) -> None:
    known = trained()
    result = decide(world(known, *planned(ONE), *fold(ONE), samples={POD: sample}))
    assert result.status == known.status


def test_a_trainer_older_than_the_facts_is_named_and_its_numbers_stay() -> None:
    known = trained()
    result = decide(world(known, *planned(ONE), *fold(ONE), samples={POD: LiveFacts(None)}))
    assert result.status.folds == known.status.folds
    progressing = condition(result, "Progressing")
    assert (progressing.status, progressing.reason) == ("True", "Training")
    assert "fold 0 trains (its image is older than the operator" in progressing.message


def test_another_folds_report_changes_nothing() -> None:
    body = job(ONE, FOLD, "0")
    assert look(trained(), body, ended(body, 75, report(fold="3", epoch=9, attempts=9))).epoch == 4


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        pytest.param([("Pending", 0, None)], None, id="nothing runs"),
        pytest.param([("Running", 0, None)], None, id="no epoch yet"),
        pytest.param([("Running", 4, 20.0)], 120, id="one"),
        pytest.param([("Running", 4, 20.0), ("Running", 8, 30.0)], 120, id="the slower of two"),
        pytest.param([("Running", 4, 20.0), ("Running", 0, None)], 200, id="one without an epoch is like the other"),
        pytest.param([("Running", 4, 20.0), ("Pending", 0, None)], 320, id="one after the other"),
        pytest.param(
            [("Running", 8, 20.0), ("Running", 4, 20.0), ("Pending", 0, None), ("Pending", 0, None)],
            320,
            id="who waits starts when the first is done",
        ),
        pytest.param([("Completed", 10, 20.0), ("Running", 10, 20.0)], 0, id="only validation is left"),
        pytest.param([("Running", 12, 20.0)], 0, id="beyond the target"),
        pytest.param([("Completed", 10, 20.0)], None, id="all done"),
        pytest.param([("Pending", 6, 20.0)], None, id="suspended"),
    ],
)
def test_time_left(folds: list[tuple[str, int, float | None]], expected: int | None) -> None:
    states = [
        FoldStatus(fold=str(i), phase=FoldPhase(phase), epoch=epoch, epochs_target=10, epoch_seconds=seconds)
        for i, (phase, epoch, seconds) in enumerate(folds)
    ]
    assert seconds_left(states) == expected


def test_hundred_percent_means_all_epochs() -> None:
    folds = [FoldStatus(fold="0", epoch=999, epochs_target=1000)]
    assert total_progress(folds, [], None, NOW).percent == 99
    assert total_progress([], [], None, NOW) == Progress()


def test_nothing_is_written_at_rest_and_the_clock_alone_changes_nothing() -> None:
    known = trained()
    later = NOW + timedelta(hours=5)
    result = decide(world(known, *planned(ONE), *fold(ONE), samples={POD: SAMPLE}, now=later))
    assert result.status == known.status
    assert (result.actions, result.events) == ((), ())
    assert result.requeue_after == 15


PLACED = {"type": "PodScheduled", "status": "True"}


@pytest.mark.parametrize(("stage", "phase"), [(PLAN, "Pending"), (FOLD, "Pending"), (VERIFY, "Verifying")])
def test_what_starts_is_pending_until_all_epochs_are_trained(stage: str, phase: str) -> None:
    """`Pending 10/10` would say that nothing is done yet."""
    before = [] if stage == PLAN else [*planned(ONE), *(fold_done(ONE, "0") if stage == VERIFY else ())]
    result = decide(world(ONE, *before))
    assert (condition(result, "Progressing").reason, result.status.phase) == ("Starting", phase)


def test_a_transition_moves_its_own_time_only() -> None:
    later = NOW + timedelta(minutes=1, microseconds=5)
    body = job(ONE, FOLD, "0")
    result = decide(world(trained(), *planned(ONE), body, pod(body, conditions=[PLACED]), now=later))
    assert condition(result, "Progressing").last_transition_time == NOW  # Training -> Starting: still True
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no"}
    result = decide(world(trained(), *planned(ONE), body, pod(body, conditions=[scheduled]), now=later))
    assert condition(result, "Progressing").last_transition_time == later.replace(microsecond=0)
    assert condition(result, "DatasetReady").last_transition_time == NOW


def test_all_conditions_are_always_there_with_the_generation() -> None:
    for of in (
        ONE,
        training(suspend=True),
        trained(),
        after(ONE, *verified(ONE), job(ONE, EVALUATE, conditions=[COMPLETE])),
    ):
        status = decide(world(replace(of, generation=7))).status
        assert [c.type for c in status.conditions] == [
            "StandardSchedule",
            "PolicyCompliant",
            "Suspended",
            "DatasetReady",
            "Progressing",
            "Stalled",
            "DataStarved",
            "EarlyStopped",
            "EpochsProven",
            "Evaluated",
            "Complete",
            "Failed",
        ]
        assert {c.observed_generation for c in status.conditions} == {7}
        assert status.observed_generation == 7


def test_provenance_is_what_the_plan_says_and_stays_when_its_pod_is_gone() -> None:
    plan_job, plan_pod = planned(ONE)
    plan_pod["status"]["containerStatuses"][0]["imageID"] = "registry.example/trainer@sha256:abc"
    known = after(ONE, plan_job, plan_pod)
    provenance = known.status.provenance
    assert provenance is not None
    assert provenance.dataset_hash == "d" * 64
    assert provenance.preprocessed_path == f"clinic/{maker_of(ONE.spec)}/Dataset004_Hippocampus-0123456789abcdef"
    assert provenance.image == "registry.example/trainer:1"
    assert provenance.image_digest == "registry.example/trainer@sha256:abc"
    assert "Dataset004_Hippocampus-0123456789abcdef" in str(known.status.condition("DatasetReady"))
    assert after(known, plan_job).status.provenance == provenance
    assert known.status.run_path == "clinic/hippo-0a1b2c3d"


def test_a_training_that_is_complete_does_not_claim_what_its_spec_no_longer_says() -> None:
    evaluation = job(ONE, EVALUATE, conditions=[COMPLETE])
    objects = [*planned(ONE), *fold_done(ONE, "0"), *verified(ONE), evaluation, ended(evaluation, 0)]
    going = training(folds=[0], schedule=TEN)
    stopping = training(folds=[0], schedule=TEN, suspend=True)
    said = {False: "spec.suspend is false", True: "it has ended: there is nothing to suspend"}
    for of in (going, stopping):  # suspended before its end was seen
        result = decide(world(of, *objects))
        assert stated(result, "Complete") == ("True", "TrainingComplete")
        assert condition(result, "Suspended").message == said[of.spec.suspend]
    complete = after(going, *objects)
    for suspend in (True, False):  # and after it
        changed = replace(complete, spec=complete.spec.model_copy(update={"suspend": suspend}), generation=2)
        result = decide(world(changed))
        assert stated(result, "Suspended") == ("False", "NotSuspended")
        assert condition(result, "Suspended").message == said[suspend]
        assert result.events == () and result.actions == ()
        assert {c.observed_generation for c in result.status.conditions} == {2}


def test_paths_are_those_in_the_claim() -> None:
    of = training(folds=[0], storage={"results": {"subPath": "a/"}, "preprocessed": {"subPath": "b"}})
    known = after(of, *planned(of))
    assert known.status.run_path == "a/clinic/hippo-0a1b2c3d"
    assert known.status.provenance is not None
    shared = f"b/clinic/{maker_of(of.spec)}"
    assert known.status.provenance.preprocessed_path == f"{shared}/Dataset004_Hippocampus-0123456789abcdef"


def test_a_planning_that_began_on_the_whole_claim_left_its_data_at_the_root() -> None:
    of = training(folds=[0], storage={"preprocessed": {"subPath": "b"}})
    plan_job, plan_pod = planned(of)
    del plan_job["metadata"]["labels"][PREPROCESSED_LABEL]  # as an operator of before made it
    known = after(of, plan_job, plan_pod)
    assert known.status.provenance is not None
    assert known.status.provenance.preprocessed_path == "b/Dataset004_Hippocampus-0123456789abcdef"


def test_an_upgrade_of_the_operator_does_not_change_the_image_of_a_run_that_has_begun() -> None:
    known = after(ONE, job(ONE, "plan"))
    upgraded = replace(world(known, *planned(ONE)), options=replace(world(ONE).options, trainer_image="new:2"))
    result = decide(upgraded)
    (body,) = made(known, result, upgraded.options)
    assert body["metadata"]["name"] == "hippo-fold-0"
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/trainer:1"


@pytest.mark.parametrize(
    ("test_set", "facts", "summary", "reason", "says"),
    [
        (
            {},
            EvaluationFacts(mean_validation_dice=0.9, test_mean=0.87349, test_cases=3, test_per_class={"a": 0.8}),
            "0.873",
            "TestSetScored",
            "test Dice 0.873 over 3 cases, cross-validation Dice 0.900",
        ),
        (None, EvaluationFacts(mean_validation_dice=0.9), "0.900", "CrossValidationScored", "cross-validation Dice"),
        (None, EvaluationFacts(mean_validation_dice=math.nan), None, "CrossValidationScored", "summary.json"),
    ],
)
def test_results(test_set: Any, facts: EvaluationFacts, summary: str | None, reason: str, says: str) -> None:
    of = training(folds=[0], testSet=test_set)
    evaluation = job(of, EVALUATE, conditions=[COMPLETE])
    evaluation["status"]["completionTime"] = "2026-03-01T13:00:00Z"
    model = "clinic/hippo-0a1b2c3d/Dataset004_Hippocampus/nnUNetTrainer__P__3d_fullres"
    with_model = facts.model_copy(update={"model_path": f"/nnunet/results/{model}"})
    result = decide(
        world(
            of, *verified(of), evaluation, ended(evaluation, 0, TerminationReport(message="ok", evaluation=with_model))
        )
    )
    assert result.status.results is not None
    assert result.status.results.summary == summary
    assert result.status.results.model_path == model
    assert stated(result, "Evaluated") == ("True", reason)
    assert stated(result, "Progressing") == ("False", "TrainingComplete")
    assert says in condition(result, "Complete").message
    assert result.status.phase == "Completed"
    assert result.status.completion_time == datetime(2026, 3, 1, 13, tzinfo=UTC)


def test_the_evaluation_knows_the_dice_of_a_fold_whose_report_was_lost() -> None:
    evaluation = job(ONE, EVALUATE, conditions=[COMPLETE])
    facts = TerminationReport(message="ok", evaluation=EvaluationFacts(fold_dice={"0": 0.81, "3": 0.5}))
    result = decide(world(ONE, *verified(ONE), evaluation, ended(evaluation, 0, facts)))
    assert [fold.mean_validation_dice for fold in result.status.folds] == [0.81]


def test_lost_results_are_said_to_be_in_the_run_folder() -> None:
    result = decide(world(ONE, *verified(ONE), job(ONE, EVALUATE, conditions=[COMPLETE])))
    assert stated(result, "Complete") == ("True", "TrainingComplete")
    assert "summary.json" in condition(result, "Complete").message


def test_what_is_odd_in_a_dataset_is_told() -> None:
    """By the condition that becomes an Event, and kept with the provenance."""
    one = training()
    done = job(one, PLAN, conditions=[COMPLETE])
    plan = PLAN_FACTS.with_notes(["imagesTr/c3_0000.nii.gz has the same value everywhere (5)"])
    result = decide(world(one, done, ended(done, 0, TerminationReport(message="planned", plan=plan))))
    provenance = result.status.provenance
    assert provenance and provenance.dataset_notes == plan.notes
    ready = condition(result, "DatasetReady")
    assert ready and ready.message.endswith(f". What is odd in it: {plan.notes}")
