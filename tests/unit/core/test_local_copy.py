"""A fold's copy of its data: what status, Events and the headline say, and that it is no stall."""

from typing import Any

import pytest

from nnunet_api.conditions import Condition
from nnunet_api.facts import FoldProvenance
from nnunet_api.fold_key import FoldKey
from nnunet_api.local_copy import CopyFacts, CopyState
from nnunet_operator.core.outdated import asked_for
from nnunet_operator.core.training import Training
from tests.support.made_trainings import training
from tests.support.made_worlds import (
    FOLD,
    after,
    decide,
    deleted,
    job,
    planned,
    reported,
    stated,
    still,
    unschedulable,
    world,
)

ONE: dict[str, Any] = {"folds": [0], "schedule": {"epochs": 10}, "stallTimeoutSeconds": 100}
COPY: dict[str, Any] = {"storage": {"preprocessed": {"localCopy": {"sizeLimit": "10Gi"}}}}
OF = training(**ONE, **COPY)
WHY = "the data takes 12.0 GiB, and spec.storage.preprocessed.localCopy.sizeLimit is 10.0 GiB: raise it to 13Gi"


def copying(copied: int, total: int = 10_000) -> dict[str, Any]:
    return {"local_copy": CopyFacts(state=CopyState.COPYING, total_bytes=total, copied_bytes=copied), "epoch": 0}


DONE: dict[str, Any] = {"local_copy": CopyFacts(state=CopyState.IN_USE, total_bytes=3 * 2**30, seconds=33.4)}
SKIPPED: dict[str, Any] = {"local_copy": CopyFacts(state=CopyState.SKIPPED, why=WHY)}


def condition(of: Training, type_: str) -> Condition:
    found = of.status.condition(type_)
    assert found is not None
    return found


def told(of: Training, **sample: Any) -> Training:
    objects, samples = still(of, **sample)
    return after(of, *objects, samples=samples)


def said(of: Training, **sample: Any) -> list[str]:
    objects, samples = still(of, **sample)
    events = decide(world(of, *objects, samples=samples)).events
    return [f"{event.type} {event.reason}: {event.message}" for event in events if "LocalCopy" in event.reason]


def test_progress_is_told_in_steps() -> None:
    of, seen = OF, []
    for copied in (0, 999, 1000, 1999, 9999):
        before, of = of, told(of, **copying(copied))
        copy = of.status.folds[0].local_copy
        assert copy and copy.state == "Copying" and copy.total_bytes == 10_000
        seen.append((copy.percent, of.status == before.status))
    assert seen == [(0, False), (0, True), (10, False), (10, True), (90, False)]
    assert condition(of, "Progressing").message == "fold 0 copies its preprocessed data to its node (90 %)"
    assert said(of, **copying(9999)) == []


def test_a_copy_that_is_used_is_announced_once_for_each_attempt() -> None:
    of = told(OF, **copying(5000), attempts=1)
    event = "Normal LocalCopyReady: fold 0 reads its data from a copy on its node (3.0 GiB, copied in 33 s)"
    assert said(of, **DONE, attempts=1) == [event]
    of = told(of, **DONE, attempts=1)
    copy = of.status.folds[0].local_copy
    assert copy and (copy.state, copy.percent, copy.seconds) == ("InUse", None, 33)
    assert said(of, **DONE, attempts=1, epoch=4) == [] and said(of, **DONE, attempts=2) == [event]
    assert condition(of, "Progressing").message == "fold 0 trains"


def test_why_there_is_none_is_said_with_what_to_do() -> None:
    (event,) = said(OF, **SKIPPED)
    assert event == f"Warning LocalCopySkipped: fold 0 reads its data from the claim, without a local copy: {WHY}"
    of = told(OF, **SKIPPED)
    assert of.status.folds[0].local_copy and of.status.folds[0].local_copy.why == WHY
    assert stated(decide(world(of, *still(of)[0], samples=still(of, **SKIPPED)[1])), "Progressing")[0] == "True"
    assert condition(of, "Progressing").message == (
        f"fold 0 trains and reads its data from the claim, without a local copy: {WHY}"
    )
    assert said(of, **SKIPPED) == []


def test_a_trainer_that_knows_of_no_copy_says_nothing() -> None:
    of = told(OF, epoch=3)
    assert of.status.folds[0].local_copy is None and condition(of, "Progressing").message == "fold 0 trains"


def test_words_of_a_trainer_are_bounded_and_harmless() -> None:
    (fold,) = told(OF, local_copy=CopyFacts(state=CopyState.SKIPPED, why="\x1b[2J" + "x" * 490)).status.folds
    assert fold.local_copy and fold.local_copy.why and "\x1b" not in fold.local_copy.why


def test_what_was_copied_when_it_ended_is_gone_with_its_pod() -> None:
    of = told(OF, **copying(5000), attempts=1)
    assert of.status.folds[0].local_copy is not None
    ended = after(of, *planned(of), *reported(of, code=75, **copying(6000), attempts=1))
    assert ended.status.folds[0].local_copy is None
    of = told(OF, **DONE, epoch=9, attempts=1)
    done = after(of, *planned(of), *reported(of, **DONE))
    assert done.status.folds[0].local_copy and done.status.folds[0].local_copy.state == "InUse"


def test_a_copy_that_stood_still_and_goes_on_is_no_stall_any_more() -> None:
    of = told(OF, **copying(1000), still_seconds=101)
    assert condition(of, "Stalled").status == "True", "a volume that hangs is said"
    of = told(of, **copying(1500), still_seconds=0)
    assert condition(of, "Stalled").status == "True", "not by less than a step"
    of = told(of, **copying(2000), still_seconds=0)
    assert condition(of, "Stalled").status == "False"


@pytest.mark.parametrize("changed", [{}, {"storage": {"preprocessed": {"localCopy": {"sizeLimit": "20Gi"}}}}])
def test_what_waits_is_made_anew_with_another_copy(changed: dict[str, Any]) -> None:
    old = job(OF, FOLD, "0")
    now = training(**ONE, **changed)
    waiting = [*planned(now), old, unschedulable(old, "0/3 nodes are available")]
    assert deleted(decide(world(now, *waiting))) == ["hippo-fold-0"]


def test_jobs_without_a_copy_have_the_mark_that_they_had() -> None:
    """As operators of before have made them: an upgrade makes none anew."""
    mark = "d39d6e5954665975"
    key = FoldKey("3d_fullres", "0")
    plain = training(folds=[0], resources={"memory": "64Gi"}).spec
    assert asked_for(plain, FOLD, key) == mark
    copy = training(folds=[0], resources={"memory": "64Gi"}, **COPY).spec
    assert asked_for(copy, FOLD, key) != mark and asked_for(copy, "plan") == asked_for(plain, "plan")


def test_a_fold_that_waits_for_data_says_that_it_has_a_copy() -> None:
    slow = {"data_wait_share": 0.5, "data_workers": 8, "data_worker_use": 0.1, "epoch": 4}
    of = told(OF, **slow, **DONE)
    message = condition(of, "DataStarved").message
    assert "waits 50 % of its time for data, which it reads from a copy on its node, and its workers" in message
    plain = condition(told(OF, **slow), "DataStarved").message
    assert (
        "Where it is the volume, spec.storage.preprocessed.localCopy" in plain
        and "a copy on its node, and" not in plain
    )


def test_the_provenance_says_where_the_data_was_read() -> None:
    told_by = FoldProvenance(data_read_from="local copy")
    of = after(OF, *planned(OF), *reported(OF, provenance=told_by))
    assert of.status.provenance and of.status.provenance.data_read_from == "local copy"
