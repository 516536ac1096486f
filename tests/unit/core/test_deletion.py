"""A training that is being deleted: silent where nothing holds it, stopped where a finalizer does."""

from dataclasses import replace

import pytest

from nnunet_operator.core.training import Training
from nnunet_operator.runtime.training import parse_training
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    COMPLETE,
    EVALUATE,
    FOLD,
    after,
    condition,
    decide,
    deleted,
    ended,
    failed_by,
    fold_done,
    job,
    planned,
    running,
    stated,
    verified,
    world,
)

ONE = training(folds=[0])
FINALIZER = "backup.example.org/wait"


def held(of: Training, *by: str) -> Training:
    return replace(of, deleting=True, held_by=by or (FINALIZER,), generation=2)


def test_what_runs_is_stopped_and_who_holds_it_is_said() -> None:
    fold = job(ONE, FOLD, "0")
    objects = [*planned(ONE), fold, running(fold)]
    of = held(after(ONE, *objects))
    result = decide(world(of, *objects))
    assert deleted(result) == ["hippo-fold-0"]  # what has ended keeps its logs
    assert stated(result, "Progressing") == ("True", "Stopping") and result.status.phase == "Stopping"
    message = condition(result, "Progressing").message
    assert "fold 0: being stopped because of that" in message
    assert f"the training is being deleted; finalizer {FINALIZER} holds it; " in message
    assert result.status.observed_generation == 2
    assert {one.observed_generation for one in result.status.conditions} == {2}
    gone = decide(world(held(after(of, *objects)), *planned(ONE)))
    assert f"finalizer {FINALIZER} holds it; nothing of it runs. Whoever has put the finalizer there has" in (
        condition(gone, "Progressing").message
    )
    again = decide(world(held(after(of, *planned(ONE))), *planned(ONE)))
    assert (again.status, again.actions, again.events) == (gone.status, (), ())
    # Whatever is asked of it then: nothing starts, and the status is of the present spec.
    suspended = held(training(folds=[0], suspend=True), "a.example/x", "b.example/y")
    result = decide(world(replace(suspended, generation=3)))
    assert result.status.observed_generation == 3 and not result.actions
    assert "finalizers a.example/x, b.example/y hold it" in condition(result, "Progressing").message


@pytest.mark.parametrize("suspend", [False, True])
def test_a_job_that_somebody_holds_is_named_once_its_pods_have_ended(suspend: bool) -> None:
    of = training(folds=[0], suspend=suspend)
    fold = job(of, FOLD, "0", deleting=True)
    fold["metadata"]["finalizers"] = ["foregroundDeletion", FINALIZER]
    says = f"fold 0 waits until {FINALIZER} is taken off the finalizers of Job hippo-fold-0"
    for pod, said in ((running(fold), False), (ended(fold, 75), True)):
        result = decide(world(of, *planned(of), fold, pod))
        assert stated(result, "Progressing") == ("True", "Stopping")
        assert (says in condition(result, "Progressing").message) == said
    fold["metadata"]["finalizers"] = ["foregroundDeletion"]
    assert "finalizers" not in condition(decide(world(of, *planned(of), fold)), "Progressing").message


def test_what_ends_meanwhile_is_kept() -> None:
    of = held(after(ONE, *planned(ONE), job(ONE, FOLD, "0")))
    result = decide(world(of, *planned(ONE), *fold_done(ONE, "0")))
    assert result.status.folds[0].phase == "Completed" and not result.actions


@pytest.mark.parametrize("end", ["Completed", "Failed"])
def test_one_that_has_ended_stays_what_it_is(end: str) -> None:
    bad = job(ONE, FOLD, "0", conditions=[failed_by()])
    over = (
        [*planned(ONE), *fold_done(ONE, "0"), *verified(ONE), job(ONE, EVALUATE, conditions=[COMPLETE])]
        if end == "Completed"
        else [*planned(ONE), bad, ended(bad, 65)]
    )
    result = decide(world(held(after(ONE, *over)), *over))
    assert result.status.phase == end and result.status.observed_generation == 2 and not result.actions
    assert FINALIZER in condition(result, "Progressing").message


@pytest.mark.parametrize(
    ("finalizers", "by"),
    [
        (None, ()),
        (["foregroundDeletion"], ()),
        (["foregroundDeletion", FINALIZER, "a/b"], ("a/b", FINALIZER)),
        (["orphan", FINALIZER], ()),
    ],
)
def test_only_finalizers_of_others_hold_it(finalizers: list[str] | None, by: tuple[str, ...]) -> None:
    metadata = {"namespace": "clinic", "name": "hippo", "uid": "u", "generation": 1, "resourceVersion": "1"}
    metadata |= {"creationTimestamp": "2026-03-01T12:00:00Z", "deletionTimestamp": "2026-03-01T12:00:00Z"}
    body = {"metadata": metadata | {"finalizers": finalizers}, "spec": {"dataset": {"name": "Dataset004_Hippocampus"}}}
    assert parse_training(body, ONE.status).held_by == by
