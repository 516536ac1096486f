"""list, explain, suspend and resume with a real operator against a real API server; the kubelet is played."""

import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nnunet_cli.kubectl_completion import completions
from tests.integration.cli.conftest import Site
from tests.integration.conftest import Lab
from tests.support.api import wait_for
from tests.support.builders import training
from tests.support.command import Command
from tests.support.launch import Nursery
from tests.support.made_statuses import TRAINING
from tests.support.process import OperatorProcess
from tests.support.proxy import Proxy, status_answer
from tests.support.quota import allow, forbid

HOME = "running"
READ = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get", "list"]}


@pytest.fixture(scope="module")
def lab(site: Site, nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A namespace with an operator."""
    site.namespace(HOME)
    log = tmp_path_factory.mktemp("operator") / "log"
    operator = OperatorProcess(site.kubeconfig, log, HOME, nursery.launch)
    operator.start()
    try:
        yield Lab(site.api, HOME, operator)
    finally:
        operator.stop()


def begin(lab: Lab, name: str, **spec: Any) -> None:
    """Apply a training and let its planning run."""
    lab.apply(training(HOME, name, **spec))
    lab.kubelet.run(lab.kubelet.pod(name, "plan"))
    lab.wait_reason("Progressing", "Planning", name)


def explained(nnunet: Command, name: str, namespace: str = HOME) -> Any:
    run = nnunet("explain", name, "-n", namespace, "-o", "json")
    assert run.code == 0, run.err
    return run.data


def test_a_training_from_its_plan_to_a_suspension_and_on(lab: Lab, nnunet: Command) -> None:
    begin(lab, "goes")
    assert explained(nnunet, "goes")["reason"] == "Planning"
    (row,) = [item for item in nnunet("list", "-n", HOME, "-o", "json").data["items"] if item["name"] == "goes"]
    assert (row["phase"], row["policyCompliant"]) == ("Planning", "True") and "planning" in row["goingOn"]

    run = nnunet("suspend", "goes", "-n", HOME, "--no-wait")
    assert (run.code, run.out) == (0, f"{HOME}/goes: spec.suspend is true\n")
    run = nnunet("suspend", "goes", "-n", HOME)
    assert (run.code, run.out.startswith(f"{HOME}/goes: suspended: no pod runs")) == (0, True), (run.out, run.err)
    assert lab.jobs() == []
    found = explained(nnunet, "goes")
    assert found["reason"] == "SuspendedByUser" and f"kubectl nnunet resume goes -n {HOME}" in found["toDo"]

    run = nnunet("resume", "goes", "-n", HOME)
    assert run.code == 0 and "goes: resumed. " in run.out and "planning and preprocessing" in run.out, (
        run.out,
        run.err,
    )
    lab.wait_jobs("goes-plan")
    assert nnunet("resume", "goes", "-n", HOME).code == 0
    nnunet("suspend", "goes", "-n", HOME)


def test_a_failure_and_the_way_to_try_again(lab: Lab, nnunet: Command) -> None:
    begin(lab, "fails")
    lab.kubelet.end(lab.kubelet.pod("fails", "plan"), 65, '{"message": "imagesTr is empty: put images there"}')
    lab.wait_reason("Failed", "WrongData", "fails")
    found = explained(nnunet, "fails")
    assert found["reason"] == "WrongData" and "imagesTr is empty" in found["matter"]
    assert any("ended with exit code 65" in line for line in found["seen"]), found["seen"]
    run = nnunet("resume", "fails", "-n", HOME)
    assert run.code == 1 and "it has failed" in run.err and "imagesTr is empty" in run.err
    assert nnunet("suspend", "fails", "-n", HOME).code == 0
    run = nnunet("resume", "fails", "-n", HOME)
    assert run.code == 0 and "resumed" in run.out, run.err
    nnunet("suspend", "fails", "-n", HOME)


def test_an_image_that_can_not_be_pulled(lab: Lab, nnunet: Command) -> None:
    lab.apply(training(HOME, "image"))
    pod = lab.kubelet.pod("image", "plan")
    lab.wait_reason("Progressing", "WaitingForResources", "image")  # the scheduler has had its say
    # With a node the scheduler, which finds none here, says nothing more about it.
    target = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": "somewhere"}}
    lab.api.request("POST", lab.api.path("pods", HOME, pod["metadata"]["name"]) + "/binding", target)
    lab.kubelet.wait(pod, "ImagePullBackOff", "registry.example/trainer:1: not found")
    lab.wait_reason("Progressing", "ImageUnavailable", "image")
    found = explained(nnunet, "image")
    assert found["reason"] == "ImageUnavailable" and "registry.example/trainer:1" in found["matter"]
    assert any("ImagePullBackOff" in line for line in found["seen"]), found["seen"]


def test_a_quota_that_is_exceeded(lab: Lab, site: Site, nnunet: Command) -> None:
    forbid(site.api, HOME)
    try:
        lab.apply(training(HOME, "quota"))
        lab.wait_reason("Progressing", "PodRejected", "quota")
        found = explained(nnunet, "quota")
        assert "exceeded quota" in found["matter"] and found["seen"][0].startswith("quota none: pods "), found
        assert any(line.startswith("FailedCreate on Job quota-plan") for line in found["seen"]), found
    finally:
        allow(site.api, HOME)
        nnunet("suspend", "quota", "-n", HOME)


def test_a_policy_that_comes_later_holds_it(lab: Lab, site: Site, nnunet: Command) -> None:
    begin(lab, "held")
    asleep = training(HOME, "asleep", suspend=True)
    lab.apply(asleep)
    lab.wait_reason("Suspended", "SuspendedByUser", "asleep")
    site.policy("late", HOME, minEpochs=1000)
    try:
        lab.wait_reason("Suspended", "PolicyChanged", "held")
        found = explained(nnunet, "held")
        assert found["reason"] == "PolicyChanged" and "policy late" in found["matter"]
        run = nnunet("resume", "held", "-n", HOME)
        assert run.code == 1 and "a policy holds it (PolicyChanged)" in run.err and "policy late" in run.err
        refused = nnunet("resume", "asleep", "-n", HOME, "--timeout", "5")
        assert refused.code == 1 and "asleep" in refused.err and "policy late" in refused.err, refused.err
        assert "PolicyChanged" in nnunet("list", "-n", HOME).out
    finally:
        site.api.request("DELETE", site.api.path("nnunettrainingpolicies", "", "late"))
    lab.wait_reason("Suspended", "NotSuspended", "held")
    nnunet("suspend", "held", "-n", HOME)


def test_an_api_server_that_is_away_while_waiting(lab: Lab, nnunet: Command, tmp_path: Path) -> None:
    begin(lab, "away")
    left = 3

    async def away(request: web.Request) -> web.StreamResponse | None:
        nonlocal left
        if request.method != "GET" or (left == 3 and "PATCH" not in [method for method, *_ in proxy.requests]):
            return None
        left = max(left - 1, -1)
        return status_answer(503, "away") if left >= 0 else None

    with Proxy(lab.api, tmp_path) as proxy:
        proxy.fault = away
        run = nnunet("suspend", "away", "-n", HOME, "--kubeconfig", str(proxy.kubeconfig))
    assert (run.code, left) == (0, -1) and "suspended: no pod runs" in run.out, run.err


def test_no_operator(site: Site, nnunet: Command) -> None:
    site.namespace("unwatched")
    site.api.create("nnunettrainings", training("unwatched"))
    assert explained(nnunet, "hippo", "unwatched")["reason"] == "NotSeen"
    started = time.monotonic()
    run = nnunet("suspend", "hippo", "-n", "unwatched", "--timeout", "2")
    assert run.code == 1 and "not within 2 s" in run.err and "does it run?" in run.err, run.err
    assert time.monotonic() - started < 60
    run = nnunet("watch", "hippo", "-n", "unwatched", "--once")
    assert run.code == 0 and "not seen by the operator yet" in run.out
    run = nnunet("logs", "hippo", "-n", "unwatched")
    assert run.code == 1 and "no pod for it has begun" in run.err


@pytest.mark.parametrize("command", ["watch", "explain", "logs", "suspend", "resume"])
def test_a_training_that_is_not_there(site: Site, nnunet: Command, command: str) -> None:
    run = nnunet(command, "nobody")
    assert run.code == 3 and "there is no training nobody in namespace default" in run.err and run.out == ""


def test_who_may_only_look(site: Site, nnunet: Command) -> None:
    home = site.namespace("lookers")
    site.api.create("nnunettrainings", training(home))
    config = site.person("looker", home, READ)
    run = nnunet("explain", "hippo", "--kubeconfig", config)
    assert run.code == 0 and "note: you may not read Jobs, pods, Events, quotas, claims" in run.out
    assert nnunet("watch", "hippo", "--once", "--kubeconfig", config).code == 0
    for command in ("suspend", "logs"):
        run = nnunet(command, "hippo", "--kubeconfig", config)
        assert run.code == 3 and "cannot" in run.err, run.err


def test_names_are_completed(site: Site, nnunet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    home = site.namespace("completed")
    for name in ("alpha", "beta", "alpine"):
        site.api.create("nnunettrainings", training(home, name))
    words = f"kubectl-nnunet explain -n {home} --kubeconfig {site.kubeconfig} al"
    monkeypatch.setenv("_KUBECTL_NNUNET_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    wait_for("the names", lambda: complete() == ["alpha", "alpine"])  # on a busy machine it gives up, and says nothing
    monkeypatch.setenv("COMP_WORDS", words.replace(str(site.kubeconfig), "/none"))
    assert complete() == []


def test_namespaces_and_folds_are_completed(site: Site) -> None:
    home = site.namespace("folded")
    site.api.create("nnunettrainings", training(home))
    site.api.merge("nnunettrainings", home, "hippo", {"status": TRAINING}, "status")
    config = ["--kubeconfig", str(site.kubeconfig)]
    for words, expected in (
        (["list", *config, "-n", "folde"], [home]),
        (["logs", "-n", home, *config, "hippo", "--fold", ""], ["0", "1"]),
        (["logs", "-n", home, *config, "nobody", "--fold", ""], []),
    ):
        wait_for(f"what {words} may go on with", partial(completes, words, expected))


def completes(words: list[str], expected: list[str]) -> bool:
    return completions(words) == expected


def complete() -> list[str]:
    program = Path(sys.executable).with_name("kubectl-nnunet")
    said = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert said.stderr == ""
    return sorted(said.stdout.split())
