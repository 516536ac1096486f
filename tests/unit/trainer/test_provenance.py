"""The conditions of a fold are fixed once it has a checkpoint. torch is not needed for that part."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_api.contract import IMAGE_DIGEST_ENV, IMAGE_ENV, PROVENANCE_FILE
from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import FoldProvenance
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run import provenance
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.metrics import FoldMetrics
from tests.support.made_contracts import contract, plan_facts, policy


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "facts", lambda run, hash_: FoldProvenance(seed=run.seed, configuration_hash=hash_))
    assert "torch" not in sys.modules


def run_in(folder: Path, **changes: Any) -> FoldRun:
    made = contract(**changes)
    return FoldRun(made, "0", folder, FoldMetrics(made, "0", "nnUNetPlans"))


def fix(run: FoldRun, stated: dict[str, Any]) -> None:
    """Begin an attempt, which takes the folder over, and fix its conditions."""
    run.start_attempt()
    provenance.fix_conditions(run, stated)


def stated(run: FoldRun, **attributes: Any) -> dict[str, Any]:
    settings = {"initial_lr": 0.01, "num_epochs": 1000, "weight_decay": 3e-5} | attributes
    network = SimpleNamespace(batch_size=2, patch_size=(128, 128, 96))
    trainer = SimpleNamespace(configuration_manager=network, **settings)
    return provenance.conditions(run, plan_facts(), trainer)


def test_the_conditions_are_kept_and_hashed(tmp_path: Path) -> None:
    run = run_in(tmp_path, seed=3)
    fix(run, stated(run))
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
    fix(first, stated(first))
    other = run_in(tmp_path, **changes)
    # Nothing was trained yet: the new conditions are taken.
    fix(other, stated(other, **attributes))
    fix(first, stated(first))
    (tmp_path / "checkpoint_latest.pth").touch()
    with pytest.raises(TrainerError) as caught:
        fix(other, stated(other, **attributes))
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert all(part in caught.value.message for part in named), caught.value.message


def test_where_it_reads_from_is_corrected_in_folder_and_report(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.data_read_from = "local copy"
    fix(run, stated(run))
    before = read_json(tmp_path / PROVENANCE_FILE)
    provenance.tell_data_read_from(run, "claim")
    assert read_json(tmp_path / PROVENANCE_FILE) == {**before, "dataReadFrom": "claim"}
    run.complete(0.5)
    assert run.facts.provenance and run.facts.provenance.data_read_from == "claim"


def test_policies_may_change_while_a_fold_trains(tmp_path: Path) -> None:
    first = run_in(tmp_path)
    fix(first, stated(first))
    (tmp_path / "checkpoint_latest.pth").touch()
    for policies in (policy(minEpochs=600), policy(minEpochs=None)):
        run = run_in(tmp_path, policy=policies)
        fix(run, stated(run))
        assert run.provenance is not None and first.provenance is not None
        assert run.provenance.configuration_hash == first.provenance.configuration_hash


def test_a_newer_trainer_may_state_more(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    fix(run, stated(run))
    (tmp_path / "checkpoint_latest.pth").touch()
    fix(run, stated(run) | {"something": "new"})
    assert read_json(tmp_path / PROVENANCE_FILE)["conditions"]["something"] == "new"


def attempt(folder: Path, monkeypatch: pytest.MonkeyPatch, image: str, digest: str, **versions: str) -> dict[str, Any]:
    """Return what is kept after another attempt with an image and versions; an empty text stands for nothing."""
    for name, value in ((IMAGE_ENV, image), (IMAGE_DIGEST_ENV, digest)):
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(provenance, "facts", lambda run, hash_: FoldProvenance.model_validate(versions))
    run = run_in(folder)
    fix(run, stated(run))
    kept: dict[str, Any] = read_json(folder / PROVENANCE_FILE)
    return kept


def test_the_image_is_kept_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = attempt(tmp_path, monkeypatch, "trainer:1", "trainer@sha256:0", torchVersion="2.9")
    assert (kept["image"], kept["imageDigest"]) == ("trainer:1", "trainer@sha256:0")
    # By hand, without an operator.
    other = tmp_path / "other"
    other.mkdir()
    kept = attempt(other, monkeypatch, "", "", torchVersion="2.9")
    assert "image" not in kept and "imageDigest" not in kept


def test_software_that_changes_between_attempts_leaves_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for image, digest, torch in (("a", "", "1"), ("a", "", "1"), ("a", "a@0", "1"), ("a", "a@1", "2"), ("a", "", "1")):
        kept = attempt(tmp_path, monkeypatch, image, digest, torchVersion=torch)
    found = [(entry["image"], entry.get("imageDigest"), entry["torchVersion"]) for entry in kept["software"]]
    assert found == [("a", None, "1"), ("a", "a@0", "1"), ("a", "a@1", "2"), ("a", None, "1")]
    assert all(entry["since"] for entry in kept["software"])
    assert kept["torchVersion"] == "1", "the top says what the last attempt had"
    assert "torchVersion was 1, is 2" in caplog.text


def test_the_trace_of_the_software_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "MAX_SOFTWARE", 3)
    for number in range(6):
        kept = attempt(tmp_path, monkeypatch, "a", "", torchVersion=str(number))
    assert [entry["torchVersion"] for entry in kept["software"]] == ["0", "4", "5"]


@pytest.mark.parametrize(
    ("before", "versions"),
    [
        pytest.param({"torchVersion": "1", "conditions": {}}, ["1", "2"], id="from before there was a list"),
        pytest.param({"software": "x"}, ["2"], id="garbage"),
        pytest.param({"software": [3, {}]}, ["2"], id="garbage in the list"),
        pytest.param([], ["2"], id="a list"),
    ],
)
def test_what_an_earlier_trainer_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Any, versions: list[str]
) -> None:
    write_json(tmp_path / PROVENANCE_FILE, before)
    kept = attempt(tmp_path, monkeypatch, "a", "", torchVersion="2")
    assert [entry["torchVersion"] for entry in kept["software"]] == versions
