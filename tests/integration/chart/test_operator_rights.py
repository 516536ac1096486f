"""The operator under the ServiceAccount, the rights and the settings that the chart gives it."""

import base64
import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hack.processes import free_ports
from tests.integration.chart.conftest import NAMESPACE, Site
from tests.support.builders import comparison
from tests.support.kube import Object, condition
from tests.support.kubelet import Autopilot, Kubelet
from tests.support.launch import Nursery
from tests.support.quota import allow, forbid
from tests.support.small_training import training


def service_account_kubeconfig(site: Site, path: Path) -> Path:
    """Write a kubeconfig that holds nothing but the token of the operator's ServiceAccount."""
    token = site.kube.run("create", "token", "nnunet-operator", "-n", NAMESPACE, "--duration=1h").strip()
    config = json.loads(site.kube.run("config", "view", "--raw", "--minify", "-o", "json"))
    (cluster,) = config["clusters"]
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"])
    context = {"name": "operator", "context": {"cluster": cluster["name"], "user": "operator"}}
    config |= {"users": [{"name": "operator", "user": {"token": token}}], "contexts": [context]}
    path.write_text(json.dumps({**config, "current-context": "operator"}))
    return path


@contextmanager
def operator(site: Site, nursery: Nursery, values: Object, folder: Path) -> Iterator[Path]:
    """Install the chart, run the operator on this machine as its Deployment would, and yield its log."""
    metrics, health = free_ports(2)
    settings = {"bindAddress": "127.0.0.1", "metricsPort": metrics, "healthPort": health, "logLevel": "DEBUG"}
    site.install_served({**values, "settings": settings})
    deployment = site.kube.get("deployment", "nnunet-operator", NAMESPACE)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    kubeconfig = service_account_kubeconfig(site, folder / "kubeconfig")
    env = {**os.environ, "KUBECONFIG": str(kubeconfig), **{v["name"]: v.get("value", "") for v in container["env"]}}
    log = folder / "operator.log"
    # Less patient than in its Deployment: the rights that it needs do not depend on how long it waits.
    process = nursery.launch(env, log)
    try:
        url = f"http://127.0.0.1:{settings['healthPort']}{container['readinessProbe']['httpGet']['path']}"
        site.kube.wait(f"the operator to be ready\n{log}", lambda: process.poll() is not None or answers(url), 90)
        assert process.poll() is None, log.read_text()[-3000:]
        yield log
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=90) == 0, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def refusals(site: Site) -> float:
    """Return how many requests the API server has answered with 403 so far.

    What others were not allowed to create doesn't count: the quota of this test refuses pods to the Job controller, and
    admission may refuse trainings to this test right after the installation.
    """
    metrics = site.kube.run("get", "--raw", "/metrics")
    lines = [line for line in metrics.splitlines() if line.startswith("apiserver_request_total{")]
    refused = [
        line
        for line in lines
        if 'code="403"' in line
        and not ('verb="POST"' in line and ('resource="pods"' in line or 'resource="nnunettrainings"' in line))
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in refused)


def live(site: Site, namespace: str) -> None:
    """Lead trainings through everything that the operator does to the API server."""
    kube, api, kubelet = site.kube, site.api, Kubelet(site.api, namespace)

    def wait(what: str, check: Callable[[], Any], name: str) -> None:
        kube.wait(what, check, 90, about=(namespace, name))

    forbid(api, namespace)
    site.train(training("refused", namespace), namespace)
    wait("the refusal to be told", lambda: "PodRejected" in dict(kube.events(namespace, "refused")), "refused")
    assert kube.condition(namespace, "refused", "Progressing").get("reason") == "PodRejected"
    allow(api, namespace)

    for body in (
        training("first", namespace),
        training("last", namespace, ttlSecondsAfterFinished=0),
        training("whole", namespace, testSet={}),
        training("half", namespace, epochs=1, testSet={}),
    ):
        api.create("nnunettrainings", body)
    wait("the planning Job", lambda: kube.jobs(namespace, "first"), "first")
    wait("a status", lambda: kube.status(namespace, "first").get("phase"), "first")
    api.merge("nnunettrainings", namespace, "first", {"spec": {"suspend": True}})
    kubelet.end(kubelet.pod("last", "plan"), 64, "")
    wait("the failed training to be deleted after its time", lambda: not kube.get("nnt", "last", namespace), "last")
    wait("the Job to be deleted", lambda: not kube.jobs(namespace, "first"), "first")
    complete = lambda: kube.condition(namespace, "whole", "Complete").get("status") == "True"  # noqa: E731
    with Autopilot(api, namespace, lambda: 0.1):
        wait("a training to be planned, trained, verified and scored", complete, "whole")
        compare(site, namespace)
    make(site, namespace)


def make(site: Site, namespace: str) -> None:
    """Have a comparison make its trainings, suspend and resume them."""
    kube, api = site.kube, site.api
    template = {"spec": training("any", namespace, testSet={})["spec"]}
    arms = [{"name": "two", "patch": {}}, {"name": "one", "patch": {"schedule": {"epochs": 1}}}]
    api.create("nnunetcomparisons", comparison(namespace, "made", template=template, arms=arms))

    def suspended(wanted: bool) -> bool:
        found = [api.get("nnunettrainings", namespace, f"made-{arm['name']}") for arm in arms]
        return all(one and one["spec"]["suspend"] == wanted for one in found)

    for wanted in (False, True, False):
        api.merge("nnunetcomparisons", namespace, "made", {"spec": {"suspend": wanted}})
        kube.wait(f"its trainings, suspended {wanted}", partial(suspended, wanted), 90)


def compare(site: Site, namespace: str) -> None:
    """Lead a comparison of two trainings through everything that the operator does to the API server."""
    kube, api = site.kube, site.api
    arms = [{"name": "standard", "trainings": ["whole"]}, {"name": "fast", "trainings": ["half"]}]
    api.create("nnunetcomparisons", comparison(namespace, arms=arms))

    def phase(wanted: str) -> bool:
        body = api.get("nnunetcomparisons", namespace, "shorter") or {}
        return bool(body.get("status", {}).get("phase") == wanted)

    made = lambda: api.get("jobs", namespace, "shorter-compare")  # noqa: E731
    kube.wait("the Job of the comparison", made, 90, about=(namespace, "half"))
    api.merge("nnunetcomparisons", namespace, "shorter", {"spec": {"suspend": True}})
    kube.wait("the Job to be deleted", lambda: phase("Suspended"), 90)
    api.merge("nnunetcomparisons", namespace, "shorter", {"spec": {"suspend": False, "ttlSecondsAfterFinished": 0}})
    api.delete("nnunettrainings", namespace, "half")
    kube.wait(
        "the comparison, whose arm is gone, to be deleted",
        lambda: not api.get("nnunetcomparisons", namespace, "shorter"),
        90,
    )


@pytest.mark.parametrize("confined", [False, True], ids=["everywhere", "one namespace"])
def test_the_rights_suffice(served: Site, nursery: Nursery, tmp_path: Path, confined: bool) -> None:
    site, namespace = served, served.namespace("rights-confined" if confined else "rights")
    site.namespace("elsewhere")
    before = refusals(site)
    with operator(site, nursery, {"watch": {"namespaces": [namespace] if confined else []}}, tmp_path) as log:
        site.train(training("other", "elsewhere"), "elsewhere")
        live(site, namespace)
        is_served = bool(condition(site.kube.status("elsewhere", "other"), "Progressing"))
        assert is_served != confined, "a confined operator leaves other namespaces alone"
    text = log.read_text()
    assert "system:serviceaccount:" not in text, "the API server's refusals name the user: " + text[-3000:]
    assert refusals(site) == before
