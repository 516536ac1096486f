"""Debian's package of Prometheus, unpacked where nothing else on the machine sees it."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hack.localcluster.console import Console
from hack.localcluster.layout import cache_root
from hack.localcluster.once import made_once

PACKAGE = "prometheus"


class PrometheusPackageError(Exception):
    """There is no Prometheus and none can be had; the message says what to do."""


@dataclass(frozen=True)
class Programs:
    """The two programs of the package."""

    prometheus: Path
    promtool: Path


def programs() -> Programs:
    """Return the programs: those on the PATH, or else Debian's, downloaded once for each release of Debian.

    Raises PrometheusPackageError where neither is possible.
    """
    installed = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(installed):
        return Programs(*(Path(str(path)) for path in installed))
    folder = cache_root() / f"prometheus-{_release()}"
    made_once(folder, lambda: _download(folder))
    return Programs(folder / "usr/bin/prometheus", folder / "usr/bin/promtool")


def _release() -> str:
    """Return Debian's number of this machine's release, or "unknown"."""
    text = Path("/etc/os-release").read_text(encoding="utf-8")
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return fields.get("VERSION_ID", "unknown").strip('"')


def _download(folder: Path) -> None:
    Console().say(f"fetching Debian's package {PACKAGE}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # apt drops its rights for the download
        if not _run(["apt-get", "download", "--quiet", PACKAGE], scratch):
            # The lists may be older than what the mirror still has.
            _run(["apt-get", "update", "--quiet"], scratch)
            if not _run(["apt-get", "download", "--quiet", PACKAGE], scratch):
                raise PrometheusPackageError(
                    f"the tests of metrics and alerts need Prometheus, and `apt-get download {PACKAGE}` fails: install "
                    "Prometheus so that `prometheus` and `promtool` are on the PATH"
                )
        (archive,) = scratch.glob("*.deb")
        unpacked = scratch / "unpacked"
        subprocess.run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
        unpacked.rename(folder)


def _run(command: list[str], folder: Path) -> bool:
    """Say whether a command succeeded; what it printed is shown where it did not."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return False
    if done.returncode:
        Console().say((done.stdout + done.stderr).strip()[-500:])
    return done.returncode == 0
