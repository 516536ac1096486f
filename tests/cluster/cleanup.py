"""Removes a cluster from the machine, whatever state it is in: after a normal run, or after `up` was killed half-way.

There is one way only, and it trusts nothing that a component might have failed to write: all is found by this
cluster's marks (environment of processes, cgroup, folder under /run, network names) and by the saved state.
"""

import shutil

from tests.cluster import processes
from tests.cluster.console import Console
from tests.cluster.layout import Layout


def clean(layout: Layout, console: Console) -> None:
    """End the cluster's processes and remove everything that is its own."""
    owned = processes.find(layout.root)
    processes.end(lambda: [process.pid for process in processes.find(layout.root)], layout.name)
    shutil.rmtree(layout.root, ignore_errors=False) if layout.root.exists() else None
    console.say(f"cluster {layout.name} is down: {len(owned)} processes ended")
