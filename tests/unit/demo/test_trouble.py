"""What the demo shows where it gives up: of a training that stands still, the logs of all that runs."""

import io
import json
from typing import Any

from rich.console import Console

from hack.demo import trouble


def pod(name: str, phase: str, namespace: str = "demo") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace}, "status": {"phase": phase}}


class Kubectl:
    """Answers from lists of pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = pods

    def run(self, *args: str) -> str:
        if args[0] == "logs":
            return f"last words of {args[1]}"
        if args[:2] == ("get", "pods") and "--output=json" in args:
            there = [pod for pod in self._pods if f"--namespace={pod['metadata']['namespace']}" in args]
            return json.dumps({"items": there})
        return json.dumps({"items": []}) if "--output=json" in args else ""


def said(*pods: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=100)
    trouble.explain(Kubectl(*pods), console, "demo", "system")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


OPERATOR = pod("operator", "Running", "system")


def test_each_fold_that_runs_is_shown_where_nothing_has_failed() -> None:
    text = said(pod("fold-0", "Running"), pod("fold-1", "Running"), pod("plan", "Succeeded"), OPERATOR)
    assert [f"last words of {name}" in text for name in ("fold-0", "fold-1", "operator", "plan")] == [True] * 3 + [
        False
    ]


def test_what_has_failed_is_shown_alone() -> None:
    text = said(pod("fold-0", "Running"), pod("fold-1", "Failed"), OPERATOR)
    assert "last words of fold-1" in text and "last words of fold-0" not in text


def test_the_last_pod_is_shown_where_none_runs() -> None:
    assert "last words of plan" in said(pod("plan", "Succeeded"), OPERATOR)
