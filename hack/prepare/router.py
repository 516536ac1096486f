"""kube-router, which makes a packet filter of NetworkPolicies; built once from its Go module."""

import os
from pathlib import Path

from hack.fetch import fetch
from hack.localcluster.build import find_go, go_release
from hack.localcluster.console import Console
from hack.localcluster.layout import cache_root
from hack.localcluster.once import made_once
from hack.localcluster.packages import ensure_packages
from hack.prepare.gomodule import module_folder

MODULE = "github.com/cloudnativelabs/kube-router/v2"
VERSION = "v2.1.0"
SUM = "h1:xWsptKtmZ44L+NjwFKoFAFlVdxCz8fka9A/eYJe95Ok="
PROGRAMS = {"ipset": "ipset", "iptables-save": "iptables", "ip": "iproute2"}
"""What it runs, and its package in Debian."""


def kube_router() -> Path:
    """Return the program and install what it needs. A cold build takes about a minute on 2 cores.

    Raises RuntimeError where the build fails, ClusterError where a package can't be installed.
    """
    console = Console()
    ensure_packages(console, PROGRAMS)
    program = cache_root() / f"kube-router-{VERSION}-{go_release()}"
    return made_once(program, lambda: _build(program, console))


def _build(program: Path, console: Console) -> None:
    console.say("building kube-router from source, once: a minute or two")
    partial = program.with_suffix(".partial")
    command = [
        str(find_go(console)),
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-o",
        str(partial),
        "./cmd/kube-router",
    ]
    env = {"GOGC": "400", **os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    folder = module_folder(MODULE, VERSION, SUM)
    done = fetch(command, cwd=folder, env=env, timeout=1200)
    if done.returncode:
        raise RuntimeError(f"go build of kube-router failed:\n{done.stderr[-2000:]}")
    partial.rename(program)
