"""Runs the command line in this process."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nnunet_cli.__main__ import main


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


def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    """Run the program with arguments and return how it ended."""
    monkeypatch.setattr(sys, "argv", ["kubectl-nnunet", *arguments])
    capsys.readouterr()
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    said = capsys.readouterr()
    return Run(int(code), said.out, said.err)
