"""The table of schedules: its cells, its data, its page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hack.benchmarks.hardness.cells import ARMS, Budget, Cell
from hack.benchmarks.hardness.judge import NAMESPACE, as_argument, from_argument, judge, spec_of, with_common_seeds
from hack.benchmarks.hardness.table import Row, page, rows
from hack.benchmarks.hardness.tasks import EASY, HARD, LABELS, TASKS, Task, draw_case
from nnunet_api.comparison.contract import ComparedRun
from nnunet_api.folders import run_folder
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.run.paths import ROOT_ENV
from tests.unit.trainer.compared import Volume

BUDGET = Budget(epochs=200)


def cell(arm_name: str, seed: int = 1, budget: Budget = BUDGET) -> Cell:
    (arm,) = (arm for arm in ARMS if arm.name == arm_name)
    return Cell(HARD, arm, seed, budget)


@pytest.mark.parametrize(("arm", "epochs"), [("full", 200), ("half", 100), ("quarter", 50), ("stop", 200)])
def test_arms_scale_the_schedule(arm: str, epochs: int) -> None:
    assert cell(arm).contract()["schedule"]["epochs"] == epochs


def test_the_rule_is_scaled_with_the_schedule() -> None:
    rule = cell("anneal").contract()["earlyStopping"]
    assert rule == {"mode": "Anneal", "patienceEpochs": 20, "minEpochs": 50, "annealEpochs": 10, "minDelta": 0.001}


def test_a_cell_may_be_as_long_as_another_was() -> None:
    follower = replace(cell("matched"), length=137)
    assert follower.contract()["schedule"]["epochs"] == 137
    assert follower.contract()["earlyStopping"]["mode"] == "Disabled"
    assert {arm.as_long_as for arm in ARMS} <= {"", *(arm.name for arm in ARMS)}


def test_other_settings_are_another_training() -> None:
    variants = [cell("full"), cell("full", seed=2), cell("stop"), cell("full", budget=Budget(epochs=100))]
    assert len({variant.result for variant in variants}) == len({variant.uid for variant in variants}) == len(variants)
    assert cell("full").uid == cell("full").uid


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_task_is_drawn_the_same_again(task: Task) -> None:
    one, other = (draw_case(task, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    image, label = one
    assert image.shape == label.shape == task.shape and np.isfinite(image).all()


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_class_is_in_a_task(task: Task) -> None:
    random = np.random.default_rng(task.seed)
    labels = np.concatenate([draw_case(task, random)[1].ravel() for _ in range(20)])
    assert set(np.unique(labels)) == set(LABELS.values())


def test_the_hard_task_is_imbalanced_and_has_more_bright_voxels_than_lesions() -> None:
    random = np.random.default_rng(HARD.seed)
    cases = [draw_case(HARD, random) for _ in range(20)]
    label = np.concatenate([label.ravel() for _, label in cases])
    image = np.concatenate([image.ravel() for image, _ in cases])
    lesion = label == LABELS["lesion"]
    assert 0.002 < lesion.mean() < 0.02
    bright = image > np.median(image[lesion])
    assert (bright & ~lesion).sum() > (bright & lesion).sum()
    assert EASY.noise < HARD.noise


def result(arm: str, seed: int, dice: float, epochs: int = 200) -> dict[str, Any]:
    settings = {"task": "hard", "arm": arm, "seed": seed}
    return {"settings": settings, "epochs": epochs, "test": dice, "testPerClass": {"lesion": dice - 0.1}}


RESULTS = [
    *(result("full", seed, dice) for seed, dice in ((1, 0.80), (2, 0.82), (3, 0.84))),
    *(result("quarter", seed, dice, 50) for seed, dice in ((3, 0.79), (1, 0.70), (2, 0.75))),
    result("stop", 1, 0.81, 90),
    result("stop", 2, 0.79, 110),
    result("stop", 4, 0.10, 90),
]


def found(arm: str) -> Row:
    (row,) = (row for row in rows(RESULTS, "hard") if row.arm.name == arm)
    return row


def test_arms_are_compared_seed_by_seed() -> None:
    assert found("quarter").differences == pytest.approx([-10, -7, -5])
    assert found("quarter").verdict == "every seed below every seed of full"
    # Seed 4 has no full training to be compared to.
    assert found("stop").differences == pytest.approx([1, -3])
    assert found("stop").verdict == "within the spread"
    assert found("full").verdict == ""


def test_the_page_shows_what_was_found_and_nothing_else() -> None:
    text = page(RESULTS, [HARD, EASY], BUDGET)
    assert "| full budget | 82.0 ± 2.0 | 72.0 ± 2.0 | 200 | 100 % |  |  |" in text
    assert "-7.3 ± 2.5" in text and "| 90, 110 | 50 % |" in text
    assert "## Task hard" in text and "## Task easy" not in text
    assert "divided by 5" in text


CELLS = [cell(arm, seed) for arm in ("full", "quarter", "stop") for seed in (1, 2, 3) if (arm, seed) != ("stop", 3)]


def test_each_way_is_an_arm_of_one_comparison_with_the_full_budget() -> None:
    spec = spec_of(CELLS)
    assert [arm.name for arm in spec.ordered_arms] == ["full", "quarter", "stop"]
    assert spec.varies == ["schedule.epochs", "earlyStopping"] and spec.max_dice_loss == 0.01
    assert spec_of([one for one in CELLS if one.arm.name != "stop"]).varies == ["schedule.epochs"]
    assert [(one.arm.name, one.seed) for one in with_common_seeds(CELLS)] == [
        (arm, seed) for arm in ("full", "quarter", "stop") for seed in (1, 2)
    ]
    assert from_argument(as_argument(CELLS)) == CELLS


def test_cells_are_judged_by_the_trainers_own_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROOT_ENV, str(tmp_path))  # `judge` sets it
    volume = Volume(tmp_path)
    cells = [cell(arm, seed) for arm in ("full", "quarter") for seed in (1, 2, 3)]
    for one in cells:
        folder = run_folder(NAMESPACE, one.name, one.uid)
        made = volume.run(one.name, 0.06 if one.arm.name == "quarter" else 0.0, one.epochs, change=as_one_replicate)
        rename(volume, made, folder)
    found = judge(tmp_path, cells)
    assert not found["differences"]
    assert [(one["arm"], one["verdict"]) for one in found["candidates"]] == [("quarter", "Inferior")]
    assert [arm["replicates"] for arm in found["arms"]] == [3, 3]


def as_one_replicate(summary: dict[str, Any], folds: list[dict[str, Any]]) -> None:
    """Make of a run of three replicates one of one, of whose folds there is the first."""
    del summary["replicates"][1:]


def rename(volume: Volume, run: ComparedRun, folder: str) -> None:
    """Give a run the folder that a cell has, and its only fold the place of a training without replicates."""
    place = volume.path(run, "")
    new = place.parents[1] / folder
    summary = read_json(place / "summary.json")
    model = summary["replicates"][0]["modelPath"].partition("replicate-1/")[2]
    summary["replicates"][0]["modelPath"] = f"{folder}/{model}"
    summary["provenanceHashes"] = {"0": summary["provenanceHashes"]["0-r1"]}
    write_json(place / "summary.json", summary)
    (place / "replicate-1" / model.partition("/")[0]).rename(place / model.partition("/")[0])
    new.parent.mkdir(exist_ok=True)
    place.rename(new)


def test_verdicts_of_the_comparison_are_in_the_page() -> None:
    judged = {"arm": "quarter", "verdict": "Inferior", "difference": -0.073, "low": -0.09, "high": -0.05}
    text = page(RESULTS, [HARD], BUDGET, {"hard": {"candidates": [judged]}})
    assert "-7.3 (-9.0 to -5.0) | Inferior |" in text and "an arm of an NnunetComparison" in text
    differing = [{"path": "plansHash", "matter": "full: a; quarter: b"}]
    text = page(RESULTS, [HARD], BUDGET, {"hard": {"differences": differing}})
    assert "**Not comparable**, so there is no verdict: plansHash: full: a; quarter: b" in " ".join(text.split())
