"""What is otherwise than in nnU-Net's standard is named with both values, in condition, Event and advice."""

from typing import Any

import pytest

from nnunet_api.policy.advice import advice
from nnunet_api.standard import Asked, Trained, differences, judge_training, number_text
from nnunet_api.training import NnunetTrainingSpec
from tests.support.made_trainings import training
from tests.support.made_worlds import after, condition, decide, planned, proof, stated, verified, world

WARMUP = {"learningRatePolicy": "PolyWithWarmup"}


def spec(**fields: Any) -> NnunetTrainingSpec:
    return NnunetTrainingSpec.model_validate({"dataset": {"name": "Dataset001_A"}, **fields})


def asked(**fields: Any) -> Asked:
    return Asked.by(spec(**fields))


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"schedule": {"initialLearningRate": 0.01, "learningRatePolicy": "Poly"}}, "StandardEpochs", ""),
        ({"schedule": {"warmupEpochs": 999}}, "StandardEpochs", ""),
        ({"schedule": {"validationIterationsPerEpoch": 51}}, "StandardEpochs", ""),
        ({"planning": {"planner": "nnUNetPlannerResEncL", "gpuMemoryTargetGB": 24}}, "StandardEpochs", ""),
        ({"planning": {"configurations": {"other": {"batch_size": 1}}}}, "StandardEpochs", ""),
        ({"earlyStopping": {"mode": "Observe"}}, "StandardEpochs", ""),
        (
            {"schedule": {"initialLearningRate": 1e-12}},
            "HollowEpochs",
            "spec.schedule.initialLearningRate is 1e-12, nnU-Net's is 0.01: below 0.0002",
        ),
        (
            {"schedule": {"initialLearningRate": 0.0002}},
            "ChangedStandard",
            "spec.schedule.initialLearningRate is 0.0002, nnU-Net's is 0.01",
        ),
        (
            {"schedule": {**WARMUP, "warmupEpochs": 999}},
            "HollowEpochs",
            "spec.schedule.warmupEpochs is 999 of 1000, nnU-Net's is 50 of 1000 where there is one: a warm-up",
        ),
        ({"schedule": WARMUP}, "ChangedStandard", "spec.schedule.learningRatePolicy is PolyWithWarmup, nnU-Net's is"),
        ({"schedule": {**WARMUP, "warmupEpochs": 101}}, "HollowEpochs", "101 of 1000"),
        ({"schedule": {"learningRatePolicy": "Cosine"}}, "ChangedStandard", "is Cosine, nnU-Net's is Poly"),
        ({"schedule": {"validationIterationsPerEpoch": 1}}, "ChangedStandard", "PerEpoch is 1, nnU-Net's is 50"),
        (
            {"planning": {"gpuMemoryTargetGB": 0.5}},
            "HollowEpochs",
            "spec.planning.gpuMemoryTargetGB is 0.5, nnU-Net's is at least 8: it plans a smaller network",
        ),
        ({"planning": {"planner": "Tiny"}}, "ChangedStandard", "spec.planning.planner is Tiny, nnU-Net's is one of"),
        (
            {
                "configuration": "3d_tiny",
                "planning": {"configurations": {"3d_tiny": {"patch_size": [8, 8, 8], "batch_size": 1}}},
            },
            "ChangedStandard",
            "spec.planning.configurations.3d_tiny is its own (it sets batch_size, patch_size), nnU-Net's is what",
        ),
        ({"trainer": {"className": "nnUNetTrainerNoDeepSupervision"}}, "ChangedStandard", "nnU-Net's is nnUNetTrainer"),
        ({"earlyStopping": {"mode": "Anneal"}}, "ChangedStandard", "spec.earlyStopping.mode is Anneal, nnU-Net's is"),
        (
            {"schedule": {"epochs": 1000, "iterationsPerEpoch": 1, "initialLearningRate": 1e-12}},
            "VeryShortSchedule",
            "1000 epochs of 1 iterations are 0.4 %",
        ),
    ],
)
def test_each_difference_is_named_with_both_values(fields: Any, reason: str, said: str) -> None:
    standard, found, message = judge_training(asked(**fields))
    assert (standard, found) == (reason == "StandardEpochs", reason)
    assert said in message
    assert (not standard) or differences(asked(**fields)) == []


def test_a_short_schedule_says_what_else_is_different() -> None:
    _, _, message = judge_training(asked(schedule={"epochs": 300, "initialLearningRate": 1e-12}))
    assert "are 30 % of" in message and "It differs from the standard: spec.schedule.initialLearningRate is" in message


@pytest.mark.parametrize(
    ("trained", "reason", "said"),
    [
        (Trained([250, 250], [0.01, 0.01]), "StandardEpochs", ""),
        (Trained([250], [0.0003]), "StandardEpochs", ""),
        (
            Trained([250, 1], [0.01]),
            "HollowEpochs",
            "of an epoch, by the checkpoints, is 1, nnU-Net's is 250: 250 were",
        ),
        (Trained([], []), "StandardEpochs", ""),
        (Trained([], [0.01, 1e-12]), "HollowEpochs", "learning rate, by the checkpoints, is 1e-12, nnU-Net's is 0.01"),
    ],
)
def test_what_was_trained_counts(trained: Trained, reason: str, said: str) -> None:
    standard, found, message = judge_training(asked(), trained)
    assert (standard, found) == (reason == "StandardEpochs", reason) and said in message


@pytest.mark.parametrize(
    ("schedule", "highest", "reason"),
    [
        ({"initialLearningRate": 0.01}, 0.01, "StandardEpochs"),
        ({"initialLearningRate": 0.01}, 0.001, "HollowEpochs"),
        ({"initialLearningRate": 0.001}, 0.001, "ChangedStandard"),
        ({"initialLearningRate": 0.001}, 0.0001, "HollowEpochs"),
        # The last step of a warm-up is a little less than what it leads to.
        ({"initialLearningRate": 0.01, **WARMUP, "warmupEpochs": 50}, 0.0098, "ChangedStandard"),
    ],
)
def test_a_rate_that_was_asked_for_has_to_have_been_trained_with(schedule: Any, highest: float, reason: str) -> None:
    _, found, message = judge_training(asked(schedule=schedule), Trained([250], [highest]))
    assert found == reason and ("was asked for" in message) is (reason == "HollowEpochs"), message


@pytest.mark.parametrize(
    ("fields", "fields_advised"),
    [
        ({"schedule": {"initialLearningRate": 1e-12}}, ["spec.schedule.initialLearningRate"]),
        ({"schedule": {**WARMUP, "warmupEpochs": 999}}, ["spec.schedule.warmupEpochs"]),
        ({"planning": {"gpuMemoryTargetGB": 1}}, ["spec.planning.gpuMemoryTargetGB"]),
        ({"schedule": {"epochs": 10, "initialLearningRate": 1e-12}}, ["spec.schedule"] * 2),
        ({"trainer": {"className": "Mine"}, "schedule": {"learningRatePolicy": "Cosine"}}, []),
    ],
)
def test_only_what_makes_epochs_hollow_is_advised_against(fields: Any, fields_advised: list[str]) -> None:
    found = [each.field for each in advice(spec(**fields))]
    assert len(found) == len(fields_advised) and all(map(str.startswith, found, fields_advised))


@pytest.mark.parametrize(
    ("schedule", "reason", "kind"),
    [
        ({"initialLearningRate": 1e-12}, "HollowEpochs", "Warning"),
        ({"learningRatePolicy": "Cosine"}, "ChangedStandard", "Normal"),
    ],
)
def test_condition_and_event(schedule: Any, reason: str, kind: str) -> None:
    result = decide(world(training(schedule=schedule)))
    assert stated(result, "StandardSchedule") == ("False", reason)
    events = [(event.type, event.message) for event in result.events if event.reason == reason]
    assert events == [(kind, condition(result, "StandardSchedule").message)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-12, "1e-12"), (1e-05, "1e-05"), (0.0001, "0.0001"), (8, "8"), (0.1, "0.1"), (1000.0, "1000")],
)
def test_numbers_are_written_as_cel_writes_them(value: float, text: str) -> None:
    assert number_text(value) == text


def test_what_the_checkpoints_tell_is_in_status_and_condition() -> None:
    of = training(folds=[0], schedule={"epochs": 1000})
    before = after(of, *planned(of))
    told = proof(1000)
    manner = {"iterations_per_epoch": 250, "highest_learning_rate": 1e-12, "network_weights": 42}
    told = told.model_copy(update={"folds": [told.folds[0].model_copy(update=manner)]})
    result = decide(world(before, *planned(of), *verified(of, told)))
    (fold,) = result.status.folds
    assert (fold.proven_iterations, fold.proven_learning_rate, fold.network_weights) == (250, 1e-12, 42)
    assert stated(result, "StandardSchedule") == ("False", "HollowEpochs")
    assert [event.type for event in result.events if event.reason == "HollowEpochs"] == ["Warning"]
