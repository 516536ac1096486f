"""Plays the kubelet: reports to the API server what would become of pods. No container runs."""

import threading
import time
from collections.abc import Callable
from typing import Any

from nnunet_api.contract import CONTAINER_NAME, CONTRACT_ENV, RunContract
from tests.support.api import UNANSWERED, Api, Object
from tests.support.builders import report
from tests.support.scene import Scene
from tests.support.trainer import contracts

STAGE, FOLD, TRAINING = "nnunet.dev/stage", "nnunet.dev/fold", "nnunet.dev/training"


class Kubelet:
    """Changes the status of the pods of one namespace."""

    def __init__(self, api: Api, namespace: str, scene: Scene | None = None) -> None:
        self._api = api
        self._namespace = namespace
        self._scene = scene or Scene(api, namespace)

    def pods(self, training: str, stage: str = "", fold: str = "") -> list[Object]:
        """Return the pods of a training that have not ended and are not being deleted."""
        selector = (
            f"{TRAINING}={training}" + (f",{STAGE}={stage}" if stage else "") + (f",{FOLD}={fold}" if fold else "")
        )
        pods = self._api.list("pods", self._namespace, labelSelector=selector)
        return [pod for pod in pods if not _over(pod) and "deletionTimestamp" not in pod["metadata"]]

    def pod(self, training: str, stage: str, fold: str = "") -> Object:
        """Wait for the one living pod of a stage and return it."""
        what = f"a pod of {training}, stage {stage} {fold}"
        pods = self._scene.wait(what, lambda: self.pods(training, stage, fold), training)
        assert len(pods) == 1, [pod["metadata"]["name"] for pod in pods]
        return pods[0]

    def run(self, pod: Object, address: str = "") -> None:
        """Report that the trainer runs, on this IP address. A `Trainer` there learns what it was told."""
        if address:
            contracts[address] = contract_of(pod)
        status = self._status(pod, "Running", {"running": {"startedAt": _now()}})
        if address:
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        self._write(pod, status)

    def wait(self, pod: Object, reason: str, message: str) -> None:
        """Report that the trainer's container can't be started."""
        self._write(pod, self._status(pod, "Pending", {"waiting": {"reason": reason, "message": message}}))

    def turn_away(self, pod: Object, node: str, reason: str, message: str) -> None:
        """Place a pod on a node and report that its kubelet does not take it: no container of it has a status."""
        metadata = {"name": pod["metadata"]["name"]}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"kind": "Node", "name": node},
        }
        path = f"/api/v1/namespaces/{self._namespace}/pods/{metadata['name']}/binding"
        self._api.request("POST", path, binding)
        self._write(pod, {"phase": "Failed", "reason": reason, "message": message, "startTime": _now()})

    def end(self, pod: Object, code: int = 0, message: str | None = None, reason: str = "") -> None:
        """Report that the trainer has ended; by default with success and what it reports then."""
        labels = pod["metadata"]["labels"]
        words = report(contract_of(pod), labels[STAGE], labels.get(FOLD, "")) if message is None else message
        ended = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "message": words}
        ended |= {"startedAt": _now(), "finishedAt": _now(), "containerID": f"containerd://{pod['metadata']['uid']}"}
        self._write(pod, self._status(pod, "Failed" if code else "Succeeded", {"terminated": ended}))

    def _status(self, pod: Object, phase: str, state: Object) -> Object:
        container = {
            "name": "trainer",
            "image": _trainer(pod)["image"],
            "imageID": "registry.example/trainer@sha256:" + "0" * 64,
            "ready": phase == "Running",
            "started": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": _now()}
        return {"phase": phase, "conditions": [scheduled], "containerStatuses": [container]}

    def _write(self, pod: Object, status: Object) -> None:
        self._api.merge("pods", self._namespace, pod["metadata"]["name"], {"status": status}, sub="status")


class Autopilot(Kubelet):
    """A kubelet that runs every pod of its namespace to a successful end, in a thread."""

    def __init__(self, api: Api, namespace: str, seconds: Callable[[], float]) -> None:
        """`seconds` returns how long the next pod runs."""
        super().__init__(api, namespace)
        self._seconds = seconds
        self._ends: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)
        self.most_running: dict[str, int] = {}
        """By training: the most folds that ever ran at once."""

    def __enter__(self) -> "Autopilot":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()

    def _drive(self) -> None:
        while not self._stop.wait(0.1):
            try:
                self._step()
            except (*UNANSWERED, OSError):
                continue  # the API server is away, or a pod is gone: look again

    def _step(self) -> None:
        living = [pod for pod in self._api.list("pods", self._namespace, labelSelector=TRAINING) if not _over(pod)]
        folds: dict[str, int] = {}
        for pod in living:
            if "deletionTimestamp" in pod["metadata"]:
                continue
            uid, labels = pod["metadata"]["uid"], pod["metadata"]["labels"]
            if labels[STAGE] == "fold":
                folds[labels[TRAINING]] = folds.get(labels[TRAINING], 0) + 1
            if uid not in self._ends:
                self.run(pod)
                self._ends[uid] = time.monotonic() + self._seconds()
            elif time.monotonic() > self._ends[uid]:
                self.end(pod)
        for training, number in folds.items():
            self.most_running[training] = max(number, self.most_running.get(training, 0))


def contract_of(pod: Object) -> RunContract:
    """Return what the pod's trainer is told."""
    variables = {variable["name"]: variable.get("value", "") for variable in _trainer(pod)["env"]}
    return RunContract.model_validate_json(variables[CONTRACT_ENV].replace("$$(", "$("))


def _trainer(pod: Object) -> Object:
    """Return the trainer's container: webhooks put others before and behind it."""
    found: Object = next(one for one in pod["spec"]["containers"] if one["name"] == CONTAINER_NAME)
    return found


def _over(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
