"""Starting, finding and ending the cluster's processes.

A process belongs to a cluster when its environment says so: that holds from its first instruction, survives the
command that started it, is inherited by containerd's shims, and can't be confused with another cluster's.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hack.localcluster.errors import ClusterError

_OWNER = "NNUNET_CLUSTER_STATE"
_COMPONENT = "NNUNET_CLUSTER_COMPONENT"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

T = TypeVar("T")
Check = Callable[[], object]


@dataclass(frozen=True)
class Process:
    """A running process of a cluster; children such as containerd's shims carry their starter's component name."""

    pid: int
    component: str
    command: str


def start(
    owner: Path, component: str, executable: Path, argv: Sequence[str], log: Path, extra_env: Mapping[str, str]
) -> None:
    """Start a detached process that outlives this one and writes to `log`."""
    proxies = {"http_proxy", "https_proxy", "all_proxy"}
    env = {key: value for key, value in os.environ.items() if key.lower() not in proxies}
    env |= {"PATH": _SYSTEM_PATH, _OWNER: str(owner), _COMPONENT: component, **extra_env}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            executable=executable,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd="/",
            start_new_session=True,
        )
    # The kernel lets us go on before the new program has its environment, by which it is found: where its file has to
    # be read from a disk first, for milliseconds.
    environ = Path(f"/proc/{process.pid}/environ")
    with suppress(OSError):  # ended meanwhile
        while process.poll() is None and not environ.read_bytes():
            time.sleep(0.001)


def find(owner: Path, component: str | None = None) -> list[Process]:
    """Return the running processes of the cluster with this state folder, or those of one component."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile, or another user's
            pairs = (entry / "environ").read_bytes().split(b"\0")
            env = dict(pair.partition(b"=")[::2] for pair in pairs)
            if env.get(_OWNER.encode()) != os.fsencode(owner):
                continue
            name = env.get(_COMPONENT.encode(), b"").decode()
            if component is None or name == component:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found.append(Process(int(entry.name), name, command))
    return found


def end(select: Callable[[], Iterable[int]], what: str, grace_seconds: float = 0) -> None:
    """End all processes that `select` names, until it names none; first politely when there is a grace period.

    Raises ClusterError when some are still there 15 s after SIGKILL.
    """
    if grace_seconds:
        _signal(select(), signal.SIGTERM)
        if _none_left(select, grace_seconds):
            return
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        _signal(select(), signal.SIGKILL)  # again each time: a dying process may have forked
        if _none_left(select, 0.5):
            return
    raise ClusterError(f"{what}: processes {sorted(select())} don't end, not even by SIGKILL")


def wait_for(what: str, check: Callable[[], T | None], timeout_seconds: float, alive: Callable[[], None]) -> T:
    """Return the first true answer of `check`; `alive` raises when waiting has become pointless."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := check()):
        alive()
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout_seconds:.0f} s in vain for {what}")
        time.sleep(0.1)
    return answer


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, indented, with the file's name."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        text = ""
    tail = "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (empty)"
    return f"  last lines of {log}:\n{tail}"


def _none_left(select: Callable[[], Iterable[int]], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while pids := list(select()):
        for pid in pids:
            with suppress(ChildProcessError):  # reap our own children, or they stay as zombies
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
