"""Several configurations in one training, from planning to the report, in nnU-Net's own layout."""

from pathlib import Path

import pytest

from nnunet_api.contract import EVIDENCE_FILE, REPORT_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.files import read_json
from tests.support.networks import small_network
from tests.trainer.world import TINY_NETWORK, World, make_world

ASKED = ["2d_tiny", "3d_tiny", "3d_lowres"]
TRAINED = ["2d_tiny", "3d_tiny"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One fold of each configuration trained, verified and evaluated; nnU-Net plans no 3d_lowres for small images."""
    world = make_world(
        tmp_path_factory.mktemp("configurations") / "world",
        planning={"configurations": {"2d_tiny": small_network("2d", [16, 16], [4, 8, 8]), "3d_tiny": TINY_NETWORK}},
        configuration=ASKED[0],
        configurations=ASKED,
        folds=["0"],
        testSet=None,
        schedule={"epochs": 2, "iterationsPerEpoch": 5, "validationIterationsPerEpoch": 1},
        skipUnavailableConfigurations=True,
    )
    planned = world.finish("plan")
    assert planned.code == 0 and planned.report.plan, planned.log
    assert planned.report.plan.left_out_configurations == ["3d_lowres"]
    world = world.but(leftOutConfigurations=["3d_lowres"])  # as the operator tells all pods from then on
    for command in (*(("train", "--fold", "0", "--configuration", one) for one in TRAINED), ("verify",), ("evaluate",)):
        ended = world.finish(*command)
        assert ended.code == 0, ended.log
    (world.root / "report.json").write_text(ended.report.model_dump_json(by_alias=True))
    return world


def test_all_are_planned_once_and_lie_side_by_side(scored: World) -> None:
    (shared,) = (scored.root / "nnunet/preprocessed").glob("*/plan.json")
    folders = {path.name for path in (shared.parent / scored.contract.dataset).iterdir() if path.is_dir()}
    assert folders == {"gt_segmentations", *(f"nnUNetPlans_{name}" for name in TRAINED)}
    models = {path.name for path in (scored.run / scored.contract.dataset).iterdir()}
    assert models == {f"nnUNetTrainer__nnUNetPlans__{name}" for name in TRAINED}
    for name in TRAINED:
        model = scored.run / scored.contract.dataset / f"nnUNetTrainer__nnUNetPlans__{name}"
        assert {"plans.json", "dataset.json", "fold_0"} <= {path.name for path in model.iterdir()}
        assert read_json(model / "fold_0/provenance.json")["conditions"]["configuration"] == name


def test_each_is_proven_and_scored_by_cross_validation(scored: World) -> None:
    evidence = read_json(scored.run / EVIDENCE_FILE)
    assert {fold["fold"]: fold["epochs"] for fold in evidence["folds"]} == {"2d_tiny-0": 2, "3d_tiny-0": 2}
    assert evidence["asked"]["configurations"] == TRAINED and "configuration" not in evidence["asked"]
    summary = read_json(scored.run / "summary.json")
    reported = read_json(scored.root / "report.json")["evaluation"]
    assert [one["configuration"] for one in reported["configurations"]] == TRAINED
    assert reported["meanValidationDice"] is None and reported["testMean"] is None
    for one in reported["configurations"]:
        own = summary["byConfiguration"][one["configuration"]]
        assert own["meanValidationDice"] == one["meanValidationDice"] == own["foldDice"][f"{one['configuration']}-0"]
        assert (scored.root / "nnunet/results" / one["modelPath"] / "fold_0/checkpoint_final.pth").is_file()
    page = (scored.run / REPORT_FILE).read_text()
    assert all(f"Configuration {name}" in page for name in TRAINED)
    assert "Not planned by nnU-Net for this dataset, and left out: 3d_lowres." in page


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"skipUnavailableConfigurations": False}, ExitCode.WRONG_CONFIGURATION),
        ({"configurations": ["3d_tiny", "3d_lowres", "2d_tiny"]}, ExitCode.DONE),  # the order changes nothing
    ],
)
def test_what_is_there_is_found_again(scored: World, tmp_path: Path, changes: dict[str, object], code: int) -> None:
    world = scored.copy(tmp_path / "world").but(uid="f" * 16, leftOutConfigurations=[], **changes)
    ended = world.finish("plan")
    assert (ended.code, "nothing to preprocess" in ended.log) == (code, True), ended.log
    if code:
        assert "configuration 3d_lowres is not in the plans" in ended.report.message
        assert "set skipUnavailableConfigurations: true" in ended.report.message
    else:
        assert ended.report.plan is not None
        assert (ended.report.plan.reused, ended.report.plan.left_out_configurations) == (True, ["3d_lowres"])


@pytest.mark.parametrize("option", [(), ("--configuration", "3d_lowres")])
def test_a_pod_trains_one_of_them(scored: World, option: tuple[str, ...]) -> None:
    ended = scored.finish("train", "--fold", "0", *option)
    assert ended.code == ExitCode.WRONG_CONFIGURATION
    assert "must be one of 2d_tiny, 3d_tiny" in ended.report.message
