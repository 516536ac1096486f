"""Which of nnU-Net's own trainer classes control can work with, and why not with the others."""

from pathlib import Path

import nnunetv2
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.training.classes import class_names, find_trainer
from nnunet_trainer.training.control import Control
from nnunet_trainer.training.overrides import PARTS, overrides_of, problems, reserved_names
from nnunet_trainer.training.pace import Paced

FOLDER = Path(nnunetv2.__path__[0]) / "training" / "nnUNetTrainer"
REFUSED = {
    "nnUNetTrainerBenchmark_5epochs": ["save_checkpoint", "perform_actual_validation"],
    "nnUNetTrainerBenchmark_5epochs_noDataLoading": ["save_checkpoint", "perform_actual_validation"],
}
STOCK = sorted(class_names([FOLDER]))


def test_there_are_stock_classes() -> None:
    assert len(STOCK) > 60 and set(REFUSED) < set(STOCK)


@pytest.mark.parametrize("name", STOCK)
def test_stock_class(name: str) -> None:
    if name not in REFUSED:
        assert find_trainer(name).__name__ == name
        return
    with pytest.raises(TrainerError) as caught:
        find_trainer(name)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    for method in REFUSED[name]:
        assert f"Benchmark_5epochs.{method} (" in caught.value.message, caught.value.message


def test_parts_are_what_nnunet_does_itself() -> None:
    """nnUNetTrainer would pass its own examination: a version of it that does things elsewhere is noticed here."""
    copy = type("Copy", (nnUNetTrainer,), {name: vars(nnUNetTrainer)[name] for name in PARTS if name != "__init__"})
    found = overrides_of(copy, nnUNetTrainer)
    assert not found.hidden and set(found.methods[copy]) >= set(PARTS) - {"__init__"}
    assert problems(found, reserved_names(Control, nnUNetTrainer)) == []


def test_names_that_control_needs_are_its_own() -> None:
    reserved = reserved_names(Control, nnUNetTrainer)
    assert {"take_control", "_fold_run"} <= reserved
    own = {name for name in vars(Paced) if not name.startswith("__") and not hasattr(nnUNetTrainer, name)}
    assert "_clock" in own and own <= reserved
    assert not reserved & {"initial_lr", "num_epochs", "current_epoch", "_best_ema"}
