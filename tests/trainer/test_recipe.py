"""nnU-Net's whole recipe, four configurations with a cascade, and what its own commands come to on the same folder."""

from pathlib import Path

import pytest

from nnunet_api.model_export import Member, ModelExport
from nnunet_trainer.process.files import read_json, write_json
from tests.support.networks import small_network
from tests.trainer import tiny_dataset
from tests.trainer.choices import FOLDS, find_best_by_hand, require_same_choice, train
from tests.trainer.elsewhere import predicted_elsewhere, require_same
from tests.trainer.world import World, make_contract

FLAT, FULL, LOW, CASCADE = "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"
PLANNED = {
    FLAT: small_network(FLAT, [16, 16], [4, 8, 8], batch_size=4),
    FULL: small_network(FULL, [16, 16, 16], [4, 8, 8]),
    LOW: {"inherits_from": FULL, "spacing": [2.0, 2.0, 2.0]},
    CASCADE: {"inherits_from": FULL, "previous_stage": LOW},
}
CASES = ["case_00", "case_01"]
"""Each fold validates one and trains on the other: four configurations in two folds are many predictions."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """All folds of the four, trained in the order that a cascade asks for, and verified."""
    # What is planned under a name of nnU-Net's is changed, and not begun from another one.
    own = {name: {key: one[key] for key in one if one[key] != name} for name, one in PLANNED.items()}
    root = tmp_path_factory.mktemp("recipe") / "world"
    tiny_dataset.write_dataset(root / "nnunet/raw", training=len(CASES), test=1)
    for mount in ("preprocessed", "results"):
        (root / "nnunet" / mount).mkdir()
    contract = make_contract(
        planning={"configurations": own},
        configuration=LOW,
        configurations=[LOW, FLAT, FULL, CASCADE],
        schedule={"epochs": 1, "iterationsPerEpoch": 25, "validationIterationsPerEpoch": 1},
        selection={},
        seed=7,
    )
    world = World(root, contract)
    splits = world.root / f"nnunet/raw/{world.contract.dataset}/splits_final.json"
    write_json(splits, [{"train": [CASES[1 - fold]], "val": [CASES[fold]]} for fold in range(2)])
    ended = world.finish("plan")
    assert ended.code == 0, ended.log
    train(world)
    return world


@pytest.mark.timeout(900)  # eight folds, and nnU-Net's own commands behind them
def test_choice_numbers_and_segmentations_are_those_of_nnunets_commands(trained: World, tmp_path: Path) -> None:
    by_hand = find_best_by_hand(trained, tmp_path / "by_hand")
    ended = trained.finish("evaluate")
    assert ended.code == 0, ended.log
    files = require_same_choice(trained, by_hand)
    record = read_json(trained.run / "selection.json")
    assert len(record["candidates"]) == 10, "four configurations and six pairs"
    assert record["meanValidationDice"] > 0.1, "else nothing is told apart"
    assert any(name.startswith("ensembles/") and CASCADE in name for name in files)

    chosen = [one["configuration"] for one in record["chosen"]]
    low = member(LOW)
    members = tuple(member(name, low if name == CASCADE else None) for name in chosen)
    export = ModelExport(
        trained.contract.dataset, members, len(members) > 1, tuple(record["postprocessing"]), device="cpu"
    )
    theirs = predicted_elsewhere(trained, trained.run, export, tmp_path / "elsewhere")
    require_same(trained.run / "predictions_test", theirs)


def member(configuration: str, previous: Member | None = None) -> Member:
    return Member(configuration, "nnUNetTrainer", "nnUNetPlans", FOLDS, previous=previous)
