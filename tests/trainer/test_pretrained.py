"""Training that begins with the encoder of a pretraining, in nnssl's form."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from nnunet_api.exit_codes import ExitCode
from nnunet_api.initial_weights import WEIGHTS_ENV, WeightsSource
from nnunet_trainer.commands.prepare import Folders, prepare
from nnunet_trainer.commands.prepare_weights import Weights
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.nnssl_plans import read_adaptation
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.paths import ROOT_ENV, run_paths
from nnunet_trainer.training.initial_weights import Weights as Examined
from nnunet_trainer.training.initial_weights import checkpoint_of, examine
from nnunet_trainer.training.pretrained import begin_with
from tests.support.nnssl import FEATURES, adaptation_plan, checkpoint, tiny_arguments
from tests.support.trainers import REMEMBERING
from tests.trainer.test_verify import Attack
from tests.trainer.world import World

ENCODER = ("encoder.stem.", "encoder.stages.")
FIRST_LAYER = "encoder.stem.convs.0.conv.weight"
ITS_OTHER_NAME = "encoder.stem.convs.0.all_modules.0.weight"


def pretrained_network(channels: int = 1, classes: int = 1, architecture: dict[str, Any] | None = None) -> Any:
    """Return a network as nnssl pretrains one, of which each weight is some number."""
    made = architecture or read_adaptation(adaptation_plan()).architecture
    network = get_network_from_plans(
        made["network_class_name"], made["arch_kwargs"], made["_kw_requires_import"], channels, classes, True, False
    )
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=generator))
    return network


def saved(path: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """Write a checkpoint of nnssl; return the weights in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights: dict[str, torch.Tensor] = pretrained_network().state_dict()
    torch.save(checkpoint(weights, adaptation_plan(**changes), torch.device("cuda")), path)
    return weights


@pytest.fixture
def fine(planned: World, tmp_path: Path) -> World:
    """A training that begins with such a checkpoint, copied as the operator's image does before planning."""
    other = planned.copy(tmp_path / "world").unvalidated()
    classes = tmp_path / "classes"
    classes.mkdir()
    (classes / "remembering.py").write_text(REMEMBERING)
    world = other.but(
        name="fine",
        uid="fedcba9876543210",
        seed=4321,
        planning={},
        configuration="3d_fullres",
        trainerClass="RememberingTrainer",
        schedule={"epochs": 1, "iterationsPerEpoch": 2, "validationIterationsPerEpoch": 1},
        initialWeights={"claim": {"claimName": "models", "path": "openmind/checkpoint_final.pth"}},
    )
    nnunet = world.root / "nnunet"
    path = nnunet / "models/openmind/checkpoint_final.pth"
    saved(path)
    claims = nnunet / "claims"
    claims.mkdir()
    for role, mount in (
        ("raw", "raw"),
        ("preprocessed", "preprocessed"),
        ("results", "results"),
        ("weights", "models"),
    ):
        (claims / role).symlink_to(nnunet / mount)
    folders = Folders(
        world.contract.dataset, "tests/shared-0123456789abcdef0123456789abcdef", world.contract.run_folder
    )
    prepare(world.contract, claims, folders, Weights("openmind/checkpoint_final.pth"))
    source = WeightsSource(claim_name="models", path="openmind/checkpoint_final.pth")
    return world.with_env(
        **{
            WEIGHTS_ENV: json.dumps(source.to_json_dict()),
            "nnUNet_extTrainer": str(classes),
            "FIRST_WEIGHTS": str(tmp_path / "first.pth"),
        }
    )


def test_the_first_epoch_begins_with_the_encoder_to_the_bit_and_the_rest_anew(fine: World) -> None:
    """In the network that is trained, planned for the patches and the spacing of the pretraining."""
    pretrained = torch.load(fine.root / "nnunet/models/openmind/checkpoint_final.pth", weights_only=True)
    ended = fine.finish("plan")
    assert ended.code == 0, ended.log
    assert ended.report.plan is not None and ended.report.plan.initial_weights is not None
    known = ended.report.plan.initial_weights
    assert known.sha256 == file_hash(fine.run / "initial_weights/checkpoint.pth")
    assert (known.form, known.architecture, known.pretrained_by, known.pretrained_on) == (
        "nnssl",
        "ResidualEncoderUNet",
        "BaseMAETrainer_BS8",
        "Dataset745_OpenMind",
    )
    assert (known.epochs_in_checkpoint, known.known_cases) == (1000, False)
    assert known.not_taken == ["decoder.seg_layers", "decoder.stages", "decoder.transpconvs"]
    assert "not known which cases the initial weights have seen" in (ended.report.plan.notes or "")
    plans = read_json(fine.model / "plans.json")
    settings = plans["configurations"]["3d_fullres"]
    assert (plans["plans_name"], list(plans["configurations"])) == ("ptPlans", ["3d_fullres"])
    assert (settings["patch_size"], settings["spacing"]) == ([16, 16, 16], [1, 1, 1])
    assert settings["architecture"]["network_class_name"].endswith(".ResidualEncoderUNet")

    ended = fine.finish("train", "--fold", "all")
    assert ended.code == 0, ended.log
    assert "begins with the weights of" in ended.log
    first = torch.load(fine.env["FIRST_WEIGHTS"], weights_only=True)
    given = pretrained["network_weights"]
    taken = [name for name in given if name.startswith(ENCODER)]
    assert taken and all(torch.equal(first[name], given[name]) for name in taken)
    decoder = [name for name in given if name.startswith("decoder.") and name in first and ".encoder." not in name]
    assert decoder and not any(torch.equal(first[name], given[name]) for name in decoder)
    provenance = read_json(fine.fold("all") / "provenance.json")
    assert provenance["conditions"]["initialWeightsHash"] == known.sha256


def look_at(world: World, monkeypatch: pytest.MonkeyPatch, channels: int = 1) -> Examined:
    """Look at the copied checkpoint as planning does."""
    monkeypatch.setenv(ROOT_ENV, str(world.root))
    monkeypatch.setenv(WEIGHTS_ENV, world.env[WEIGHTS_ENV])
    paths = run_paths(world.contract)
    dataset = load_dataset(paths.raw, world.contract.dataset, world.contract.folds)
    names = {str(number): "MRI" for number in range(channels)}
    dataset = replace(dataset, description={**dataset.description, "channel_names": names})
    found = examine(world.contract, paths, dataset, nnUNetTrainer)
    assert found is not None
    return found


def changed(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path, Path], None]:
    """Return what changes the content of a checkpoint."""

    def rewrite(path: Path, _marker: Path) -> None:
        content = torch.load(path, weights_only=True)
        change(content)
        torch.save(content, path)

    return rewrite


def planned_as(**changes: Any) -> Callable[[Path, Path], None]:
    """Return what writes a checkpoint with another adaptation plan."""

    def rewrite(path: Path, _marker: Path) -> None:
        saved(path, **changes)

    return rewrite


def hostile(path: Path, marker: Path) -> None:
    torch.save(torch.load(path, weights_only=True) | {"extra": Attack(open, str(marker), "w")}, path)


def hostile_plan(path: Path, marker: Path) -> None:
    content = torch.load(path, weights_only=True)
    content["nnssl_adaptation_plan"]["architecture_plans"]["arch_class_name"] = Attack(open, str(marker), "w")
    torch.save(content, path)


def wider(content: dict[str, Any]) -> None:
    content["network_weights"]["encoder.stages.1.blocks.0.conv1.conv.weight"] = torch.zeros(16, 4, 3, 3, 3)


NARROW = tiny_arguments([4, 4, 8])


@pytest.mark.parametrize(
    ("change", "contract", "channels", "words"),
    [
        (hostile, {}, 1, ""),
        (hostile_plan, {}, 1, "arch_class_name of the checkpoint is {}: networks that can begin are"),
        (planned_as(architecture_plans__arch_class_name="PrimusM"), {}, 1, "is 'PrimusM': networks that can begin"),
        (planned_as(architecture_plans__arch_kwargs__nonlin="os.system"), {}, 1, r"nonlin is 'os\.system'"),
        (planned_as(architecture_plans__arch_kwargs__n_stages=4), {}, 1, "can't be used: AssertionError"),
        (
            planned_as(architecture_plans__arch_kwargs=NARROW),
            {},
            1,
            r"skip\.1\.conv\.weight is missing.* and \d+ more\.",
        ),
        (planned_as(key_to_encoder="encoder.blocks"), {}, 1, "layers lie under encoder.blocks, and the checkpoint has"),
        (planned_as(pretrain_num_input_channels=2), {}, 1, "images of 2 channels, and the dataset's have 1"),
        (planned_as(recommended_downstream_patchsize=(16, 18, 16)), {}, 1, "do not go through the network"),
        (changed(lambda content: content.pop("network_weights")), {}, 1, "is no checkpoint of nnU-Net v2 or nnssl"),
        (changed(lambda content: content.pop("nnssl_adaptation_plan")), {}, 1, "adds to older ones"),
        (changed(lambda content: content["nnssl_adaptation_plan"].pop("key_to_stem")), {}, 1, "key_to_stem of the"),
        (changed(wider), {}, 1, "has 16x4x3x3x3 in place of 8x4x3x3x3"),
        (
            changed(lambda content: content["network_weights"].update({FIRST_LAYER: torch.zeros(4, 1, 3, 3, 3)})),
            {},
            1,
            "has two names in the network, and different numbers under each",
        ),
        (
            changed(lambda content: content["network_weights"].update({ITS_OTHER_NAME: torch.zeros(4, 1, 3, 3, 3)})),
            {},
            2,
            "has two names in the network, and different numbers under each",
        ),
        (
            changed(lambda content: content["network_weights"].pop("encoder.stem.convs.0.norm.bias")),
            {},
            1,
            r"encoder\.stem\.convs\.0\.norm\.bias is missing",
        ),
        (
            changed(lambda content: content["network_weights"].update({"encoder.stages.9.x": torch.zeros(1)})),
            {},
            1,
            r"encoder\.stages\.9\.x is not in it",
        ),
        (
            changed(lambda content: content["network_weights"]["encoder.stem.convs.0.norm.bias"].fill_(float("nan"))),
            {},
            1,
            "holds what is no finite number",
        ),
        (planned_as(keys_to_in_proj=("encoder.first",)), {}, 2, r"encoder\.first\.weight, by keys_to_in_proj"),
        (
            None,
            {"configuration": "2d"},
            1,
            "configuration 2d is not in the plans of spec.initialWeights, which have 3d",
        ),
        (None, {"planning": {"planner": "nnUNetPlannerResEncL"}}, 1, "leave planning.planner"),
    ],
)
def test_what_can_not_begin_is_refused_before_a_gpu_is_asked_for(
    fine: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
    contract: dict[str, Any],
    channels: int,
    words: str,
) -> None:
    """And nothing in a checkpoint of others is run."""
    world, marker = fine.but(**contract), tmp_path / "attacked"
    monkeypatch.setenv(ROOT_ENV, str(world.root))
    if change:
        change(checkpoint_of(run_paths(world.contract)), marker)
    if words:
        with pytest.raises(TrainerError, match=words) as caught:
            look_at(world, monkeypatch, channels)
        assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    else:
        look_at(world, monkeypatch, channels)
    assert not marker.exists()


def test_a_configuration_of_the_training_changes_what_the_pretraining_recommends(
    fine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"3d_small": {"inherits_from": "3d_fullres", "patch_size": [8, 8, 8], "spacing": [2, 2, 2]}}
    found = look_at(fine.but(configuration="3d_small", planning={"configurations": own}), monkeypatch)
    assert found.facts.form == "nnssl" and not found.notes


def test_of_one_channel_the_first_layer_is_repeated_for_each_channel_and_divided(
    fine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = look_at(fine, monkeypatch, channels=3)
    assert found.notes == [
        "the initial weights are of images of one channel: their first layer is repeated for each of 3"
    ]
    given = pretrained_network().state_dict()
    network = pretrained_network(channels=3, classes=2)
    begin_with(network, read_adaptation(adaptation_plan()), given, 3)
    first = network.state_dict()
    for name in (FIRST_LAYER, ITS_OTHER_NAME):
        assert first[name].shape == (FEATURES[0], 3, 3, 3, 3)
        for channel in range(3):
            assert torch.equal(first[name][:, channel], given[name][:, 0] / 3)
    others = [name for name in given if name.startswith(ENCODER) and name not in (FIRST_LAYER, ITS_OTHER_NAME)]
    assert others and all(torch.equal(first[name], given[name]) for name in others)


def test_the_network_that_nnssl_calls_resencl_is_the_one_that_it_builds() -> None:
    """By its stages and its 102 million weights, counted in the network that its authors build."""
    plan = adaptation_plan(architecture_plans__arch_class_name="ResEncL", architecture_plans__arch_kwargs=None)
    made = read_adaptation(plan).architecture
    with torch.device("meta"):
        network = get_network_from_plans(
            made["network_class_name"], made["arch_kwargs"], made["_kw_requires_import"], 1, 1, False, False
        )
    assert type(network).__name__ == "ResidualEncoderUNet"
    assert [len(stage.blocks) for stage in network.encoder.stages] == [1, 3, 4, 6, 6, 6]
    assert round(sum(value.numel() for value in network.parameters()) / 1e6) == 102
