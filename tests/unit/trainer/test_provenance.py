"""The conditions of a fold are fixed once it has a checkpoint. torch is not needed for that part."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_operator.api.contract import PROVENANCE_FILE, FoldProvenance
from nnunet_operator.api.exit_codes import ExitCode
from nnunet_trainer import provenance
from nnunet_trainer.failures import TrainerError
from nnunet_trainer.files import read_json
from nnunet_trainer.fold_run import FoldRun
from nnunet_trainer.metrics import FoldMetrics
from tests.unit.trainer.builders import contract, plan_facts, policy


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "facts", lambda run, hash_: FoldProvenance(seed=run.seed, configuration_hash=hash_))
    assert "torch" not in sys.modules


def run_in(folder: Path, **changes: Any) -> FoldRun:
    made = contract(**changes)
    return FoldRun(made, "0", folder, FoldMetrics(made, "0", "nnUNetPlans"))


def stated(run: FoldRun, **attributes: Any) -> dict[str, Any]:
    settings = {"initial_lr": 0.01, "num_epochs": 1000, "weight_decay": 3e-5} | attributes
    network = SimpleNamespace(batch_size=2, patch_size=(128, 128, 96))
    trainer = SimpleNamespace(configuration_manager=network, **settings)
    return provenance.conditions(run, plan_facts(), trainer)


def test_the_conditions_are_kept_and_hashed(tmp_path: Path) -> None:
    run = run_in(tmp_path, seed=3)
    provenance.fix_conditions(run, stated(run))
    kept = read_json(tmp_path / PROVENANCE_FILE)
    assert kept["conditions"]["patchSize"] == [128, 128, 96] and kept["conditions"]["seed"] == 3
    assert run.provenance is not None and kept["configurationHash"] == run.provenance.configuration_hash
    other = provenance.conditions_hash(stated(run, initial_lr=0.02))
    assert other != run.provenance.configuration_hash


@pytest.mark.parametrize(
    ("changes", "attributes", "named"),
    [
        ({"schedule": {"epochs": 500}}, {}, ['"epochs": 1000', '"epochs": 500']),
        ({"seed": 4}, {}, ["seed was null, is 4"]),
        ({}, {"initial_lr": 0.02}, ["hyperparameters was", "0.02"]),
        ({"gpus": 2}, {}, ["gpus was 1, is 2"]),
    ],
)
def test_a_fold_with_checkpoints_keeps_its_conditions(
    tmp_path: Path, changes: dict[str, Any], attributes: dict[str, Any], named: list[str]
) -> None:
    first = run_in(tmp_path)
    provenance.fix_conditions(first, stated(first))
    other = run_in(tmp_path, **changes)
    # Nothing was trained yet: the new conditions are taken.
    provenance.fix_conditions(other, stated(other, **attributes))
    provenance.fix_conditions(first, stated(first))
    (tmp_path / "checkpoint_latest.pth").touch()
    with pytest.raises(TrainerError) as caught:
        provenance.fix_conditions(other, stated(other, **attributes))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert all(part in caught.value.message for part in named), caught.value.message


def test_policies_may_change_while_a_fold_trains(tmp_path: Path) -> None:
    first = run_in(tmp_path)
    provenance.fix_conditions(first, stated(first))
    (tmp_path / "checkpoint_latest.pth").touch()
    for policies in (policy(minEpochs=600), policy(minEpochs=None)):
        run = run_in(tmp_path, policy=policies)
        provenance.fix_conditions(run, stated(run))
        assert run.provenance is not None and first.provenance is not None
        assert run.provenance.configuration_hash == first.provenance.configuration_hash


def test_a_newer_trainer_may_state_more(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    provenance.fix_conditions(run, stated(run))
    (tmp_path / "checkpoint_latest.pth").touch()
    provenance.fix_conditions(run, stated(run) | {"something": "new"})
    assert read_json(tmp_path / PROVENANCE_FILE)["conditions"]["something"] == "new"
