"""Processes and ports of servers that run for a while on this machine, and what they have used."""

import contextlib
import os
import random
import socket
import subprocess
from pathlib import Path


def end(process: "subprocess.Popen[bytes]", timeout: float = 60) -> None:
    """End a process by SIGTERM, and by SIGKILL where it has not ended in time."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


_given: set[int] = set()
"""Ports that this process has handed out: their server may just be restarted."""


def free_ports(number: int) -> list[int]:
    """Return TCP ports of loopback that are free now.

    They are not those that the kernel hands out to connections, of which one may be taken before it is used, nor those
    of control planes (hack/localcluster/state.py), nor those of test processes beside this one, of which one may be
    found before its server listens, or while it is restarted: of each 16 the first eight are for trainers
    (tests/trainer/world.py), the others for eight processes. What was handed out before comes last.
    """
    beside = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    found: list[int] = []
    with contextlib.ExitStack() as held:  # all at once, so that none is found twice
        ours = range(10_000 + 8 + beside, 20_000, 16)
        drawn = random.SystemRandom().sample(ours, k=len(ours))
        for port in sorted(drawn, key=_given.__contains__):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == number:
                _given.update(found)
                return found
    raise AssertionError(f"of {len(ours)} ports between 10000 and 20000 fewer than {number} are free")
