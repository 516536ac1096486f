"""`kubectl nnunet logs` through a real API server from a kubelet that is played."""

from collections.abc import Iterator
from typing import Any

import pytest

from nnunet_api.fold_key import FoldKey
from nnunet_api.labels import child_labels
from tests.integration.cli.conftest import Site
from tests.integration.cli.kubelet_logs import NODE, LogServer, log_node
from tests.integration.cli.terminal import Terminal
from tests.support.builders import training
from tests.support.command import Command
from tests.support.made_statuses import DONE, TRAINING
from tests.support.zygote import Zygote

HOME = "logs"


@pytest.fixture(scope="module")
def logs(site: Site) -> Iterator[LogServer]:
    """A training whose planning has ended, whose fold 0 has begun anew, and whose folds 0 and 1 run."""
    site.namespace(HOME)
    site.api.create("nnunettrainings", training(HOME))
    with log_node(site.api, site.kubeconfig.parent) as server:
        pod(site, "plan", {"terminated": {"exitCode": 0, "finishedAt": "2026-03-01T12:00:00Z"}}, "plan")
        pod(site, "old-0", {"terminated": {"exitCode": 137, "finishedAt": "2026-03-01T12:05:00Z"}}, "fold", "0")
        pod(site, "new-0", {"running": {}}, "fold", "0")
        pod(site, "new-1", {"running": {}}, "fold", "1")
        server.say("plan", "planned")
        server.say("old-0", "epoch 1", "killed")
        server.say("new-0", "resumed", "epoch 2")
        server.say("new-1", "epoch 1")
        yield server


def pod(site: Site, name: str, state: dict[str, Any], stage: str, fold: str = "") -> None:
    """Create a pod of the training on the node, with its trainer in this state."""
    labels = child_labels("hippo", stage, FoldKey.parse(fold) if fold else None)
    spec = {
        "nodeName": NODE,
        "containers": [{"name": "trainer", "image": "x"}],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
    }
    site.api.create("pods", {"metadata": {"name": name, "namespace": HOME, "labels": labels}, "spec": spec})
    code = state.get("terminated", {}).get("exitCode")
    container = {
        "name": "trainer",
        "image": "x",
        "imageID": "x",
        "ready": code is None,
        "restartCount": 0,
        "state": state,
    }
    phase = {None: "Running", 0: "Succeeded"}.get(code, "Failed")
    site.api.merge("pods", HOME, name, {"status": {"phase": phase, "containerStatuses": [container]}}, "status")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            (),
            [
                "==> fold 0, pod new-0, running <==",
                "[fold 0] resumed",
                "[fold 0] epoch 2",
                "==> fold 1, pod new-1, running <==",
                "[fold 1] epoch 1",
            ],
        ),
        (("--fold", "0", "--tail", "1"), ["==> fold 0, pod new-0, running <==", "epoch 2"]),
        (("--stage", "plan"), ["==> planning, pod plan, ended with exit code 0 <==", "planned"]),
        (
            ("--fold", "0", "--previous-attempts"),
            [
                "==> fold 0, pod old-0, ended with exit code 137 <==",
                "epoch 1",
                "killed",
                "==> fold 0, pod new-0, running <==",
                "resumed",
                "epoch 2",
            ],
        ),
    ],
)
def test_logs(logs: LogServer, nnunet: Command, arguments: tuple[str, ...], lines: list[str]) -> None:
    run = nnunet("logs", "hippo", "-n", HOME, *arguments)
    assert (run.code, run.out.splitlines()) == (0, lines), run.err


def test_a_fold_that_the_training_does_not_have(site: Site, logs: LogServer, nnunet: Command) -> None:
    site.api.merge("nnunettrainings", HOME, "hippo", {"status": TRAINING}, "status")
    run = nnunet("logs", "hippo", "-n", HOME, "--fold", "7")
    assert run.code == 1 and "logs/hippo has no fold 7: it has 0 and 1" in run.err


def test_what_there_is_not_and_what_does_not_fit(logs: LogServer, nnunet: Command) -> None:
    run = nnunet("logs", "hippo", "-n", HOME, "--stage", "verify")
    assert run.code == 1 and "there is no such log" in run.err
    run = nnunet("logs", "hippo", "-n", HOME, "--stage", "plan", "--fold", "0")
    assert run.code == 2 and "goes with --stage train only" in run.err


def test_following_until_the_training_ends_and_until_ctrl_c(site: Site, forks: Zygote, logs: LogServer) -> None:
    command = ["logs", "hippo", "-n", HOME, "-f", "--kubeconfig", str(site.kubeconfig)]
    with Terminal(*command, forks=forks) as terminal:
        terminal.wait_text("[fold 1] epoch 1")
        logs.say("new-0", "epoch 3")
        terminal.wait_text("[fold 0] epoch 3")
        terminal.press_ctrl_c()
        assert terminal.end() == 0 and "Traceback" not in terminal.text
    with Terminal(*command, forks=forks) as terminal:
        terminal.wait_text("[fold 0] epoch 3")
        logs.say("new-1", "epoch 2")
        terminal.wait_text("[fold 1] epoch 2")
        logs.say("verify", "the checkpoints hold")
        pod(site, "verify", {"running": {}}, "verify")
        terminal.wait_text("[verification] the checkpoints hold")
        for name in ("new-0", "new-1", "verify"):
            site.api.delete("pods", HOME, name)
            logs.close(name)
        site.api.merge("nnunettrainings", HOME, "hippo", {"status": DONE}, "status")
        assert terminal.end() == 0
        terminal.wait_text("logs/hippo: all done")
