"""Help, version, completion: what every command has."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from nnunet_cli.errors import ExitCode
from tests.unit.cli.conftest import Command

COMMANDS = [
    "list",
    "watch",
    "explain",
    "logs",
    "suspend",
    "resume",
    "report",
    "curves",
    "dataset check",
    "dataset push",
    "dataset ls",
    "lint",
    "audit",
]
WITHOUT = {
    ExitCode.FOUND: ["list", "explain", "audit"],  # nothing that they tell is a failure
    ExitCode.CLUSTER: ["dataset check"],  # it asks none
}


def test_version(nnunet: Command) -> None:
    assert nnunet("--version").out.strip() == version("nnunet-operator")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_exit_codes(nnunet: Command, command: str) -> None:
    run = nnunet(*command.split(), "--help")
    assert run.code == 0 and f"  kubectl nnunet {command}" in run.out
    for code in ExitCode:
        assert f"    {int(code)}  " in run.out or command in WITHOUT.get(code, ())


def test_completion() -> None:
    """The program itself: its name is part of what the shell asks it."""
    program = Path(sys.executable).with_name("kubectl-nnunet")
    asked = {"_KUBECTL_NNUNET_COMPLETE": "complete_bash", "COMP_WORDS": "kubectl-nnunet a", "COMP_CWORD": "1"}
    said = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, timeout=30)
    assert said.stdout.split() == ["audit"], said
