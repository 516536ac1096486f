"""Starts of programs that do not pay for their imports: a process that has imported them forks for each start.

Importing torch and what else nnU-Net needs takes 5 s of a core, the operator more than one: ten times as long as a
small command takes itself. The zygote imports, once, the modules that it is given. Each fork then runs what would
follow `python` on a command line, in the environment that it is given. What it starts itself starts as it would
otherwise.

A fork differs from a start by exec in: its parent, its command line and `environ` in /proc, which are the zygote's, the
seed of the hashes of strings, and libraries that are loaded already, with what they have read from the environment. A
test to which that matters starts the program anew.

`python -m tests.support.zygote SOCKET MODULE...` is the zygote itself. It never has a second thread: a fork would be
without it.
"""

import array
import contextlib
import functools
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
import threading
import time
import types
from collections.abc import Mapping, Sequence
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any, NoReturn

ROOT = str(Path(__file__).parents[2])
"""Where `tests` is found, whatever folder the tests are in."""
LIMIT_SECONDS = 300
MESSAGE_BYTES = 1 << 20


class Zygote:
    """The zygote's end of the tests. Threads may share it."""

    def __init__(self, modules: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """`env` is added to the environment of the imports."""
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(LIMIT_SECONDS)
        command = [sys.executable, "-P", "-m", __name__, str(other.fileno()), *modules]
        found = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
        variables = {**os.environ, "PYTHONPATH": found, **(env or {})}
        # It ends when this end of its socket is closed, however the tests end.
        self._process = subprocess.Popen(command, env=variables, pass_fds=[other.fileno()])
        other.close()
        self._ended: dict[int, int] = {}
        self._lock = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        env: Mapping[str, str],
        output: int,
        errors: int | None = None,
        *,
        entry: int | None = None,
        pools: bool = False,
    ) -> "Forked":
        """Start a program, ["-m", module, arguments...] or ["-c", code, arguments...], with file descriptors for what
        it prints and, as `entry`, for what it reads; without it, it reads nothing.

        With `pools` the workers of its "forkserver" pools are forks as well, and do not pay for their imports either.
        """
        request = json.dumps({"words": list(words), "env": dict(env), "pools": pools}).encode()
        with self._lock:
            printed = [output, output if errors is None else errors]
            socket.send_fds(self._socket, [request], [*printed, *([] if entry is None else [entry])])
            while True:
                answer = self._receive()
                if "pid" in answer:
                    return Forked(answer["pid"], self)

    def code(self, pid: int) -> int | None:
        """Return how one of its forks ended, as subprocess does; None while it runs."""
        with self._lock:
            self._socket.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._receive()
            self._socket.settimeout(LIMIT_SECONDS)
            return self._ended.get(pid)

    def close(self) -> None:
        """End it and all that it has forked."""
        self._socket.close()
        self._process.wait(60)

    def _receive(self) -> dict[str, int]:
        message = self._socket.recv(MESSAGE_BYTES)
        assert message, f"the zygote has ended with code {self._process.wait()}"
        answer: dict[str, int] = json.loads(message)
        if "ended" in answer:
            self._ended[answer["ended"]] = answer["code"]
        return answer


class Forked:
    """A fork of the zygote, in a session of its own, with the part of `subprocess.Popen` that tests need."""

    def __init__(self, pid: int, zygote: Zygote) -> None:
        self.pid = pid
        self._zygote = zygote

    def poll(self) -> int | None:
        """Return the exit code, or the negative number of a signal; None while it runs."""
        return self._zygote.code(self.pid)

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended. Raises subprocess.TimeoutExpired after so many seconds."""
        deadline = time.monotonic() + (LIMIT_SECONDS if timeout is None else timeout)
        pause = 0.0005
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or LIMIT_SECONDS)
            time.sleep(pause)
            pause = min(2 * pause, 0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended in between
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def main() -> int:
    """Fork a program for each request until the tests have ended."""
    tests = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    threads = [path.name for path in Path("/proc/self/task").iterdir()]
    assert len(threads) == 1, f"a library has started threads, which no fork would have: {threads}"
    # What is never collected is never written to, so forks share it.
    gc.collect()
    gc.freeze()
    running: set[int] = set()
    try:
        _serve(tests, running)
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)
    return 0


def _serve(tests: socket.socket, running: set[int]) -> None:
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
                _tell_of_the_dead(tests, running)
            if tests.fileno() in ready:
                message, given = _request(tests)
                if not message:
                    return
                request = json.loads(message)
                request["words"][1] = _compiled(*request["words"][:2])
                pid = os.fork()
                if not pid:
                    _be_program(request, given, [tests.fileno(), told, tell, selector.fileno()])
                running.add(pid)
                for descriptor in given:
                    os.close(descriptor)
                tests.send(json.dumps({"pid": pid}).encode())


def _request(tests: socket.socket) -> tuple[bytes, list[int]]:
    space = socket.CMSG_SPACE(3 * array.array("i", [0]).itemsize)
    message, ancillary, _, _ = tests.recvmsg(MESSAGE_BYTES, space)
    descriptors = array.array("i")
    for _, _, content in ancillary:
        descriptors.frombytes(content)
    return message, list(descriptors)


@functools.cache
def _compiled(kind: str, program: str) -> str | types.CodeType:
    """Compile what many forks are to run, once; what is no Python is left to the fork."""
    with contextlib.suppress(SyntaxError):
        return compile(program, "<string>", "exec") if kind == "-c" else program
    return program


def _tell_of_the_dead(tests: socket.socket, running: set[int]) -> None:
    with contextlib.suppress(ChildProcessError, BrokenPipeError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            running.discard(pid)
            tests.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _be_program(request: dict[str, Any], given: Sequence[int], strange: Sequence[int]) -> NoReturn:
    """Be what `python` with these words would be: with signals, output, environment and chance of its own."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        output, errors, *entry = given
        read = entry or [os.open(os.devnull, os.O_RDONLY)]
        for number, descriptor in enumerate((*read, output, errors)):
            os.dup2(descriptor, number)
        for descriptor in (*read, output, errors, *strange):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["env"])
        random.seed()
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        if request["pools"]:
            _fork_forkserver()
        kind, program, *arguments = request["words"]
        sys.argv[1:] = arguments
        if kind == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            exec(program, {"__name__": "__main__"})  # noqa: S102
        code = 0
    except SystemExit as end:
        code = _code_of(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _fork_forkserver() -> None:
    """Be a process whose forkserver runs already, as a fork of it and not as a program that has imported nothing.

    Sets what multiprocessing sets itself when it starts one, and offers no other way to set.
    """
    server: Any = forkserver._forkserver
    address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    alive, keeps_alive = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(SystemExit):
            os.close(keeps_alive)
            forkserver.main(listener.detach(), alive, [])
        os._exit(0)
    listener.close()
    os.close(alive)
    server._forkserver_address, server._forkserver_alive_fd, server._forkserver_pid = address, keeps_alive, pid


def _code_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    print(end.code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
