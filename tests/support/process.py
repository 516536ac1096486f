"""The operator as a process, as its Deployment would run it."""

import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hack.processes import free_ports
from tests.support.api import wait_for
from tests.support.launch import Launch, Running, as_deployed


class OperatorProcess:
    """One operator, which may be ended and started again."""

    def __init__(
        self, kubeconfig: Path, log: Path, namespaces: str = "", launch: Launch = as_deployed, **settings: Any
    ) -> None:
        """`settings` are those of nnunet_operator.settings."""
        self._launch = launch
        self.log = log
        self._ports = free_ports(2)
        chosen = {
            "trainer_image": "registry.example/trainer:1",
            "watch_namespaces": namespaces,
            "bind_address": "127.0.0.1",
            "health_port": self._ports[0],
            "metrics_port": self._ports[1],
            "progress_poll_seconds": 1,
            "log_level": "DEBUG",
            **settings,
        }
        variables = {f"NNUNET_OPERATOR_{name.upper()}": str(value) for name, value in chosen.items()}
        self._env = {**os.environ, "KUBECONFIG": str(kubeconfig), **variables}
        self._process: Running | None = None

    @property
    def pid(self) -> int:
        """ID of the running process."""
        assert self._process is not None
        return self._process.pid

    def start(self, wait: bool = True) -> None:
        """Start it and, unless told otherwise, wait until it is ready."""
        assert not self.running, "it would be forgotten, and go on"
        self._process = self._launch(self._env, self.log)
        if wait:
            wait_for("the operator to be ready", self._is_ready, about=self.tail, seen=self._logged)

    def _is_ready(self) -> bool:
        return self.status("readyz") == 200

    def _logged(self) -> int:
        return self.log.stat().st_size

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(60)

    def stop(self, timeout: float = 60) -> int:
        """End it by SIGTERM and return its exit code."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        try:
            return self._process.wait(timeout)
        finally:
            self._signal(signal.SIGKILL)

    @contextlib.contextmanager
    def kept_from_looking(self) -> Iterator[None]:
        """Hold it, as a busy machine does: it learns in one breath of all that happens meanwhile."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, number)

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._process is not None and self._process.poll() is None

    def status(self, path: str) -> int:
        """Return the HTTP status of a probe; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[0]}/{path}", timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metrics(self) -> dict[str, float]:
        """Return the operator's metrics by series."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {series: float(value) for series, value in pairs}

    def lines(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        entries = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):  # a killed process leaves half a line
                entries.append(json.loads(line))
        return entries

    def tail(self) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])

    def close(self) -> None:
        """End it if it still runs."""
        if self.running:
            self.kill()
