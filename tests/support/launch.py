"""How an operator is started: as its Deployment does it, or in a moment and with less patience."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

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


class _Forked:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.over = threading.Event()

    def poll(self) -> int | None:
        return self.code

    def wait(self, timeout: float | None = None) -> int:
        if not self.over.wait(timeout):
            raise subprocess.TimeoutExpired("operator", timeout or 0)
        assert self.code is not None
        return self.code


class Nursery:
    """Forks operators from a process that has imported what they need; see impatient.py."""

    def __init__(self) -> None:
        program = [sys.executable, "-P", str(Path(__file__).with_name("impatient.py"))]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._changed = threading.Condition()
        self._started: list[_Forked] = []
        self._children: dict[int, _Forked] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def launch(self, env: Mapping[str, str], log: Path) -> Running:
        """Start an operator."""
        with self._changed:
            self._write(json.dumps({"env": dict(env), "log": str(log)}))
            assert self._changed.wait_for(lambda: self._started, 90), "no operator was forked within 90 s"
            return self._started.pop()

    def close(self) -> None:
        """End it and all that it has forked."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            what, pid, *code = line.split()
            with self._changed:
                if what == "started":
                    child = self._children[int(pid)] = _Forked(int(pid))
                    self._started.append(child)
                    self._changed.notify_all()
                else:
                    child = self._children.pop(int(pid))
                    child.code = int(code[0])
                    child.over.set()
