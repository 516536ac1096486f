"""Memory of the pod, shared out among worker processes. No torch in here."""

import contextlib
import os
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

_CGROUP_FILES = ("memory.max", "memory/memory.limit_in_bytes")
"""The limit of the container, in the words of cgroups v2 and v1."""
_USAGE_FILES = (
    ("memory.current", "memory.stat"),
    ("memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""What is used, and what of it: files in memory, such as those of a tmpfs, are none of the caches."""
_CACHES = ("active_file", "inactive_file")
_UNIT = 1 << 20


def memory_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes of memory that this container may use: its limit, at most the memory of the node."""
    limit = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name in _CGROUP_FILES:
        # "max", or no such file: no limit.
        with contextlib.suppress(OSError, ValueError):
            limit = min(limit, int((cgroup / name).read_text()))
    return limit


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this container may still use, with what the kernel keeps of files and can give back."""
    for usage, stat in _USAGE_FILES:
        with contextlib.suppress(OSError, ValueError):
            known = dict(line.split(" ", 1) for line in (cgroup / stat).read_text().splitlines())
            # cgroups v1 has those of groups within it apart.
            caches = sum(int(known.get(f"total_{name}", known.get(name, 0))) for name in _CACHES)
            used = int((cgroup / usage).read_text()) - caches
            return max(0, memory_limit(cgroup) - used)
    return memory_limit(cgroup)


class MemoryBudget:
    """Lets worker processes take memory only as long as all of them together stay within a bound.

    The largest cases would otherwise all be in memory at the same time, and the kernel would kill a worker.
    """

    def __init__(self, context: BaseContext, total_bytes: int) -> None:
        self._total = max(1, total_bytes // _UNIT)
        self._held = context.Value("q", 0, lock=False)
        self._changed = context.Condition()

    @contextlib.contextmanager
    def hold(self, size_bytes: int) -> Iterator[None]:
        """Wait for so much to be free, keep it for the time of the block. More than there is in all waits for all."""
        needed = min(self._total, 1 + size_bytes // _UNIT)
        with self._changed:
            self._changed.wait_for(lambda: self._held.value + needed <= self._total)
            self._held.value += needed
        try:
            yield
        finally:
            with self._changed:
                self._held.value -= needed
                self._changed.notify_all()
