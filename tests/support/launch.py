"""How an operator is started: as its Deployment does it, or in a moment and with less patience."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from tests.support.zygote import Zygote

INSTALLED = Path(sys.executable).parent / "nnunet-operator"


class Running(Protocol):
    """What is needed of a process; that of `subprocess` is one."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended and return its exit code. Raises TimeoutExpired."""


Launch = Callable[[Mapping[str, str], Path], Running]
"""Starts an operator with this environment, which adds to a log."""


def as_deployed(env: Mapping[str, str], log: Path) -> Running:
    """Start the installed program."""
    with log.open("ab") as file:
        return subprocess.Popen([str(INSTALLED)], stdout=file, stderr=file, env=dict(env))


class Nursery:
    """Forks operators from a process that has imported what they need; see impatient.py."""

    def __init__(self) -> None:
        self._zygote = Zygote(["nnunet_operator.__main__", "kubernetes.aio.config.kube_config"])

    def launch(self, env: Mapping[str, str], log: Path) -> Running:
        """Start an operator."""
        with log.open("ab") as file:
            return self._zygote.start(["-m", "tests.support.impatient"], env, file.fileno())

    def close(self) -> None:
        """End it and all that it has forked."""
        self._zygote.close()
