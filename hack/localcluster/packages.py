"""The Debian packages that a cluster with a node needs."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hack.fetch import fetch
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError

CNI_PLUGINS = Path("/usr/lib/cni")

# What is looked for is the program, so that Docker's own containerd.io package does as well as Debian's.
NODE_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables-save": "iptables",
    "ip": "iproute2",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
}


def ensure_packages(console: Console, programs: Mapping[str, str] = NODE_PROGRAMS) -> None:
    """Install with apt-get the packages whose programs are missing; `programs` has each program's package.

    Raises ClusterError naming them when this is not possible.
    """
    missing = _missing(programs)
    if not missing:
        return
    command = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"missing packages: {' '.join(missing)}. Install them: sudo {command}")
    console.say(f"installing Debian packages: {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update --quiet", command):
        done = fetch(step.split(), env=env)
        if done.returncode != 0:
            raise ClusterError(f"{step} failed:\n{(done.stdout + done.stderr)[-800:]}")
    if still_missing := _missing(programs):
        raise ClusterError(f"programs of {' '.join(still_missing)} are missing although the packages are installed")


def _missing(programs: Mapping[str, str]) -> list[str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for program, package in programs.items() if shutil.which(program, path=path) is None})
