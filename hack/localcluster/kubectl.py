"""kubectl as a function: the only way in which this package talks to an API server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hack.localcluster.errors import ClusterError


def kubectl_path() -> Path:
    """Return kubectl: the one that is installed beside this Python, otherwise the one on PATH."""
    beside_python = Path(sys.executable).parent / "kubectl"
    found = beside_python if beside_python.exists() else shutil.which("kubectl")
    if not found:
        raise ClusterError("kubectl is missing: run `make venv`, which installs it into .venv")
    return Path(found)


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, kubeconfig: Path | None, cache: Path | None = None) -> None:
        """Use `kubeconfig`, or the user's current context if None; `cache` keeps discovery out of the user's home."""
        self._base = [str(kubectl_path()), "--request-timeout=10s"]
        if kubeconfig:
            self._base.append(f"--kubeconfig={kubeconfig}")
        if cache:
            self._base.append(f"--cache-dir={cache}")

    def run(self, *args: str, stdin: str | bytes | None = None, seconds: float = 60) -> str:
        """Return what kubectl prints; raise ClusterError with its error message when it fails.

        A command that lasts longer than one request, such as `wait`, needs more `seconds`.
        """
        data = stdin.encode() if isinstance(stdin, str) else stdin
        limit = [f"--request-timeout={seconds:.0f}s"] if seconds > 60 else []
        command = [*self._base, *limit, *args]
        done = subprocess.run(command, input=data, capture_output=True, timeout=seconds, check=False)
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(args)}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()

    def succeeds(self, *args: str) -> bool:
        """Return whether kubectl succeeds."""
        try:
            self.run(*args)
        except ClusterError:
            return False
        return True

    def get(self, *args: str) -> Any:
        """Return an object or a list as parsed JSON."""
        return json.loads(self.run("get", *args, "--output=json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or update objects."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(items))
