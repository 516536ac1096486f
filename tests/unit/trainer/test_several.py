"""Scores of several configurations: side by side, none of the whole, and always within a termination message."""

from typing import Any

from nnunet_api.contract import TERMINATION_LOG_LIMIT, EvidenceFacts, FoldEvidence, TerminationReport
from nnunet_api.evaluation_facts import ConfigurationScores, EvaluationFacts
from nnunet_api.facts import EarlyStopFacts
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS, fold_keys
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.training import MAX_FOLD_RUNS
from nnunet_trainer.report.html_report import render
from nnunet_trainer.run.report import HASH_DIGITS, encode
from nnunet_trainer.scoring.several import facts_of_several, message_of_several, summary_of_several
from tests.support.made_contracts import contract
from tests.support.plan_facts import PLAN_FACTS
from tests.unit.trainer.scored import evidence, replicate, results

RUN = contract(
    configuration="2d",
    configurations=["2d", "3d_lowres", "3d_fullres"],
    folds=["0", "1"],
    leftOutConfigurations=["3d_lowres"],
)
PICTURE = "data:image/png;base64,AAAA"


def scores_of(name: str, dice: float, number: int = 1, of: int = 1) -> Any:
    """Return the scores of one configuration, which has no test set."""
    run = replicate(number, of, dice, test=None, model_path=f"imaging/run/{name}")
    return replicate(
        number,
        of,
        dice,
        test=None,
        model_path=run.model_path,
        validation={f"{name}-{k}": v for k, v in run.validation.items()},
    )


FOUND = {"2d": results(scores_of("2d", 0.7)), "3d_fullres": results(scores_of("3d_fullres", 0.9))}


def test_each_has_its_own_scores_and_the_whole_has_none() -> None:
    facts = facts_of_several(FOUND)
    assert facts.mean_validation_dice is None and facts.model_path is None
    own = {one.configuration: one.mean_validation_dice for one in facts.configurations}
    assert own == {name: one.mean(lambda run: run.validation_dice) for name, one in FOUND.items()}
    assert list(facts.fold_dice) == ["2d-0", "2d-1", "3d_fullres-0", "3d_fullres-1"]
    summary = summary_of_several(RUN, FOUND)
    assert summary["byConfiguration"]["3d_fullres"]["modelPath"] == "imaging/run/3d_fullres"
    assert list(summary["byConfiguration"]) == ["2d", "3d_fullres"]


def test_what_was_left_out_is_said() -> None:
    words = message_of_several(RUN, FOUND)
    assert words.startswith("evaluated, cross-validation Dice: 2d 0.5")
    assert "not planned by nnU-Net for this dataset, and left out: 3d_lowres" in words
    assert summary_of_several(RUN, FOUND)["notes"][0].endswith("left out: 3d_lowres")


def test_replicates_have_a_spread_for_each() -> None:
    found = {"2d": results(*(scores_of("2d", dice, number, 2) for number, dice in ((1, 0.7), (2, 0.8))))}
    (one,) = facts_of_several(found).configurations
    assert one.spread is not None and one.spread > 0


def test_the_page_tells_them_apart() -> None:
    names = [key.name for one in RUN.by_configuration for key in one.fold_keys_of(1)]
    pictures = dict.fromkeys(names, PICTURE)
    page = render(RUN, PLAN_FACTS, FOUND, evidence(*names), dict.fromkeys(names), pictures, {})
    assert page.count("Scores by class") == 2 and page.count(PICTURE) == 4
    for said in (
        "Configuration 2d",
        "Configuration 3d_fullres",
        "Fold 3d_fullres-1",
        "left out: 3d_lowres",
        "2d, 3d_f",
    ):
        assert said in page, said
    assert "Configuration 3d_lowres" not in page and "No test set is scored" in page


LONGEST = [f"{place}{'n' * 31}" for place in range(MAX_TRAINED_CONFIGURATIONS)]
KEYS = fold_keys(LONGEST, [str(fold) for fold in range(5)], 1)


def test_the_most_fold_runs_with_the_longest_names_fit_into_a_termination_message() -> None:
    assert len(KEYS) == MAX_FOLD_RUNS
    stopped = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=99_950, end_epoch=100_000, epochs_saved=0)
    folds = [
        FoldEvidence(fold=key.name, epochs=100_000, checkpoint_hash="c" * 64, early_stopping=stopped) for key in KEYS
    ]
    line = encode(TerminationReport(message="proven " * 99, evidence=EvidenceFacts(folds=folds)))
    told = TerminationReport.model_validate_json(line).evidence
    assert len(line) <= TERMINATION_LOG_LIMIT and told is not None
    assert [(one.fold, len(one.checkpoint_hash)) for one in told.folds] == [(key.name, HASH_DIGITS) for key in KEYS]


def test_the_scores_of_all_fit_and_none_is_left_out() -> None:
    each = [
        ConfigurationScores(configuration=name, mean_validation_dice=1 / 3, spread=1 / 7, model_path="p" * 900)
        for name in LONGEST
    ]
    facts = EvaluationFacts(
        fold_dice={key.name: 1 / 3 for key in KEYS}, configurations=each, summary_hash="5" * 64, held_seconds=1e6 / 7
    )
    line = encode(TerminationReport(message="evaluated " * 99, evaluation=facts))
    told = TerminationReport.model_validate_json(line).evaluation
    assert len(line) <= TERMINATION_LOG_LIMIT and told is not None
    assert [one.configuration for one in told.configurations] == LONGEST and len(told.fold_dice) == MAX_FOLD_RUNS
