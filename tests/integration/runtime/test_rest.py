"""At rest the operator writes nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Lab
from tests.support import sizes
from tests.support.api import Api, wait_for
from tests.support.builders import training
from tests.support.kubelet import Autopilot
from tests.support.launch import as_deployed
from tests.support.process import OperatorProcess
from tests.support.proxy import Proxy

FINISHED, SUSPENDED = sizes.RESTING_TRAININGS, 2


@pytest.mark.soak
def test_no_write_at_rest(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """Finished and suspended trainings, with full lists every 10 s: neither the operator's own requests nor the API
    server's count of writes to trainings and Jobs by anybody show one."""
    with Proxy(api, tmp_path) as proxy:
        lab = Lab(api, namespace, start_operator(namespace, kubeconfig=proxy.kubeconfig, resync_seconds=10))
        for number in range(FINISHED):
            lab.apply(training(namespace, f"done-{number}", folds=[0]))
        for number in range(SUSPENDED):
            lab.apply(training(namespace, f"paused-{number}", suspend=True))

        def number_of(phase: str) -> int:
            trainings = api.list("nnunettrainings", namespace)
            return sum(item.get("status", {}).get("phase") == phase for item in trainings)

        with Autopilot(api, namespace, lambda: 0.0):
            wait_for("all to end", lambda: number_of("Completed") == FINISHED, 180, lab.operator.tail)
        wait_for("all to pause", lambda: number_of("Suspended") == SUSPENDED)
        wait_for("what other tests have left to be gone", lambda: not terminating(api), 180)
        wait_for("nobody to write any more", lambda: written(api) == written(api, after=5), 120)
        mine, everybodys = len(proxy.writes()), written(api)
        time.sleep(sizes.REST_SECONDS)
        assert proxy.writes()[mine:] == []
        assert written(api) == everybodys
        assert lab.operator.metrics()['nnunet_operator_resyncs_total{result="ok"}'] >= 2


def test_writes_until_the_first_pod_exists(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """One Job, one status, one Event; below the standard schedule a second one, which warns of that."""
    with Proxy(api, tmp_path) as proxy:
        lab = Lab(api, namespace, start_operator(namespace, kubeconfig=proxy.kubeconfig, launch=as_deployed))
        # A scheduler that is late costs one more status: of three trainings one has to meet one in time.
        standard = (first_writes(lab, proxy, f"standard-{number}", schedule={}) for number in range(3))
        assert ["POST", "PATCH", "POST"] in standard, proxy.writes()
        short = (first_writes(lab, proxy, f"short-{number}") for number in range(3))
        assert ["POST", "PATCH", "POST", "POST"] in short, proxy.writes()
        assert lab.condition("StandardSchedule", "short-0")["reason"] == "VeryShortSchedule"


def first_writes(lab: Lab, proxy: Proxy, name: str, **spec: Any) -> list[str]:
    """Apply a training; return the methods of the operator's writes until its pod waits for a node."""
    before = len(proxy.writes())
    lab.apply(training(lab.namespace, name, **spec))
    lab.wait_reason("Progressing", "WaitingForResources", name)
    lab.wait_event("WaitingForResources", name=name)
    time.sleep(1)  # nothing may come after it
    return [method for method, _ in proxy.writes()[before:]]


def terminating(api: Api) -> list[str]:
    """Return the namespaces that are being deleted with all that is in them."""
    return [
        space["metadata"]["name"] for space in api.list("namespaces", "") if "deletionTimestamp" in space["metadata"]
    ]


def written(api: Api, after: float = 0.0) -> float:
    """Return how often trainings and Jobs were written to by anybody, `after` some seconds."""
    time.sleep(after)
    return api.writes("nnunettrainings", "jobs")
