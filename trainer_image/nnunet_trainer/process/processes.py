"""Child processes: none of them may outlive the trainer, which is PID 1 of its container."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path

_PROC = Path("/proc")
_QUIET_LOOKS = 2
"""Looks in a row that must find nobody: one may miss what was just being started."""


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


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes have used so far, all together; one that is gone counts for nothing."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Behind the name: state is the first field, user and system time the twelfth and thirteenth (man 5 proc).
            fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _never_start(process: BaseProcess) -> None:
    """Keep a thread that would start a process waiting until this one has ended."""
    time.sleep(3600)


def _hold_descendants(deadline: float) -> None:
    held: set[int] = set()
    quiet = 0
    while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
        moving = [pid for pid in descendants(os.getpid()) if pid not in held]
        quiet = 0 if moving else quiet + 1
        _send(moving, signal.SIGSTOP)
        held.update(moving)
        time.sleep(0.02)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_descendants(timeout_seconds: float = 5) -> None:
    """Kill and reap every descendant of this process, which must end right after.

    SIGKILL is right: what a worker writes counts only after the trainer has accepted it.
    """
    # A pool replaces its workers as they die, in a thread of its own.
    BaseProcess.start = _never_start  # type: ignore[method-assign, assignment]
    # What a forkserver forks just before it is killed would be nobody's child: first all of them stand still.
    _hold_descendants(time.monotonic() + timeout_seconds)
    deadline = time.monotonic() + timeout_seconds
    quiet = 0
    while quiet < _QUIET_LOOKS and time.monotonic() < deadline:
        running = descendants(os.getpid())
        quiet = 0 if running else quiet + 1
        _send(running, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)
