"""Where trainings meet what stands in their way, and the table of what brings each of it about."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.conftest import Lab
from tests.support.api import Object
from tests.support.builders import training
from tests.support.trainer import Trainer

NOWHERE = {"nodeSelector": {"gpu": "h200"}}
"""spec.podTemplate for pods that no node takes."""
PLAN_ROOM = {"preprocessing": {"cpu": "1", "memory": "1Gi"}}


class Stage:
    """A namespace in which trainings meet obstacles one after the other, with a node that has no GPU."""

    def __init__(self, lab: Lab, held: Lab, node: str, trainer: Trainer) -> None:
        self.lab = lab
        self.held = held
        """A namespace for what concerns all that is in it."""
        self.node = node
        self.trainer = trainer
        self.name = ""
        """Of the present training."""

    def apply(self, lab: Lab | None = None, **spec: Any) -> None:
        """Create the present training: fold 0 alone, small enough for the node."""
        lab = lab or self.lab
        lab.apply(training(lab.namespace, self.name, **{"folds": [0], "resources": PLAN_ROOM, **spec}))

    def pod(self, stage: str = "plan", lab: Lab | None = None) -> Object:
        """Wait for the present training's pod of a stage to have a node, where there is one for it."""
        lab = lab or self.lab
        return lab.kubelet.pod(self.name, stage, "0" if stage == "fold" else "")

    def placed(self) -> Object:
        """Wait for the planning pod to have a node."""
        self.lab.wait("a node", lambda: self.pod()["spec"].get("nodeName"), self.name)
        return self.pod()

    def planned(self, lab: Lab | None = None) -> None:
        """Let planning succeed."""
        (lab or self.lab).kubelet.end(self.pod(lab=lab))

    def trained(self, lab: Lab | None = None) -> None:
        """Let planning and fold 0 succeed."""
        self.planned(lab)
        (lab or self.lab).kubelet.end(self.pod("fold", lab))

    def says(self, pod: Object, type_: str, reason: str, message: str) -> None:
        """Record an Event on a pod that has been on its node for a minute."""
        started = {"startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))}
        lab, name = self.lab, pod["metadata"]["name"]
        lab.api.merge("pods", lab.namespace, name, {"status": started}, sub="status")
        lab.kubelet.wait(pod, "ContainerCreating", "")
        time.sleep(1.1)  # the scheduler's Event may be written later, but is of an earlier second
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"kind": "Pod", "namespace": lab.namespace, "name": name, "uid": pod["metadata"]["uid"]}
        event = {"type": type_, "reason": reason, "message": message, "lastTimestamp": now, "involvedObject": about}
        lab.api.create("events", {"metadata": {"generateName": "pod-", "namespace": lab.namespace}, **event})

    def write(self, pod: Object, **status: Any) -> None:
        """Write a pod's status."""
        self.lab.api.merge("pods", self.lab.namespace, pod["metadata"]["name"], {"status": status}, sub="status")


Bring = Callable[[Stage], Iterator[None]]
"""Brings something about, yields while it is to be seen, and takes it away, also where it was not told: the rows that
follow are in the same namespaces."""
BRING: dict[str, Callable[[Stage], Any]] = {}


def brings(deed: Bring) -> Bring:
    """Register a function under its name."""
    BRING[deed.__name__] = contextmanager(deed)
    return deed
