"""Plans are data: nnU-Net's own pass, and those that name code or lead elsewhere are never given to nnU-Net."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_api.training import Planning
from nnunet_trainer.dataset.manifest import MANIFEST_FILE
from nnunet_trainer.process.files import read_json, write_json
from tests.support.networks import small_network
from tests.trainer.theirs import forked
from tests.trainer.world import TINY_NETWORK, World, make_world

PLAN_WITH_EACH = """
import json, os, sys
from pathlib import Path
import nnunetv2
import torch
from nnunet_trainer.training.classes import class_names, find_planner
from nnunet_trainer.dataset.configurations import with_configurations

folder, dataset = Path(os.environ["nnUNet_preprocessed"]), sys.argv[1]
planners = sorted(
    name for name in class_names([Path(nnunetv2.__path__[0], "experiment_planning")])
    if "Planner" in name
)
for name in planners:
    made = find_planner(name)(dataset)
    # It builds networks to ask them for the sizes of their layers: of weights it needs the shapes alone.
    with torch.device("meta"):
        made.plan_experiment()
    plans = json.loads((folder / dataset / f"{made.plans_identifier}.json").read_text())
    with_configurations(plans, {"mine": {"inherits_from": "3d_fullres", "batch_size": 4}})
    print("PASSED", name, ",".join(sorted(plans["configurations"])))
"""


def test_plans_of_all_planners_pass(planned: World, tmp_path: Path) -> None:
    """On images so large that there are 3d_lowres and the cascade, too."""
    world = planned.copy(tmp_path / "world")
    (fingerprint,) = (world.root / "nnunet/preprocessed").glob("*/*/dataset_fingerprint.json")
    content = read_json(fingerprint)
    content["shapes_after_crop"] = [[400, 512, 512] for _ in content["shapes_after_crop"]]
    write_json(fingerprint, content)
    for written in fingerprint.parent.glob("*lans.json"):
        written.unlink()
    env = os.environ | {
        "nnUNet_raw": str(world.root / "nnunet/raw"),
        "nnUNet_preprocessed": str(fingerprint.parents[1]),
        "nnUNet_results": str(tmp_path),
        "PYTHON_CPU_COUNT": "1",
    }
    code, printed = forked([PLAN_WITH_EACH, world.contract.dataset], env)
    assert code == 0, printed
    passed = dict(line.split()[1:] for line in printed.splitlines() if line.startswith("PASSED"))
    for name in ("ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL"):
        assert {"2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"} <= set(passed[name].split(",")), passed


def test_a_configuration_leaves_the_folder_of_a_neighbour_alone(tmp_path: Path) -> None:
    """The contract as an operator without the check would write it."""
    world = make_world(tmp_path / "world")
    victim = world.root / "nnunet/results/tests/victim"
    victim.mkdir(parents=True)
    (victim / "checkpoint_final.pth").write_text("weights")
    for identifier in (str(victim), "../../../results/tests/victim"):
        own = Planning.model_construct(configurations={"3d_tiny": TINY_NETWORK | {"data_identifier": identifier}})
        forged = World(world.root, world.contract.model_copy(update={"planning": own}))
        ended = forged.finish("plan")
        assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
        assert "data_identifier" in ended.report.message and identifier in ended.report.message
        assert (victim / "checkpoint_final.pth").read_text() == "weights"


def test_plans_that_somebody_changed_on_the_claim_are_not_used(world: World, tmp_path: Path) -> None:
    (path,) = (world.root / "nnunet/preprocessed").glob("*/*/nnUNetPlans.json")
    # With it the fold would miss the plans that it lists; who may write here may delete it, too.
    (path.parents[1] / MANIFEST_FILE).unlink()
    plans: dict[str, Any] = read_json(path)
    marker, victim = tmp_path / "code-has-run", tmp_path / "victim"
    victim.mkdir()
    own = plans["configurations"]["3d_tiny"]
    arguments = own["architecture"]["arch_kwargs"] | {
        "nonlin": "subprocess.getoutput",
        "nonlin_kwargs": {"cmd": f"touch {marker}"},
    }
    for changes, said in (
        ({"architecture": own["architecture"] | {"arch_kwargs": arguments}}, "architecture.arch_kwargs.nonlin"),
        ({"data_identifier": str(victim)}, "data_identifier"),
        ({"preprocessor_name": "os"}, "preprocessor_name"),
    ):
        write_json(path, plans | {"configurations": plans["configurations"] | {"3d_tiny": own | changes}})
        ended = world.finish("train", "--fold", "0")
        assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
        assert f"configurations.3d_tiny.{said} is" in ended.report.message
    assert victim.is_dir() and not marker.exists()


def test_a_network_that_deep_supervision_can_not_train_is_refused_before_the_work(tmp_path: Path) -> None:
    """Two stages: nnU-Net would divide 0 by 0 in the first iteration, on a GPU, at each attempt."""
    small = {"configurations": {"3d_tiny": small_network("3d_fullres", [16, 16, 16], [4, 8])}}
    world = make_world(tmp_path / "world").but(planning=small)
    ended = world.finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION, ended.log
    assert "has 2 stages, and nnU-Net's deep supervision needs 3" in ended.report.message
    # nnU-Net crops to what is not zero.
    assert re.search(r"images of \d+ x \d+ x \d+ voxels", ended.report.message), ended.report.message
    assert "preprocessing 3d_tiny" not in ended.log
    without = world.but(trainerClass="nnUNetTrainerNoDeepSupervision").finish("plan")
    assert without.code == 0, without.log
    # What the other one has made is shared, and no reason to take it.
    again = world.finish("plan")
    assert (again.code, again.report.message) == (ended.code, ended.report.message), again.log


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (1e-7, "planning.gpuMemoryTargetGB is 1e-07, for which ExperimentPlanner finds no network"),
        (0.0001, "planning.gpuMemoryTargetGB is 0.0001: give more, nnU-Net's own is 8"),
    ],
)
def test_a_memory_target_for_which_there_is_no_network_is_named(tmp_path: Path, target: float, words: str) -> None:
    """Another attempt would find none either, and the images are not what is too small."""
    world = make_world(tmp_path / "world").but(planning={"gpuMemoryTargetGB": target}, configuration="3d_fullres")
    ended = world.finish("plan")
    assert ended.code == ExitCode.WRONG_CONFIGURATION and words in ended.report.message, ended.log
