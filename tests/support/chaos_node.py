"""Plays the kubelet of a chaos: runs each pod as its training's script says, other containers included."""

import contextlib
import threading
import time
from collections.abc import Mapping

from nnunet_api.contract import TerminationReport
from nnunet_api.facts import FoldFacts
from tests.support.api import UNANSWERED, Api, ApiError, Object
from tests.support.builders import report, words
from tests.support.chaos_scripts import CODES, End, Life
from tests.support.kubelet import FOLD, STAGE, TRAINING, contract_of

STARTS_SECONDS, RUNS_SECONDS, LINGERS_SECONDS = 0.2, 0.4, 2.0
LIVING = "status.phase!=Succeeded,status.phase!=Failed"
SELDOM = 8
_REASONS = {
    End.EVICTED: ("Evicted", "The node was low on resource: memory."),
    End.OVER_LIMIT: ("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."),
    End.STOPPED_OVER_LIMIT: ("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."),
    End.TURNED_AWAY: (
        "UnexpectedAdmissionError",
        "Pod was rejected: Allocate failed due to no healthy devices present",
    ),
}
_DISRUPTED = (End.PREEMPTED, End.EVICTED)


class ChaosNode:
    """The kubelet of the one node, in a thread."""

    def __init__(self, api: Api, namespace: str, lives: Mapping[str, Life]) -> None:
        self._api = api
        self._namespace = namespace
        self._lives = lives
        self._since: dict[str, float] = {}
        self._planned: dict[str, End] = {}
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def __enter__(self) -> "ChaosNode":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _drive(self) -> None:
        rounds = 0
        while not self._left.wait(0.15):
            rounds += 1
            # Pods that have ended are many, and only those that are being deleted are of interest, which can wait.
            living = {} if rounds % SELDOM == 0 else {"fieldSelector": LIVING}
            with contextlib.suppress(*UNANSWERED):  # looked at again in a moment
                for pod in self._api.list("pods", self._namespace, labelSelector=TRAINING, **living):
                    with contextlib.suppress(ApiError):  # it is gone
                        self._step(pod)

    def _step(self, pod: Object) -> None:
        uid, phase = pod["metadata"]["uid"], pod["status"].get("phase")
        age = time.monotonic() - self._since.setdefault(uid, time.monotonic())
        if not pod["spec"].get("nodeName"):
            return
        if phase in ("Succeeded", "Failed"):
            if "deletionTimestamp" in pod["metadata"]:
                self._remove(pod)
        elif "deletionTimestamp" in pod["metadata"]:
            self._end(pod, End.PREEMPTED)  # stopped on request: it is not Kubernetes that disrupts it
        elif uid not in self._planned:
            if age > STARTS_SECONDS:
                self._start(pod)
        elif self._planned[uid] is End.LINGERING:
            if age > STARTS_SECONDS + RUNS_SECONDS + LINGERS_SECONDS:
                self._end(pod, End.GOOD)
            elif age > STARTS_SECONDS + RUNS_SECONDS and not _trainer_ended(pod):
                self._end(pod, End.LINGERING)
        elif age > STARTS_SECONDS + RUNS_SECONDS:
            self._end(pod, self._planned[uid])

    def _start(self, pod: Object) -> None:
        life, child = self._of(pod)
        end = life.next_end(child, beside=_has_proxy(pod))
        if end is End.TURNED_AWAY:
            life.note(child, end)
            reason, message = _REASONS[end]
            self._write(pod, {"phase": "Failed", "reason": reason, "message": message, "startTime": _at(0)})
            return
        running = {"running": {"startedAt": _at(0)}}
        self._write(pod, {**_statuses(pod, running, running), "phase": "Running"})
        self._planned[pod["metadata"]["uid"]] = end

    def _end(self, pod: Object, end: End) -> None:
        life, child = self._of(pod)
        code = CODES.get(end)
        trainer = _terminated(0 if code is None and end is End.BY_SIDECAR else code, self._said(pod, end), end)
        beside = _terminated(1 if end is End.BY_SIDECAR else 0, "", End.GOOD)
        status: Object = {"phase": "Failed" if code or code is None else "Succeeded"}
        if end is End.LINGERING:
            trainer = _terminated(0, self._said(pod, end), end, ago=60)
            beside, status["phase"] = {"running": {"startedAt": _at(90)}}, "Running"
        status |= _statuses(pod, trainer, beside)
        if end in _REASONS:
            status["reason"], status["message"] = _REASONS[end]
        if end in _DISRUPTED and "deletionTimestamp" not in pod["metadata"]:
            target = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": _at(0), "reason": "Played"}
            status["conditions"] = [*pod["status"].get("conditions", []), target]
        self._write(pod, status)
        if "deletionTimestamp" not in pod["metadata"]:
            life.note(child, end)

    def _said(self, pod: Object, end: End) -> str:
        labels = pod["metadata"]["labels"]
        if end in (End.GOOD, End.LINGERING, End.BY_SIDECAR):
            return report(contract_of(pod), labels[STAGE], labels.get(FOLD, ""))
        if end is End.SHORT:
            facts = FoldFacts(fold=labels[FOLD], epoch=4, epochs_target=10, attempts=1)
            return words(TerminationReport(message="trained", fold=facts))
        return words(TerminationReport(message=f"it is said: {end}"))

    def _remove(self, pod: Object) -> None:
        path = self._api.path("pods", self._namespace, pod["metadata"]["name"])
        self._api.request("DELETE", path, {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def _of(self, pod: Object) -> tuple[Life, str]:
        labels = pod["metadata"]["labels"]
        fold = f"-{labels[FOLD]}" if FOLD in labels else ""
        return self._lives[labels[TRAINING]], labels[STAGE] + fold

    def _write(self, pod: Object, status: Object) -> None:
        self._api.merge("pods", self._namespace, pod["metadata"]["name"], {"status": status}, sub="status")


def _has_proxy(pod: Object) -> bool:
    return len(pod["spec"]["containers"]) > 1


def _trainer_ended(pod: Object) -> bool:
    statuses = pod["status"].get("containerStatuses", ())
    return any(one["name"] == "trainer" and "terminated" in one["state"] for one in statuses)


def _statuses(pod: Object, trainer: Object, beside: Object) -> Object:
    """Return the status of all containers; those that come before have ended well, but for native sidecars."""
    before = [
        _status(one, beside if one.get("restartPolicy") == "Always" else _terminated(0, "", End.GOOD))
        for one in pod["spec"].get("initContainers", ())
    ]
    others = [_status(one, trainer if one["name"] == "trainer" else beside) for one in pod["spec"]["containers"]]
    return {"initContainerStatuses": before, "containerStatuses": others}


def _status(container: Object, state: Object) -> Object:
    image = f"{container['image'].partition(':')[0]}@sha256:{'0' * 64}"
    ready = "running" in state
    return {
        **{"name": container["name"], "image": container["image"], "imageID": image, "state": state},
        **{"ready": ready, "started": ready, "restartCount": 0},
    }


def _terminated(code: int | None, message: str, end: End, ago: float = 0) -> Object:
    """Return the state of a container that has ended; without a code: so that nobody knows how."""
    if code is None:
        return {
            "terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "", "finishedAt": _at(0)}
        }
    reason = "OOMKilled" if end is End.OUT_OF_MEMORY else "Error" if code else "Completed"
    times = {"startedAt": _at(ago + 30), "finishedAt": _at(ago), "containerID": "containerd://1"}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


def _at(ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
