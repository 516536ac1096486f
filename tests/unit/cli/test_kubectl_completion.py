"""kubectl nnunet <TAB>: kubectl itself asks the program that it finds beside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KUBECTL = Path(sys.executable).with_name("kubectl")


@pytest.mark.parametrize(
    ("words", "expected", "directive"),
    [
        (["a"], ["audit"], 4),
        (["explain", "--name"], ["--namespace"], 4),
        (["list", "-o", ""], ["table", "json", "yaml"], 4),
        (["dataset", ""], ["check", "push", "ls"], 0),
        (["lint", ""], [], 0),
        (["explain", "it's $(a"], [], 4),  # words of people: nothing may come of them
    ],
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


def test_all_commands(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nnunet_cli.kubectl_completion", ""]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert {"list", "watch", "report", "curves", "dataset"} <= set(said.stdout.split()), said
