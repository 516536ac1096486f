"""At rest the operator writes nothing."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Lab, install_crds
from tests.support import sizes
from tests.support.api import Api, wait_for
from tests.support.builders import training
from tests.support.kubelet import Autopilot
from tests.support.launch import as_deployed
from tests.support.process import OperatorProcess
from tests.support.proxy import Proxy

FINISHED, SUSPENDED = sizes.RESTING_TRAININGS, 2
RESYNCS = 'nnunet_operator_resyncs_total{result="ok"}'


@pytest.mark.soak
def test_no_write_at_rest(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """Finished and suspended trainings, with full lists every 10 s: neither the operator's own requests show a write,
    nor do the versions of trainings and Jobs, whoever may have written them."""
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
            lab.wait("all to end", lambda: number_of("Completed") == FINISHED)
        wait_for("all to pause", lambda: number_of("Suspended") == SUSPENDED)
        wait_rest(lab, proxy)


def wait_rest(lab: Lab, proxy: Proxy, most: int = 0) -> None:
    """Wait for a while with a full list in it in which nobody changes anything and the operator writes `most` times at
    most: who writes again and again leaves no such while.

    One who is late with what there was to write does, and on a busy machine nobody knows how late that is.
    """

    def none_written() -> bool:
        mine, stored, lists = len(proxy.writes()), versions(lab), lab.operator.metrics()[RESYNCS]
        until = time.monotonic() + sizes.REST_SECONDS
        over = lambda: time.monotonic() > until and lab.operator.metrics()[RESYNCS] > lists  # noqa: E731
        lab.wait("a full list", over)
        return len(proxy.writes()) - mine <= most and versions(lab) == stored

    wait_for("nobody to write any more", none_written, about=lambda: "\n".join(map(str, proxy.writes()[-30:])))


PRUNED = ("policy", "problem", "usage", "provenance", "runPath")


def test_no_write_at_rest_where_the_definition_is_older_than_the_operator(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """What the API server drops of a status is not written again and again; trainings go on."""
    definition = api.get("customresourcedefinitions", "", "nnunettrainings.nnunet.dev")
    assert definition
    fields = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    for field in PRUNED:
        del fields[field]
    path = api.path("customresourcedefinitions", "", "nnunettrainings.nnunet.dev")
    api.request("PUT", path, definition)
    try:
        api.create("nnunettrainings", training(namespace, "probe", suspend=True))

        wait_for("the older definition to be served", lambda: not is_kept(api, namespace))
        with Proxy(api, tmp_path) as proxy:
            lab = Lab(api, namespace, start_operator(namespace, kubeconfig=proxy.kubeconfig, resync_seconds=10))
            lab.apply(training(namespace))
            lab.plan_and_train()
            lab.wait_reason("Suspended", "SuspendedByUser", "probe")
            lab.wait_said("waits for a node")
            assert not set(PRUNED) & set(lab.status())
            wait_rest(lab, proxy, most=1)
            told = lab.events()
            # Planning may have waited for a node as well, and then said so: another Event, of another wait.
            assert lab.events() == told and max(Counter(told).values()) <= 2, told
    finally:
        install_crds(api)
        # It has been served all the time, and what follows would lose fields.
        wait_for("the present definition to be served", lambda: is_kept(api, namespace))


def is_kept(api: Api, namespace: str) -> bool:
    """Say whether the API server keeps a field of the status that an older definition does not have."""
    told = api.merge("nnunettrainings", namespace, "probe", {"status": {"runPath": "x"}}, "status")
    return "runPath" in told.get("status", {})


@pytest.mark.timing
def test_writes_until_the_first_pod_exists(
    api: Api, namespace: str, start_operator: Callable[..., OperatorProcess], tmp_path: Path
) -> None:
    """One Job, one status, two Events; below the standard schedule a third one, which warns of that."""
    with Proxy(api, tmp_path) as proxy:
        lab = Lab(api, namespace, start_operator(namespace, kubeconfig=proxy.kubeconfig, launch=as_deployed))
        # A scheduler that is late costs one more status: of three trainings one has to meet one in time.
        standard = (first_writes(lab, proxy, f"standard-{number}", schedule={}) for number in range(3))
        assert ["POST", "PATCH", "POST", "POST"] in standard, proxy.writes()
        short = (first_writes(lab, proxy, f"short-{number}") for number in range(3))
        assert ["POST", "PATCH", "POST", "POST", "POST"] in short, proxy.writes()
        assert lab.condition("StandardSchedule", "short-0")["reason"] == "VeryShortSchedule"


def first_writes(lab: Lab, proxy: Proxy, name: str, **spec: Any) -> list[str]:
    """Apply a training; return the methods of the operator's writes until its pod waits for a node."""
    before = len(proxy.writes())
    lab.apply(training(lab.namespace, name, **spec))
    lab.wait_reason("Progressing", "WaitingForResources", name)
    lab.wait_event("WaitingForResources", name=name)
    time.sleep(1)  # nothing may come after it
    return [method for method, _ in proxy.writes()[before:]]


def versions(lab: Lab) -> dict[str, str]:
    """Return the versions of all trainings and Jobs of a namespace by their UIDs."""
    bodies = [*lab.api.list("nnunettrainings", lab.namespace), *lab.jobs()]
    return {body["metadata"]["uid"]: body["metadata"]["resourceVersion"] for body in bodies}
