"""What keeps a training from running is said in its conditions: one word, and what to do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from nnunet_api.remedies.table import REMEDIES
from nnunet_operator.kube.blocked import PodWarning, held_up
from tests.support.made_trainings import NOW, training
from tests.support.made_worlds import (
    FOLD,
    PLAN,
    condition,
    decide,
    job,
    planned,
    pod,
    running,
    stated,
    unschedulable,
    waiting,
    world,
)

ONE = training(folds=[0])
NO_GPU = (
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available: "
    "1 No preemption victims found for incoming pod."
)
NODES = "0/3 nodes are available: "
CONTROL_PLANE = "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"

scheduler = pytest.mark.parametrize(
    ("message", "reason", "says"),
    [
        (NO_GPU, "WaitingForGPU", "waits for a GPU: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),
        (f"{NODES}1 Insufficient memory, 2 Insufficient nvidia.com/gpu.", "WaitingForGPU", "nvidia.com/gpu"),
        (f"{NODES}3 Insufficient memory. preemption: no.", "WaitingForResources", "ask for less in spec.resources"),
        (f"{NODES}3 Insufficient cpu.", "WaitingForResources", "Insufficient cpu"),
        (
            f"{NODES}3 Insufficient amd.com/gpu.",
            "WaitingForResources",
            "amd.com/gpu. The training does not ask for the resource that is named: a rule of the cluster",
        ),
        (
            f"{NODES}{CONTROL_PLANE}, 2 Insufficient example.org/fpga.",
            "WaitingForResources",
            "example.org/fpga. The training does not ask for the resource that is named",
        ),
        (
            f"{NODES}1 node(s) didn't match Pod's node affinity/selector, 2 Insufficient example.org/fpga.",
            "WaitingForResources",
            "example.org/fpga. The training does not ask for the resource that is named",
        ),
        (f"{NODES}{CONTROL_PLANE}, 2 Insufficient memory.", "WaitingForResources", "memory. It starts as soon as a"),
        (f"{NODES}{CONTROL_PLANE}, 2 node(s) were unschedulable.", "WaitingForResources", "kubectl uncordon NODE"),
        (f"{NODES}{CONTROL_PLANE}.", "WaitingForResources", "spec.podTemplate.tolerations"),
        (
            f"{NODES}1 node(s) had untolerated taint(s), 2 Insufficient memory.",
            "WaitingForResources",
            "or ask for less in spec.resources",
        ),
        (f"{NODES}2 Insufficient hugepages-2Mi.", "WaitingForResources", "hugepages-2Mi. It starts as soon as a node"),
        (f"{NODES}3 node(s) were unschedulable.", "WaitingForResources", "SchedulingDisabled goes by kubectl uncordon"),
        (f"{NODES}3 node(s) had untolerated taint(s).", "WaitingForResources", "What is NotReady, or short of disk"),
        (f"{NODES}3 node(s) didn't match pod topology spread constraints.", "WaitingForResources", "has the labels"),
        (f"{NODES}3 node(s) had no available volume zone.", "WaitingForResources", "or a volume asks for"),
        (f"{NODES}3 node(s) did not have enough free storage.", "ClaimNotBound", "Give the claim a StorageClass"),
        (
            f"{NODES}3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).",
            "ClaimNotBound",
            "or a volume that matches",
        ),
        (
            f"{NODES}3 node(s) didn't match Pod's node affinity/selector. preemption: no.",
            "WaitingForResources",
            "labels that spec.podTemplate",
        ),
        (
            f"{NODES}3 node(s) had untolerated taint(s).",
            "WaitingForResources",
            "spec.podTemplate.tolerations",
        ),
        (
            f"{NODES}1 node(s) had untolerated taint {{nvidia.com/gpu: present}}, 2 node(s) were unschedulable.",
            "WaitingForResources",
            "spec.podTemplate.tolerations",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "nnunet-raw" not found. preemption: no.',
            "ClaimNotBound",
            '"nnunet-raw" not found. Create the PersistentVolumeClaim that is named',
        ),
        (
            'persistentvolumeclaim "scans" not found',
            "ClaimNotBound",
            '"scans" not found. Create the PersistentVolumeClaim that is named',
        ),
        (f'{NODES}persistentvolumeclaim "x" not found. not found', "ClaimNotBound", '"x" not found. Create the'),
        ("no nodes available to schedule pods", "WaitingForResources", "no nodes available"),
        (
            f"{NODES}pod has unbound immediate PersistentVolumeClaims. preemption: no.",
            "ClaimNotBound",
            "StorageClass",
        ),
        (f"{NODES}3 node(s) didn't find available persistent volumes to bind.", "ClaimNotBound", "StorageClass"),
        (
            f'{NODES}waiting for ephemeral volume controller to create the persistentvolumeclaim "x-local".',
            "ClaimNotBound",
            "waits for a volume: 0/3 nodes are available: waiting for ephemeral volume controller to create the",
        ),
        ('storageclass.storage.k8s.io "nvme" not found', "ClaimNotBound", "Give the claim a StorageClass"),
        (
            '0/1 nodes are available: persistentvolumeclaim "raw" is being deleted. preemption: no.',
            "ClaimNotBound",
            "is being deleted. The claim that is named was deleted, and is gone as soon as no pod uses it",
        ),
        (f"{NODES}3 node(s) had volume node affinity conflict.", "WaitingForResources", "or a volume"),
        (
            f"{NODES}1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already "
            "in-use by another pod.",
            "VolumeUnavailable",
            "or spec.maxParallelFolds 1",
        ),
        ("", "WaitingForResources", "no node fits"),
    ],
)


@scheduler
def test_no_node_for_the_pod(message: str, reason: str, says: str) -> None:
    fold = job(ONE, FOLD, "0")
    result = decide(world(ONE, *planned(ONE), fold, unschedulable(fold, message)))
    assert stated(result, "Progressing") == ("False", reason)
    assert result.status.phase == reason
    assert says in condition(result, "Progressing").message
    assert condition(result, "Progressing").message.startswith("fold 0 waits for ")
    assert "preemption" not in condition(result, "Progressing").message
    assert result.status.folds[0].phase == "Pending"
    assert [(e.type, e.reason) for e in result.events if e.reason == reason] == [("Warning", reason)]


def test_another_name_of_gpus() -> None:
    mig = training(folds=[0], resources={"gpuResourceName": "nvidia.com/mig-3g.40gb"})
    fold = job(mig, FOLD, "0")
    pods = unschedulable(fold, "0/1 nodes are available: 1 Insufficient nvidia.com/mig-3g.40gb.")
    assert stated(decide(world(mig, *planned(mig), fold, pods)), "Progressing") == ("False", "WaitingForGPU")


@pytest.mark.parametrize(
    ("container", "message", "reason", "says"),
    [
        ("ErrImagePull", "failed to resolve: not found", "ImageUnavailable", "failed to resolve: not found"),
        ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: no', "ImageUnavailable", "trainer:1: no."),
        ("ImagePullBackOff", 'Back-off pulling image "x"', "ImageUnavailable", "trainer:1. See that"),
        ("InvalidImageName", "couldn't parse image name", "ImageUnavailable", "spec.trainer.image"),
        ("ErrImageNeverPull", "is not present", "ImageUnavailable", "is not present"),
        ("CreateContainerConfigError", 'secret "x" not found', "ContainerConfigError", 'secret "x" not found'),
        ("CreateContainerError", "", "ContainerConfigError", "CreateContainerError"),
        (
            "CrashLoopBackOff",
            "back-off 5m0s restarting",
            "ContainerConfigError",
            "A rule of the cluster changes the pods",
        ),
        (
            "SignatureValidationFailed",
            "no key matches",
            "ImageUnavailable",
            "waits for image registry.example/trainer:1: no key matches. Have the image that is named signed",
        ),
        (
            "ImagePullBackOff",
            'Back-off pulling image "x": SignatureValidationFailed: no key matches',
            "ImageUnavailable",
            "waits for image registry.example/trainer:1: no key matches. Have the image that is named signed",
        ),
        (
            "PreCreateHookError",
            "cpu manager: no cores left",
            "ContainerConfigError",
            "can't be created: PreCreateHookError: cpu manager: no cores left. The kubelet tries again by itself",
        ),
        ("PreStartHookError", "", "ContainerConfigError", "can't be created: PreStartHookError. The kubelet tries"),
        ("WordOfALaterKubelet", "why", "ContainerConfigError", "can't be created: WordOfALaterKubelet: why."),
    ],
)
def test_a_container_that_can_not_start(container: str, message: str, reason: str, says: str) -> None:
    fold = job(ONE, FOLD, "0")
    result = decide(world(ONE, *planned(ONE), fold, waiting(fold, container, message)))
    assert stated(result, "Progressing") == ("False", reason)
    assert result.status.phase == reason
    assert says in condition(result, "Progressing").message


def test_pulls_that_alternate_write_nothing_new() -> None:
    fold = job(ONE, FOLD, "0")
    pulls = [
        ("ErrImagePull", "rpc: not found"),
        ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: rpc: not found'),
    ]
    first, second = (decide(world(ONE, *planned(ONE), fold, waiting(fold, *pull))) for pull in pulls)
    assert first.status == second.status


@pytest.mark.parametrize(
    ("waits", "message", "reason", "says"),
    [
        ("ImagePullBackOff", "", "ImageUnavailable", "Check the chart's trainer.image, which makes the folders, the"),
        ("CreateContainerConfigError", "no such key", "ContainerConfigError", "no such key. Put right what is named"),
        (
            "CreateContainerError",
            'failed to create containerd container: cannot load seccomp profile "/var/lib/kubelet/seccomp/a.json"',
            "ContainerConfigError",
            "Have the nodes on which the training may run given",
        ),
        (
            "CreateContainerError",
            "failed to generate apparmor spec opts: apparmor profile not found trainer",
            "ContainerConfigError",
            "Have the nodes on which the training may run given",
        ),
        (
            "CreateContainerConfigError",
            'failed to prepare subPath for volumeMount "results" of container "prepare"',
            "ContainerConfigError",
            "is gone from its claim, or the node may not enter one above it",
        ),
    ],
)
def test_what_keeps_folders_from_being_made_is_the_operators_to_mend(
    waits: str, message: str, reason: str, says: str
) -> None:
    plan_job = job(ONE, PLAN)
    status = {"name": "prepare", "image": "x", "state": {"waiting": {"reason": waits, "message": message}}}
    result = decide(world(ONE, plan_job, pod(plan_job, initContainerStatuses=[status])))
    assert stated(result, "Progressing") == ("False", reason)
    assert says in condition(result, "Progressing").message
    assert "webhook" not in condition(result, "Progressing").message


@pytest.mark.parametrize("place", ["initContainerStatuses", "containerStatuses"])
@pytest.mark.parametrize(
    ("waits", "reason", "says"),
    [
        ("ImagePullBackOff", "ImageUnavailable", "waits for image mesh:1 of container proxy. A webhook"),
        ("CreateContainerConfigError", "ContainerConfigError", "waits because container proxy of its pod can't"),
    ],
)
def test_an_injected_container_that_waits_is_named_and_is_not_the_users_to_mend(
    place: str, waits: str, reason: str, says: str
) -> None:
    fold = job(ONE, FOLD, "0")
    sidecar: Any = {"name": "proxy", "image": "mesh:1", "state": {"waiting": {"reason": waits}}}
    statuses: dict[str, Any] = {place: [sidecar]}
    result = decide(world(ONE, *planned(ONE), fold, pod(fold, **statuses)))
    assert stated(result, "Progressing") == ("False", reason)
    assert says in condition(result, "Progressing").message
    assert "spec.trainer.image" not in condition(result, "Progressing").message


USERS = 'can\'t set `spec.hostUsers: false`, RuntimeClass handler "" does not support user namespaces'


@pytest.mark.parametrize(
    ("warning", "reason", "says"),
    [
        (PodWarning("FailedAttachVolume", "Multi-Attach error for volume x"), "VolumeUnavailable", "ReadWriteMany"),
        (PodWarning("FailedMount", "MountVolume.SetUp failed: no such server"), "VolumeUnavailable", "no such server"),
        (PodWarning("FailedCreatePodSandBox", "cni plugin not ready"), "ContainerConfigError", "cni plugin not ready"),
        (
            PodWarning("FailedCreatePodSandBox", USERS),
            "ContainerConfigError",
            "runtime that knows supplementalGroupsPolicy or",
        ),
        (PodWarning("FailedMount", ""), "VolumeUnavailable", "FailedMount"),
    ],
)
def test_a_pod_that_is_held_up_on_its_node(warning: PodWarning, reason: str, says: str) -> None:
    fold = job(ONE, FOLD, "0")
    held = waiting(fold, "ContainerCreating")
    result = decide(world(ONE, *planned(ONE), fold, held, warnings={held["metadata"]["name"]: warning}))
    assert stated(result, "Progressing") == ("False", reason)
    assert says in condition(result, "Progressing").message
    assert result.status.phase == reason


@pytest.mark.parametrize("told", [True, False])
def test_the_claim_of_a_pod_that_is_refused(told: bool) -> None:
    """What the scheduler says is not why: without the Event there is nothing else to say."""
    fold = job(ONE, FOLD, "0")
    awaited = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "hippo-fold-0-x-local".'
    held = unschedulable(fold, f"0/1 nodes are available: {awaited} not found")
    said = 'ephemeral volume local: create PVC hippo-fold-0-x-local: persistentvolumeclaims "hippo-fold-0-x-local" is '
    warning = PodWarning("FailedBinding", f"{said}forbidden: exceeded quota: team, requested: requests.storage=100Gi")
    warnings = {held["metadata"]["name"]: warning} if told else {}
    result = decide(world(ONE, *planned(ONE), fold, held, warnings=warnings))
    assert stated(result, "Progressing") == ("False", "ClaimNotBound")
    message = condition(result, "Progressing").message
    assert ("whose claim can't be made: persistentvolumeclaims is forbidden: exceeded quota" in message) == told, (
        message
    )
    assert ("spec.storage.preprocessed.localCopy (the size of its claim" in message) == told


def test_a_claim_that_a_webhook_keeps_from_being_made_is_not_put_down_to_a_quota_alone() -> None:
    said = 'create PVC hippo-fold-0-x-local: Internal error occurred: failed calling webhook "claims.example.org"'
    found = held_up(PodWarning("FailedBinding", f"ephemeral volume local: {said}: connection refused"))
    assert 'failed calling webhook "claims.example.org": connection refused' in found.matter, found
    todo = REMEDIES[found.reason].cases[found.case]
    assert "else ask who runs the cluster about what is named" in todo and "quota on storage" in todo


def test_an_old_warning_about_a_pod_that_runs_says_nothing() -> None:
    fold = job(ONE, FOLD, "0")
    pod_ = running(fold)
    warning = PodWarning("FailedMount", "x")
    result = decide(world(ONE, *planned(ONE), fold, pod_, warnings={pod_["metadata"]["name"]: warning}))
    assert stated(result, "Progressing") == ("True", "Training")


@pytest.mark.parametrize(
    ("queue", "says"),
    [("gpus", "LocalQueue gpus"), (None, "suspends no Job where spec.queueName is not set")],
)
def test_a_job_that_waits_in_a_queue(queue: str | None, says: str) -> None:
    queued = training(folds=[0], queueName=queue)
    result = decide(world(queued, job(queued, PLAN, suspended=True)))
    assert stated(result, "Progressing") == ("False", "WaitingForQueue")
    assert says in condition(result, "Progressing").message


@pytest.mark.parametrize(("age", "silent"), [(29, False), (31, True)])
def test_a_pod_of_which_no_scheduler_speaks(age: int, silent: bool) -> None:
    """It may wait for a volume of a StorageClass that waits for its first consumer: nothing on the pod says so."""
    fold = job(ONE, FOLD, "0")
    result = decide(world(ONE, *planned(ONE), fold, pod(fold), now=NOW + timedelta(seconds=age)))
    assert (stated(result, "Progressing") == ("False", "WaitingForResources")) == silent
    message = condition(result, "Progressing").message
    assert ("the scheduler, which has said nothing of its pod" in message and "describe pvc" in message) == silent
    assert silent or result.requeue_after == 1


def test_a_pod_that_a_finalizer_holds_is_named() -> None:
    of = replace(ONE, spec=ONE.spec.model_copy(update={"suspend": True}))
    plan_job = job(ONE, PLAN, deleting=True)
    held = running(plan_job, deleting=True)
    held["metadata"]["finalizers"] = ["backup.example.org/wait", "batch.kubernetes.io/job-tracking"]
    for objects in ([plan_job, held], [held]):
        message = condition(decide(world(of, *objects)), "Progressing").message
        assert "until backup.example.org/wait is taken off the finalizers of pod hippo-plan-x" in message


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded', "ClaimNotBound"),
        ("Post: etcdserver: request timed out", "WaitingForResources"),
    ],
)
def test_a_scheduler_that_fails_is_no_silence(message: str, reason: str) -> None:
    fold = job(ONE, FOLD, "0")
    said = {"type": "PodScheduled", "status": "False", "reason": "SchedulerError", "message": message}
    result = decide(world(ONE, *planned(ONE), fold, pod(fold, conditions=[said])))
    assert stated(result, "Progressing") == ("False", reason)
    assert message in condition(result, "Progressing").message


def test_a_scheduling_gate() -> None:
    fold = job(ONE, FOLD, "0")
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    result = decide(world(ONE, *planned(ONE), fold, pod(fold, conditions=[gated])))
    assert stated(result, "Progressing") == ("False", "WaitingForQueue")
