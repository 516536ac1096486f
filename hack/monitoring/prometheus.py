"""One Prometheus as a process of the test, on a free port of loopback."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from hack.monitoring.package import programs
from hack.processes import end, free_ports

READY_SECONDS = 90.0

Series = dict[str, Any]
"""As the API returns it: `metric` with the labels, and `value` or `values` of (Unix time, text)."""


class Prometheus:
    """A context manager: started with a configuration, ended at the exit; its data stay in the folder."""

    def __init__(self, configuration: Mapping[str, Any], folder: Path) -> None:
        """`configuration` is that of prometheus.yml; `folder` takes it, the data and the log."""
        self._folder = folder
        self._data = folder / "data"
        (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(configuration)))
        (self._port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "Prometheus":
        command = [
            str(programs().prometheus),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._data}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--storage.tsdb.retention.time=10y",
            "--query.lookback-delta=5m",
        ]
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise AssertionError(f"Prometheus was not ready within {READY_SECONDS:.0f} s:\n{self.log()}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        end(self._process, timeout=10)

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Return the series of an expression, now or at a Unix time. Raises ValueError where it is refused."""
        moment = {"time": str(at)} if at is not None else {}
        return self._vector("/api/v1/query", {"query": expression, **moment})

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return the series of an expression between two Unix times. Raises ValueError where it is refused."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        return self._vector("/api/v1/query_range", {"query": expression, **times})

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or fire: labels, annotations, state."""
        alerts: list[dict[str, Any]] = self._get("/api/v1/alerts", {})["alerts"]
        return alerts

    def targets(self) -> list[dict[str, Any]]:
        """Return what is scraped: labels, health, lastError."""
        targets: list[dict[str, Any]] = self._get("/api/v1/targets", {"state": "active"})["activeTargets"]
        return targets

    def log(self) -> str:
        """Return the end of its log."""
        return "\n".join((self._folder / "prometheus.log").read_text(errors="replace").splitlines()[-20:])

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return int(answer.status) == 200
        except OSError:
            return False

    def _vector(self, path: str, query: Mapping[str, str]) -> list[Series]:
        data = self._get(path, query)
        result: list[Series] = data["result"]
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": result}]
        return result

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        try:
            with urllib.request.urlopen(f"{self.url}{path}?{urlencode(query)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{query.get('query', path)}: {json.load(error).get('error')}") from None
