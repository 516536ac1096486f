"""Cascades before and after nnU-Net: whether they can be trained, and whose predictions there are."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnunet_api.contract import RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.cascades import require_every_fold, require_planned_stages
from nnunet_trainer.dataset.configurations import unavailable
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import write_json
from nnunet_trainer.run.paths import FINAL, RunPaths
from nnunet_trainer.scoring.stage_predictions import (
    FOLDER,
    NEXT_STAGES_FILE,
    doubts,
    learnt_from,
    require_previous_stage,
)
from tests.support.made_contracts import contract, paths_of, plan_facts

LOW, HIGH = "3d_lowres", "3d_cascade_fullres"
PLANNED: dict[str, Any] = {
    "3d_fullres": {},
    LOW: {"next_stage": HIGH},
    HIGH: {"inherits_from": "3d_fullres", "previous_stage": LOW},
}
HALVES = [{"train": ["b"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]


def asked(*names: str, own: dict[str, Any] | None = None, **changes: Any) -> RunContract:
    """Return a contract with these configurations, with the last at hand."""
    names = names or (LOW, HIGH)
    planning = {"configurations": own or {}}
    return contract(**{"configurations": names, "configuration": names[-1], "planning": planning} | changes)


@pytest.mark.parametrize(
    ("changes", "splits", "said"),
    [
        ({}, None, None),
        ({"folds": ["0", "1", "3"]}, None, "add 2, 4 to folds"),
        ({"folds": ["0", "1"]}, HALVES, None),
        ({"folds": ["0"]}, HALVES, "no fold of this training validates b"),
        ({"folds": ["0", "1"]}, [HALVES[0], HALVES[0]], "no fold of this training validates b"),
        ({"folds": ["0", "1", "2"]}, [*HALVES, HALVES[0]], "several folds validate a"),
        ({"folds": ["all"]}, None, 'of fold "all" there are none'),
        ({"folds": ["0"], "configurations": [LOW, "2d"], "configuration": "2d"}, HALVES, None),
        ({"folds": ["all"], "configurations": [LOW, "2d"], "configuration": "2d"}, None, None),
    ],
)
def test_every_case_needs_a_fold_that_predicts_it(changes: dict[str, Any], splits: Any, said: str | None) -> None:
    run = asked(**changes)
    if said is None:
        return require_every_fold(run, splits, 5)
    with pytest.raises(TrainerError, match=said) as caught:
        require_every_fold(run, splits, 5)
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION
    assert f"{HIGH} learns from the predictions of its previous stage for all cases" in caught.value.message


@pytest.mark.parametrize(
    ("run", "plans", "said"),
    [
        (asked(), PLANNED, None),
        (asked(LOW, "3d_fullres"), PLANNED, None),
        (
            asked(own={HIGH: {"inherits_from": "3d_fullres"}}),
            PLANNED | {HIGH: {"inherits_from": "3d_fullres"}},
            f"has by the plans no previous stage, and by the training previous stage {LOW}: state previous_stage",
        ),
        (
            asked(LOW, "planners"),
            PLANNED | {"planners": {"inherits_from": HIGH}},
            f"planners has by the plans previous stage {LOW}, and by the training no previous stage",
        ),
        (asked("2d", HIGH), PLANNED | {"2d": {}}, f"{HIGH} learns from the predictions of {LOW}, which this training"),
        (
            asked("a", "b", own={"a": {"previous_stage": "b"}, "b": {"previous_stage": "a"}}),
            {"a": {"previous_stage": "b"}, "b": {"previous_stage": "a"}},
            "configuration a learns from itself: a <- b <- a",
        ),
        (
            asked("c", "b", own={"c": {"previous_stage": "b"}, "b": {"previous_stage": "zzz"}}),
            {"c": {"previous_stage": "b"}, "b": {"previous_stage": "zzz"}},
            "configuration b learns from the predictions of zzz, which this training does not train",
        ),
    ],
)
def test_plans_have_the_cascades_that_the_training_knows_of(run: RunContract, plans: Any, said: str | None) -> None:
    if said is None:
        return require_planned_stages(run, {"configurations": plans})
    with pytest.raises(TrainerError, match=said) as caught:
        require_planned_stages(run, {"configurations": plans})
    assert caught.value.code == ExitCode.WRONG_CONFIGURATION


def test_a_cascade_is_left_out_with_its_previous_stage() -> None:
    own = {"mine": {"inherits_from": "3d_fullres", "previous_stage": LOW}, "on": {"inherits_from": "mine"}}
    plans = {"configurations": {"3d_fullres": {}, **own}}
    run = asked("on", LOW, "mine", "3d_fullres", own=own, skipUnavailableConfigurations=True)
    assert unavailable(run, plans) == ["on", LOW, "mine"]
    with pytest.raises(TrainerError, match="so that none is left to train"):
        unavailable(asked(LOW, "mine", own=own, skipUnavailableConfigurations=True), plans)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Stage:
    """The folders of both folds of the previous stage, as they are when all is predicted."""

    def __init__(self, root: Path) -> None:
        self.run = asked(folds=["0", "1"])
        self.paths: RunPaths = paths_of(self.run, root)
        self.plan = plan_facts()
        self.low = self.paths.model(self.run.of_configuration(LOW), self.plan.plans_name)
        self.predicted = self.low / FOLDER / HIGH
        self.predicted.mkdir(parents=True)
        for fold, case in (("0", "a"), ("1", "b")):
            (self.low / f"fold_{fold}").mkdir()
            (self.low / f"fold_{fold}" / FINAL).write_bytes(fold.encode())
            (self.predicted / f"{case}.b2nd").write_bytes(case.encode())
            self.state(fold, case)

    def state(self, fold: str, case: str, **changes: Any) -> None:
        """Write what a fold says of its predictions."""
        files = {HIGH: {f"{case}.b2nd": sha(case.encode())}}
        content = {"checkpoint": sha(fold.encode()), "files": files} | changes
        write_json(self.low / f"fold_{fold}" / NEXT_STAGES_FILE, content)

    def doubts(self, learnt: str | None) -> dict[str, str]:
        """Return what is doubted of a cascade whose checkpoint says this, with the folds' present checkpoints."""
        hashes = {f"{LOW}-{fold}": sha((self.low / f"fold_{fold}" / FINAL).read_bytes()) for fold in ("0", "1")}
        return doubts(self.run, self.paths, self.plan.plans_name, hashes, {f"{HIGH}-0": learnt})


DAMAGES: dict[str, tuple[Callable[[Stage], Any], str]] = {
    "interrupted": (lambda stage: stage.state("1", "b", files={}), "were not made to their end"),
    "never begun": (
        lambda stage: (stage.low / "fold_1" / NEXT_STAGES_FILE).unlink(),
        "were not made to their end",
    ),
    "no json": (
        lambda stage: (stage.low / "fold_1" / NEXT_STAGES_FILE).write_text("{"),
        "were not made to their end",
    ),
    "trained on": (
        lambda stage: (stage.low / "fold_1" / FINAL).write_bytes(b"other"),
        f"were made by another checkpoint than its {FINAL}",
    ),
    "lost": (lambda stage: (stage.predicted / "b.b2nd").unlink(), "are not all there: b.b2nd is missing"),
    "no checkpoint": (lambda stage: (stage.low / "fold_1" / FINAL).unlink(), f"{FINAL} is missing"),
    "damaged": (lambda stage: (stage.predicted / "b.b2nd").write_bytes(b"x"), "b.b2nd has changed"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cascade_begins_only_where_all_predictions_are_those_of_the_final_checkpoints(
    damage: str, tmp_path: Path
) -> None:
    stage = Stage(tmp_path)
    known = require_previous_stage(stage.run, stage.paths, stage.plan, 1)
    assert known == learnt_from(stage.run, stage.paths, stage.plan.plans_name, 1) and known
    assert require_previous_stage(stage.run.of_configuration(LOW), stage.paths, stage.plan, 1) is None
    harm, said = DAMAGES[damage]
    harm(stage)
    with pytest.raises(TrainerError) as caught:
        require_previous_stage(stage.run, stage.paths, stage.plan, 1)
    assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE and said in caught.value.message
    assert f"of fold {LOW}-1 for {HIGH}" in caught.value.message


def test_a_cascade_proves_something_only_with_the_checkpoints_that_it_learnt_from(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    known = learnt_from(stage.run, stage.paths, stage.plan.plans_name, 1)
    assert stage.doubts(known) == {}
    assert f"predictions of other checkpoints of {LOW}" in stage.doubts(None)[f"{HIGH}-0"]
    (stage.low / "fold_0" / FINAL).write_bytes(b"further")
    assert f"fold {LOW}-0, on which it learns, are not of that one's {FINAL}" in stage.doubts(known)[f"{HIGH}-0"]
    stage.state("0", "a", checkpoint=sha(b"further"), files={})
    assert stage.doubts(None), "no word on what it learnt from, and no predictions"
    # Its predictions made anew: now the cascade has learnt from others.
    stage.state("0", "a", checkpoint=sha(b"further"))
    assert f"predictions of other checkpoints of {LOW}" in stage.doubts(known)[f"{HIGH}-0"]
