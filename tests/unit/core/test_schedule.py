"""A schedule below nnU-Net's standard is named for what it is, in condition and Event."""

import pytest

from nnunet_api.schedule import Schedule, judge
from tests.support.made_trainings import training
from tests.support.made_worlds import after, condition, decide, stated, world


@pytest.mark.parametrize(
    ("epochs", "iterations", "reason", "says"),
    [
        (1000, 250, "StandardEpochs", "standard schedule or longer"),
        (2000, 250, "StandardEpochs", "2000 epochs"),
        (
            100,
            2500,
            "StandardEpochs",
            "100 epochs of 2500 iterations: as many iterations as nnU-Net's standard schedule (1000 of 250) or more, "
            "in fewer and longer epochs",
        ),
        (999, 250, "ShortSchedule", "are 99.9 % of"),
        (
            250,
            250,
            "ShortSchedule",
            "250 epochs of 250 iterations are 25 % of nnU-Net's standard schedule (1000 of 250)",
        ),
        (249, 250, "VeryShortSchedule", "do not rely on the model"),
        (1000, 25, "VeryShortSchedule", "1000 epochs of 25 iterations are 10 % of"),
        (999, 249, "ShortSchedule", "are 99.5 % of"),
        (100_000, 1, "ShortSchedule", "are 40 % of"),
        (1, 249, "VeryShortSchedule", "1 epochs of 249 iterations are less than 0.1 % of"),
    ],
)
def test_what_counts_is_the_number_of_iterations(epochs: int, iterations: int, reason: str, says: str) -> None:
    standard, found, message = judge(Schedule(epochs=epochs, iterations_per_epoch=iterations))
    assert (standard, found) == (reason == "StandardEpochs", reason)
    assert says in message
    assert standard or "1-3 % Dice, more on hard tasks, and generalise worse" in message


def test_a_short_schedule_is_warned_of_once() -> None:
    short = training(folds=[0], schedule={"epochs": 300})
    result = decide(world(short))
    assert stated(result, "StandardSchedule") == ("False", "ShortSchedule")
    warnings = [(event.reason, event.message) for event in result.events if event.type == "Warning"]
    assert warnings == [("ShortSchedule", condition(result, "StandardSchedule").message)]
    assert "ShortSchedule" not in [event.reason for event in decide(world(after(short))).events]


def test_the_default_is_the_standard() -> None:
    result = decide(world(training()))
    assert stated(result, "StandardSchedule") == ("True", "StandardEpochs")
    assert all(event.type == "Normal" for event in result.events)
