"""Preprocessed data are taken as a whole or not at all, and what they say of themselves is not believed."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.commands.train import require_preprocessed_data
from nnunet_trainer.dataset.contents import CONTENTS_FILE, CaseContents, write_contents
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.manifest import MANIFEST_FILE, write_manifest
from nnunet_trainer.dataset.shared_result import (
    FACTS_FILE,
    existing_result,
    maker,
    put_in_place,
    remove_leftovers,
    temporary_folder,
)
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from tests.support.made_contracts import contract, paths_of, plan_facts

FACTS = plan_facts()
HOME = contract().dataset
CASES = "nnUNetPlans_3d_fullres"
TRUE_DIGEST = "c" * 64


def make(folder: Path) -> Path:
    """Make a result of two cases."""
    for name, text in {
        f"{HOME}/{FACTS.plans_name}.json": "{}",
        f"{HOME}/dataset.json": "{}",
        f"{HOME}/splits_final.json": "[]",
        f"{HOME}/gt_segmentations/a.nii.gz": "label a",
        f"{HOME}/gt_segmentations/b.nii.gz": "label b",
        f"{HOME}/{CASES}/a.b2nd": "image a",
        f"{HOME}/{CASES}/b.b2nd": "image b",
        f"{HOME}/{CASES}/a.pkl": "(dp0\n.",  # an empty dict
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    write_json(folder / FACTS_FILE, FACTS.to_json_dict())
    write_contents(folder, {"a": CaseContents("1", (1,))})
    write_manifest(folder, maker(contract()), 2)
    return folder


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return make(tmp_path / "nnunet/preprocessed" / FACTS.preprocessed_key)


def test_a_whole_result_is_taken_with_hashes_that_are_computed_anew(result: Path) -> None:
    forged = json.loads((result / FACTS_FILE).read_text())
    write_json(result / FACTS_FILE, forged | {"plansHash": "0" * 64, "splitsHash": "0" * 64, "datasetHash": "0" * 64})
    write_manifest(result, {}, 2)
    found = existing_result(contract(), result, TRUE_DIGEST)
    assert found is not None
    facts, contents = found
    assert facts.dataset_hash == TRUE_DIGEST
    assert facts.plans_hash == file_hash(result / HOME / f"{FACTS.plans_name}.json")
    assert facts.splits_hash == file_hash(result / HOME / "splits_final.json")
    assert contents == {"a": CaseContents("1", (1,))}


def test_cases_that_were_looked_at_for_less_are_looked_at_again(result: Path) -> None:
    write_json(result / CONTENTS_FILE, {"a": {"fingerprint": "1", "labels": [1]}})
    write_manifest(result, {}, 2)
    found = existing_result(contract(), result, TRUE_DIGEST)
    assert found is not None and found[1] is None


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def change(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def link(name: str) -> Callable[[Path], object]:
    def do(folder: Path) -> None:
        path = folder / name
        path.rename(folder.parent / "moved")
        path.symlink_to(folder.parent / "moved")

    return do


PURGED = {
    "a case": remove(f"{HOME}/{CASES}/a.b2nd"),
    "properties of a case": remove(f"{HOME}/{CASES}/a.pkl"),
    "a reference": remove(f"{HOME}/gt_segmentations/b.nii.gz"),
    "splits": remove(f"{HOME}/splits_final.json"),
    "plans": remove(f"{HOME}/{FACTS.plans_name}.json"),
    "the end of a case": change(f"{HOME}/{CASES}/b.b2nd", "image"),
    "a case behind a link": link(f"{HOME}/{CASES}/a.b2nd"),
}
CHANGED = {
    "another image of the same size": change(f"{HOME}/{CASES}/a.b2nd", "image x"),
    "other plans": change(f"{HOME}/{FACTS.plans_name}.json", "[]"),
    "a case that is too much": change(f"{HOME}/{CASES}/c.b2nd", "image c"),
    "a damaged manifest": change(MANIFEST_FILE, "{"),
    "no manifest": remove(MANIFEST_FILE),
    "no contents": remove(CONTENTS_FILE),
}


@pytest.mark.parametrize("damage", [*PURGED.values(), *CHANGED.values()], ids=[*PURGED, *CHANGED])
def test_a_part_of_a_result_or_another_one_is_made_again(result: Path, damage: Callable[[Path], object]) -> None:
    damage(result)
    assert existing_result(contract(), result, TRUE_DIGEST) is None


@pytest.mark.parametrize("kept", [Path("a"), np.array([None])], ids=["a type", "objects"])
def test_what_no_fold_would_read_is_made_again(result: Path, kept: object) -> None:
    """Of an older release, or with a new manifest: else "suspend and resume", as the fold says, would not help."""
    cases = result / HOME / CASES
    (cases / "b.pkl").write_bytes(pickle.dumps({"spacing": [1.0]}))
    write_manifest(result, {}, 2)
    assert existing_result(contract(), result, TRUE_DIGEST) is not None
    (cases / "b.pkl").write_bytes(pickle.dumps({"spacing": kept}))
    write_manifest(result, {}, 2)
    assert existing_result(contract(), result, TRUE_DIGEST) is None


@pytest.mark.parametrize("damage", PURGED.values(), ids=list(PURGED))
def test_a_fold_does_not_train_on_a_part_and_says_what_mends_it(
    tmp_path: Path, result: Path, damage: Callable[[Path], object]
) -> None:
    paths = paths_of(contract(), tmp_path)
    require_preprocessed_data(contract(), paths, FACTS)
    damage(result)
    with pytest.raises(TrainerError, match=r"is missing or incomplete.*Suspend and resume") as caught:
        require_preprocessed_data(contract(), paths, FACTS)
    assert caught.value.code == ExitCode.WRONG_DATA


def test_what_a_file_system_hides_there_does_not_count(result: Path) -> None:
    (result / HOME / ".nfs000000001").touch()
    (result / ".snapshot" / "hourly").mkdir(parents=True)
    (result / ".snapshot" / "hourly" / "a").touch()
    assert existing_result(contract(), result, TRUE_DIGEST) is not None


def test_who_made_it_is_written_down(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNUNET_RUN_IMAGE", "mine:1")
    monkeypatch.setenv("NNUNET_RUN_IMAGE_DIGEST", "mine@sha256:0")
    write_manifest(result, maker(contract()), 1)
    assert json.loads((result / MANIFEST_FILE).read_text())["madeBy"] == {
        "training": "imaging/hippocampus",
        "uid": contract().uid,
        "image": "mine:1",
        "imageDigest": "mine@sha256:0",
    }


def test_of_two_attempts_the_first_result_stays(result: Path) -> None:
    late = make(temporary_folder(result))
    facts = put_in_place(contract(), late, result, FACTS.model_copy(update={"dataset_hash": TRUE_DIGEST}))
    assert (facts.dataset_hash, facts.reused) == (TRUE_DIGEST, True)
    assert not late.exists() and existing_result(contract(), result, TRUE_DIGEST)


def test_a_damaged_result_is_replaced_all_at_once(result: Path) -> None:
    """Until the new one is finished it stays: folds of other trainings may be reading it."""
    (result / HOME / CASES / "a.b2nd").unlink()
    remove_leftovers(result)
    assert (result / HOME / CASES / "b.b2nd").is_file()
    made = make(temporary_folder(result))
    put_in_place(contract(), made, result, FACTS)
    assert existing_result(contract(), result, TRUE_DIGEST)
    assert list(result.parent.iterdir()) == [result]


def test_an_attempt_to_plan_that_lost_its_lock_leaves_the_result_of_the_next_alone(tmp_path: Path) -> None:
    result = tmp_path / FACTS.preprocessed_key
    old, new = temporary_folder(result), temporary_folder(result)
    old.mkdir()
    remove_leftovers(result)
    assert not old.exists() and new != old
    new.mkdir()
    (new / "whole").touch()
    with pytest.raises(FileNotFoundError):
        put_in_place(contract(), old, result, FACTS)
    put_in_place(contract(), new, result, FACTS)
    assert [path.name for path in result.iterdir()] == ["whole"]


def test_leftovers_of_planning_are_removed_and_the_work_of_others_is_not(tmp_path: Path) -> None:
    result = tmp_path / FACTS.preprocessed_key
    other = tmp_path / ".tmp-Dataset004_Hippocampus-fedcba9876543210-1"
    passing, old = temporary_folder(result, passing=True), temporary_folder(result, passing=True)
    for folder in (other, temporary_folder(result), temporary_folder(result), passing, old, result):
        folder.mkdir()
    os.utime(old, (0, 0))
    remove_leftovers(result)
    assert set(tmp_path.iterdir()) == {other, passing, result}
