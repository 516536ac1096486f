"""A killed worker ends the process with words; nothing else does."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.pools import THREADS
from nnunet_trainer.run.report import TERMINATION_LOG_ENV
from tests.support import sizes
from tests.unit.trainer.piped import Piped, Start

Begin = Callable[[str], Piped]

PROGRAM = """
import multiprocessing, os, signal, sys, time
sys.path.insert(0, {folder!r})
from nnunet_api.contract import TerminationReport
from nnunet_trainer.commands.cli import Standing, watch_workers
from nnunet_trainer.process.preemption import Preemption

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

# Its workers live on, and Python takes them for dead. In a pod they become children of the trainer, which ends them;
# here they end with the process that holds the pipe.
ORPHANED = """
from nnunet_trainer.process import pools
os.mkfifo({pipe!r})
held = os.open({pipe!r}, os.O_RDWR)
pools.share_imports()
multiprocessing.set_forkserver_preload([])
with multiprocessing.get_context("spawn").Pool(1) as pool:
    server = pool.apply(os.getppid)
    # Opened before: who comes late would wait for a writer that is gone.
    pool.apply(exec, ("globals().update(pipe=open({pipe!r}))",))
    print("ready", flush=True)
    os.kill(server, signal.SIGKILL)
    pool.map(eval, ["pipe.read()"])
print("not reached", flush=True)
time.sleep(60)
"""

# As the checkpoint at the end of an epoch; the worker dies in the middle of it.
SHIELDED = """
with preemption.shield():
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    time.sleep(0.1)
    worker.kill()
    print("ready", flush=True)
    end = time.monotonic() + {seconds}
    while time.monotonic() < end and not preemption._requested:
        time.sleep(0.01)
    print("saved", flush=True)
time.sleep(60)
"""

# Module of the process that trains together with the trainer's own; spawned, it can't have it from the program.
FOLLOW = """
import os, signal, time
from nnunet_trainer.process.failures import wrong_configuration

def follow(rank, what):
    time.sleep(0.1)
    exec(what)
"""

FOLLOWED = """
from pathlib import Path
from nnunet_trainer.process.followers import Follower
from work import follow
Follower(1, 2, follow, ({what!r},), Path({folder!r})).start()
time.sleep(60)
"""

# As gloo does: the connection to the process that fails ends, and that is all that this one is told.
TAKEN_ALONG = """
import multiprocessing.connection
from pathlib import Path
from nnunet_trainer.process.failures import classify
from nnunet_trainer.process.followers import Follower
from work import follow
watchdog = watch_workers(standing, preemption, 0.3)
follower = Follower(1, 2, follow, ({what!r},), Path({folder!r}))
follower.start()
time.sleep(1)
error = classify(RuntimeError("Connection closed by peer"))
with preemption.shield():
    assert watchdog.behind(error, 0.4) == error, "it is alive"
    Path({folder!r}, "fail").touch()
    multiprocessing.connection.wait([follower.sentinel])
    failure = watchdog.behind(error, 20)
    print(int(failure.code), failure.message, flush=True)
time.sleep(60)
"""

MISSED = "rank 1 of the 2 processes that train this fold together: "

ENDED_IN_ORDER = f"""
fork = multiprocessing.get_context("fork")
for number in range({sizes.POOLS}):
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


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Begin:
    """Return a function that starts a program with this body."""

    def begin(body: str) -> Piped:
        (tmp_path / "work.py").write_text(FOLLOW)
        environment = {TERMINATION_LOG_ENV: str(tmp_path / "termination"), "PATH": "/usr/bin:/bin"}
        environment |= dict.fromkeys(THREADS, "1")
        return start(["-c", PROGRAM.format(folder=str(tmp_path), body=body)], environment)

    return begin


def end(process: Piped, seconds: float = 60) -> tuple[str, str]:
    """Return the output; the process and every worker that its pools started have to be gone in time."""
    try:
        return process.communicate(seconds)
    except subprocess.TimeoutExpired:
        state = "a worker is left" if process.poll() is not None else "it did not end"
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError(f"{state} after {seconds} s") from None


def message(tmp_path: Path) -> str:
    return str(json.loads((tmp_path / "termination").read_text())["message"])


@pytest.mark.parametrize(
    ("method", "number"), [("fork", signal.SIGKILL), ("spawn", signal.SIGSEGV), ("forkserver", signal.SIGKILL)]
)
def test_killed_worker_of_a_pool(begin: Begin, tmp_path: Path, method: str, number: signal.Signals) -> None:
    process = begin(KILLED.format(method=method, number=int(number)))
    output, errors = end(process)
    assert process.returncode == 1, errors
    assert output == "ready\n"
    assert "a worker process died" in message(tmp_path) and "resources.memory" in message(tmp_path)
    assert f"was ended by {number.name}" in message(tmp_path)
    assert "exit code 1: a worker process died" in errors


def test_the_process_that_workers_are_forked_from_is_killed(begin: Begin, tmp_path: Path) -> None:
    process = begin(ORPHANED.format(pipe=str(tmp_path / "pipe")))
    output, errors = end(process)
    assert process.returncode == 1, errors
    assert output == "ready\n"
    assert "a worker process died" in message(tmp_path) and "resources.memory" in message(tmp_path)


def test_checkpoint_is_finished_first(begin: Begin, tmp_path: Path) -> None:
    process = begin(SHIELDED.format(seconds=1))
    output, errors = end(process)
    assert process.returncode == 1, errors
    assert output == "ready\nsaved\n"


def test_stop_request_wins(begin: Begin, tmp_path: Path) -> None:
    process = begin(SHIELDED.format(seconds=30))
    assert process.first_line() == "ready\n"
    time.sleep(0.2)
    process.terminate()
    output, errors = end(process)
    assert process.returncode == ExitCode.PREEMPTED, errors
    assert output == "saved\n"
    assert message(tmp_path) == "stopped"


@pytest.mark.soak
def test_workers_that_end_in_order(begin: Begin, tmp_path: Path) -> None:
    process = begin(ENDED_IN_ORDER)
    output, errors = end(process, 120)
    assert output == "ended\n", errors
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        pytest.param(
            "raise RuntimeError('CUDA out of memory. Tried 2 GiB')",
            ExitCode.GPU_OUT_OF_MEMORY,
            f"{MISSED}the GPU's memory is too small for this network. Use a larger GPU",
            id="GPU memory",
        ),
        pytest.param(
            "raise wrong_configuration('no trainer class X')",
            ExitCode.WRONG_CONFIGURATION,
            f"{MISSED}no trainer class X",
            id="configuration",
        ),
        pytest.param(
            "raise OSError(28, 'No space left on device', '/nnunet/results/x')",
            ExitCode.STORAGE_FAILED,
            f"{MISSED}No space left on device: /nnunet/results/x",
            id="storage",
        ),
        pytest.param(
            "raise RuntimeError('odd')",
            1,
            f"{MISSED}RuntimeError: odd. The log of this pod has the traceback",
            id="anything else",
        ),
        pytest.param("os._exit(3)", 1, f"{MISSED}it ended with exit code 3 without a word", id="a library ends it"),
        pytest.param("os._exit(76)", 76, f"{MISSED}it ended with exit code 76 without a word", id="a known code"),
        pytest.param(
            "os.kill(os.getpid(), signal.SIGKILL)",
            1,
            "a worker process died; usually pod memory or shared memory ran out. Raise resources.memory",
            id="killed",
        ),
    ],
)
def test_what_another_process_that_trains_along_fails_of_is_told(
    begin: Begin, tmp_path: Path, what: str, code: int, says: str
) -> None:
    process = begin(FOLLOWED.format(what=what, folder=str(tmp_path)))
    _, errors = end(process)
    assert process.returncode == code, errors
    assert message(tmp_path).startswith(says)
    assert ("resources.memory" in message(tmp_path)) is ("SIGKILL" in what)


def test_a_process_that_another_one_takes_along_tells_of_that_one(begin: Begin, tmp_path: Path) -> None:
    wait = f"while not os.path.exists({str(tmp_path / 'fail')!r}): time.sleep(0.02)"
    what = f"{wait}\nraise RuntimeError('CUDA out of memory. Tried 2 GiB')"
    output, errors = end(begin(TAKEN_ALONG.format(what=what, folder=str(tmp_path))))
    assert output.startswith(f"76 {MISSED}the GPU's memory is too small"), errors
