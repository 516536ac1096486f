"""Curves that are short enough for a page and still show every peak."""

import math
import random
from pathlib import Path

import pytest

from nnunet_trainer.commands.history import has_several, lines, name_of
from nnunet_trainer.training.checkpoints import finished_epochs
from nnunet_trainer.training.history import history_of, thinned
from tests.support.plan_facts import PLAN_FACTS


def test_the_history_in_a_checkpoint() -> None:
    logging = {"train_losses": [1, 0.5], "val_losses": [2.0, 1.0], "mean_fg_dice": [math.nan, 0.3], "other": [None]}
    history = history_of(logging)
    assert history.training_loss == [1.0, 0.5]
    assert math.isnan(history.pseudo_dice[0]) and history.pseudo_dice[1] == 0.3
    assert history.learning_rate == [], "a trainer class may log less"


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 1000, 12_345])
def test_thinned_curves(length: int) -> None:
    values = [random.Random(length + place).random() for place in range(length)]
    curve = thinned(values, 10)
    assert len(curve) <= 10 + 2
    assert curve == sorted(curve)
    assert all(values[epoch - 1] == value for epoch, value in curve)
    if length:
        assert curve[0][0] == 1 and curve[-1][0] == length
        assert max(values) in [value for _, value in curve] and min(values) in [value for _, value in curve]


def test_what_is_not_a_number_leaves_a_gap_in_the_curve() -> None:
    assert thinned([math.nan, 0.5, math.inf, 0.7], 10) == [(2, 0.5), (4, 0.7)]


@pytest.mark.parametrize("counter", [-1, 10**10, 10**5000], ids=["negative", "beyond all bounds", "of 5000 digits"])
def test_a_counter_that_is_no_number_of_epochs_makes_a_checkpoint_unreadable(tmp_path: Path, counter: int) -> None:
    """No picture could be drawn with it, and no line of JSON written."""
    (tmp_path / "checkpoint_final.pth").touch()
    with pytest.raises(ValueError, match="its counter of epochs is no number of epochs"):
        finished_epochs(tmp_path / "checkpoint_final.pth", lambda _: {"current_epoch": counter})


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("run/Dataset001_A/nnUNetTrainer__nnUNetPlans__2d/fold_0", "0"),
        ("run/Dataset001_A/nnUNetTrainer__nnUNetPlans__2d/fold_all", "all"),
        ("run/replicate-2/Dataset001_A/nnUNetTrainer__nnUNetPlans__2d/fold_3", "3-r2"),
        ("run/replicate-x/Dataset001_A/nnUNetTrainer__nnUNetPlans__2d/fold_3", "3"),
    ],
)
def test_the_fold_run_of_a_folder(folder: str, name: str) -> None:
    assert name_of(Path(folder)) == name
    assert name_of(Path(folder), several=True) == f"2d-{name}"


@pytest.mark.parametrize(
    ("models", "left_out", "several"),
    [(["2d"], None, False), (["2d", "3d_fullres"], None, True), (["2d"], ["3d_lowres"], True), ([], None, False)],
)
def test_whether_a_run_has_several_configurations(
    tmp_path: Path, models: list[str], left_out: list[str] | None, several: bool
) -> None:
    for name in models:
        (tmp_path / "Dataset001_A" / f"nnUNetTrainer__nnUNetPlans__{name}").mkdir(parents=True)
    assert has_several(tmp_path) == several or left_out is not None
    facts = PLAN_FACTS.model_copy(update={"left_out_configurations": left_out})
    (tmp_path / "plan.json").write_text(facts.model_dump_json(by_alias=True))
    assert has_several(tmp_path) == several


@pytest.mark.parametrize("linked", ["Dataset001_A", "Dataset001_A/nnUNetTrainer__nnUNetPlans__2d", "replicate-2"])
def test_a_link_to_anothers_run_is_not_followed(tmp_path: Path, linked: str) -> None:
    inside = "" if not linked.startswith("replicate") else linked
    mine, other = tmp_path / "mine", tmp_path / "other"
    fold = Path(inside, "Dataset001_A", "nnUNetTrainer__nnUNetPlans__2d", "fold_0")
    (other / fold).mkdir(parents=True)
    (mine / linked).parent.mkdir(parents=True)
    (mine / linked).symlink_to(other / linked)
    (told,) = lines(mine)
    assert told["fold"] == ("0-r2" if inside else "0") and "is a link out of the run" in told["problem"]
