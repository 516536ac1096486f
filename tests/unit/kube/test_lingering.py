"""Pods that another container keeps running after the trainer has ended, and Jobs whose pods somebody else makes."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_operator.core.decision import Decision
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    COMPLETE,
    FOLD,
    PLAN,
    after,
    condition,
    created,
    decide,
    deleted,
    ended,
    failed_by,
    job,
    planned,
    rfc3339,
    running,
    stated,
    world,
)

ONE = training(folds=[0], retryLimit=2)
STAGES = pytest.mark.parametrize(
    ("stage", "fold", "subject"), [(PLAN, "", "planning and preprocessing"), (FOLD, "0", "fold 0")]
)
RUNS: Manifest = {"running": {}}
OVER = {"terminated": {"exitCode": 0}}


def kept(
    of: Manifest, code: int = 0, seconds: float = 60, *, phase: str = "Running", first: bool = False, **states: Any
) -> Manifest:
    """Return a pod whose trainer ended so many seconds ago, with other containers in these states."""
    changed = copy.deepcopy(ended(of, code, TerminationReport(message="said"), phase=phase))
    (trainer,) = changed["status"]["containerStatuses"]
    trainer["state"]["terminated"]["finishedAt"] = rfc3339(NOW - timedelta(seconds=seconds))
    others = [{"name": name.replace("_", "-"), "state": state} for name, state in states.items()]
    changed["status"]["containerStatuses"] = [*others, trainer] if first else [trainer, *others]
    return changed


def seen(stage: str, fold: str, pod: Manifest, of: Manifest) -> Decision:
    return decide(world(ONE, *(planned(ONE) if stage == FOLD else ()), of, pod))


@STAGES
@pytest.mark.parametrize("code", [0, 1, 75, 137])
@pytest.mark.parametrize("first", [False, True], ids=["behind the trainer", "before it"])
def test_what_keeps_a_pod_running_is_named(stage: str, fold: str, subject: str, code: int, first: bool) -> None:
    of = job(ONE, stage, fold)
    result = seen(stage, fold, kept(of, code, first=first, istio_proxy=RUNS), of)
    assert stated(result, "Progressing") == ("False", "SidecarRunning")
    assert result.status.phase == "SidecarRunning"
    message = condition(result, "Progressing").message
    pod = f"{of['metadata']['name']}-x"
    words = f"{subject} waits because container istio-proxy keeps pod {pod} running after the trainer has ended"
    assert words in message and "sidecar.istio.io/inject" in message
    assert (created(result), deleted(result)) == ([], [])
    assert [event.reason for event in result.events if event.type == "Warning"][-1] == "SidecarRunning"


@STAGES
def test_the_others_have_a_while_to_end(stage: str, fold: str, subject: str) -> None:
    of = job(ONE, stage, fold)
    result = seen(stage, fold, kept(of, seconds=12, istio_proxy=RUNS), of)
    assert stated(result, "Progressing")[0] == "True"
    wait = result.requeue_after
    assert wait is not None and wait <= 18
    ahead = seen(stage, fold, kept(of, seconds=-20, istio_proxy=RUNS), of)  # the clock of the node
    assert ahead.requeue_after is not None and ahead.requeue_after <= 30
    far_ahead = seen(stage, fold, kept(of, seconds=-9999, istio_proxy=RUNS), of)
    assert stated(far_ahead, "Progressing") == ("False", "SidecarRunning"), "its time would be over in hours"


@STAGES
def test_a_failure_that_no_attempt_can_mend_counts(stage: str, fold: str, subject: str) -> None:
    of = job(ONE, stage, fold)
    before = [*(planned(ONE) if stage == FOLD else ()), of, kept(of, 65, istio_proxy=RUNS)]
    result = decide(world(ONE, *before))
    assert stated(result, "Failed") == ("True", "WrongData")
    assert f"{subject}: said" in condition(result, "Failed").message
    assert deleted(decide(world(after(ONE, *before), *before))) == [of["metadata"]["name"]]  # with the pod


@STAGES
@pytest.mark.parametrize("again", [False, True], ids=["at once", "when another attempt runs"])
def test_it_counts_also_where_the_rules_of_its_job_are_gone(stage: str, fold: str, subject: str, again: bool) -> None:
    """A webhook that is built with old libraries drops them: Kubernetes would try again as often as after a crash."""
    of = job(ONE, stage, fold)
    del of["spec"]["podFailurePolicy"]
    pods = [ended(of, 65, TerminationReport(message="said")), *([running(of, name="again")] if again else [])]
    before = [*(planned(ONE) if stage == FOLD else ()), of, *pods]
    result = decide(world(ONE, *before))
    assert stated(result, "Failed") == ("True", "WrongData")
    assert f"{subject}: said" in condition(result, "Failed").message
    assert deleted(decide(world(after(ONE, *before), *before))) == [of["metadata"]["name"]]
    of["spec"]["podFailurePolicy"] = job(ONE, stage, fold)["spec"]["podFailurePolicy"]
    assert stated(decide(world(ONE, *before)), "Failed") == ("False", "NotFailed"), "the Job itself tells, with its log"


@pytest.mark.parametrize(
    ("pod", "changes"),
    [
        pytest.param({"istio_proxy": OVER}, {}, id="all have ended"),
        pytest.param({"istio_proxy": {"waiting": {"reason": "CrashLoopBackOff"}}}, {}, id="it does not run"),
        pytest.param({"istio_proxy": RUNS, "phase": "Succeeded"}, {}, id="the pod has ended"),
        pytest.param({"istio_proxy": RUNS}, {"conditions": [COMPLETE]}, id="the Job has completed"),
        pytest.param({"istio_proxy": RUNS}, {"deleting": True}, id="the Job is being deleted"),
    ],
)
def test_what_keeps_no_pod_is_not_named(pod: dict[str, Any], changes: dict[str, Any]) -> None:
    of = job(ONE, PLAN, **changes)
    assert stated(decide(world(ONE, of, kept(of, **pod))), "Progressing")[0] == "True"


def test_a_pod_that_is_being_deleted_ends_soon() -> None:
    of = job(ONE, PLAN)
    leaving = kept(of, istio_proxy=RUNS)
    leaving["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    assert stated(decide(world(ONE, of, leaving)), "Progressing")[0] == "True"


def test_several_are_named_together() -> None:
    of = job(ONE, PLAN)
    message = condition(decide(world(ONE, of, kept(of, agent=RUNS, istio_proxy=RUNS))), "Progressing").message
    assert "because containers agent and istio-proxy keep pod hippo-plan-x running" in message


def test_folds_that_train_go_on_beside_it() -> None:
    two = training(folds=[0, 1])
    first, second = job(two, FOLD, "0"), job(two, FOLD, "1")
    pods = [kept(first, istio_proxy=RUNS), running(second)]
    result = decide(world(two, *planned(two), first, second, *pods))
    assert stated(result, "Progressing") == ("True", "Training")
    assert "fold 0 waits because container istio-proxy keeps pod" in condition(result, "Progressing").message


def managed(body: Manifest, manager: str = "kueue.x-k8s.io/multikueue") -> Manifest:
    body["spec"]["managedBy"] = manager
    return body


@pytest.mark.parametrize("suspended", [False, True])
def test_a_job_whose_pods_somebody_else_makes_is_named(suspended: bool) -> None:
    result = decide(world(ONE, managed(job(ONE, PLAN, suspended=suspended))))
    assert stated(result, "Progressing") == ("False", "ChildNotOwned")
    message = condition(result, "Progressing").message
    assert "Job hippo-plan is managed by kueue.x-k8s.io/multikueue" in message and "LocalQueue" in message


@pytest.mark.parametrize(
    ("body", "phase"),
    [
        pytest.param(managed(job(ONE, PLAN), "kubernetes.io/job-controller"), "Pending", id="Kubernetes' own"),
        pytest.param(managed(job(ONE, PLAN, conditions=[failed_by()])), "Failed", id="what has failed there"),
    ],
)
def test_what_has_ended_there_counts(body: Manifest, phase: str) -> None:
    assert decide(world(ONE, body)).status.phase == phase
