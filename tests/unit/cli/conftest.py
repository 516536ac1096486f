"""Runs the command line as people do, on real files."""

from functools import partial
from pathlib import Path

import pytest

from tests.support.command import Command, run_main


@pytest.fixture
def nnunet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Return a function that runs a command in an empty folder, without a cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NO_COLOR", "1")
    return partial(run_main, monkeypatch, capsys)
