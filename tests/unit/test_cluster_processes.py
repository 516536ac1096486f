"""The local cluster finds and ends its own processes, and no others."""

import os
import time
from pathlib import Path

import pytest

from hack.localcluster import processes
from hack.localcluster.errors import ClusterError


def _start(owner: Path, script: str, component: str = "etcd") -> None:
    processes.start(owner, component, Path("/bin/sh"), ["sh", "-c", script], owner / "logs" / f"{component}.log", {})


def _pids(owner: Path) -> list[int]:
    return [process.pid for process in processes.find(owner)]


def _wait_until_started(owner: Path, count: int = 1) -> None:
    """Wait for the `sleep`s: while a shell turns into one, nobody can see whose it is."""
    deadline = time.monotonic() + 30
    while sum(process.command.startswith("sleep") for process in processes.find(owner)) < count:
        assert time.monotonic() < deadline, "the process did not start within 30 s"
        time.sleep(0.01)


def test_only_processes_of_the_owner_are_found_and_ended(tmp_path: Path) -> None:
    """Another cluster's processes go on."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for owner in (ours, theirs):
        _start(owner, "exec sleep 60")
        _wait_until_started(owner)
    try:
        assert [p.component for p in processes.find(ours)] == ["etcd"]
        assert processes.find(ours, "kubelet") == []
        processes.end(lambda: _pids(ours), "ours")
        assert _pids(ours) == []
        assert len(_pids(theirs)) == 1
    finally:
        processes.end(lambda: _pids(theirs), "theirs")


def test_children_and_the_stubborn_are_ended_too(tmp_path: Path) -> None:
    """Processes that ignore SIGTERM, and what they have started, don't survive."""
    _start(tmp_path, "trap '' TERM; sleep 61 & sleep 62 & wait")
    _wait_until_started(tmp_path, count=2)
    processes.end(lambda: _pids(tmp_path), "stubborn", grace_seconds=0.2)
    assert _pids(tmp_path) == []


def test_a_process_outlives_its_starter_and_logs(tmp_path: Path) -> None:
    """It has its own session, and its output is in its log file."""
    _start(tmp_path, "echo begun; exec sleep 60")
    _wait_until_started(tmp_path)
    try:
        (pid,) = _pids(tmp_path)
        assert os.getsid(pid) == pid
        log = tmp_path / "logs" / "etcd.log"
        processes.wait_for("the log", lambda: "begun" in log.read_text(), 30, alive=lambda: None)
    finally:
        processes.end(lambda: _pids(tmp_path), "one")


def test_waiting_has_a_limit_and_says_for_what() -> None:
    """The error names what was waited for and how long."""
    with pytest.raises(ClusterError, match="waited 0 s in vain for the moon"):
        processes.wait_for("the moon", lambda: False, 0.2, alive=lambda: None)


def test_log_tail_shows_the_last_lines(tmp_path: Path) -> None:
    """A failure shows the end of the log, with the file's name; a missing log is no second failure."""
    log = tmp_path / "etcd.log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    tail = processes.log_tail(log, lines=2)
    assert str(log) in tail
    assert tail.splitlines()[1:] == ["    line 98", "    line 99"]
    assert "(empty)" in processes.log_tail(tmp_path / "none.log")
