"""Starts of the trainer that do not pay for its libraries: a process that has imported them forks for each.

Importing torch and what else nnU-Net needs takes 5 s of a core, ten times as long as a small command takes itself. The
zygote imports what comes from others, once, and nothing of nnU-Net or of this project: nnU-Net reads its folders from
the environment when it is imported. Each fork then runs `nnunet_trainer` as `python -m` does, in the environment that
it is given. What it starts itself, workers and ranks, starts as in the pod.

A fork differs from a start by exec in: its parent, its command line and `environ` in /proc, which are the zygote's, the
seed of the hashes of strings, and libraries that are loaded already. Where that is the point a test takes
`World.anew()`.

`python -m tests.trainer.zygote SOCKET` is the zygote itself. It never has a second thread: a fork would be without it.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

MODULES = """
    torch torch._dynamo torch.distributed torchvision timm monai SimpleITK nibabel tifffile imagecodecs cc3d pandas
    scipy.ndimage scipy.stats skimage.io skimage.measure skimage.transform sklearn seaborn matplotlib.pyplot pydantic
    jinja2 prometheus_client batchgenerators batchgeneratorsv2 acvl_utils
    dynamic_network_architectures.architectures.unet
"""
"""What a trainer imports from others, but for blosc2, which starts threads."""
LIMIT_SECONDS = 300
MESSAGE_BYTES = 1 << 20


class Zygote:
    """The zygote's end of the tests."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(LIMIT_SECONDS)
        # As the trainer sets it before it imports torch; libraries that are loaded can't be told any more.
        env = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "tests.trainer.zygote", str(other.fileno())]
        # It ends when this end of its socket is closed, however the tests end.
        self._process = subprocess.Popen(command, env=env, pass_fds=[other.fileno()])
        other.close()
        self._ended: dict[int, int] = {}

    def start(self, arguments: Sequence[str], env: dict[str, str], output: int) -> "Forked":
        """Start the trainer with these arguments, with a file descriptor for all that it prints."""
        request = json.dumps({"arguments": list(arguments), "env": env}).encode()
        socket.send_fds(self._socket, [request], [output])
        while True:
            answer = self._receive()
            if "pid" in answer:
                return Forked(answer["pid"], self)

    def code(self, pid: int) -> int | None:
        """Return how one of its forks ended, as subprocess does; None while it runs."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._receive()
        self._socket.settimeout(LIMIT_SECONDS)
        return self._ended.get(pid)

    def _receive(self) -> dict[str, int]:
        message = self._socket.recv(MESSAGE_BYTES)
        assert message, f"the zygote of the trainers has ended with code {self._process.wait()}"
        answer: dict[str, int] = json.loads(message)
        if "ended" in answer:
            self._ended[answer["ended"]] = answer["code"]
        return answer


class Forked:
    """A fork of the zygote, with the part of `subprocess.Popen` that tests need."""

    def __init__(self, pid: int, zygote: Zygote) -> None:
        self.pid = pid
        self._zygote = zygote

    def poll(self) -> int | None:
        """Return the exit code, or the negative number of a signal; None while it runs."""
        return self._zygote.code(self.pid)

    def wait(self, timeout: float) -> int:
        """Return how it ended. Raises subprocess.TimeoutExpired after so many seconds."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended in between
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def main() -> int:
    """Fork a trainer for each request until the tests have ended."""
    for name in MODULES.split():
        importlib.import_module(name)
    tests = socket.socket(fileno=int(sys.argv[1]))
    threads = [path.name for path in Path("/proc/self/task").iterdir()]
    assert len(threads) == 1, f"a library has started threads, which no fork would have: {threads}"
    # What is never collected is never written to, so forks share it.
    gc.collect()
    gc.freeze()
    told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    with selectors.EpollSelector() as selector:
        selector.register(tests, selectors.EVENT_READ)
        selector.register(told, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select()]
            if told in ready:
                os.read(told, 4096)
                _tell_of_the_dead(tests)
            if tests.fileno() in ready:
                message, descriptors = _request(tests)
                if not message:
                    return 0
                pid = os.fork()
                if not pid:
                    _be_trainer(json.loads(message), descriptors[0], [tests.fileno(), told, tell, selector.fileno()])
                os.close(descriptors[0])
                tests.send(json.dumps({"pid": pid}).encode())


def _request(tests: socket.socket) -> tuple[bytes, list[int]]:
    space = socket.CMSG_SPACE(array.array("i", [0]).itemsize)
    message, ancillary, _, _ = tests.recvmsg(MESSAGE_BYTES, space)
    descriptors = array.array("i")
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    return message, list(descriptors)


def _tell_of_the_dead(tests: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            tests.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _be_trainer(request: dict[str, Any], output: int, strange: Sequence[int]) -> NoReturn:
    """Be what `python -m nnunet_trainer` would be: with signals, output, environment and chance of its own."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (1, 2):
            os.dup2(output, number)
        for descriptor in (*strange, output):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["env"])
        random.seed()
        sys.modules["numpy"].random.seed()
        sys.argv[1:] = request["arguments"]
        runpy.run_module("nnunet_trainer", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
