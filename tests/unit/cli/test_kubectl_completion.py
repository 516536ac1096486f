"""kubectl nnunet <TAB>: kubectl itself asks the program that it finds beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunet_cli import kubectl_completion
from nnunet_cli.kubectl_completion import FILES, NO_FILES

KUBECTL = Path(sys.executable).with_name("kubectl")


@pytest.mark.parametrize(
    ("words", "expected", "directive"),
    [
        (["a"], ["audit"], NO_FILES),
        (["explain", "--name"], ["--namespace"], NO_FILES),
        (["list", "-o", ""], ["table", "json", "yaml"], NO_FILES),
        (["dataset", ""], ["check", "push", "ls"], FILES),
        (["lint", ""], [], FILES),
        (["explain", "it's $(a"], [], NO_FILES),  # words of people: nothing may come of them
        (["list", "--context", "o"], ["one", "other"], NO_FILES),
        (["list", "-n", ""], [], NO_FILES),  # no cluster answers
    ],
)
def test_words_are_completed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    expected: list[str],
    directive: int,
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-nnunet", *words])
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    (tmp_path / "config").write_text("contexts: [{name: one}, {name: two}, {name: other}]")
    kubectl_completion.main()
    assert capsys.readouterr().out.split() == [*expected, f":{directive}"]


@pytest.mark.parametrize(
    ("words", "expected", "directive"),
    [(["dataset", ""], ["check", "push", "ls"], 0), (["explain", "it's $(a"], [], 4)],
)
def test_kubectl_completes(tmp_path: Path, words: list[str], expected: list[str], directive: int) -> None:
    program = tmp_path / "kubectl_complete-nnunet"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnunet_cli.kubectl_completion "$@"\n')
    program.chmod(0o755)
    env = os.environ | {
        "PATH": f"{tmp_path}:{KUBECTL.parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(tmp_path / "none"),
    }
    command = [str(KUBECTL), "__complete", "nnunet", *words]
    said = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.split() == [*expected, f":{directive}"], said


def test_all_commands() -> None:
    assert {"list", "watch", "report", "curves", "dataset"} <= set(kubectl_completion.completions([""]))
