"""Builders of worlds for tests: Jobs and Pods as Kubernetes shows them."""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nnunet_api.conditions import Condition
from nnunet_api.contract import EvidenceFacts, FoldEvidence, TerminationReport
from nnunet_api.facts import EarlyStopFacts, FoldFacts
from nnunet_api.fold_key import FoldKey
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.core import decide as core
from nnunet_operator.core.decision import Decision
from nnunet_operator.core.observation import Child
from nnunet_operator.core.pipeline import children
from nnunet_operator.core.policies import Policies
from nnunet_operator.core.training import Training
from nnunet_operator.kube.blocked import PodWarning
from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.kube.builders.stages import manifest_of
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.kube.observe import Snapshot, observe_all
from nnunet_operator.kube.reading import job_view, pod_view
from nnunet_operator.progress.model import LiveFacts
from tests.support.made_trainings import NOW, OPTIONS
from tests.support.plan_facts import PLAN_FACTS

PLAN, FOLD, VERIFY, EVALUATE = "plan", "fold", "verify", "evaluate"
IMAGE_ID = "registry.example/trainer@sha256:" + "0" * 64
COMPLETE = {"type": "Complete", "status": "True"}


@dataclass(frozen=True)
class World:
    """A training, Jobs and Pods as Kubernetes shows them, and all else that a decision rests on."""

    training: Training
    jobs: tuple[Manifest, ...]
    pods: tuple[Manifest, ...]
    samples: Mapping[str, LiveFacts] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    warnings: Mapping[str, PodWarning] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)
    now: datetime = NOW
    options: JobOptions = OPTIONS


def decide(world: World) -> Decision:
    """Decide as the operator does, from what it sees of a world."""
    jobs, pods = tuple(map(job_view, world.jobs)), tuple(map(pod_view, world.pods))
    seen = Snapshot(jobs, pods, world.samples, world.refusals, world.warnings, world.now)
    observations = observe_all(world.training, seen, children(world.training))
    return core.decide(world.training, observations, world.policies, world.now, world.options)


def job(
    of: Training,
    stage: str,
    fold: str = "",
    *,
    conditions: Sequence[Mapping[str, Any]] = (),
    failed: int = 0,
    suspended: bool = False,
    deleting: bool = False,
    created: datetime = NOW,
) -> Manifest:
    """Return a Job of a training as it stands in the cluster."""
    key = FoldKey.parse(fold, of.spec.configuration_names[0]) if fold else None
    body = manifest_of(of, OPTIONS, Child(of.name, stage, key))
    body["metadata"] |= {"uid": f"job-{stage}{fold}", "creationTimestamp": rfc3339(created)}
    if deleting:
        body["metadata"]["deletionTimestamp"] = rfc3339(created)
    body["spec"]["suspend"] = suspended
    body["status"] = {"conditions": [dict(c) for c in conditions], "failed": failed}
    return body


def failed_by(type_: str = "Failed", reason: str = "PodFailurePolicy", message: str = "") -> dict[str, str]:
    """Return a Job condition that says that it failed."""
    return {"type": type_, "status": "True", "reason": reason, "message": message}


def pod(
    of: Manifest,
    *,
    name: str = "",
    phase: str = "Pending",
    state: Mapping[str, Any] | None = None,
    conditions: Sequence[Mapping[str, Any]] = (),
    deleting: bool = False,
    created: str = "2026-03-01T12:00:00Z",
    **status: Any,
) -> Manifest:
    """Return a pod of a Job; `state` is that of the trainer's container."""
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"],
        "controller": True,
    }
    metadata = {
        "name": name or f"{of['metadata']['name']}-x",
        "uid": f"pod-{name}",
        "creationTimestamp": created,
        "labels": of["spec"]["template"]["metadata"]["labels"],
        "ownerReferences": [owner],
    }
    if deleting:
        metadata["deletionTimestamp"] = created
    pulled = {"imageID": IMAGE_ID} if state and "waiting" not in state else {}
    trainer = {"name": "trainer", "image": "registry.example/trainer:1", "state": dict(state or {}), **pulled}
    containers = [trainer] if state else []
    body = {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status}
    template = of["spec"]["template"]["spec"]
    given = copy.deepcopy({name: template[name] for name in ("containers", "initContainers") if name in template})
    return {"metadata": metadata, "spec": given, "status": body}


def running(of: Manifest, **changes: Any) -> Manifest:
    """Return a pod whose trainer runs."""
    return pod(of, **{"phase": "Running", "state": {"running": {}}, **changes})


def ended(of: Manifest, code: int, message: str | TerminationReport = "", reason: str = "", **changes: Any) -> Manifest:
    """Return a pod whose trainer has ended with an exit code and a termination message."""
    text = message if isinstance(message, str) else json.dumps(message.to_json_dict())
    reason = reason or ("Completed" if code == 0 else "Error")
    ran = {"containerID": f"containerd://{'0' * 64}", "startedAt": "2026-03-01T12:00:05Z"}
    state = {"terminated": {"exitCode": code, "reason": reason, "message": text, **ran}}
    return pod(of, **{"phase": "Failed" if code else "Succeeded", "state": state, **changes})


def waiting(of: Manifest, reason: str, message: str = "", **changes: Any) -> Manifest:
    """Return a pod whose trainer's container waits."""
    return pod(of, state={"waiting": {"reason": reason, "message": message}}, **changes)


def unschedulable(of: Manifest, message: str) -> Manifest:
    """Return a pod that the scheduler can't place."""
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(of, conditions=[said])


def planned(of: Training) -> tuple[Manifest, Manifest]:
    """Return the completed planning Job and its pod."""
    done = job(of, PLAN, conditions=[COMPLETE])
    return done, ended(done, 0, TerminationReport(message="planned", plan=PLAN_FACTS))


def fold_done(of: Training, fold: str, dice: float = 0.87) -> tuple[Manifest, Manifest]:
    """Return a completed fold's Job and its pod."""
    done = job(of, FOLD, fold, conditions=[COMPLETE])
    epochs = of.spec.schedule.epochs
    facts = FoldFacts(fold=fold, epoch=epochs, epochs_target=epochs, attempts=1, mean_validation_dice=dice)
    return done, ended(done, 0, TerminationReport(message="trained", fold=facts))


def reported(of: Training, code: int = 0, fold: str = "0", **facts: Any) -> list[Manifest]:
    """Return a fold's Job and the pod of an attempt that reported these facts; by default ten epochs of ten."""
    body = job(of, FOLD, fold, conditions=[COMPLETE] if code == 0 else [])
    told = FoldFacts(**({"fold": fold, "epoch": 10, "epochs_target": 10, "attempts": 1} | facts))
    return [body, ended(body, code, TerminationReport(message="ended", fold=told))]


def live(fold: str = "0", *, still_seconds: float | None = None, **facts: Any) -> LiveFacts:
    """Return what the trainer of a running fold says; by default no epoch of ten is finished."""
    return LiveFacts(FoldFacts(**{"fold": fold, "epoch": 0, "epochs_target": 10, **facts}), still_seconds)


def still(of: Training, **sample: Any) -> tuple[list[Manifest], dict[str, LiveFacts]]:
    """Return the objects of a running fold, and what its trainer says; by default three epochs."""
    body = job(of, FOLD, "0")
    objects = [*planned(of), body, running(body)]
    return objects, {"hippo-fold-0-x": live(**({"epoch": 3} | sample))}


def verdict(epoch: int, end: int) -> EarlyStopFacts:
    """Return the verdict of a rule that fired at `epoch` of ten and ended the training at `end`."""
    return EarlyStopFacts(state=EarlyStoppingState.STOPPED, epoch=epoch, end_epoch=end, epochs_saved=10 - end)


def proof(
    epochs: int,
    stopping: EarlyStopFacts | None = None,
    fold: str = "0",
    hash_: str = "c" * 64,
    iterations: int | None = None,
) -> EvidenceFacts:
    """Return evidence of so many epochs of one fold, and of the fewest iterations of one."""
    found = FoldEvidence(fold=fold, epochs=epochs, checkpoint_hash=hash_, early_stopping=stopping)
    return EvidenceFacts(folds=[found.model_copy(update={"iterations_per_epoch": iterations})])


def evidence_of(of: Training, epochs: int | None = None) -> EvidenceFacts:
    """Return evidence of so many epochs of each fold; by default of all that the training asks for."""
    proven = of.spec.schedule.epochs if epochs is None else epochs
    folds = [FoldEvidence(fold=key.name, epochs=proven, checkpoint_hash="c" * 64) for key in of.spec.fold_keys]
    return EvidenceFacts(folds=folds)


def verified(of: Training, evidence: EvidenceFacts | None = None) -> tuple[Manifest, Manifest]:
    """Return the completed verification Job and its pod."""
    done = job(of, VERIFY, conditions=[COMPLETE])
    return done, ended(done, 0, TerminationReport(message="verified", evidence=evidence or evidence_of(of)))


def world(
    of: Training,
    *objects: Manifest,
    samples: Mapping[str, LiveFacts] | None = None,
    refusals: Mapping[str, str] | None = None,
    warnings: Mapping[str, PodWarning] | None = None,
    now: datetime = NOW,
) -> World:
    """Return a world of these Jobs and Pods."""
    jobs = tuple(o for o in objects if o.get("kind") == "Job")
    pods = tuple(o for o in objects if o.get("kind") != "Job")
    return World(of, jobs, pods, samples or {}, refusals or {}, warnings or {}, now=now)


def stored(status: NnunetTrainingStatus) -> NnunetTrainingStatus:
    """Return the status as it is read back from the API server."""
    return NnunetTrainingStatus.model_validate(json.loads(json.dumps(status.to_json_dict())))


def after(of: Training, *objects: Manifest, **changes: Any) -> Training:
    """Return the training with the status that these Jobs and Pods gave it."""
    return replace(of, status=stored(decide(world(of, *objects, **changes)).status))


def created(result: Decision) -> list[str]:
    """Return the names of the Jobs to create."""
    return [child.name for child in result.start]


def made(of: Training, result: Decision, options: JobOptions = OPTIONS) -> list[Manifest]:
    """Return the Jobs to create."""
    return [manifest_of(replace(of, status=result.status), options, child) for child in result.start]


def deleted(result: Decision) -> list[str]:
    """Return the names of the Jobs to delete."""
    return [stop.child.name for stop in result.stop]


def condition(result: Decision, type_: str) -> Condition:
    """Return a condition of the new status."""
    found = result.status.condition(type_)
    assert found is not None, f"no condition {type_} among {result.status.conditions}"
    return found


def stated(result: Decision, type_: str) -> tuple[str, str]:
    """Return status and reason of a condition of the new status."""
    found = condition(result, type_)
    return found.status, found.reason


def rfc3339(time: datetime) -> str:
    """Return a time as Kubernetes writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
