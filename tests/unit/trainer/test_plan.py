"""The training's own configurations in nnU-Net's plans."""

import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands import building, plan
from nnunet_trainer.dataset.configurations import require_planes, with_configurations
from nnunet_trainer.dataset.identity import stamps
from nnunet_trainer.dataset.raw import load_dataset
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from tests.support.made_contracts import contract, paths_of, plan_facts
from tests.support.spoilt_datasets import NAME, image, make

PLANS: dict[str, Any] = {
    "plans_name": "nnUNetPlans",
    "configurations": {"2d": {"batch_size": 12}, "3d_fullres": {"batch_size": 2, "patch_size": [64, 64, 64]}},
}


def test_a_new_configuration_and_a_changed_one() -> None:
    extra: dict[str, dict[str, Any]] = {
        "big": {"inherits_from": "3d_fullres", "batch_size": 4},
        "2d": {"batch_size": 6},
    }
    merged = with_configurations(PLANS, extra)
    assert merged["configurations"] == {
        "2d": {"batch_size": 6, "data_identifier": "nnUNetPlans_2d"},
        "3d_fullres": {"batch_size": 2, "patch_size": [64, 64, 64]},
        "big": {"inherits_from": "3d_fullres", "batch_size": 4, "data_identifier": "nnUNetPlans_big"},
    }
    assert PLANS["configurations"]["2d"] == {"batch_size": 12}, "the argument must not change"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"a": {"inherits_from": "3d_fulres"}}, "inherits_from 3d_fulres is not in the plans.*2d, 3d_fullres"),
        ({"a": {"inherits_from": "a"}}, "a -> a"),
        ({"a": {"inherits_from": "b"}, "b": {"inherits_from": "a"}}, "a -> b -> a"),
    ],
)
def test_inheritance_that_leads_nowhere(extra: dict[str, dict[str, Any]], words: str) -> None:
    with pytest.raises(TrainerError, match=words) as caught:
        with_configurations(PLANS, extra)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


BEGUN = plan_facts()


def test_a_planning_that_was_replaced_publishes_nothing(tmp_path: Path) -> None:
    """Whatever the other has found: it has looked at the dataset later."""
    paths = paths_of(contract(), tmp_path)
    paths.run.mkdir(parents=True, exist_ok=True)
    first = plan.published_plan(paths)
    plan.require_unchanged_plan(paths, first)
    write_json(paths.plan_result, BEGUN.to_json_dict())
    with pytest.raises(TrainerError, match="another attempt has written") as caught:
        plan.require_unchanged_plan(paths, first)
    assert caught.value.code == ExitCode.PREEMPTED
    plan.require_unchanged_plan(paths, plan.published_plan(paths))


@pytest.mark.parametrize(
    ("digest", "key", "words"),
    [
        (
            "e" * 64,
            "Dataset004_Hippocampus-new",
            "its hash was dddddddddddd and is eeeeeeeeeeee now.*Restore the dataset",
        ),
        ("d" * 64, "Dataset004_Hippocampus-new", "began with .*-0123456789abcdef; .*go on with .*-new.*image"),
    ],
    ids=["dataset", "code"],
)
def test_a_run_with_checkpoints_keeps_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str, key: str, words: str
) -> None:
    monkeypatch.setattr(plan, "nnunet_version", lambda: "2.8.1")
    paths = paths_of(contract(), tmp_path)
    fold = paths.fold(contract(), BEGUN.plans_name, "0")
    fold.mkdir(parents=True)
    plan.require_same_result(contract(), paths, digest, key)
    write_json(paths.plan_result, BEGUN.to_json_dict())
    plan.require_same_result(contract(), paths, digest, key)
    (fold / "checkpoint_latest.pth").touch()
    plan.require_same_result(contract(), paths, BEGUN.dataset_hash, BEGUN.preprocessed_key)
    with pytest.raises(TrainerError, match=words) as caught:
        plan.require_same_result(contract(), paths, digest, key)
    assert caught.value.code == ExitCode.WRONG_DATA


@pytest.mark.parametrize(
    ("free_gib", "refused", "warned"), [(100, False, False), (15, False, True), (1, True, True)], ids=str
)
def test_room_for_preprocessed_data(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    free_gib: int,
    refused: bool,
    warned: bool,
) -> None:
    stat = SimpleNamespace(f_bavail=free_gib, f_blocks=200, f_frsize=2**30)
    monkeypatch.setattr("os.statvfs", lambda path: stat)
    caplog.set_level("INFO")
    with pytest.raises(TrainerError) if refused else contextlib.nullcontext() as caught:
        building._check_room(tmp_path, 20 * 2**30)
    if refused:
        assert caught is not None and caught.value.code == ExitCode.STORAGE_FAILED
        assert "up to 20.0 GiB" in caught.value.message
    assert "up to 20.0 GiB before compression" in caplog.text
    assert ("which may not fit" in caplog.text) is warned


@pytest.mark.parametrize("patch", [[64, 1], [1, 1, 64]])
def test_a_network_on_lines_is_refused(patch: list[int]) -> None:
    """Of slices saved as (1, x, y): nnU-Net takes the last axis for that of the slices."""
    with pytest.raises(TrainerError, match=r"no more than a line.*\(x, y, 1\)") as caught:
        require_planes("2d", patch)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_a_network_on_planes_is_none_on_lines() -> None:
    require_planes("2d", [64, 64])
    require_planes("3d_fullres", [1, 64, 64])


def test_a_dataset_that_is_written_to_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """Its hash would stand for other data than those that were preprocessed."""
    folder = make(tmp_path)
    dataset = load_dataset(tmp_path, NAME, ["0"])
    before = stamps(dataset.files())
    plan._require_unchanged(dataset, before)
    image(folder).write_bytes(b"another copy")
    with pytest.raises(TrainerError, match=r"1 file was written while .* was read: imagesTr/c3_") as caught:
        plan._require_unchanged(dataset, before)
    assert caught.value.code == ExitCode.WRONG_DATA


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ([], None),
        (["a", "b"], "a; b"),
        (["x" * 300] * 3, "x" * 300 + "; and 2 more in the log"),
        (["x" * 900], "x" * 440),
    ],
)
def test_as_many_notes_as_a_status_has_room_for(notes: list[str], told: str | None) -> None:
    assert plan_facts().with_notes(notes).notes == told
