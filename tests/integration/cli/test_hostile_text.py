"""Each command on a cluster whose every text is hostile: none of it reaches the terminal as it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from nnunet_api.labels import child_labels
from nnunet_cli.app import app
from tests.integration.cli.conftest import Site
from tests.integration.cli.kubelet_logs import NODE, LogServer, log_node
from tests.support.audited import STATUS
from tests.support.builders import comparison, training
from tests.support.command import Command

HOME = "hostile"
HOSTILE = "a\x1b]52;c;cm0gLXJm\x07b\x1b[2Jc\x9b31md\u202ee\rf"
"""Writes the clipboard, clears the screen, colours by one C1 character, turns the direction, goes back in the line."""
_WORDS = ("phase", "type", "status", "mode", "outcome", "brokenRules", "state")
"""Fields of a status that hold one of a few words, or are left alone as times are."""
IMAGE = ("--image", "registry.example/trainer:1", "--timeout", "1")


def spoiled(value: Any, key: str = "") -> Any:
    """Return the value with hostile text behind each of its texts."""
    if isinstance(value, dict):
        return {name: spoiled(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [spoiled(part, key) for part in value]
    if key == "testSetHash":  # has room for no more
        return HOSTILE
    free = isinstance(value, str) and key not in _WORDS and not key.endswith(("Time", "At", "Expiry"))
    return value + HOSTILE if free else value


def status() -> dict[str, Any]:
    kinds = ("Progressing", "Complete", "Failed", "Stalled", "PolicyCompliant", "StandardSchedule")
    held = {"state": "Watching", "epoch": 3}
    folds = [{**fold, "phase": "Running", "passedOver": "p", "earlyStopping": held} for fold in STATUS["folds"]]
    return {
        **spoiled({**STATUS, "folds": folds, "problem": {"reason": "PlanFailed", "matter": "m", "case": "c"}}),
        "phase": "Failed",
        "conditions": [hostile(kind) for kind in kinds],
    }


def hostile(type_: str) -> dict[str, str]:
    told = {"status": "False", "reason": "PlanFailed", "lastTransitionTime": "2026-03-01T12:00:00Z"}
    return {**told, "type": type_, "message": HOSTILE}


@pytest.fixture(scope="module")
def logs(site: Site) -> Iterator[LogServer]:
    """A training with a pod on a node that is played."""
    site.namespace(HOME)
    site.api.create("nnunettrainings", training(HOME))
    made = site.api.merge("nnunettrainings", HOME, "hippo", {"status": status()}, "status")
    site.api.create("nnunetcomparisons", comparison(HOME))
    said = {
        "phase": "Failed",
        "verdict": HOSTILE,
        "summary": HOSTILE,
        "notes": [HOSTILE],
        "conditions": [{**hostile("Failed"), "status": "True"}],
    }
    site.api.merge("nnunetcomparisons", HOME, "shorter", {"status": said}, "status")
    site.bind(HOME, "ClusterRole", "edit", "User", HOSTILE)
    spec = {"nodeName": NODE, "containers": [{"name": "trainer", "image": "x"}], "automountServiceAccountToken": False}
    with log_node(site.api, site.kubeconfig.parent) as server:
        metadata = {"name": "plan", "namespace": HOME, "labels": child_labels("hippo", "plan")}
        pod = site.api.create("pods", {"metadata": metadata, "spec": spec})
        terminated = {"exitCode": 1, "reason": HOSTILE, "message": HOSTILE, "finishedAt": "2026-03-01T12:00:00Z"}
        container = {"name": "trainer", "image": "x", "imageID": "x", "ready": False, "restartCount": 0}
        ended: dict[str, Any] = {"phase": "Failed", "reason": HOSTILE, "message": HOSTILE}
        ended |= {"containerStatuses": [{**container, "state": {"terminated": terminated}}]}
        site.api.merge("pods", HOME, "plan", {"status": ended}, "status")
        for number, (kind, body) in enumerate((("NnunetTraining", made), ("Pod", pod))):
            about = {"kind": kind, "name": body["metadata"]["name"], "namespace": HOME, "uid": body["metadata"]["uid"]}
            event = {"type": "Warning", "reason": HOSTILE, "message": HOSTILE, "involvedObject": about}
            event |= {"metadata": {"name": f"e{number}", "namespace": HOME}, "lastTimestamp": "2026-03-01T12:00:00Z"}
            site.api.create("events", event)
        server.say("plan", HOSTILE)
        yield server


def manifest() -> str:
    """Write a file of trainings and policies by others; return its name."""
    body = training(HOME, "other", trainer={"className": HOSTILE, "image": HOSTILE})
    body["spec"]["dataset"] = {"name": HOSTILE, HOSTILE: HOSTILE}
    documents = [body, {"kind": HOSTILE}, {**training(HOME), "metadata": {"name": HOSTILE, "namespace": HOME}}]
    Path("file.yaml").write_text(yaml.safe_dump_all(documents))
    return "file.yaml"


def folder() -> str:
    path = Path("Dataset001_A")
    (path / "imagesTr").mkdir(parents=True, exist_ok=True)
    (path / "dataset.json").write_text("{}")
    (path / "imagesTr" / HOSTILE).touch()
    return str(path)


COMMANDS: dict[str, list[list[str]]] = {
    "list": [["list", "-n", HOME, "-o", form] for form in ("table", "json", "yaml")],
    "watch": [["watch", "hippo", "-n", HOME, "--once"]],
    "export": [["export", "hippo", "-n", HOME, *IMAGE]],
    "predict": [["predict", "hippo", "-n", HOME, "-i", "FOLDER", "-o", "out", *IMAGE]],
    "predictions": [["predictions", "hippo", "-n", HOME, "-o", form, *IMAGE] for form in ("text", "json", "yaml")],
    "wait": [["wait", "hippo", "-n", HOME, "--timeout", "1"]],
    "compare": [["compare", "shorter", "-n", HOME, "-o", form] for form in ("text", "json", "yaml")],
    "explain": [["explain", "hippo", "-n", HOME, "-o", form] for form in ("text", "json", "yaml")],
    "logs": [["logs", "hippo", "-n", HOME]],
    "suspend": [["suspend", "hippo", "-n", HOME, "--no-wait"]],
    "resume": [["resume", "hippo", "-n", HOME, "--no-wait"], ["resume", "hippo", "-n", HOME, "--timeout", "1"]],
    "report": [["report", "hippo", "-n", HOME, *IMAGE]],
    "curves": [["curves", "hippo", "-n", HOME, *IMAGE]],
    "dataset check": [],  # asks no cluster: tests/unit/cli/test_hostile_text.py
    "dataset push": [["dataset", "push", "FOLDER", "-n", HOME, *IMAGE]],
    "dataset ls": [["dataset", "ls", "-n", HOME, "--claim", HOSTILE, *IMAGE]],
    "lint": [["lint", "FILE", *more] for more in ((), ("--offline",), ("-o", "json"), ("-o", "yaml"))],
    "audit": [["audit", "-n", HOME, "-o", form] for form in ("table", "csv", "json", "yaml")],
    "rights": [["rights", "-n", HOME, "-o", form] for form in ("table", "json", "yaml")],
}


def leaves(group: Any, path: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{name} ")
        else:
            yield f"{path}{name}"


def test_no_command_is_left_out() -> None:
    assert set(COMMANDS) == set(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("arguments", [words for rows in COMMANDS.values() for words in rows], ids=" ".join)
def test_nothing_hostile_reaches_the_terminal(logs: LogServer, nnunet: Command, arguments: list[str]) -> None:
    made = {"FILE": manifest, "FOLDER": folder}
    words = [made[word]() if word in made else word for word in arguments]
    run = nnunet(*words)
    said = run.out + run.err
    silent = ("suspend", "resume", "report", "curves", "push", "export", "predict", "predictions")
    assert "]52;c;cm0gLXJm" in said or any(word in silent for word in arguments), f"it is not shown: {said}"
    assert all(char.isprintable() or char == "\n" for char in said), repr(said)
