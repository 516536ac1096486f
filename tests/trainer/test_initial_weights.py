"""Training that begins with the weights of another one: what fits is taken over, and only once."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_api.exit_codes import ExitCode
from nnunet_api.initial_weights import CASES_FILE, WEIGHTS_ENV, WeightsSource
from nnunet_trainer.commands.prepare import Folders, prepare
from nnunet_trainer.commands.prepare_weights import Weights
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import FINAL, ROOT_ENV, run_paths
from nnunet_trainer.training.initial_weights import checkpoint_of, examine
from tests.support.networks import small_network
from tests.trainer.test_verify import Attack
from tests.trainer.world import World

SHORT = {"epochs": 1, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 1}
STANDS_STILL = SHORT | {"epochs": 2, "initialLearningRate": 1e-12}
"""Weights that hardly change show where they are from."""
BEGINS = {
    "name": "fine",
    "uid": "fedcba9876543210",
    "seed": 4321,
    "initialWeights": {"training": {"name": "tiny", "fold": "all"}},
}
"""Another seed: the heads begin with other weights than those of the training before did."""


@pytest.fixture(scope="module")
def base(planned: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A training of all cases: nothing is validated, which would take longest."""
    world = planned.copy(tmp_path_factory.mktemp("base") / "world").unvalidated().but(schedule=SHORT)
    ended = world.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    return world


@pytest.fixture
def fine(base: World, tmp_path: Path) -> World:
    """Another training beside it, with its checkpoint copied as the operator's image does before planning."""
    other = base.copy(tmp_path / "world")
    checkpoint = other.fold("all") / FINAL
    world = other.but(**BEGINS, schedule=STANDS_STILL)
    results = other.root / "nnunet/results"
    claims = other.root / "nnunet/claims"
    claims.mkdir()
    for role, mount in (
        ("raw", "raw"),
        ("preprocessed", "preprocessed"),
        ("results", "results"),
        ("weights", "results"),
    ):
        (claims / role).symlink_to(other.root / "nnunet" / mount)
    found = Weights(
        str(checkpoint.relative_to(results)), file_hash(checkpoint), f"{other.contract.run_folder}/{CASES_FILE}"
    )
    folders = Folders(
        other.contract.dataset, "tests/shared-0123456789abcdef0123456789abcdef", world.contract.run_folder
    )
    prepare(world.contract, claims, folders, found)
    source = WeightsSource(
        claim_name="nnunet-results",
        path=found.path,
        sha256=found.hash,
        training="tiny",
        uid=other.contract.uid,
        fold="all",
    )
    return world.with_env(**{WEIGHTS_ENV: json.dumps(source.to_json_dict())})


def weights_in(path: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=False)["network_weights"]
    return weights


def copy_of(world: World) -> Path:
    """The checkpoint as it was copied into the run's folder."""
    return world.run / "initial_weights/checkpoint.pth"


def test_it_begins_with_them_once_and_goes_on_from_its_own_checkpoint(base: World, fine: World) -> None:
    """Killed in its second epoch, it needs the copy no more; a copy that was replaced is noticed."""
    ended = fine.finish("plan")
    assert ended.code == 0, ended.log
    assert ended.report.plan is not None and ended.report.plan.initial_weights is not None
    known = ended.report.plan.initial_weights
    assert (known.training, known.fold, known.epochs_in_checkpoint, known.known_cases) == ("tiny", "all", 1, True)
    assert known.sha256 == file_hash(base.fold("all") / FINAL)
    assert known.not_taken and all(".seg_layers." in name for name in known.not_taken)
    assert "known to the initial weights" in (ended.report.plan.notes or ""), "the same cases, to validate on"
    taken, own = read_json(fine.model / "plans.json"), read_json(base.model / "plans.json")
    assert taken == own, "nnU-Net's function changes the dataset's name and reader, which are the same here"

    copied = copy_of(fine).read_bytes()
    copy_of(fine).write_bytes(copied + b"\0")
    ended = fine.finish("train", "--fold", "all")
    assert ended.code == ExitCode.CHECKPOINT_UNUSABLE and "was replaced after it was verified" in ended.log
    copy_of(fine).write_bytes(copied)

    held = fine.held_in(2)
    command = held.start("train", "--fold", "all")
    command.wait_until(held.begun(2, "all"), "the second epoch")
    assert "begins with the weights of" in command.log()
    command.kill(signal.SIGKILL)
    copy_of(fine).unlink()
    ended = fine.held_in(None).finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert "begins with the weights of" not in ended.log and "1 epoch finished" in ended.log
    before, after = weights_in(base.fold("all") / FINAL), weights_in(held.fold("all") / FINAL)
    for name, value in before.items():
        if ".seg_layers." not in name or value.ndim > 1:  # the biases of these begin at 0
            assert torch.allclose(value, after[name], atol=1e-6) != (".seg_layers." in name), name
    provenance = read_json(held.fold("all") / "provenance.json")
    assert provenance["conditions"]["initialWeightsHash"] == known.sha256


def test_a_test_case_that_the_weights_were_trained_on_is_refused(fine: World) -> None:
    """Whoever moves a case to the test set later, under another name, is told: nothing is scored on it."""
    raw = fine.root / "nnunet/raw" / fine.contract.dataset
    for kind, ending in (("images", "_0000.nii.gz"), ("labels", ".nii.gz")):
        (raw / f"{kind}Tr/case_00{ending}").rename(raw / f"{kind}Ts/moved{ending}")
    description = read_json(raw / "dataset.json")
    write_json(raw / "dataset.json", description | {"numTraining": description["numTraining"] - 1})
    refused = fine.finish("plan")
    assert refused.code == ExitCode.WRONG_DATA, refused.log
    said = "1 test case was a training case of the weights in spec.initialWeights"
    assert said in refused.report.message and "moved" in refused.report.message, refused.report.message


def hostile(path: Path, marker: Path) -> None:
    torch.save(torch.load(path, weights_only=False) | {"extra": Attack(open, str(marker), "w")}, path)


def reaching(path: Path, marker: Path) -> None:
    import os

    torch.save(torch.load(path, weights_only=False) | {"extra": Attack(os.system, f"touch {marker}")}, path)


def forged(path: Path, _marker: Path) -> None:
    content = torch.load(path, weights_only=False)
    content["init_args"]["plans"]["configurations"]["3d_tiny"]["architecture"]["network_class_name"] = "os.system"
    torch.save(content, path)


def not_finite(path: Path, _marker: Path) -> None:
    content = torch.load(path, weights_only=False)
    next(iter(content["network_weights"].values())).fill_(float("nan"))
    torch.save(content, path)


def bare(path: Path, _marker: Path) -> None:
    torch.save({"network_weights": torch.load(path, weights_only=False)["network_weights"]}, path)


def cut(path: Path, _marker: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("change", "contract", "words"),
    [
        (hostile, {}, ""),
        (reaching, {}, "is no checkpoint of nnU-Net v2"),
        (forged, {}, r"network_class_name is 'os\.system'"),
        (not_finite, {}, "holds what is no finite number"),
        (bare, {}, "is no checkpoint of nnU-Net v2"),
        (cut, {}, "is no checkpoint of nnU-Net v2"),
        (
            None,
            {"planning": {"configurations": {"3d_tiny": small_network("3d_fullres", [16, 16, 16], [8, 8, 8])}}},
            r"has 4x1x3x3x3 in place of 8x1x3x3x3.* and \d+ more\. Begin with a training",
        ),
        (None, {"configuration": "3d_lowres"}, "configuration 3d_lowres is not in the plans of spec.initialWeights"),
        (None, {"planning": {"planner": "nnUNetPlannerResEncL"}}, "leave planning.planner"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_gpu_is_asked_for(
    fine: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, contract: dict[str, Any], words: str
) -> None:
    """And nothing in a checkpoint of others is run, however it got there."""
    world = fine.but(**contract)
    monkeypatch.setenv(ROOT_ENV, str(world.root))
    monkeypatch.setenv(WEIGHTS_ENV, world.env[WEIGHTS_ENV])
    paths, marker = run_paths(world.contract), tmp_path / "attacked"
    if change:
        change(checkpoint_of(paths), marker)
    dataset = load_dataset(paths.raw, world.contract.dataset, world.contract.folds)
    if words:
        with pytest.raises(TrainerError, match=words) as caught:
            examine(world.contract, paths, dataset, nnUNetTrainer)
        assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    else:
        assert examine(world.contract, paths, dataset, nnUNetTrainer) is not None
    assert not marker.exists()
