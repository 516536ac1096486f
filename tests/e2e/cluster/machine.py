"""What the local cluster could leave behind on a machine, as listings to compare."""

import os
import re
from pathlib import Path

from hack.localcluster import host
from hack.localcluster.cleanup import OUTSIDE_FOLDERS

Listing = dict[str, set[str]]

_OUR_KINDS = re.compile(r"(kube-(?!router).*|kubelet|etcd|containerd.*|runc|pause)")
"""Names of programs. Clients like helm and kubectl, which lie in the same folder, belong to whoever has called them."""
_OUR_CGROUPS = re.compile(r"/nnunet-|/kubepods|/k8s\.io")  # whatever else runs on the machine makes some, too
_FOREIGN_MOUNTS = ("/tmp/", "/var/lib/containers/", "/var/tmp/")  # of image builds that run meanwhile
_OTHER_CLUSTERS = re.compile(rb"NNUNET_CLUSTER_STATE=[^\0]*/(?!clean\0)[^/\0]+\0")


def listing() -> Listing:
    """Return processes, mounts, interfaces, packet filter rules, cgroups, kernel settings and folders."""
    return {
        "processes": _processes(),
        "mounts": {line.split()[1] for line in _lines("/proc/mounts") if not _foreign(line.split()[1])},
        "interfaces": set(re.findall(r"^\d+: ([^:@]+)", host.run("ip", "-oneline", "link"), re.MULTILINE)),
        "addresses": set(re.findall(r"inet6? (\S+)", host.run("ip", "-oneline", "address"))),
        "packet filter": _rules("iptables-save") | _rules("ip6tables-save"),
        "cgroups": _cgroups(),
        "kernel settings": {f"{name}={value}" for name, value in host.read_sysctls().items()},
        "folders": _folders(),
    }


def leftovers(before: Listing, after: Listing) -> Listing:
    """Return what differs, without the parts in which nothing does; kernel settings count both ways."""
    found = {part: after[part] - before[part] for part in after}
    found["kernel settings"] = before["kernel settings"] ^ after["kernel settings"]
    return {part: names for part, names in found.items() if names}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _cgroups() -> set[str]:
    found = (path for path, _, _ in os.walk("/sys/fs/cgroup"))  # passes over what vanishes meanwhile
    return {path for path in found if _OUR_CGROUPS.search(path)}


def _foreign(mount: str) -> bool:
    return mount.startswith(_FOREIGN_MOUNTS)


def _processes() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()  # empty for a zombie
            environment = (entry / "environ").read_bytes() + b"\0"
        except OSError:
            continue
        program = command.split(" ", 1)[0].rsplit("/", 1)[-1]
        if _OUR_KINDS.fullmatch(program) and not _OTHER_CLUSTERS.search(environment):
            found.add(f"{entry.name} {command}")
    return found


def _rules(program: str) -> set[str]:
    """Rules and own chains; a table that is there but empty filters nothing."""
    found, table = set(), ""
    for line in host.run(program).splitlines():
        if line.startswith("*"):
            table = line
        elif line.startswith("-A") or (line.startswith(":") and line.split()[1] == "-"):
            found.add(f"{program} {table} {line.split(' [')[0]}")
    return found


def _folders() -> set[str]:
    found = {str(path) for path in Path("/run").glob("nnunet-*")}
    for folder in map(Path, OUTSIDE_FOLDERS):
        if folder.exists():
            found.add(str(folder))
            found |= {f"{base}/{name}" for base, dirs, files in os.walk(folder) for name in (*dirs, *files)}
    return found
