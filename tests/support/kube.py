"""What an end-to-end test does to a cluster, as a user would: through kubectl, and on the node where it must."""

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.api import PATHS, Api, wait_for
from tests.support.scene import Scene

Object = dict[str, Any]
Objects = list[Object]  # Kube.list hides the built-in name inside the class
Reasons = list[tuple[str, str]]


POLL_SECONDS = 0.25
KINDS = {"nnt": "nnunettrainings", "pod": "pods", "crd": "customresourcedefinitions"}
"""What kubectl calls a kind, where its API has another name. Kinds that are asked for seldom go by kubectl."""


class Over(Exception):
    """The tests are over: what is still waited for beside them is not any more."""


class Kube:
    """kubectl bound to one kubeconfig; what is asked again and again goes without it, which is a tenth of the cost."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._command = [str(kubectl), f"--kubeconfig={kubeconfig}"]
        self.api = Api(kubeconfig)
        self.over = threading.Event()

    def run(self, *args: str, stdin: str | None = None, check: bool = True, timeout: float = 60) -> str:
        """Return kubectl's standard output; with `check`, raise AssertionError with its error output."""
        done = subprocess.run(
            [*self._command, *args], input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def apply(self, *objects: Object) -> None:
        """Apply objects."""
        self.run("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind: str, name: str, namespace: str) -> Object:
        """Return one object; {} where it does not exist."""
        known = KINDS.get(kind, kind)
        if known in PATHS:
            return self.api.get(known, namespace, name) or {}
        said = self.run("get", kind, name, "-n", namespace, "-o", "json", "--ignore-not-found")
        found: Object = json.loads(said) if said else {}
        return found

    def list(self, kind: str, namespace: str, selector: str = "") -> Objects:
        """Return the objects of a kind in a namespace."""
        known = KINDS.get(kind, kind)
        if known in PATHS:
            return self.api.list(known, namespace, labelSelector=selector)
        items: Objects = json.loads(self.run("get", kind, "-n", namespace, "-o", "json", "-l", selector))["items"]
        return items

    def jobs(self, namespace: str, training: str) -> Objects:
        """Return the Jobs of a training."""
        return self.list("jobs", namespace, f"nnunet.dev/training={training}")

    def pods(self, namespace: str, training: str, stage: str = "") -> Objects:
        """Return the pods of a training, the newest last."""
        selector = f"nnunet.dev/training={training}" + (f",nnunet.dev/stage={stage}" if stage else "")
        return sorted(self.list("pods", namespace, selector), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def describe(self, namespace: str, training: str) -> str:
        """Return what a person would look at when a training does not do what it should."""
        parts = [
            self.run("describe", "nnt", training, "-n", namespace, check=False)[-3500:],
            self.run("get", "jobs,pods", "-n", namespace, "-o", "wide", check=False),
            self.run("get", "events", "-n", namespace, "--sort-by=.lastTimestamp", check=False)[-3500:],
        ]
        for pod in self.pods(namespace, training)[-2:]:
            name = pod["metadata"]["name"]
            parts.append(f"--- log of {name}\n" + self.run("logs", name, "-n", namespace, "--tail=15", check=False))
        return "\n".join(parts)

    def wait(self, what: str, check: Callable[[], Any], timeout: float, about: tuple[str, str] | None = None) -> Any:
        """Poll `check` until it returns something true and return that; after `timeout` seconds fail and say what
        was waited for, with the description of the training `about` = (namespace, name). It then has more time as long
        as something changes in the namespace. Raises Over as soon as `over` is set."""

        def checked() -> Any:
            if self.over.is_set():
                raise Over(what)
            return check()

        if about is None:
            return wait_for(what, checked, timeout, poll=POLL_SECONDS)
        seen = Scene(self.api, about[0]).versions
        return wait_for(what, checked, timeout, lambda: self.describe(*about), seen, poll=POLL_SECONDS)

    def status(self, namespace: str, training: str) -> Object:
        """Return the status of a training; {} while there is none."""
        status: Object = self.get("nnt", training, namespace).get("status", {})
        return status

    def condition(self, namespace: str, training: str, type_: str) -> Object:
        """Return one condition of a training; {} while there is none."""
        return condition(self.status(namespace, training), type_)

    def wait_finished(self, namespace: str, training: str, timeout: float) -> Object:
        """Wait until the training is Complete or Failed and return its status."""

        def finished() -> Object | None:
            status = self.status(namespace, training)
            over = any(condition(status, kind).get("status") == "True" for kind in ("Complete", "Failed"))
            return status if over else None

        done: Object = self.wait("the training to end", finished, timeout, about=(namespace, training))
        return done

    def wait_complete(self, namespace: str, training: str, timeout: float) -> Object:
        """Wait until the training is Complete and return its status; fail as soon as it has Failed."""
        status = self.wait_finished(namespace, training, timeout)
        failed = condition(status, "Failed")
        assert failed.get("status") != "True", f"{failed}\n{self.describe(namespace, training)}"
        return status

    def wait_epoch(self, namespace: str, training: str, epoch: int, timeout: float) -> Object:
        """Wait until the first fold has finished `epoch` epochs and return the status."""

        def reached() -> Object | None:
            status = self.status(namespace, training)
            folds = status.get("folds", [])
            return status if folds and folds[0].get("epoch", 0) >= epoch else None

        found: Object = self.wait(f"epoch {epoch}", reached, timeout, about=(namespace, training))
        return found

    def wait_attempt(self, namespace: str, training: str, number: int) -> Object:
        """Wait until the first fold is in this attempt and return its status."""
        about = namespace, training

        def begun() -> Object | None:
            folds = self.status(*about).get("folds", [])
            return folds[0] if folds and folds[0]["attempts"] == number else None

        found: Object = self.wait(f"attempt {number}", begun, timeout=120, about=about)
        return found

    def wait_event(self, namespace: str, training: str, reason: str, times: int = 1, text: str = "") -> None:
        """Wait for so many Events of a reason that say this: they come after the status that they announce."""
        about = namespace, training
        seen = lambda: sum(found == reason and text in said for found, said in self.events(*about)) >= times  # noqa: E731
        self.wait(f"{times} Events {reason} {text!r}", seen, timeout=60, about=about)

    def delete(self, namespace: str, training: str) -> None:
        """Delete a training and wait until its pods are gone."""
        self.run("delete", "nnt", training, "-n", namespace)
        self.wait("the pods to be gone", lambda: not self.pods(namespace, training), timeout=120)

    def fold_pod(self, namespace: str, training: str) -> Object:
        """Return the newest pod of a fold."""
        return self.pods(namespace, training, "fold")[-1]

    def evict(self, pod: Object, user: str) -> None:
        """Evict a pod, as a drained node does, in the name of a user."""
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
        self.run("create", "--raw", path, "-f", "-", f"--as={user}", stdin=json.dumps(eviction))

    def suspend(self, namespace: str, training: str, **changes: Any) -> None:
        """Suspend a training, with further `changes` of its spec, and wait until nothing of it runs."""
        self._patch(namespace, training, {"suspend": True, **changes})
        about = namespace, training
        self.wait("phase Suspended", lambda: self.status(*about)["phase"] == "Suspended", timeout=90, about=about)

    def change(self, namespace: str, training: str, **spec: Any) -> None:
        """Change fields of a training's spec."""
        self._patch(namespace, training, spec)

    def resume(self, namespace: str, training: str) -> None:
        """Let a suspended training go on."""
        self._patch(namespace, training, {"suspend": False})

    def _patch(self, namespace: str, training: str, spec: Object) -> None:
        self.run("patch", "nnt", training, "-n", namespace, "--type=merge", "-p", json.dumps({"spec": spec}))

    def events(self, namespace: str, training: str) -> Reasons:
        """Return (reason, message) of the Events on a training, the oldest first."""
        selector = f"involvedObject.kind=NnunetTraining,involvedObject.name={training}"
        found = self.api.list("events", namespace, fieldSelector=selector)
        items = sorted(found, key=lambda item: str(item.get("firstTimestamp") or item["eventTime"]))
        return [(item["reason"], item["message"]) for item in items]


def condition(status: Object, type_: str) -> Object:
    """Return the condition of a type out of a status; {} where it is not there."""
    return next((c for c in status.get("conditions", []) if c["type"] == type_), {})


def container_pids(pod_uid: str, command: str) -> list[int]:
    """Return the host's process IDs of the first process (PID 1 in the container) of a pod whose command line
    contains `command`."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            in_pod = pod_uid in (entry / "cgroup").read_text().replace("_", "-")
            own_pid = next(
                line.split()[-1] for line in (entry / "status").read_text().splitlines() if line.startswith("NSpid")
            )
            if in_pod and own_pid == "1" and command in (entry / "cmdline").read_bytes().decode(errors="replace"):
                pids.append(int(entry.name))
        except (OSError, StopIteration):
            continue  # the process ended while we looked
    return pids


def kill_container(pod: Object, command: str, signal: int) -> None:
    """Send a signal to a pod's main process from the node, as the kernel would."""
    pids = container_pids(pod["metadata"]["uid"], command)
    assert pids, f"no process of pod {pod['metadata']['name']} with {command} in its command line"
    for pid in pids:
        os.kill(pid, signal)
