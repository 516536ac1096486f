"""What does not begin for long, and of which nobody says why, is told all the same."""

from datetime import timedelta
from typing import Any

import pytest

from nnunet_operator.core.decision import Decision
from nnunet_operator.kube.blocked import PodWarning
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    FOLD,
    PLAN,
    condition,
    decide,
    ended,
    job,
    planned,
    pod,
    rfc3339,
    running,
    stated,
    waiting,
    world,
)

ONE = training(folds=[0])
SLOW = timedelta(minutes=10)


def on_node(of: Manifest, state: Manifest | None = None, **status: Any) -> Manifest:
    """Return a pod that has had a node since NOW."""
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(NOW)}
    body = pod(of, state=state or {"waiting": {"reason": "PodInitializing"}}, conditions=[placed], **status)
    body["spec"]["nodeName"] = "gpu-1"
    return body


def runs(name: str) -> Manifest:
    return {"name": name, "state": {"running": {}}}


def done(name: str) -> Manifest:
    return {"name": name, "state": {"terminated": {"exitCode": 0}}}


def after(wait: timedelta, *objects: Manifest, **more: Any) -> Decision:
    return decide(world(ONE, *objects, now=NOW + wait, **more))


@pytest.mark.parametrize(
    ("preparing", "reason", "says"),
    [
        (
            [],
            "ContainerConfigError",
            "fold 0 waits because node gpu-1 has not started its trainer for more than 10 min",
        ),
        ([runs("prepare")], "VolumeUnavailable", "its folders have not been made for more than 10 min: a volume on"),
        (
            [runs("vault-init")],
            "ContainerConfigError",
            "container vault-init of its pod, which comes before the trainer, has not ended for more than 10 min",
        ),
        ([done("vault-init"), runs("prepare")], "VolumeUnavailable", "a volume on node gpu-1 may not answer"),
        ([runs("mesh"), done("prepare")], "ContainerConfigError", "node gpu-1 has not started its trainer"),
    ],
    ids=["kubelet away", "folders", "a container of others", "folders behind it", "a native sidecar"],
)
def test_a_pod_that_has_a_node_and_does_not_begin(preparing: list[Manifest], reason: str, says: str) -> None:
    fold = job(ONE, FOLD, "0")
    held = on_node(fold, initContainerStatuses=preparing)
    held["spec"]["initContainers"] = [
        {"name": "mesh", "restartPolicy": "Always"},
        {"name": "vault-init", "restartPolicy": "Never"},
        {"name": "prepare"},
    ]
    early = after(SLOW - timedelta(seconds=5), *planned(ONE), fold, held)
    assert stated(early, "Progressing")[1] == "Starting" and early.requeue_after == 5
    result = after(SLOW, *planned(ONE), fold, held)
    assert stated(result, "Progressing") == ("False", reason)
    assert says in condition(result, "Progressing").message
    later = after(2 * SLOW, *planned(ONE), fold, held)
    assert condition(later, "Progressing").message == condition(result, "Progressing").message, "it reads the same"


def test_what_somebody_says_comes_first_and_what_has_begun_is_not_slow() -> None:
    fold = job(ONE, FOLD, "0")
    held = on_node(fold)
    warnings = {held["metadata"]["name"]: PodWarning("FailedMount", "no such server")}
    assert stated(after(SLOW, *planned(ONE), fold, held, warnings=warnings), "Progressing")[1] == "VolumeUnavailable"
    pulls = waiting(fold, "ImagePullBackOff", conditions=held["status"]["conditions"])
    assert stated(after(SLOW, *planned(ONE), fold, pulls), "Progressing")[1] == "ImageUnavailable"
    trains = on_node(fold, {"running": {}}, phase="Running")
    assert stated(after(SLOW, *planned(ONE), fold, trains), "Progressing") == ("True", "Training")
    unknown = running(fold, phase="Pending", state={})  # nothing tells since when it has its node
    assert stated(after(SLOW, *planned(ONE), fold, unknown), "Progressing")[1] != "ContainerConfigError"


def test_a_job_for_which_nothing_makes_a_pod() -> None:
    """Kubernetes' controllers may be away while the API server answers."""
    alone = job(ONE, PLAN)
    early = after(timedelta(seconds=25), alone)
    assert stated(early, "Progressing")[1] == "Starting" and early.requeue_after == 5
    result = after(timedelta(seconds=31), alone)
    assert stated(result, "Progressing") == ("False", "WaitingForResources")
    message = condition(result, "Progressing").message
    assert "which Kubernetes' Job controller has not made" in message and "kube-controller-manager runs" in message


@pytest.mark.parametrize("how", ["queued", "resumed", "refused", "retried", "failed before", "drained"])
def test_a_job_that_may_well_have_no_pod_yet(how: str) -> None:
    of = training(folds=[0], queueName="q") if how == "queued" else ONE
    body, more = job(of, PLAN), dict[str, Any]()
    objects = [body]
    if how == "resumed":
        body["status"]["conditions"] = [{"type": "Suspended", "status": "False"}]
    if how == "refused":
        more = {"refusals": {body["metadata"]["name"]: "exceeded quota"}}
    if how == "retried":
        objects.append(ended(body, 1))
    if how == "failed before":
        body["status"]["failed"] = 1
    if how == "drained":  # which is not counted as a failure, and takes the pod away
        body["status"]["startTime"] = rfc3339(NOW)
    result = decide(world(of, *objects, now=NOW + timedelta(hours=1), **more))
    assert "Job controller has not made" not in condition(result, "Progressing").message


@pytest.mark.parametrize(("code", "minutes"), [(0, 5), (1, 20), (65, 20)])
def test_an_end_of_which_nothing_is_made(code: int, minutes: int) -> None:
    """Of a success a Job is complete at once; after a failure Kubernetes waits for up to ten minutes."""
    fold = job(ONE, FOLD, "0")
    over = ended(fold, code)
    over["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = rfc3339(NOW)
    early = after(timedelta(minutes=minutes, seconds=-5), *planned(ONE), fold, over)
    assert stated(early, "Progressing")[1] == ("Training" if code == 0 else "Starting") and early.requeue_after == 5
    result = after(timedelta(minutes=minutes), *planned(ONE), fold, over)
    assert stated(result, "Progressing") == ("False", "WaitingForResources")
    message = condition(result, "Progressing").message
    assert "which has made nothing of the end of pod hippo-fold-0-x so far" in message, message
    refused = {"hippo-fold-0": "exceeded quota"}
    if code:
        told = after(timedelta(minutes=minutes), *planned(ONE), fold, over, refusals=refused)
        assert stated(told, "Progressing")[1] == "PodRejected"
