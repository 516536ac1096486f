"""A Job of which nothing runs, and that asks for what is no longer asked for, is made anew; nothing else is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.contract import PREPARE_CONTAINER_NAME
from nnunet_api.fold_key import FoldKey
from nnunet_api.pod_template import SecurityContext
from nnunet_operator.core.outdated import asked_for, operators_settings
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import NOW, OPTIONS, training
from tests.support.made_worlds import (
    EVALUATE,
    FOLD,
    PLAN,
    VERIFY,
    condition,
    created,
    decide,
    deleted,
    ended,
    failed_by,
    job,
    planned,
    pod,
    rfc3339,
    running,
    stated,
    unschedulable,
    waiting,
    world,
)

ONE: dict[str, Any] = {"folds": [0]}
WRONG: dict[str, Any] = {"podTemplate": {"nodeSelector": {"gpu": "a1000"}}}
RIGHT: dict[str, Any] = {"podTemplate": {"nodeSelector": {"gpu": "a100"}}}
REFUSED = {"hippo-fold-0": 'pods "x" is forbidden: error looking up service account'}
Pods = Callable[[Manifest], list[Manifest]]


def prepared(body: Manifest) -> Manifest:
    """Return a pod as that of planning, whose folders are made and whose trainer has no image."""
    made = waiting(body, "ImagePullBackOff", "denied")
    done = {"name": PREPARE_CONTAINER_NAME, "state": {"terminated": {"exitCode": 0}}}
    made["spec"]["initContainers"] = [{"name": PREPARE_CONTAINER_NAME}]
    made["status"]["initContainerStatuses"] = [done]
    return made


NOTHING_RUNS: dict[str, Pods] = {
    "no pod": lambda _: [],
    "a pod that nobody has looked at": lambda j: [pod(j)],
    "a pod without a node": lambda j: [unschedulable(j, "0/3 nodes are available: 3 node(s) didn't match")],
    "a pod without its image": lambda j: [waiting(j, "ImagePullBackOff", "denied")],
    "a pod with folders and without its image": lambda j: [prepared(j)],
    "a pod without its Secret": lambda j: [waiting(j, "CreateContainerConfigError", 'secret "a" not found')],
    "an attempt was preempted, the next has no node": lambda j: [
        ended(j, 75, name="first"),
        unschedulable(j, "0/3 nodes are available"),
    ],
}
MAY_RUN: dict[str, Pods] = {
    "a pod that runs": lambda j: [running(j)],
    "a pod whose other containers run, and the trainer starts": lambda j: [pod(j, phase="Running")],
    "a pod that is being stopped": lambda j: [pod(j, deleting=True)],
    "a pod that has ended, and nobody has counted it": lambda j: [ended(j, 65)],
    "a pod that has ended well": lambda j: [ended(j, 0)],
}


def fold_job(of: Training, **changes: Any) -> Manifest:
    return job(of, FOLD, "0", **changes)


@pytest.mark.parametrize("pods", NOTHING_RUNS.values(), ids=NOTHING_RUNS)
@pytest.mark.parametrize("suspended", [False, True], ids=["", "queued"])
def test_what_does_not_run_is_made_anew(pods: Pods, suspended: bool) -> None:
    """And at once, without a loss or a retry that would be counted, and once only."""
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT)
    old = fold_job(before, suspended=suspended)
    first = decide(world(now, *planned(now), old, *pods(old)))
    assert deleted(first) == ["hippo-fold-0"]
    assert [(one.name, one.stopping, one.lost) for one in first.status.jobs] == [("hippo-fold-0", True, 0)]
    second = decide(world(replace(now, status=first.status), *planned(now)))
    assert created(second) == ["hippo-fold-0"]
    new = fold_job(now, suspended=suspended) | {"metadata": {**fold_job(now)["metadata"], "uid": "new"}}
    third = decide(world(replace(now, status=second.status), *planned(now), new))
    assert (deleted(third), created(third)) == ([], [])
    assert [(one.stopping, one.lost) for one in third.status.jobs] == [(None, 0)]


@pytest.mark.parametrize("pods", MAY_RUN.values(), ids=MAY_RUN)
def test_what_may_run_is_left_alone(pods: Pods) -> None:
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT)
    old = fold_job(before)
    assert not deleted(decide(world(now, *planned(now), old, *pods(old))))


@pytest.mark.parametrize(("code", "minutes"), [(0, 6), (75, 21)])
def test_an_end_of_which_nothing_is_made_is_not_thrown_away(code: int, minutes: int) -> None:
    """The Job controller may be slow, or the clock of the node behind: the next moment counts it."""
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT)
    old = fold_job(before)
    over = ended(old, code)
    over["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = rfc3339(NOW)
    result = decide(world(now, *planned(now), old, over, now=NOW + timedelta(minutes=minutes)))
    assert "made nothing of the end of pod" in condition(result, "Progressing").message
    assert not deleted(result)


@pytest.mark.parametrize("what", [RIGHT, {}], ids=["asked for otherwise", "other settings of the operator"])
def test_a_pod_that_is_counted_and_not_seen_may_run(what: dict[str, Any]) -> None:
    """As without its label: it may train for weeks."""
    before, now = training(**ONE, **WRONG), training(**ONE, **(what or WRONG))
    old = fold_job(before)
    old["status"] = {**old.get("status", {}), "active": 1}
    other = replace(OPTIONS, trainer_image="registry.example/trainer:other")
    seen = world(now, *planned(now), old, now=NOW + timedelta(hours=3))
    result = decide(seen if what else replace(seen, options=other))
    assert not deleted(result)
    assert stated(result, "Progressing") == ("False", "ContainerConfigError")


def test_a_pod_that_no_scheduler_looks_at_is_not_looked_at_all_the_time() -> None:
    of = training(**ONE)
    old = fold_job(of)
    pods = [{**one, "status": {"phase": "Pending"}} for one in [pod(old)]]
    soon, late = (decide(world(of, *planned(of), old, *pods, now=NOW + timedelta(seconds=age))) for age in (1, 7200))
    assert stated(late, "Progressing")[0] == "False" and soon.requeue_after
    assert late.requeue_after is None or late.requeue_after > 5


def test_what_was_refused_after_an_attempt_is_made_anew() -> None:
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT)
    old = fold_job(before)
    objects = [*planned(now), old, ended(old, 75)]
    assert deleted(decide(world(now, *objects, refusals=REFUSED))) == ["hippo-fold-0"]


@pytest.mark.parametrize(
    "changes",
    [{"conditions": [failed_by()]}, {"deleting": True}],
    ids=["it has failed", "it is being deleted"],
)
def test_what_stands_no_more_is_left_alone(changes: dict[str, Any]) -> None:
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT)
    assert not deleted(decide(world(now, *planned(now), fold_job(before, **changes))))


def test_a_suspended_training_makes_nothing_anew() -> None:
    before, now = training(**ONE, **WRONG), training(**ONE, **RIGHT, suspend=True)
    first = decide(world(now, *planned(now), fold_job(before)))
    assert (deleted(first), created(first)) == (["hippo-fold-0"], [])


@pytest.mark.parametrize(
    ("stage", "changes", "anew"),
    [
        (PLAN, {"resources": {"preprocessing": {"memory": "64Gi"}}}, True),
        (PLAN, {"resources": {"sharedMemory": "4Gi"}}, True),
        (PLAN, {"podTemplate": {"priorityClassName": "high"}}, True),
        (PLAN, {"retryLimit": 5}, True),
        (PLAN, {"resources": {"memory": "64Gi"}}, False),
        (PLAN, {"resources": {"gpuResourceName": "amd.com/gpu"}}, False),
        (FOLD, {"resources": {"memory": "64Gi"}}, True),
        (FOLD, {"resources": {"gpuResourceName": "amd.com/gpu"}}, True),
        (FOLD, {"resources": {"preprocessing": {"memory": "64Gi"}}}, False),
        (FOLD, {"maxParallelFolds": 1, "stallTimeoutSeconds": 10, "restartOnStall": True}, False),
        (FOLD, {"ttlSecondsAfterFinished": 5}, False),
        (FOLD, {"resources": {"cpu": 8}}, False),
        (FOLD, {"podTemplate": {"labels": {"a": "b"}}}, True),
        (FOLD, {"queuePriorityClassName": "high"}, True),
        (VERIFY, {"podTemplate": {"labels": {"a": "b"}, "annotations": {"a": "b"}, "serviceAccountName": "x"}}, False),
        (VERIFY, {"podTemplate": {"nodeSelector": {"a": "b"}}}, True),
    ],
)
def test_what_makes_a_job_another_one(stage: str, changes: dict[str, Any], anew: bool) -> None:
    """Who changes what a Job has nothing of does not lose its place in the queue."""
    assert (asked_for(training(**changes).spec, stage) != asked_for(training().spec, stage)) == anew


def test_marks_outlive_an_upgrade() -> None:
    """A mark that changed with the operator would make every waiting Job anew, and cost it its place in a queue."""
    full = {"resources": {"memory": "64Gi"}, **RIGHT, "queueName": "gpus"}
    assert asked_for(training().spec, FOLD) == "f22558bfb7097ff3"
    assert asked_for(training(**full).spec, PLAN) == "60331179926915ed"
    predicts: dict[str, Any] = {"configurations": ["2d", "3d_fullres"], "selection": {}, "testSet": {}}
    assert asked_for(training(**predicts, resources={"memory": "64Gi"}).spec, EVALUATE) == "d39d6e5954665975"


@pytest.mark.parametrize("mark", [None, "", "something", "0" * 17])
def test_a_mark_of_nobody_knows_whom_says_nothing(mark: str | None) -> None:
    """Of an operator before there were marks, or of a webhook that writes into all annotations."""
    of = training(**ONE)
    old = fold_job(of)
    old["metadata"]["annotations"] = None if mark is None else dict.fromkeys(old["metadata"]["annotations"], mark)
    assert not deleted(decide(world(of, *planned(of), old, waiting(old, "ImagePullBackOff"))))


def test_what_others_change_in_a_job_makes_nothing_anew() -> None:
    """Webhooks and queues change templates, and would do it again."""
    of = training(**ONE)
    old = fold_job(of)
    old["spec"]["template"]["spec"] |= {"nodeSelector": {"pool": "b"}, "priorityClassName": "x"}
    old["spec"]["template"]["spec"]["containers"][0]["resources"] = {}
    old["spec"]["template"]["metadata"]["labels"]["team"] = "b"
    assert not deleted(decide(world(of, *planned(of), old)))


def on_silent_node(of: Manifest) -> Manifest:
    """Return a pod that may pull a large image for ten minutes."""
    placed = {"type": "PodScheduled", "status": "True", "lastTransitionTime": rfc3339(NOW - timedelta(minutes=11))}
    body = waiting(of, "ContainerCreating", conditions=[placed])
    body["spec"]["nodeName"] = "gpu-1"
    return body


SETTINGS: dict[str, JobOptions] = {
    "image": replace(OPTIONS, trainer_image="registry.example/trainer:2"),
    "pull secrets": replace(OPTIONS, image_pull_secrets=("pull",)),
    "user": replace(OPTIONS, security=SecurityContext()),
}
CONCERNED: dict[str, Pods] = {
    "no image": lambda j: [waiting(j, "ErrImagePull")],
    "a user that the image does not have": lambda j: [waiting(j, "CreateContainerConfigError", "will run as root")],
}
NOT_CONCERNED: dict[str, Pods] = {
    "a pod whose node says nothing": lambda j: [on_silent_node(j)],
    "no pod": lambda _: [],
    "a pod that nobody has looked at": lambda j: [pod(j)],
    "a pod without a node": lambda j: [unschedulable(j, "0/3 nodes are available")],
}


@pytest.mark.parametrize("options", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(
    ("pods", "refusals", "anew"),
    [
        *(pytest.param(pods, {}, True, id=name) for name, pods in CONCERNED.items()),
        pytest.param(lambda _: [], REFUSED, True, id="refused"),
        *(pytest.param(pods, {}, False, id=name) for name, pods in NOT_CONCERNED.items()),
    ],
)
def test_settings_of_the_operator_are_taken_anew_where_they_may_mend_it(
    pods: Pods, refusals: dict[str, str], anew: bool, options: JobOptions
) -> None:
    """And only there: a Job that waits in a queue, or for a node, keeps its place through an upgrade."""
    of = training(**ONE)
    old = fold_job(of)
    seen = world(of, *planned(of), old, *pods(old), refusals=refusals)
    assert operators_settings(options) != operators_settings(OPTIONS)
    assert deleted(decide(replace(seen, options=options))) == (["hippo-fold-0"] if anew else [])
    assert not deleted(decide(seen))


def test_resources_of_a_configuration_concern_its_folds_alone() -> None:
    before, after = (
        training(configurations=["2d", "3d_fullres"], resources={"configurations": own}).spec
        for own in ({}, {"2d": {"cpu": "16"}})
    )
    plain = training(configurations=["2d"]).spec
    keys = [FoldKey("2d", "0"), FoldKey("3d_fullres", "0")]
    changed = [asked_for(before, FOLD, key) != asked_for(after, FOLD, key) for key in keys]
    assert changed == [True, False]
    assert [asked_for(before, stage) == asked_for(after, stage) for stage in (PLAN, VERIFY, EVALUATE)] == [True] * 3
    assert asked_for(plain, FOLD, keys[0]) == asked_for(plain, FOLD), "as a former operator marked it"


@pytest.mark.parametrize(("memory", "anew"), [("64Gi", True), ("16Gi", False)])
def test_an_evaluation_that_predicts_has_the_most_of_all_configurations(memory: str, anew: bool) -> None:
    spec: dict[str, Any] = {"configurations": ["2d", "3d_fullres"], "selection": {}, "testSet": {}}
    before = training(**spec).spec
    after = training(**spec, resources={"configurations": {"2d": {"memory": memory}}}).spec
    assert (asked_for(before, EVALUATE) != asked_for(after, EVALUATE)) == anew
