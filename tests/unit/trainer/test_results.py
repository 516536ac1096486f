"""From single cases to what is reported."""

import json
from typing import Any

import pytest

from nnunet_api.contract import RunContract
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_trainer.scoring.results import Results, evaluation_facts, message, notes, summary
from tests.support.made_contracts import contract, exception, policy
from tests.unit.trainer.scored import NAN, ensemble, replicate, results

TWO_FOLDS = contract(folds=["0", "1"])
THREE = contract(folds=["0", "1"], replicates=3, seed=7)


def three(*dice: float, **changes: Any) -> Results:
    return results(*(replicate(number, 3, value, **changes) for number, value in enumerate(dice, 1)))


def test_one_replicate() -> None:
    facts = evaluation_facts(results(replicate()))
    assert facts.mean_validation_dice == pytest.approx((0.8 + 0.4) / 2)
    assert facts.fold_dice == {"0": pytest.approx(0.6), "1": pytest.approx(0.8)}
    assert facts.test_mean == pytest.approx(0.65)
    assert facts.test_cases == 2
    assert facts.test_per_class == {"liver": pytest.approx(0.8), "tumour": 0.5}
    assert facts.test_nsd == pytest.approx((0.8 + 0.6) / 2), "the mean over classes of the mean over cases"
    assert facts.test_hd95_mm == pytest.approx((3.0 + 6.0) / 2)
    assert facts.model_path == "imaging/run/model"
    assert facts.replicates == [] and facts.best_checkpoint_test_mean is None


def test_replicates_are_averaged_and_listed() -> None:
    found = three(0.7, 0.8, 0.9)
    facts = evaluation_facts(found)
    assert facts.test_mean == pytest.approx((0.6 + 0.65 + 0.7) / 3)
    assert facts.mean_validation_dice == pytest.approx(0.6)
    assert list(facts.fold_dice) == ["0-r1", "1-r1", "0-r2", "1-r2", "0-r3", "1-r3"]
    assert facts.test_per_class["liver"] == pytest.approx(0.8)
    assert facts.model_path == "imaging/run/model-r1"
    assert [(run.replicate, run.seed) for run in facts.replicates] == [(1, 7), (2, 8), (3, 9)]
    assert [run.test_mean for run in facts.replicates] == pytest.approx([0.6, 0.65, 0.7])
    spread = summary(THREE, found)["spread"]
    assert spread["testMean"] == pytest.approx(0.05), "the sample standard deviation"
    assert spread["testHd95Mm"] == 0 and spread["bestCheckpointTestMean"] is None
    assert "± 0.0500" in message(THREE, found) and "3 replicates" in message(THREE, found)


def test_cases_without_anything_to_find_are_cases() -> None:
    """Nothing predicted where nothing is: 0/0, which is not the same as no cases."""
    empty = results(replicate(test=None, validation={"0": {"c": {"1": NAN, "2": NAN}}}))
    assert message(TWO_FOLDS, empty) == (
        "evaluated: validation Dice undefined: no validation case holds or predicts any class"
    )
    assert message(TWO_FOLDS, results(replicate(test=None, validation={}))).startswith(
        "evaluated: no validation and no test cases"
    )


@pytest.mark.parametrize(
    ("best", "expected"),
    [([0.9, 0.9], pytest.approx(0.7)), ([0.9, None], None), ([None, None], None)],
)
def test_the_best_checkpoints_count_only_where_all_replicates_have_them(best: list[Any], expected: Any) -> None:
    runs = [
        replicate(number, 2, best=dice and ensemble(dice), without_best=() if dice else (f"0-r{number}",))
        for number, dice in enumerate(best, 1)
    ]
    found = results(*runs)
    facts = evaluation_facts(found)
    assert facts.best_checkpoint_test_mean == expected
    assert facts.test_mean == pytest.approx(0.65), "the best checkpoint is never the result"
    text = message(THREE, found)
    assert ("never the result" in text) is (expected is not None)
    assert ("0-r2 have none that loads" in text) is (best[1] is None)


def test_a_class_that_one_of_the_two_lacks_is_named() -> None:
    lacking = ensemble(
        dice={"a": {"1": 0.8, "2": 0.0}, "b": {"1": 0.8, "2": 0.5}},
        nsd={"a": {"1": 0.8, "2": 0.0}, "b": {"1": 0.8, "2": 0.5}},
        hd95={"a": {"1": 1.0, "2": NAN}, "b": {"1": 1.0, "2": 5.0}},
        missing={"a": {"2": "prediction"}, "b": {}},
    )
    found = results(replicate(test=lacking))
    facts = evaluation_facts(found)
    assert facts.test_nsd == pytest.approx((0.8 + 0.25) / 2)
    assert facts.test_hd95_mm == pytest.approx((1.0 + 5.0) / 2), "undefined: left out of the mean"
    content = summary(TWO_FOLDS, found)
    assert content["hd95Undefined"] == [{"replicate": 1, "case": "a", "class": "tumour", "missingIn": "prediction"}]
    assert content["replicates"][0]["testByCase"]["a"]["tumour"] == {"dice": 0.0, "nsd": 0.0, "hd95Mm": None}
    assert "no HD95 for tumour in a" in message(TWO_FOLDS, found)


def test_a_class_that_no_test_case_has_is_named() -> None:
    only_liver: dict[str, Any] = {name: {"a": {"1": 0.5, "2": NAN}} for name in ("dice", "nsd", "hd95")}
    found = results(replicate(test=ensemble(**only_liver, missing={})))
    assert evaluation_facts(found).test_mean == 0.5
    assert notes(found) == ["no test case holds or predicts tumour: left out of the means"]


def test_images_without_spacing_have_no_distance_in_mm() -> None:
    found = results(replicate(test=ensemble(unit="px")))
    assert evaluation_facts(found).test_hd95_mm is None
    content = summary(TWO_FOLDS, found)
    assert content["testHd95Px"] == pytest.approx(4.5) and content["surfaceUnit"] == "px"
    assert "HD95 4.50 px" in message(TWO_FOLDS, found)


@pytest.mark.parametrize(
    ("run", "found", "expected"),
    [
        (TWO_FOLDS, results(replicate(test=None)), "evaluated: cross-validation Dice 0.6000"),
        (
            contract(folds=["all"]),
            results(replicate(validation={})),
            "evaluated: test Dice 0.6500 on 2 cases, NSD 0.7000 at 1 mm, HD95 4.50 mm",
        ),
        (contract(folds=["all"]), results(replicate(validation={}, test=None)), "no validation and no test cases"),
    ],
    ids=["no test set", "all cases trained on", "neither"],
)
def test_what_there_is_nothing_of(run: RunContract, found: Results, expected: str) -> None:
    assert expected in message(run, found)
    json.dumps(summary(run, found), allow_nan=False)


def test_the_summary_holds_everything() -> None:
    found = results(replicate(best=ensemble(0.9)))
    content = json.loads(json.dumps(summary(TWO_FOLDS, found), allow_nan=False))
    assert EvaluationFacts.model_validate(content).test_mean == pytest.approx(0.65)
    assert content["validationPerClass"] == {"liver": pytest.approx(0.8), "tumour": 0.4}
    assert content["testNsdPerClass"] == {"liver": pytest.approx(0.8), "tumour": 0.6}
    assert content["testHd95MmPerClass"] == {"liver": 3.0, "tumour": 6.0}
    (run,) = content["replicates"]
    assert run["validationByCase"]["1"] == {"d": {"liver": 0.8, "tumour": None}}
    assert run["testByCase"]["b"] == {
        "liver": {"dice": 0.8, "nsd": 0.7, "hd95Mm": 4.0},
        "tumour": {"dice": None, "nsd": None, "hd95Mm": None},
    }
    assert run["bestCheckpoint"]["testMean"] == pytest.approx(0.7)
    assert "spread" not in content


def test_policies_are_part_of_the_summary() -> None:
    found = results(replicate())
    assert "policy" not in summary(TWO_FOLDS, found)
    stated = summary(contract(folds=["0", "1"], policy=policy(exceptions=[exception()])), found)["policy"]
    assert stated["minEpochs"] == 600 and stated["decisions"][0]["policy"] == "clinical"
    assert stated["exceptions"] == [exception()]
