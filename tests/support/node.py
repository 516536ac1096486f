"""A node on which the real scheduler puts pods. No kubelet is there: what becomes of the pods, tests play."""

import contextlib
import threading
import time
from typing import Any

from tests.support.api import UNANSWERED, Api, wait_for

BEAT_SECONDS = 5.0
"""Kubernetes taints a node that has been silent for 50 s, and on a busy machine a test may take that long."""


class FakeNode:
    """A node without GPUs that says that it is ready as long as the block lasts."""

    def __init__(self, api: Api, name: str, **resources: str) -> None:
        """`resources` are added to 16 processors and 64 GiB."""
        self._api = api
        self._name = name
        basis = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        self._resources = {**basis, **resources}
        self._left = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> str:
        """Make it, wait until it takes pods and return its name."""
        self._api.create("nodes", {"metadata": {"name": self._name}, "spec": {}})
        self._say(capacity=self._resources, allocatable=self._resources)
        self._say_ready()
        self._beating.start()
        # A new node is tainted until its controller has seen that it is ready.
        wait_for("the node to take pods", self._is_open, 90)
        return self._name

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._beating.join()
        self._api.delete("nodes", "", self._name)

    def _beat(self) -> None:
        while not self._left.wait(BEAT_SECONDS):
            with contextlib.suppress(*UNANSWERED):  # the next one may come through
                self._say_ready()

    def _say_ready(self) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "Played", "message": "by the test"}
        self._say(conditions=[{**ready, "lastHeartbeatTime": now}])

    def _say(self, **status: Any) -> None:
        self._api.merge("nodes", "", self._name, {"status": status}, "status")

    def _is_open(self) -> bool:
        found = self._api.get("nodes", "", self._name)
        return found is not None and not found["spec"].get("taints")
