"""The helper pod's agent as a process on this machine: the same messages, over pipes in place of a websocket."""

import atexit
import functools
import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_cli.volumes import agent
from nnunet_cli.volumes.access import Volume
from nnunet_cli.volumes.stream import Remote
from tests.support.zygote import Zygote

Interfere = Callable[["Pipes", int], None]


@functools.cache
def _zygote() -> Zygote:
    """A process with what the agent imports: hundreds of agents start in a run of the tests."""
    zygote = Zygote(["nnunet_cli.volumes.agent"])
    atexit.register(zygote.close)
    return zygote


class Pipes:
    """What a websocket to the agent offers."""

    def __init__(self, root: Path, command: str, folder: str, interfere: Interfere | None) -> None:
        source = Path(agent.__file__).read_text()
        (entry, stdin), (stdout, output), (stderr, errors) = (os.pipe() for _ in range(3))
        self._stdin = os.fdopen(stdin, "wb", 0)
        self._stdout, self._stderr = (os.fdopen(descriptor, "rb", 0) for descriptor in (stdout, stderr))
        words = ["-c", source, command, str(root), folder]
        self.process = _zygote().start(words, dict(os.environ), output, errors, entry=entry)
        for descriptor in (entry, output, errors):
            os.close(descriptor)
        self.sock = self
        self._interfere, self._written = interfere, 0
        self._open = True
        self._read = b""

    def settimeout(self, seconds: float) -> None:
        """Pipes on one machine don't hang."""

    def is_open(self) -> bool:
        return self._open

    def write_stdin(self, data: bytes) -> None:
        self._written += len(data)
        if self._interfere:
            self._interfere(self, self._written)
        rest = memoryview(data)
        while rest:
            rest = rest[self._stdin.write(rest) :]

    def update(self, timeout: float) -> None:
        if not self._read and self._open and select.select([self._stdout], [], [], timeout)[0]:
            self._read = self._stdout.read(1 << 16)
            self._open = bool(self._read)

    def read_channel(self, channel: int) -> bytes:
        if channel == 1:
            data, self._read = self._read, b""
            return data
        if channel == 2 and not self._open:
            return self._stderr.read()
        return b""

    def close(self) -> None:
        for stream in (self._stdin, self._stdout, self._stderr):
            stream.close()
        self.process.wait(20)


class LocalVolume(Volume):
    """A folder in place of a claim."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.interfere: Interfere | None = None
        """Called with each message to the agent and the bytes written so far."""

    @contextmanager
    def run(self, command: str, folder: str) -> Iterator[Any]:
        remote = Remote(Pipes(self.root, command, folder, self.interfere))
        try:
            yield remote
        finally:
            remote.close()
