"""`kubectl nnunet watch` on a terminal: until the end, over a cluster that is away, with a training that is deleted."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Site
from tests.integration.cli.terminal import Terminal
from tests.support.builders import training
from tests.support.command import Command
from tests.support.made_statuses import DONE, TRAINING, condition
from tests.support.proxy import Proxy, failing
from tests.support.zygote import Zygote

FAILED = {"phase": "Failed", "conditions": [condition("Failed", "WrongData", "there is no such dataset")]}


def make(site: Site, name: str, status: Any = TRAINING) -> str:
    """Create a training with this status in a namespace of its own, and return the namespace."""
    namespace = site.namespace(f"watch-{name}")
    site.api.create("nnunettrainings", training(namespace, name))
    write(site, name, status)
    return namespace


def write(site: Site, name: str, status: Any) -> None:
    site.api.merge("nnunettrainings", f"watch-{name}", name, {"status": status}, "status")


def command(site: Site, name: str, *more: str) -> list[str]:
    config = () if "--kubeconfig" in more else ("--kubeconfig", str(site.kubeconfig))
    return ["watch", name, "-n", f"watch-{name}", "--interval", "0.5", *config, *more]


@pytest.mark.parametrize(("status", "code"), [(DONE, 0), (FAILED, 1)])
def test_it_ends_with_the_training(site: Site, forks: Zygote, status: Any, code: int) -> None:
    name = f"ends{code}"
    make(site, name)
    with Terminal(*command(site, name), forks=forks) as terminal:
        terminal.wait_text("folds 0 and 1 train")
        terminal.wait_text("12/40")
        write(site, name, status)
        assert terminal.end() == code
        terminal.wait_text("all done" if code == 0 else "there is no such dataset")


def test_the_pseudo_dice_that_was_seen_becomes_a_line(site: Site, forks: Zygote) -> None:
    make(site, "line")
    with Terminal(*command(site, "line"), forks=forks) as terminal:
        terminal.wait_text("0.432")
        for epoch, dice in ((13, 0.5), (14, 0.6)):
            fold = {**TRAINING["folds"][0], "epoch": epoch, "emaPseudoDice": dice}
            write(site, "line", {"folds": [fold, TRAINING["folds"][1]]})
            terminal.wait_text(f"{epoch}/40")
        terminal.wait_text("▁▄█")


def test_ctrl_c_leaves_quietly(site: Site) -> None:
    make(site, "left")
    with Terminal(*command(site, "left")) as terminal:
        terminal.wait_text("folds 0 and 1 train")
        terminal.press_ctrl_c()
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text and "Aborted" not in terminal.text


def test_a_cluster_that_is_away_for_a_while(site: Site, forks: Zygote, tmp_path: Path) -> None:
    make(site, "away")
    with (
        Proxy(site.api, tmp_path) as proxy,
        Terminal(*command(site, "away", "--kubeconfig", str(proxy.kubeconfig)), forks=forks) as terminal,
    ):
        terminal.wait_text("folds 0 and 1 train")
        proxy.fault = failing(503)
        terminal.wait_text("still trying. the cluster at http://127.0.0.1")
        proxy.fault = None
        write(site, "away", DONE)
        assert terminal.end() == 0
        terminal.wait_text("all done")


def test_a_training_that_is_deleted(site: Site, forks: Zygote) -> None:
    namespace = make(site, "gone")
    with Terminal(*command(site, "gone"), forks=forks) as terminal:
        terminal.wait_text("folds 0 and 1 train")
        site.api.delete("nnunettrainings", namespace, "gone")
        # Another one of that name is not the one that is watched.
        site.api.create("nnunettrainings", training(namespace, "gone"))
        assert terminal.end() == 1
        terminal.wait_text("training gone was deleted; this is how it was seen last")


@pytest.mark.parametrize(
    ("status", "code", "said"), [(DONE, 0, "complete. all done"), (FAILED, 1, "has failed: there is no such dataset")]
)
def test_waiting_ends_with_the_training(site: Site, forks: Zygote, status: Any, code: int, said: str) -> None:
    name = f"waits{code}"
    namespace = make(site, name)
    arguments = ("wait", name, "-n", namespace, "--kubeconfig", str(site.kubeconfig))
    with Terminal(*arguments, forks=forks) as terminal:
        terminal.wait_text(f"{namespace}/{name}: Training: folds 0 and 1 train")
        write(site, name, status)
        assert terminal.end() == code
        terminal.wait_text(said)


def test_waiting_ends_with_the_time_and_with_what_is_gone(site: Site, forks: Zygote, nnunet: Command) -> None:
    namespace = make(site, "late")
    run = nnunet("wait", "late", "-n", namespace, "--timeout", "1s")
    assert run.code == 1 and "has not ended within 1 s, and goes on" in run.err
    with Terminal("wait", "late", "-n", namespace, "--kubeconfig", str(site.kubeconfig), forks=forks) as terminal:
        terminal.wait_text("folds 0 and 1 train")
        site.api.delete("nnunettrainings", namespace, "late")
        assert terminal.end() == 1
        terminal.wait_text("was deleted meanwhile")


def test_once_and_where_there_is_no_terminal(site: Site, nnunet: Command) -> None:
    namespace = make(site, "once")
    about = site.api.get("nnunettrainings", namespace, "once")
    assert about
    event = {
        "metadata": {"name": "e", "namespace": namespace},
        "involvedObject": {"kind": "NnunetTraining", "name": "once", "namespace": namespace}
        | {"uid": about["metadata"]["uid"], "apiVersion": "nnunet.dev/v1alpha1"},
        "reason": "FoldStarted",
        "message": "fold 0 starts",
        "lastTimestamp": "2026-03-01T11:59:00Z",
    }
    site.api.create("events", event)
    run = nnunet("watch", "once", "-n", namespace)
    assert run.code == 0 and "12/40" in run.out and "11:59:00  FoldStarted  fold 0 starts" in run.out
    assert "\x1b" not in run.out and max(len(line) for line in run.out.splitlines()) <= 80
    write(site, "once", FAILED)
    run = nnunet("watch", "once", "-n", namespace, "--once")
    assert run.code == 1 and "there is no such dataset" in run.out
