"""What a selection among configurations has come to: in the status, in messages, and as far as it can be believed."""

from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts, SelectionFacts
from nnunet_api.results import SelectionResult
from nnunet_operator.core.decision import Decision
from tests.support.made_trainings import training
from tests.support.made_worlds import COMPLETE, EVALUATE, condition, decide, ended, job, stated, verified, world

BOTH: dict[str, Any] = {"configurations": ["2d", "3d_fullres"], "folds": [0, 1], "schedule": {"epochs": 10}}
EACH = [
    ConfigurationScores(configuration="2d", mean_validation_dice=0.89),
    ConfigurationScores(configuration="3d_fullres", mean_validation_dice=0.9),
]
PAIR = SelectionFacts(
    chosen=["2d", "3d_fullres"],
    mean_validation_dice=0.912,
    postprocessed_validation_dice=0.915,
    postprocessing=["tumour"],
    candidates=3,
)
ON_TEST_SET: dict[str, Any] = {"test_mean": 0.8998, "test_cases": 20, "test_set_hash": "7" * 64}


def evaluated(spec: dict[str, Any], selection: SelectionFacts | None, **scores: Any) -> Decision:
    """Return what becomes of a training of both whose evaluation has reported this."""
    of = training(**BOTH, **spec)
    over = job(of, EVALUATE, conditions=[COMPLETE])
    facts = EvaluationFacts(configurations=EACH, selection=selection, **scores)
    return decide(world(of, *verified(of), over, ended(over, 0, TerminationReport(message="ok", evaluation=facts))))


def test_what_was_chosen_is_told_before_its_one_score_on_the_test_set() -> None:
    result = evaluated({"selection": {}, "testSet": {}}, PAIR, **ON_TEST_SET)
    assert stated(result, "Evaluated") == ("True", "TestSetScored")
    assert condition(result, "Complete").message == (
        "folds 0, 1 of 2d, 3d_fullres are trained and evaluated: 2d and 3d_fullres together were chosen by "
        "cross-validation (0.912), postprocessing of: tumour (0.915); test Dice 0.900 over 20 cases, cross-validation "
        "Dice of 2d 0.890, 3d_fullres 0.900"
    )
    results = result.status.results
    assert results and results.selection and results.summary == "0.900" and results.validation_dice == 0.912
    assert results.selection.summary == "2d + 3d_fullres" and results.selection.candidates == 3
    (event,) = (one for one in result.events if one.reason == "TrainingComplete")
    assert "2d and 3d_fullres together were chosen" in event.message


def test_without_a_test_set_the_score_of_what_was_chosen_is_shown() -> None:
    result = evaluated({"selection": {}}, PAIR)
    assert stated(result, "Evaluated") == ("True", "CrossValidationScored")
    assert result.status.results and result.status.results.summary == "2d + 3d_fullres 0.912"


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        pytest.param({}, ["2d"], id="nothing was to be chosen"),
        pytest.param({"selection": {}}, ["3d_lowres"], id="one that is not trained"),
        pytest.param({"selection": {}}, ["2d", "2d"], id="a pair of one"),
        pytest.param({"selection": {"ensembles": False}}, ["2d", "3d_fullres"], id="a pair that was not asked for"),
    ],
)
def test_a_choice_that_the_spec_does_not_allow_is_not_believed(spec: dict[str, Any], chosen: list[str]) -> None:
    """It is the word of the training's own image."""
    result = evaluated(spec, PAIR.model_copy(update={"chosen": chosen}))
    assert result.status.results and result.status.results.selection is None
    assert "chosen" not in condition(result, "Complete").message


def test_odd_numbers_and_names_do_no_harm() -> None:
    odd: dict[str, Any] = {
        "mean_validation_dice": float("nan"),
        "postprocessed_validation_dice": 7.0,
        "postprocessing": ["\x1b[2J"],
    }
    result = evaluated({"selection": {}}, PAIR.model_copy(update={**odd, "candidates": -1}))
    found = result.status.results.selection if result.status.results else None
    assert found and found.mean_validation_dice is found.postprocessed_validation_dice is found.candidates is None
    assert found.postprocessing == ["�[2J"] and "(" not in found.told()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mean_validation_dice": 0.8}, "2d was chosen by cross-validation (0.800)"),
        (
            {"mean_validation_dice": 0.8, "postprocessed_validation_dice": 0.8, "candidates": 6},
            "2d was chosen by cross-validation (0.800), no postprocessing helps",
        ),
        (
            {"candidates": 1, "postprocessing": ["all foreground", "tumour"]},
            "2d was the only one to choose, postprocessing of: all foreground, tumour",
        ),
        (
            {"postprocessing": list("abcdefg")},
            "2d was chosen by cross-validation, postprocessing of: a, b, c, d, e and 2 more",
        ),
    ],
)
def test_a_choice_in_words(fields: dict[str, Any], said: str) -> None:
    assert SelectionResult(chosen=["2d"], **fields).told() == said
