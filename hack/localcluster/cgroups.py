"""The cgroup that holds all pods of a cluster, in version 1 (one tree for each controller) or 2 (one tree)."""

import os
import time
from contextlib import suppress
from pathlib import Path

from hack.localcluster.errors import ClusterError
from hack.localcluster.layout import Layout

_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")  # of version 2, as far as the kubelet needs them


def create(layout: Layout) -> None:
    """Make the cluster's cgroup, the kubelet's `cgroupRoot`."""
    trees = _trees("cgroup")
    if trees:
        for tree in trees:
            (tree / layout.key).mkdir(exist_ok=True)
            for setting in ("cpuset.cpus", "cpuset.mems"):  # empty in a new cgroup, which then admits no process
                if (tree / setting).exists():
                    (tree / layout.key / setting).write_text((tree / setting).read_text())
        return
    for tree in _trees("cgroup2"):
        group = tree / layout.key
        group.mkdir(exist_ok=True)
        for parent in (tree, group):
            for controller in _CONTROLLERS:
                with suppress(OSError):  # a controller that the kernel lacks; the kubelet names one that it misses
                    (parent / "cgroup.subtree_control").write_text(f"+{controller}")


def pids(layout: Layout) -> list[int]:
    """Return all processes in the cluster's cgroup: those of the pods."""
    found: set[int] = set()
    for group in _groups(layout):
        with suppress(OSError):
            found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
    return sorted(found - {0})


def remove(layout: Layout) -> int:
    """Remove the cluster's cgroups, which must be empty; return how many there were."""
    groups = _groups(layout)
    deadline = time.monotonic() + 10
    for group in sorted(groups, key=lambda path: len(path.parts), reverse=True):
        while group.exists():
            try:
                group.rmdir()
            except OSError as error:  # busy until the kernel has finished with the last process
                if time.monotonic() > deadline:
                    raise ClusterError(f"can't remove the cgroup {group}: {error}") from error
                time.sleep(0.05)
    return len(groups)


def _groups(layout: Layout) -> list[Path]:
    roots = [tree / layout.key for tree in (*_trees("cgroup"), *_trees("cgroup2"))]
    existing = [root for root in roots if root.is_dir()]
    # os.walk passes over what vanishes meanwhile, as groups do whose processes have just ended.
    return [Path(path) for root in existing for path, _, _ in os.walk(root)]


def _trees(kind: str) -> list[Path]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [Path(fields[1]) for fields in (line.split() for line in lines) if fields[2] == kind]
