"""Processes with pipes for what they print."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from tests.support.zygote import Forked, Zygote


class Piped:
    """A fork in a session of its own, as far as tests need it like a process of `subprocess`."""

    def __init__(self, zygote: Zygote, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._output, written = os.pipe()
        self._errors, complained = os.pipe()
        self._process: Forked = zygote.start(words, env, written, complained)
        os.close(written)
        os.close(complained)
        self.pid = self._process.pid
        self.returncode: int | None = None

    def first_line(self) -> str:
        """Return a line of the output as soon as it is printed."""
        line = b""
        while not line.endswith(b"\n") and (read := os.read(self._output, 1)):
            line += read
        return line.decode()

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Return output and errors, once it and all that has its pipes have ended.

        Raises subprocess.TimeoutExpired after so many seconds.
        """
        said = {self._output: b"", self._errors: b""}
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for pipe in said:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout)
                for key, _ in ready:
                    read = os.read(key.fd, 65536)
                    said[key.fd] += read
                    if not read:
                        selector.unregister(key.fd)
                        os.close(key.fd)
        self.returncode = self._process.wait(timeout)
        return said[self._output].decode(), said[self._errors].decode()

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self._process.terminate()

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll()


Start = Callable[[Sequence[str], Mapping[str, str]], Piped]


def starting(zygote: Zygote) -> Start:
    """Return a function that starts what would follow `python` on a command line, in an environment."""
    return lambda words, env: Piped(zygote, words, env)
