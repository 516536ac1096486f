"""Runs the command line in this process."""

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.main import get_command

from nnunet_cli import __main__ as program
from nnunet_cli.app import app


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its output, as JSON."""
        return json.loads(self.out)


Command = Callable[..., Run]


@functools.cache
def _commands() -> Callable[[], Any]:
    """What `app` builds anew each time that it is called: all commands with all their options."""
    return get_command(app)


def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    """Run the program with arguments and return how it ended."""
    monkeypatch.setattr(sys, "argv", ["kubectl-nnunet", *arguments])
    monkeypatch.setattr(program, "app", _commands())
    capsys.readouterr()
    code: Any = 0
    try:
        program.main()
    except SystemExit as end:
        code = end.code or 0
    said = capsys.readouterr()
    return Run(int(code), said.out, said.err)
