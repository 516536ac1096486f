"""A command in the helper pod, over a websocket: messages and bytes in both directions."""

import contextlib
import json
import time
from typing import Any

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.text.words import duration

SILENCE_SECONDS = 120.0
"""The agent gives a sign of life every few seconds: after so long the connection is dead."""
CHUNK = 1 << 18
LONGEST_MESSAGE = 64 << 20
"""Bytes. The history of a fold of 100,000 epochs takes a tenth of it."""
_STDOUT, _STDERR, _ERROR = 1, 2, 3


class Lost(CliError):
    """The connection broke before the command had ended."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the connection to the helper pod broke: {why}. Call it again", ExitCode.CLUSTER)


class Remote:
    """A command that runs. Raises CliError with the agent's words where it refuses, Lost where it breaks."""

    def __init__(self, socket: Any) -> None:
        """Take over a kubernetes.stream.ws_client.WSClient that was opened for bytes."""
        self._socket = socket
        self._read = bytearray()
        socket.sock.settimeout(SILENCE_SECONDS)

    def write(self, data: bytes) -> None:
        """Send bytes to the command."""
        for start in range(0, len(data), CHUNK):
            try:
                self._socket.write_stdin(data[start : start + CHUNK])
            except Exception as error:  # websocket's errors, ssl's, the operating system's
                self._say_why_it_ended()
                raise Lost(self._why(error)) from None

    def write_message(self, **content: Any) -> None:
        """Send a message."""
        self.write(json.dumps(content).encode() + b"\n")

    def message(self) -> dict[str, Any]:
        """Return the next message."""
        while True:
            while (end := self._read.find(b"\n")) < 0:
                if len(self._read) > LONGEST_MESSAGE:
                    words = f"the helper pod's answer has a line of more than {LONGEST_MESSAGE >> 20} MiB"
                    raise CliError(f"{words}: no trainer of this project writes so much", ExitCode.FOUND)
                self._more()
            line = bytes(self._read[:end])
            del self._read[: end + 1]
            content: dict[str, Any] = json.loads(line)
            if "error" in content:
                raise CliError(str(content["error"]), ExitCode.FOUND)
            if "alive" not in content:
                return content

    def messages(self) -> list[dict[str, Any]]:
        """Return all messages until the one that says that it is done."""
        found = []
        while "done" not in (content := self.message()):
            found.append(content)
        return found

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        while len(self._read) < size:
            self._more()
        data = bytes(self._read[:size])
        del self._read[:size]
        return data

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _say_why_it_ended(self) -> None:
        """Raise CliError if the command has said why it reads no more."""
        with contextlib.suppress(Lost):
            while True:
                self.message()

    def _more(self) -> None:
        """Wait for output."""
        deadline = time.monotonic() + SILENCE_SECONDS
        while True:
            try:
                self._socket.update(timeout=5)
                data = self._socket.read_channel(_STDOUT)
            except Exception as error:
                raise Lost(self._why(error)) from None
            if data:
                self._read += data
                return
            if not self._socket.is_open():
                raise Lost(self._why(None))
            if time.monotonic() > deadline:
                raise Lost(f"it has been silent for {duration(SILENCE_SECONDS)}")

    def _why(self, error: Exception | None) -> str:
        """Return what is known of the end: what the command said last, or how the connection ended."""
        for channel in (_STDERR, _ERROR):
            with contextlib.suppress(Exception):  # it may be broken, and what has come before is still there
                words = self._socket.read_channel(channel).decode(errors="replace").strip()
                if words:
                    return str(words.splitlines()[-1])[:500]
        return str(error) if error else "it was closed"
