"""A training that was created anew with the status of a former object of its name."""

from typing import Any

import pytest

from nnunet_operator.core.training import Training
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    PLAN,
    after,
    created,
    decide,
    ended,
    failed_by,
    fold_done,
    job,
    planned,
    stated,
    verified,
    world,
)

OTHER = "99999999-0000-4000-8000-000000000001"
TWO = training(folds=[0, 1])


def restored(of: Training, **spec: Any) -> Training:
    """Return the training as a restore from a backup creates it: its status is there, its UID is another."""
    return training(status=of.status, uid=OTHER, folds=[0, 1], **spec)


def test_a_training_that_had_not_ended_begins_anew_and_says_so_once() -> None:
    half = after(TWO, *planned(TWO), *fold_done(TWO, "0"))
    assert half.status.run_path == "clinic/hippo-0a1b2c3d"
    new = restored(half)
    result = decide(world(new))
    assert created(result) == ["hippo-plan"]
    assert {fold.phase for fold in result.status.folds} == {"Pending"} and str(result.status.run_path).endswith(
        "-99999999"
    )
    assert stated(result, "DatasetReady") == ("False", "NotYetPlanned")
    (event,) = [event for event in result.events if event.reason == "FormerRunForgotten"]
    assert "clinic/hippo-0a1b2c3d" in event.message and "anew in clinic/hippo-99999999" in event.message
    again = decide(world(after(new)))
    assert "FormerRunForgotten" not in [event.reason for event in again.events]


def test_evidence_of_a_former_run_does_not_count() -> None:
    objects = [*planned(TWO), *fold_done(TWO, "0"), *fold_done(TWO, "1"), *verified(TWO)]
    assert decide(world(restored(after(TWO, *objects)))).status.holds("EpochsProven") is False


def test_what_is_complete_stays_and_its_status_names_its_folder() -> None:
    scored = job(TWO, EVALUATE, conditions=[COMPLETE])
    objects = [*planned(TWO), *fold_done(TWO, "0"), *fold_done(TWO, "1"), *verified(TWO), scored, ended(scored, 0)]
    complete = after(TWO, *objects)
    assert complete.status.holds("Complete")
    result = decide(world(restored(complete)))
    assert result.status == complete.status and result.actions == ()


@pytest.mark.parametrize(("suspend", "starts"), [(False, []), (True, [])])
def test_what_has_failed_stays_so_until_it_is_tried_again_and_then_begins_anew(
    suspend: bool, starts: list[str]
) -> None:
    body = job(TWO, PLAN, conditions=[failed_by()])
    failed = after(TWO, body, ended(body, 65, '{"message": "no dataset"}'))
    fold = job(TWO, FOLD, "1", conditions=[failed_by()])
    failed_later = after(TWO, *planned(TWO), *fold_done(TWO, "0"), fold, ended(fold, 74, '{"message": "full"}'))
    for of, reason in ((failed, "WrongData"), (failed_later, "StorageFailed")):
        new = restored(of, suspend=suspend)
        result = decide(world(new))
        assert created(result) == starts
        if not suspend:
            assert stated(result, "Failed") == ("True", reason)
            assert result.status.condition("Failed") and result.status.problem == of.status.problem
        resumed = restored(after(new))
        assert created(decide(world(resumed))) == (["hippo-plan"] if suspend else [])
