"""Running the machine's own tools, and the kernel settings that a node changes."""

import os
import subprocess
from pathlib import Path

from hack.localcluster.errors import ClusterError

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

# All that this package, the kubelet, kube-proxy or the CNI plugins write.
_SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/route_localnet",
    "net/bridge/bridge-nf-call-iptables",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def run(*command: str, stdin: str | None = None) -> str:
    """Return what a system tool prints; raise ClusterError with its error message when it fails."""
    env = {**os.environ, "PATH": _PATH, "LC_ALL": "C"}
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=env, timeout=300, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def read_sysctls() -> dict[str, str]:
    """Return the present values of the kernel settings that a node changes."""
    return {name: _sysctl(name).read_text().strip() for name in _SYSCTLS if _sysctl(name).exists()}


def restore_sysctls(values: dict[str, str]) -> list[str]:
    """Write back the values that differ now; return their names."""
    changed = [name for name, value in values.items() if read_sysctls().get(name, value) != value]
    for name in changed:
        write_sysctl(name, values[name])
    return changed


def write_sysctl(name: str, value: str) -> None:
    """Set one kernel setting, for example `net/ipv4/ip_forward`."""
    _sysctl(name).write_text(value)


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name
