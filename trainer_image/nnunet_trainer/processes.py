"""Child processes: none of them may outlive the trainer, which is PID 1 of its container."""

import contextlib
import os
import signal
import time
from pathlib import Path

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """Return the running children, grandchildren, ... of a process, nearest first."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # "pid (name) state ppid ...": the name may hold blanks and brackets.
                stat = (entry / "stat").read_text()
                state, parent = stat.rsplit(")", 1)[1].split()[:2]
                if state != "Z":
                    children.setdefault(int(parent), []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def kill_descendants(timeout_seconds: float = 5) -> None:
    """Kill and reap every descendant of this process.

    SIGKILL is right: what a worker writes counts only after the trainer has accepted it.
    """
    deadline = time.monotonic() + timeout_seconds
    while (running := descendants(os.getpid())) and time.monotonic() < deadline:
        for pid in running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)
