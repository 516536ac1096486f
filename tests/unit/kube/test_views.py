"""What is kept of Jobs and Pods: the parts of a view that follow from several of the object's fields."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.kube.views import NOBODY
from tests.support.made_trainings import training
from tests.support.made_worlds import COMPLETE, PLAN, failed_by, job, pod, running

ONE = training(folds=[0])
SUCCEEDS = {"type": "SuccessCriteriaMet", "status": "True"}
FAILS = failed_by("FailureTarget", message="first")


@pytest.mark.parametrize(
    ("conditions", "complete", "failure"),
    [
        pytest.param([], False, None, id="at work"),
        pytest.param([COMPLETE], True, None, id="complete"),
        pytest.param([SUCCEEDS], True, None, id="about to be complete"),
        pytest.param([{**COMPLETE, "status": "False"}], False, None, id="not complete"),
        pytest.param([FAILS], False, "first", id="about to have failed"),
        pytest.param([FAILS, failed_by(message="then")], False, "then", id="failed"),
        pytest.param([{"type": "Failed", "status": "True"}], False, "", id="failed without a word"),
        pytest.param([{"type": "Suspended", "status": "True"}], False, None, id="another condition"),
    ],
)
def test_the_end_of_a_job(conditions: list[dict[str, str]], complete: bool, failure: str | None) -> None:
    seen = job_view(job(ONE, PLAN, conditions=conditions))
    assert (seen.complete, seen.failure, seen.ended) == (complete, failure, complete or failure is not None)


@pytest.mark.parametrize(
    ("references", "owner"),
    [
        ([], ""),
        ([{"kind": "NnunetTraining", "name": "hippo", "uid": "u"}], ""),
        ([{"kind": "Other", "uid": "o"}, {"kind": "NnunetTraining", "uid": "u", "controller": True}], "u"),
    ],
    ids=["nobody", "an owner that does not control it", "its controller among others"],
)
def test_the_owner_is_who_controls_it(references: list[dict[str, Any]], owner: str) -> None:
    body = job(ONE, PLAN)
    body["metadata"]["ownerReferences"] = references
    assert job_view(body).owner.uid == owner and (job_view(body).owner == NOBODY) is not bool(owner)


def test_an_object_of_which_little_is_known_has_a_view() -> None:
    bare = {"metadata": {"name": "x", "labels": None, "ownerReferences": None}, "spec": None, "status": None}
    assert (job_view(bare).name, job_view(bare).ended, pod_view(bare).over) == ("x", False, False)
    assert (pod_view(bare).trainer, pod_view(bare).running, pod_view(bare).unscheduled) == (None, False, None)


def test_nobody_can_change_a_view() -> None:
    body = job(ONE, PLAN)
    for view in (job_view(body), pod_view(running(body)), pod_view(pod(body))):
        with pytest.raises(FrozenInstanceError):
            view.name = "y"  # type: ignore[misc]
        hash(view)  # nor what is in it
