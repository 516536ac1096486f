"""The API server is away, slow, or says what it rarely says: the operator neither dies nor stays behind."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.localcluster import Cluster
from tests.integration.conftest import Lab, make_namespace, restart_controllers
from tests.support import sizes
from tests.support.api import Api, wait_for
from tests.support.builders import training
from tests.support.launch import Nursery
from tests.support.process import OperatorProcess
from tests.support.proxy import Fault, Proxy, answering, ending_watches, expired_watches, failing, refusing

WATCHES = 7
"""Trainings, comparisons, test sets, policies, namespaces, Jobs and Pods."""


@pytest.fixture
def proxy(api: Api, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy before the API server."""
    with Proxy(api, tmp_path) as running:
        yield running


@pytest.fixture
def proxied(api: Api, namespace: str, proxy: Proxy, start_operator: Callable[..., OperatorProcess]) -> Lab:
    """A namespace whose operator reaches the API server through the proxy."""
    lab = Lab(api, namespace, start_operator(namespace, kubeconfig=proxy.kubeconfig, resync_seconds=600))
    wait_for("all watches", lambda: proxy.watching == WATCHES)
    return lab


FAULTS = [
    pytest.param(failing(500), id="500"),
    pytest.param(failing(503), id="503"),
    pytest.param(failing(429), id="429"),
    pytest.param(failing(403), id="403 as during an upgrade"),
    pytest.param(failing(401), id="401"),
    pytest.param(failing(410, only_watches=True), id="HTTP 410 for watches"),
    pytest.param(failing(403, only_watches=True), id="403 for watches"),
    pytest.param(failing(429, retry_after="Sun, 01 Mar 2026 12:00:00 GMT"), id="429 until a date"),
    pytest.param(answering("<html>Sign in</html>"), id="200 with a page"),
    pytest.param(answering('{"kind": "Status", "status": "Success"}'), id="200 with another shape"),
    pytest.param(answering("[]"), id="200 with a list"),
    pytest.param(expired_watches, id="watches expired"),
]


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_recovers_from_what_an_api_server_may_say(proxied: Lab, proxy: Proxy, fault: Fault) -> None:
    """What happened meanwhile is made up for, by the same process, within seconds."""
    proxied.apply(training(proxied.namespace, "before"))
    proxied.wait_jobs("before-plan")
    pid = proxied.operator.pid
    proxy.fault = fault
    proxy.cut_watches()
    proxied.apply(training(proxied.namespace, "meanwhile"))
    time.sleep(sizes.FAULT_SECONDS)
    assert proxied.operator.running, proxied.operator.tail()
    assert proxied.operator.status("livez") == 200
    proxy.fault = None
    proxied.wait_jobs("before-plan", "meanwhile-plan")
    proxied.apply(training(proxied.namespace, "after"))
    proxied.wait_jobs("before-plan", "meanwhile-plan", "after-plan")
    proxied.wait_reason("Progressing", "WaitingForResources", "after")
    assert proxied.operator.pid == pid and proxied.operator.running


def test_a_watched_namespace_that_is_refused_keeps_no_other_from_being_served(
    api: Api, namespace: str, proxy: Proxy, start_operator: Callable[..., OperatorProcess]
) -> None:
    """As after its deletion, or that of its RoleBinding: it is said, tried again, and served once it can be."""
    other = make_namespace(api)
    proxy.fault = refusing(other)
    operator = start_operator(f"{other},{namespace}", kubeconfig=proxy.kubeconfig, resync_seconds=10)
    lab, elsewhere = Lab(api, namespace, operator), Lab(api, other, operator)
    elsewhere.apply(training(other))
    lab.apply(training(namespace))
    lab.wait_jobs("hippo-plan")
    lab.wait_reason("Progressing", "WaitingForResources")
    assert operator.metrics()[f'nnunet_operator_namespace_refused{{namespace="{other}"}}'] == 1
    assert any(f"watched namespace {other} is not served" in line["message"] for line in operator.lines())
    assert not elsewhere.jobs()
    proxy.fault = None
    elsewhere.wait_jobs("hippo-plan")
    elsewhere.wait_reason("Progressing", "WaitingForResources")
    wait_for("the metric", lambda: not operator.metrics()[f'nnunet_operator_namespace_refused{{namespace="{other}"}}'])


@pytest.mark.soak
def test_a_watch_that_ends_in_the_middle_of_events_takes_no_other_with_it(proxied: Lab, proxy: Proxy) -> None:
    """The watches are built up anew, also where those of trainings have an event in hand at each instant."""
    proxied.apply(training(proxied.namespace, "busy"))
    proxied.wait_jobs("busy-plan")
    proxy.fault = failing(410, only_watches=True, kind="/pods")
    proxy.cut_watches("/pods")
    for change in range(sizes.BUSY_CHANGES):
        annotation = {"metadata": {"annotations": {"change": str(change)}}}
        proxied.api.merge("nnunettrainings", proxied.namespace, "busy", annotation)
        time.sleep(0.1)
    proxy.fault = None
    proxied.apply(training(proxied.namespace, "after"))
    proxied.wait_jobs("after-plan", "busy-plan")


def test_watches_that_end_at_once_are_no_flood(proxied: Lab, proxy: Proxy) -> None:
    """One watch a second for each of the kinds, not thousands."""
    proxy.fault = ending_watches
    proxy.cut_watches()
    time.sleep(1)
    before, began = proxy.watches(), time.monotonic()
    time.sleep(4)
    assert proxy.watches() - before <= WATCHES * (time.monotonic() - began + 2)
    proxy.fault = None
    wait_for("all watches", lambda: proxy.watching == WATCHES)


def test_what_vanished_unseen_is_noticed(proxied: Lab, proxy: Proxy) -> None:
    """A watch that starts over never tells what was deleted in between: a full list does."""
    proxied.apply(training(proxied.namespace, "kept"))
    proxied.apply(training(proxied.namespace, "deleted"))
    proxied.wait_jobs("deleted-plan", "kept-plan")
    proxied.wait_reason("Progressing", "WaitingForResources", "kept")
    proxied.wait_reason("Progressing", "WaitingForResources", "deleted")
    listed = 'nnunet_operator_resyncs_total{result="ok"}'  # one that comes after the watches' own first lists
    proxied.wait("the operator's second list", lambda: proxied.operator.metrics().get(listed, 0) >= 1)
    proxy.fault = failing(503)
    proxy.cut_watches()
    proxied.api.delete("jobs", proxied.namespace, "kept-plan")
    proxied.api.delete("nnunettrainings", proxied.namespace, "deleted")
    proxied.wait("no Jobs", lambda: not proxied.jobs())
    begun = len(proxy.requests)
    proxy.fault = expired_watches

    def all_told() -> bool:
        return len({path for _, path, watch in proxy.requests[begun:] if watch}) == WATCHES

    proxied.wait("each watch to be told that it is too old", all_told)
    proxy.fault = None
    proxied.wait_jobs("kept-plan")
    series = 'nnunet_operator_trainings{phase="WaitingForResources"}'
    proxied.wait("the deleted training to be forgotten", lambda: proxied.operator.metrics()[series] == 1)


def test_a_policy_that_was_written_unseen_is_applied(proxied: Lab, proxy: Proxy) -> None:
    """And so is the label of a namespace: within seconds after the API server answers again."""
    proxied.apply(training(proxied.namespace))
    proxied.wait_jobs("hippo-plan")
    proxy.fault = failing(503)
    proxy.cut_watches()
    body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": "unseen"}}
    spec = {"mode": "Enforce", "namespaces": [proxied.namespace], "rules": {"minEpochs": 1000}}
    proxied.api.create("nnunettrainingpolicies", {**body, "spec": spec})
    try:
        proxy.fault = None
        proxied.wait_reason("PolicyCompliant", "PolicyChanged")
    finally:
        proxied.api.delete("nnunettrainingpolicies", "", "unseen")
    proxied.wait_reason("PolicyCompliant", "NoPolicy")
    proxy.fault = failing(503)
    proxy.cut_watches()
    labels = {"nnunet.dev/clinical": "true"}
    proxied.api.merge("namespaces", "", proxied.namespace, {"metadata": {"labels": labels}})
    proxy.fault = None
    proxied.wait_reason("PolicyCompliant", "PolicyMissing")


def test_an_answer_that_was_lost_creates_nothing_twice(proxied: Lab, proxy: Proxy) -> None:
    """The Job is created but the answer never arrives: the next attempt finds it."""
    lost: list[str] = []

    async def lose_first_answer(request):  # type: ignore[no-untyped-def]
        if request.method != "POST" or not request.path.endswith("/jobs") or lost:
            return None
        lost.append(request.path)
        proxied.api.request("POST", request.path, (await request.read()).decode())
        request.transport.close()
        return None

    proxy.fault = lose_first_answer
    proxied.apply(training(proxied.namespace))
    proxied.wait_jobs("hippo-plan")
    proxied.wait_reason("Progressing", "WaitingForResources")
    assert lost and len(proxied.jobs()) == 1


def test_starts_before_the_api_server_answers(
    api: Api, namespace: str, proxy: Proxy, nursery: Nursery, tmp_path: Path
) -> None:
    """Not ready, but alive; ready as soon as the API server is."""
    proxy.fault = failing(503)
    operator = OperatorProcess(proxy.kubeconfig, tmp_path / "early.log", namespace, nursery.launch)
    operator.start(wait=False)
    try:
        wait_for("the probes to answer", lambda: operator.status("livez") == 200)
        assert operator.status("readyz") == 503
        proxy.fault = None
        wait_for("readiness", lambda: operator.status("readyz") == 200, about=operator.tail)
        assert operator.stop() == 0, operator.tail()
    finally:
        operator.close()


def test_api_server_stopped_and_started(
    cluster: Cluster, api: Api, namespace: str, start_operator: Callable[..., OperatorProcess]
) -> None:
    """The same process goes on, says meanwhile that it isn't ready, and catches up."""
    lab = Lab(api, namespace, start_operator(namespace))
    lab.apply(training(namespace, folds=[0]))
    lab.plan_and_train()
    pid = lab.operator.pid
    cluster.stop_component("kube-apiserver", grace_seconds=0)
    try:
        lab.wait("the probe to say so", lambda: lab.operator.status("readyz") == 503)
        assert lab.operator.status("livez") == 200
    finally:
        cluster.start_component("kube-apiserver")
    restart_controllers(cluster)  # the operator is to catch up, not they
    lab.kubelet.end(lab.kubelet.pod("hippo", "fold", "0"))
    lab.verify_and_evaluate()
    lab.wait_reason("Complete", "TrainingComplete")
    assert lab.operator.running and lab.operator.pid == pid
