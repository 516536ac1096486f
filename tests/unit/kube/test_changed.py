"""Jobs and pods that somebody has changed so that the operator can't work with them: what is the matter is said."""

from datetime import timedelta

import pytest

from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import PLAN, condition, decide, job, pod, running, stated, world

ONE = training(folds=[0])


def test_a_job_that_was_scaled_down() -> None:
    plan_job = job(ONE, PLAN)
    plan_job["spec"]["parallelism"] = 0
    result = decide(world(ONE, plan_job))
    assert stated(result, "Progressing") == ("False", "WaitingForQueue")
    message = condition(result, "Progressing").message
    assert "waits because the parallelism of its Job was set to 0" in message and "its parallelism 1" in message


@pytest.mark.parametrize("field", ["parallelism", "completions"])
def test_a_job_that_something_has_make_several_pods_is_named(field: str) -> None:
    """Each attempt ends the one before it: two at once would do so for ever."""
    plan_job = job(ONE, PLAN)
    plan_job["spec"][field] = 2
    result = decide(world(ONE, plan_job, running(plan_job), pod(plan_job)))
    assert stated(result, "Progressing") == ("False", "ContainerConfigError")
    assert "something has its Job make several pods" in condition(result, "Progressing").message


def test_a_job_that_lost_its_label_is_named_and_looked_at_again() -> None:
    """No watch tells what becomes of it."""
    plan_job = job(ONE, PLAN)
    plan_job["metadata"]["labels"].pop("nnunet.dev/training")
    result = decide(world(ONE, plan_job))
    assert not result.actions and result.requeue_after == 30
    said = "planning and preprocessing waits until Job hippo-plan has its label nnunet.dev/training=hippo back"
    assert said in condition(result, "Progressing").message


@pytest.mark.parametrize(("age", "seen"), [(10, False), (31, True)])
def test_a_pod_that_lost_its_label_is_named(age: int, seen: bool) -> None:
    plan_job = job(ONE, PLAN)
    plan_job["status"]["active"] = 1
    result = decide(world(ONE, plan_job, now=NOW + timedelta(seconds=age)))
    assert (stated(result, "Progressing") == ("False", "ContainerConfigError")) == seen
    assert ("the pod of its Job hippo-plan lacks the label" in condition(result, "Progressing").message) == seen


def test_a_container_that_was_renamed_is_named() -> None:
    plan_job = job(ONE, PLAN)
    renamed = running(plan_job)
    for one in (*renamed["spec"]["containers"], *renamed["status"]["containerStatuses"]):
        one["name"] = "main"
    result = decide(world(ONE, plan_job, renamed))
    assert stated(result, "Progressing") == ("False", "ContainerConfigError")
    assert "pod hippo-plan-x has no container trainer, which something has renamed" in str(result.status.problem)
    assert "A rule of the cluster changes the pods" in condition(result, "Progressing").message
