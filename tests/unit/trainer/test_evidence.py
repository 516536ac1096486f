"""What a checkpoint's history proves."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.verify import require_own
from nnunet_trainer.evidence.proven import HISTORY_KEYS, Finding, checkpoint_of, prove
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.journal import Journal, write_journal
from tests.support.made_contracts import contract, policy

NAN = math.nan
HASH = "a" * 64


def history(epochs: int, **changes: Any) -> dict[str, Any]:
    """Return what nnU-Net logs in so many epochs on a plateau, 1000 seconds each."""
    made: dict[str, Any] = {name: [0.5] * epochs for name in HISTORY_KEYS}
    made["epoch_start_timestamps"] = [1000.0 * epoch for epoch in range(epochs)]
    made["epoch_end_timestamps"] = [1000.0 * epoch + 990 for epoch in range(epochs)]
    return made | changes


def found(
    counter: int, logging: dict[str, Any], epochs: int, policies: dict[str, Any] | None = None, **rule: Any
) -> Finding:
    checkpoint = checkpoint_of({"current_epoch": counter, "logging": logging})
    return prove("0", checkpoint, HASH, contract(schedule={"epochs": epochs}, earlyStopping=rule, policy=policies))


@pytest.mark.parametrize(
    ("counted", "asked", "trouble"),
    [
        (250, 10, None),
        (251, 10, None),
        (249, 10, "10 of 10 epochs are proven: an epoch had 249 iterations, and schedule.iterationsPerEpoch is 250"),
        (1, 10, "10 of 10 epochs are proven: an epoch had 1 iteration, and schedule.iterationsPerEpoch is 250"),
        # No policy asks for epochs: a class in an image of before the rule may have iterations of its own.
        (249, 0, None),
        (1, None, None),
        # By an older image, which counted none.
        (None, 10, None),
    ],
)
def test_policies_ask_for_epochs_of_as_many_iterations_as_the_training(
    counted: int | None, asked: int | None, trouble: str | None
) -> None:
    told = {"init_args": {"nnunet_training": {"uid": "u", "fold": "0", "iterations": counted}}}
    checkpoint = checkpoint_of({"current_epoch": 10, "logging": history(10), **told})
    policies = None if asked is None else policy(minEpochs=asked or None)
    finding = prove("0", replace(checkpoint, owner=None), HASH, contract(schedule={"epochs": 10}, policy=policies))
    assert finding.trouble == trouble and finding.evidence.iterations_per_epoch == counted


OWN = contract()


@pytest.mark.parametrize(
    ("uid", "fold", "trouble"),
    [
        (OWN.uid, "0", None),
        ("another", "0", "it was saved by fold 0 of the training with UID another"),
        (OWN.uid, "1", f"it was saved by fold 1 of the training with UID {OWN.uid}"),
        (None, "0", "by which training it was saved it says in no readable way"),
    ],
)
def test_a_checkpoint_proves_the_fold_of_the_training_that_has_saved_it(
    uid: str | None, fold: str, trouble: str | None
) -> None:
    told = {"init_args": {"nnunet_training": {"uid": uid, "fold": fold}}}
    checkpoint = checkpoint_of({"current_epoch": 3, "logging": history(3), **told})
    finding = prove("0", checkpoint, HASH, contract(schedule={"epochs": 3}))
    assert finding.trouble is None if trouble is None else str(finding.trouble).endswith(trouble)


def test_the_folder_of_another_training_proves_nothing(tmp_path: Path) -> None:
    for fold, uid in (("0", OWN.uid), ("1", ""), ("2", "another")):
        (tmp_path / fold).mkdir()
        write_journal(tmp_path / fold, Journal(uid=uid))
    require_own(OWN, {fold: tmp_path / fold for fold in ("0", "1")})
    with pytest.raises(TrainerError, match="fold 2 belongs to the training with UID another") as refused:
        require_own(OWN, {fold: tmp_path / fold for fold in ("0", "2")})
    assert refused.value.code == ExitCode.CHECKPOINT_UNUSABLE


@pytest.mark.parametrize(
    ("changes", "proven", "says"),
    [
        pytest.param({}, 3, None, id="a history that agrees with the counter"),
        pytest.param({"train_losses": [0.5] * 2}, 2, "counter says 3 epochs.*train_losses 2", id="a shorter history"),
        pytest.param({"lrs": [0.5] * 4}, 3, "values of lrs 4", id="a longer history"),
        pytest.param({"mean_fg_dice": [0.5, NAN, 0.5]}, 3, None, id="epochs without foreground"),
        pytest.param({"epoch_start_timestamps": [0.0, 9000.0, 0.0]}, 3, None, id="nodes whose clocks differ by hours"),
        pytest.param({"epoch_end_timestamps": [990.0]}, 1, "epoch_end_timestamps 1", id="times are missing"),
    ],
)
def test_counter_and_history_have_to_agree(changes: dict[str, Any], proven: int, says: str | None) -> None:
    finding = found(3, history(3, **changes), 3)
    assert finding.evidence.epochs == proven
    if says is None:
        assert finding.trouble is None
    else:
        assert re.search(f"{proven} of 3 epochs are proven: .*{says}", str(finding.trouble)), finding.trouble


@pytest.mark.parametrize(
    ("rule", "epochs", "trouble"),
    [
        ({}, 10, None),
        ({}, 4, "4 of 10 epochs are proven: there is no early stopping"),
        ({}, 11, "11 of 10 epochs"),
        ({"mode": "Observe"}, 10, None),
        ({"mode": "Observe"}, 5, "5 of 10 epochs are proven: there is no early stopping"),
        ({"mode": "Stop"}, 5, None),
        ({"mode": "Stop"}, 6, "6 of 10 epochs are proven: the early-stopping rule ends the training at 5"),
        ({"mode": "Stop"}, 4, "4 of 10 epochs are proven: the early-stopping rule has not fired"),
        ({"mode": "Anneal"}, 7, None),
        ({"mode": "Anneal"}, 5, "5 of 10 epochs are proven: the early-stopping rule ends the training at 7"),
    ],
)
def test_epochs_have_to_be_those_of_schedule_and_rule(rule: dict[str, Any], epochs: int, trouble: str | None) -> None:
    settings = {"patienceEpochs": 3, "minEpochs": 5, "annealEpochs": 2}
    finding = found(epochs, history(epochs), 10, **settings | rule)
    assert finding.evidence.epochs == epochs and finding.evidence.checkpoint_hash == HASH
    assert (finding.evidence.early_stopping is None) is (not rule)
    assert str(finding.trouble).startswith(str(trouble))


RULE = {"patienceEpochs": 3, "minEpochs": 5, "annealEpochs": 2}
ASKS = "policy clinical asks for at least 7"


@pytest.mark.parametrize(
    ("mode", "asked", "epochs", "fired", "suppressed", "trouble"),
    [
        pytest.param("Stop", 7, 7, 7, 5, None, id="held back until the minimum"),
        pytest.param("Anneal", 7, 9, 7, 5, None, id="annealed from the minimum on"),
        pytest.param("Stop", 7, 10, None, 5, None, id="trained on after policies were taken back"),
        pytest.param("Stop", None, 7, 7, 5, None, id="held back by policies that ask for nothing any more"),
        pytest.param("Anneal", 6, 7, 5, None, None, id="ended before the policies came, with epochs enough"),
        pytest.param("Stop", 7, 5, 5, None, f"5 of 10 epochs are proven: {ASKS}", id="ended before they came"),
        pytest.param("Anneal", 7, 8, 6, 5, None, id="began to anneal under policies that asked for less"),
        pytest.param("Stop", 7, 4, None, None, f"not fired; {ASKS}", id="ended by itself"),
        pytest.param("Stop", 10, 9, 9, 5, "9 of 10 epochs are proven: policy clinical asks for at least 10", id="cut"),
        pytest.param("Disabled", 7, 6, None, None, f"there is no early stopping; {ASKS}", id="no rule"),
        pytest.param("Disabled", 7, 10, None, None, None, id="no rule, whole schedule"),
        pytest.param("Observe", 7, 10, 5, None, None, id="only observed"),
        pytest.param("Disabled", 20, 10, None, None, "clinical asks for at least 20", id="more than the schedule has"),
    ],
)
def test_epochs_have_to_be_as_many_as_the_policies_ask_for(
    mode: str, asked: int | None, epochs: int, fired: int | None, suppressed: int | None, trouble: str | None
) -> None:
    finding = found(epochs, history(epochs), 10, policy(minEpochs=asked), mode=mode, **RULE)
    verdict = finding.evidence.early_stopping
    assert (verdict.epoch, verdict.suppressed_epoch) == (fired, suppressed) if verdict else fired is suppressed is None
    if trouble is None:
        assert finding.trouble is None
    else:
        assert trouble in str(finding.trouble)


@pytest.mark.parametrize(
    ("modes", "named"),
    [
        ({}, "the policies ask"),
        ({"a": "Enforce"}, "policy a asks"),
        ({"a": "Warn"}, "the policies ask"),
        ({"b": "Enforce", "a": "Enforce", "c": "Audit"}, "policies a, b ask"),
    ],
)
def test_policies_that_ask_are_named(modes: dict[str, str], named: str) -> None:
    decisions = [{"policy": name, "generation": 1, "mode": mode, "outcome": "Allowed"} for name, mode in modes.items()]
    finding = found(4, history(4), 10, policy(decisions=decisions))
    assert str(finding.trouble).endswith(f"there is no early stopping; {named} for at least 600")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param([], "not built as", id="no mapping"),
        pytest.param({"logging": {}}, "no 'current_epoch'", id="no counter"),
        pytest.param({"current_epoch": 3}, "no 'logging'", id="no history"),
        pytest.param({"current_epoch": True, "logging": {}}, "bool True", id="a counter that is none"),
        pytest.param({"current_epoch": -1, "logging": {}}, "int -1", id="a negative counter"),
        pytest.param({"current_epoch": 10**12, "logging": {}}, "int 1000000000000", id="a counter beyond all bounds"),
        pytest.param({"current_epoch": 3, "logging": {"lrs": []}}, "no 'train_losses'", id="a series is missing"),
        pytest.param({"current_epoch": 3, "logging": history(3, lrs="0.1")}, "no list of lrs", id="no list"),
        pytest.param({"current_epoch": 3, "logging": history(3, lrs=[0.1, {}, 1])}, "under lrs", id="no numbers"),
    ],
)
def test_contents_that_are_no_checkpoint_of_nnunet(content: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        checkpoint_of(content)


class Tensor:
    def __init__(self, size: int) -> None:
        self._size = size

    def numel(self) -> int:
        return self._size


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, (None, None, None)),
        ({"init_args": {"nnunet_training": {"uid": "u", "fold": "0", "iterations": 250}}}, (250, None, None)),
        ({"init_args": {"nnunet_training": {"iterations": None}}}, (None, None, None)),
        ({"init_args": {"nnunet_training": {"iterations": -1}}}, (None, None, None)),
        ({"init_args": {"nnunet_training": {"iterations": True}}}, (None, None, None)),
        ({"trainer_name": "nnUNetTrainer"}, (None, "nnUNetTrainer", None)),
        ({"trainer_name": 5}, (None, None, None)),
        ({"network_weights": {"a": Tensor(20), "b": Tensor(22), "c": "x"}}, (None, None, 42)),
        ({"network_weights": [Tensor(20)]}, (None, None, None)),
    ],
)
def test_how_it_was_trained_is_read_where_the_checkpoint_tells(content: dict[str, Any], told: Any) -> None:
    rates = {"lrs": [1e-12, NAN, 3e-12]}
    checkpoint = checkpoint_of({"current_epoch": 3, "logging": history(3, **rates), **content})
    evidence = prove("0", checkpoint, HASH, contract(schedule={"epochs": 3}, earlyStopping={})).evidence
    assert (evidence.iterations_per_epoch, evidence.trainer_class, evidence.network_weights) == told
    assert evidence.highest_learning_rate == 3e-12
