"""A cascade: its folds begin when those of its previous stage are done, and say so as long as they wait."""

from typing import Any

import pytest

from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    condition,
    created,
    decide,
    failed_by,
    fold_done,
    job,
    planned,
    stated,
    world,
)

SPEC: dict[str, Any] = {
    "configurations": ["3d_cascade_fullres", "3d_lowres"],
    "folds": [0, 1],
    "schedule": {"epochs": 10},
}
CASCADE = training(**SPEC)
LOW, HIGH = "hippo-fold-3d-lowres-{}", "hippo-fold-3d-cascade-fullres-{}"


def done(*names: str) -> list[Manifest]:
    return [one for name in names for one in fold_done(CASCADE, name)]


@pytest.mark.parametrize(
    ("limit", "objects", "expected"),
    [
        pytest.param(5, [], [LOW.format(0), LOW.format(1)], id="the previous stage first, whatever the order"),
        pytest.param(1, [], [LOW.format(0)], id="who waits takes no place"),
        pytest.param(5, done("3d_lowres-0"), [LOW.format(1)], id="one fold is not enough for any"),
        pytest.param(
            5, done("3d_lowres-0", "3d_lowres-1"), [HIGH.format(0), HIGH.format(1)], id="then those that learn from it"
        ),
        pytest.param(
            1,
            [*done("3d_lowres-0"), job(CASCADE, FOLD, "3d_cascade_fullres-0")],
            [],
            id="one that runs all the same holds its place",
        ),
    ],
)
def test_jobs_to_create(limit: int, objects: list[Manifest], expected: list[str]) -> None:
    of = training(**SPEC, maxParallelFolds=limit)
    assert created(decide(world(of, *planned(of), *objects))) == expected


def test_a_replicate_waits_for_its_own() -> None:
    of = training(**SPEC | {"replicates": 2, "trainer": {"seed": 1}})
    first = [one for name in ("3d_lowres-0-r1", "3d_lowres-1-r1") for one in fold_done(of, name)]
    assert created(decide(world(of, *planned(of), *first))) == [
        f"{HIGH.format(0)}-r1",
        f"{HIGH.format(1)}-r1",
        f"{LOW.format(0)}-r2",
        f"{LOW.format(1)}-r2",
    ]


def test_whom_a_fold_waits_for_is_said() -> None:
    result = decide(world(CASCADE, *planned(CASCADE), *done("3d_lowres-0"), job(CASCADE, FOLD, "3d_lowres-1")))
    assert (
        "each of folds 3d_cascade_fullres-0 and 3d_cascade_fullres-1 waits for the folds of 3d_lowres, on whose "
        "predictions it learns (1 of 2 done)"
    ) in condition(result, "Progressing").message
    phases = {fold.name: fold.phase for fold in result.status.folds}
    assert phases["3d_cascade_fullres-0"] == "Pending" and phases["3d_lowres-0"] == "Completed"
    over = decide(world(CASCADE, *planned(CASCADE), *done("3d_lowres-0", "3d_lowres-1")))
    assert "waits for the folds" not in condition(over, "Progressing").message


def test_a_fold_of_the_previous_stage_that_fails_is_said() -> None:
    failed = job(CASCADE, FOLD, "3d_lowres-1", conditions=[failed_by()])
    result = decide(world(CASCADE, *planned(CASCADE), *done("3d_lowres-0"), failed))
    assert created(result) == [] and stated(result, "Failed")[0] == "True"
    assert "fold 3d_lowres-1" in condition(result, "Failed").message
