"""SIGTERM at any moment: exit code 75, nothing left running, a shielded block finished first."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.processes import descendants
from tests.support import sizes
from tests.unit.trainer.piped import Piped, Start

Begin = Callable[[str], Piped]

PROGRAM = """
import multiprocessing, os, subprocess, sys, time
from nnunet_api.contract import TerminationReport
from nnunet_trainer.commands.cli import Standing
from nnunet_trainer.process.preemption import Preemption

preemption = Preemption(lambda: os._exit(1))
preemption.install()
standing = Standing(preemption, lambda: TerminationReport(message="stopped"))
{body}
"""

WORKERS = """
multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True).start()
subprocess.Popen(["sh", "-c", "sleep 61 & sleep 62"])
time.sleep(0.3)
print("ready", flush=True)
time.sleep(60)
"""

SHIELD = """
with preemption.shield():
    print("ready", flush=True)
    end = time.monotonic() + 30
    while time.monotonic() < end and not preemption._requested:
        time.sleep(0.01)
    time.sleep(0.5)
    print("saved", flush=True)
print("not reached", flush=True)
time.sleep(60)
"""

CHILD = """
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
child.start()
time.sleep(0.3)
child.terminate()
child.join(5)
print("ready", child.exitcode, flush=True)
time.sleep(60)
"""


POOLS = f"""
for _ in range({sizes.POOLS}):
    with multiprocessing.get_context("fork").Pool(12) as pool:
        pool.map(abs, range(3))
print("ended", flush=True)
"""

PREDICTS = """
from pathlib import Path
from nnunet_trainer.scoring.predicting import choose_workers, forget_attempt

standing.tidy_with(forget_attempt)
choose_workers([], 3, 64 * 2**30, Path({note!r}))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def begin(start: Start) -> Begin:
    """Return a function that starts a program with this body."""
    environment = {"NNUNET_RUN_TERMINATION_LOG": "/dev/null", "PATH": "/usr/bin:/bin"}
    return lambda body: start(["-c", PROGRAM.format(body=body)], environment)


def test_no_worker_outlives_the_trainer(begin: Begin) -> None:
    process = begin(WORKERS)
    assert process.first_line() == "ready\n"
    deadline = time.monotonic() + 30
    while len(children := descendants(process.pid)) < 4:  # a worker, the shell and what it started
        assert time.monotonic() < deadline, f"the workers do not start: {children}"
        time.sleep(0.02)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.PREEMPTED
    assert "exit code 75: stopped" in errors
    # What was killed by way of its parent is another's child by now, and a busy machine takes a moment to end it.
    deadline = time.monotonic() + 20
    while left := set(children) & set(descendants(1)):
        assert time.monotonic() < deadline, f"workers are left: {left}"
        time.sleep(0.02)


def test_shielded_block_is_finished_first(begin: Begin) -> None:
    process = begin(SHIELD)
    assert process.first_line() == "ready\n"
    process.terminate()
    time.sleep(0.2)
    process.terminate()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.PREEMPTED
    assert output == "saved\n"
    assert "finishing the checkpoint" in errors


@pytest.mark.soak
def test_pools_of_forked_workers_end(begin: Begin) -> None:
    """Pools end their workers by SIGTERM; one that is about to wait for a lock must not miss it."""
    process = begin(POOLS)
    try:
        output, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError("a pool of forked workers hangs") from None
    assert output == "ended\n", errors


def test_forked_workers_keep_the_default_action(begin: Begin) -> None:
    process = begin(CHILD)
    assert process.first_line() == "ready -15\n"
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == ExitCode.PREEMPTED


@pytest.mark.parametrize(("number", "left"), [(signal.SIGTERM, False), (signal.SIGKILL, True)])
def test_only_who_is_killed_is_followed_by_an_attempt_that_needs_less(
    begin: Begin, tmp_path: Path, number: signal.Signals, left: bool
) -> None:
    note = tmp_path / "workers.json"
    process = begin(PREDICTS.format(note=str(note)))
    assert process.first_line() == "ready\n" and note.exists()
    os.kill(process.pid, number)
    process.communicate(timeout=60)
    assert note.exists() is left
