"""A killed worker ends the process with words; nothing else does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_operator.api.exit_codes import ExitCode
from nnunet_trainer.report import TERMINATION_LOG_ENV

PROGRAM = """
import multiprocessing, os, signal, sys, time
from nnunet_operator.api.contract import TerminationReport
from nnunet_trainer.cli import Standing, watch_workers
from nnunet_trainer.preemption import Preemption

preemption = Preemption(lambda: os._exit(1))
preemption.install()
standing = Standing(preemption, lambda: TerminationReport(message="stopped"))
watch_workers(standing, preemption, 0.01)
{body}
"""

# Without the watchdog starmap never returns.
KILLED = """
with multiprocessing.get_context("{method}").Pool(2) as pool:
    pool.starmap(time.sleep, [(0.5,)] * 2)
    print("ready", flush=True)
    pool.starmap(signal.raise_signal, [({number},)])
print("not reached", flush=True)
time.sleep(60)
"""

# As the checkpoint at the end of an epoch; the worker dies in the middle of it.
SHIELDED = """
with preemption.shield():
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    time.sleep(0.5)
    worker.kill()
    print("ready", flush=True)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        time.sleep(0.01)
    print("saved", flush=True)
time.sleep(60)
"""

ENDED_IN_ORDER = """
fork = multiprocessing.get_context("fork")
for number in range(40):
    pool = fork.Pool(6)
    pool.map(abs, range(6))
    if number % 2:
        pool.close()
    else:
        pool.terminate()
    pool.join()
workers = [fork.Process(target=sys.exit, args=(3,)), fork.Process(target=time.sleep, args=(60,))]
for worker in workers:
    worker.start()
workers[1].terminate()
for worker in workers:
    worker.join()
workers[0].close()
time.sleep(0.5)
print("ended", flush=True)
"""


def start(tmp_path: Path, body: str) -> "subprocess.Popen[str]":
    environment = {TERMINATION_LOG_ENV: str(tmp_path / "termination"), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", PROGRAM.format(body=body)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, env=environment, start_new_session=True, stdout=pipe, stderr=pipe)


def end(process: "subprocess.Popen[str]", seconds: float = 15) -> tuple[str, str]:
    """Return the output; the process and every worker that its pools started have to be gone in time."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        state = "a worker is left" if process.poll() is not None else "it did not end"
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"{state} after {seconds} s") from None


def message(tmp_path: Path) -> str:
    return str(json.loads((tmp_path / "termination").read_text())["message"])


@pytest.mark.parametrize(("method", "number"), [("fork", signal.SIGKILL), ("spawn", signal.SIGSEGV)])
def test_killed_worker_of_a_pool(tmp_path: Path, method: str, number: signal.Signals) -> None:
    process = start(tmp_path, KILLED.format(method=method, number=int(number)))
    output, errors = end(process)
    assert process.returncode == 1, errors
    assert output == "ready\n"
    assert "a worker process died" in message(tmp_path) and "resources.memory" in message(tmp_path)
    assert f"was ended by {number.name}" in message(tmp_path)
    assert "exit code 1: a worker process died" in errors


def test_checkpoint_is_finished_first(tmp_path: Path) -> None:
    process = start(tmp_path, SHIELDED)
    output, errors = end(process)
    assert process.returncode == 1, errors
    assert output == "ready\nsaved\n"


def test_stop_request_wins(tmp_path: Path) -> None:
    process = start(tmp_path, SHIELDED)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.terminate()
    output, errors = end(process)
    assert process.returncode == ExitCode.PREEMPTED, errors
    assert output == "saved\n"
    assert message(tmp_path) == "stopped"


def test_workers_that_end_in_order(tmp_path: Path) -> None:
    process = start(tmp_path, ENDED_IN_ORDER)
    output, errors = end(process, 40)
    assert output == "ended\n", errors
    assert process.returncode == 0, errors
