"""Whether a fold is done, as far as it is told without torch."""

from pathlib import Path

import pytest

from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.reasons import EarlyStoppingState
from nnunet_trainer.commands import train as module
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.journal import Journal, write_journal
from nnunet_trainer.run.metrics import FoldMetrics
from nnunet_trainer.run.paths import FINAL, VALIDATION_SUMMARY
from tests.support.made_contracts import contract, policy

STOPPED = EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=500, end_epoch=550, epochs_saved=450)


@pytest.mark.parametrize(
    ("epoch", "stopping", "asked", "complete"),
    [
        pytest.param(1000, None, None, True, id="whole schedule"),
        pytest.param(999, None, None, False, id="an epoch is missing"),
        pytest.param(550, STOPPED, None, True, id="stopped early"),
        pytest.param(550, STOPPED, 550, True, id="stopped early, with as many epochs as policies ask for"),
        pytest.param(550, STOPPED, 551, False, id="policies ask for more by now"),
        pytest.param(1000, None, 2000, True, id="policies ask for more than the schedule has"),
    ],
)
def test_a_fold_is_done_when_schedule_rule_and_policies_are_content(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    epoch: int,
    stopping: EarlyStopFacts | None,
    asked: int | None,
    complete: bool,
) -> None:
    facts = FoldFacts(
        fold="0", epoch=epoch, epochs_target=1000, mean_validation_dice=0.8, early_stopping=stopping, attempts=1
    )
    write_journal(tmp_path, Journal(facts=facts))
    (tmp_path / FINAL).touch()
    (tmp_path / "validation").mkdir()
    write_json(tmp_path / VALIDATION_SUMMARY, {"foreground_mean": {}})
    monkeypatch.setattr(module, "_epochs_in", lambda path: epoch)
    made = contract(policy=policy(minEpochs=asked))
    run = FoldRun(made, "0", tmp_path, FoldMetrics(made, "0", "nnUNetPlans"))
    assert module._is_complete(run) is complete


def test_the_floor_outlives_the_attempt(tmp_path: Path) -> None:
    """Policies ask for less when the fold goes on: the rule acts from where it stands."""
    facts = FoldFacts(fold="0", epoch=450, epochs_target=1000)
    for asked, floor in ((600, 600), (None, 450), (None, 450)):
        made = contract(policy=policy(minEpochs=asked))
        run = FoldRun(made, "0", tmp_path, FoldMetrics(made, "0", "nnUNetPlans"))
        run.set_min_epochs(450)
        run.resume(facts)
        assert run.floor == floor


@pytest.mark.parametrize(
    ("fold", "dice", "words"),
    [
        ("0", 0.8123456, "mean validation Dice 0.8123"),
        ("0", None, "validation Dice undefined: no validation case holds or predicts any class"),
        ("all", None, "no validation cases"),
    ],
)
def test_what_is_said_of_a_fold_that_is_done(tmp_path: Path, fold: str, dice: float | None, words: str) -> None:
    """A fold whose validation cases hold nothing, in which nothing is found, has a Dice of 0/0, and cases."""
    made = contract(folds=[fold])
    run = FoldRun(made, fold, tmp_path, FoldMetrics(made, fold, "nnUNetPlans"))
    run.resume(FoldFacts(fold=fold, epoch=1000, epochs_target=1000, mean_validation_dice=dice))
    assert module._report(run).message == f"fold {fold} is complete: 1000 of 1000 epochs, {words}"
