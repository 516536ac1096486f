"""The helper pod's agent as a process on this machine: the same messages, over pipes in place of a websocket."""

import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunet_cli.volumes import agent
from nnunet_cli.volumes.access import Volume
from nnunet_cli.volumes.stream import Remote

Interfere = Callable[["Pipes", int], None]


class Pipes:
    """What a websocket to the agent offers."""

    def __init__(self, root: Path, command: str, folder: str, interfere: Interfere | None) -> None:
        source = Path(agent.__file__).read_text()
        arguments = [sys.executable, "-c", source, command, str(root), folder]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
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
        assert self.process.stdin is not None
        rest = memoryview(data)
        while rest:
            rest = rest[self.process.stdin.write(rest) :]

    def update(self, timeout: float) -> None:
        output = self.process.stdout
        assert output is not None
        if not self._read and self._open and select.select([output], [], [], timeout)[0]:
            self._read = output.read(1 << 16)
            self._open = bool(self._read)

    def read_channel(self, channel: int) -> bytes:
        if channel == 1:
            data, self._read = self._read, b""
            return data
        if channel == 2 and not self._open and self.process.stderr is not None:
            return self.process.stderr.read()
        return b""

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
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
