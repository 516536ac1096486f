"""Removes a cluster from the machine, whatever state it is in: after a normal run, or after `up` was killed half-way.

There is one way only, and it trusts nothing that a component might have failed to write: all is found by this
cluster's marks (environment of processes, cgroup, folder under /run, network names) and by the saved state.
"""

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from hack.localcluster import cgroups, host, network, processes
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.layout import Layout
from hack.localcluster.state import State

# Folders outside our own that a kubelet, the shims and CNI write to: their paths are fixed in those programs.
# Deeper ones come first.
OUTSIDE_FOLDERS = (
    "/run/containerd/s",
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni/results",
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet",
    "/var/log/containers",
)


def missing_outside_folders() -> list[str]:
    """Return those of the fixed folders that the machine does not have; `down` removes them again."""
    return [path for path in OUTSIDE_FOLDERS if not Path(path).exists()]


def clean(layout: Layout, console: Console) -> None:
    """End the cluster's processes and remove everything that is its own. Repeating it is harmless.

    Raises ClusterError when something can't be removed; then `down` can be tried again.
    """
    state = State.load(layout.root)
    ended = len(_pids(layout))
    processes.end(lambda: _pids(layout), f"cluster {layout.name}")
    removed = [f"{ended} processes"]
    if (state and state.full) or layout.run.exists():
        removed += _clean_node(layout, state)
    if layout.root.exists():
        shutil.rmtree(layout.root)
    console.say(f"cluster {layout.name} is down: removed {', '.join(removed)} and {layout.root}")


def _pids(layout: Layout) -> list[int]:
    return sorted({process.pid for process in processes.find(layout.root)} | set(cgroups.pids(layout)))


def _clean_node(layout: Layout, state: State | None) -> list[str]:
    mounts = _unmount(layout)
    links = network.remove(layout)
    chains = network.remove_rules(keep=state.chains if state else {})
    settings = host.restore_sysctls(state.sysctls if state else {})
    groups = cgroups.remove(layout)
    _remove_outside_files(layout, state.folders if state else [])
    shutil.rmtree(layout.run, ignore_errors=True)
    return [
        f"{mounts} mounts",
        f"{len(links)} network interfaces",
        f"{chains} packet filter chains",
        f"{groups} cgroups",
        f"{len(settings)} kernel settings",
    ]


def mounts_of(layout: Layout) -> list[str]:
    """Return the mount points inside the cluster's folders, in the order in which they were mounted."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    plain = [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point) for point in points]
    ours = (f"{layout.root}/", f"{layout.run}/")
    return [point for point in plain if point.startswith(ours)]


def _unmount(layout: Layout) -> int:
    count = len(mounts_of(layout))
    deadline = time.monotonic() + 20
    while mounts := mounts_of(layout):
        for point in reversed(mounts):
            with suppress(ClusterError):  # tried again until the deadline
                host.run("umount", point)
        if time.monotonic() > deadline:
            raise ClusterError(f"can't unmount {', '.join(mounts_of(layout))}")
    return count


def _remove_outside_files(layout: Layout, folders: list[str]) -> None:
    for task in layout.run.glob("containerd/io.containerd.runtime.v2.task/k8s.io/*"):
        with suppress(OSError):
            Path((task / "address").read_text().strip().removeprefix("unix://")).unlink()  # the shim's socket
        for cached in Path("/var/lib/cni").glob(f"*/*-{task.name}-*"):
            cached.unlink(missing_ok=True)
    for cached in Path("/var/lib/cni").glob(f"*/{layout.key}-*"):
        cached.unlink(missing_ok=True)
    for folder in folders:
        path = Path(folder)
        if path.is_dir() and not path.is_symlink():
            for left in path.iterdir():
                if left.is_socket() or left.is_symlink() or left.name == "kubelet_internal_checkpoint":
                    left.unlink()
            with suppress(OSError):  # somebody else uses it now
                path.rmdir()
