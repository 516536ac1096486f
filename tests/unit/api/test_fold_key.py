"""Names of fold runs: put together and taken apart in one place, and healed where they were stored as one string."""

import pytest

from nnunet_api.fold_key import FoldKey, fold_keys
from nnunet_api.fold_status import FoldStatus
from nnunet_api.status import NnunetTrainingStatus


@pytest.mark.parametrize(
    ("key", "name", "folder"),
    [
        (FoldKey("2d", "0"), "0", "fold_0"),
        (FoldKey("2d", "all"), "all", "fold_all"),
        (FoldKey("2d", "4", 1), "4-r1", "fold_4"),
        (FoldKey("2d", "all", 10), "all-r10", "fold_all"),
        (FoldKey("2d", "0", of_several=True), "2d-0", "fold_0"),
        (FoldKey("3d_fullres", "4", 2, of_several=True), "3d_fullres-4-r2", "fold_4"),
        (FoldKey("3d_fullres", "all", of_several=True), "3d_fullres-all", "fold_all"),
    ],
)
def test_a_name_says_which_fold_run_it_is(key: FoldKey, name: str, folder: str) -> None:
    assert (key.name, key.label, key.folder, key.subject) == (name, name, folder, f"fold {name}")
    parsed = FoldKey.parse(name, "2d")
    assert (parsed, parsed.of_several) == (key, key.of_several)


@pytest.mark.parametrize(
    "name", ["", "0-r", "0-r0", "0-r-1", "0-r01", "zero", "0-r2-r3", " 0", "0\n", "-0", "2-d-0", "2d-", "2d"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a fold run"):
        FoldKey.parse(name, "2d")


def test_the_fold_runs_of_a_training_come_replicate_by_replicate() -> None:
    assert [key.name for key in fold_keys(["2d"], ["0", "1"], 1)] == ["0", "1"]
    assert [key.name for key in fold_keys(["2d"], ["0", "1"], 2)] == ["0-r1", "1-r1", "0-r2", "1-r2"]


def test_the_fold_runs_of_several_configurations_come_configuration_by_configuration() -> None:
    keys = fold_keys(["3d_fullres", "2d"], ["0", "1"], 1)
    assert [key.name for key in keys] == ["3d_fullres-0", "3d_fullres-1", "2d-0", "2d-1"]
    assert [key.job_suffix for key in keys[::2]] == ["3d-fullres-0", "2d-0"]
    left = fold_keys(["2d", "3d_lowres"], ["0"], 2, left_out=["3d_lowres"])
    assert [key.name for key in left] == ["2d-0-r1", "2d-0-r2"], "names do not depend on what planning finds"


@pytest.mark.parametrize(
    ("stored", "parts"),
    [
        ({"fold": "0"}, ("0", None)),
        ({"fold": "0-r2"}, ("0", 2)),
        ({"fold": "all-r10"}, ("all", 10)),
        ({"fold": "0", "replicate": 2}, ("0", 2)),
        ({"fold": "new-fangled"}, ("new-fangled", None)),  # another version's: left as it is
    ],
)
def test_a_name_that_was_stored_as_one_is_taken_apart(stored: dict[str, object], parts: tuple[str, int | None]) -> None:
    read = FoldStatus.model_validate({**stored, "epoch": 7})
    assert (read.fold, read.replicate, read.epoch) == (*parts, 7)
    again = FoldStatus.model_validate(read.to_json_dict())
    assert again == read


def test_a_stored_status_learns_its_configuration() -> None:
    old = NnunetTrainingStatus.model_validate({"folds": [{"fold": "0-r1", "epoch": 3}, {"fold": "0-r2", "epoch": 4}]})
    healed = old.of_configurations(["2d"])
    assert {fold.key: fold.epoch for fold in healed.folds} == {FoldKey("2d", "0", 1): 3, FoldKey("2d", "0", 2): 4}
    assert healed.of_configurations(["3d_fullres"]) == healed


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"folds": [{"configuration": "2d", "fold": "0"}]}, ["0"]),
        ({"folds": [{"configuration": "2d", "fold": "0"}, {"configuration": "3d", "fold": "0"}]}, ["2d-0", "3d-0"]),
        ({"folds": [{"configuration": "2d", "fold": "0"}], "leftOutConfigurations": ["3d_lowres"]}, ["2d-0"]),
    ],
)
def test_a_status_alone_tells_what_its_fold_runs_are_called(body: dict[str, object], names: list[str]) -> None:
    status = NnunetTrainingStatus.model_validate(body)
    assert [fold.name for fold in status.folds] == names
    assert [fold.model_copy(update={"epoch": 1}).name for fold in status.folds] == names
