"""Runs a command on a terminal of its own, as a person would, and reads what is on it."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import Any

from tests.support.api import wait_for
from tests.support.zygote import Forked, Zygote

PROGRAM = Path(sys.executable).with_name("kubectl-nnunet")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# A shell lets what it runs in the background, these tests for example, ignore Ctrl-C.
_FORKED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from nnunet_cli.__main__ import main
main()
"""


class Terminal:
    """A pseudo-terminal of 110 columns and 40 lines with one program on it.

    The program is the installed one, or with `forks`, which has imported `nnunet_cli.app`, a fork of that.
    """

    def __init__(self, *arguments: str, forks: Zygote | None = None) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color"}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):  # those of whoever runs the tests
            env.pop(name, None)
        self._process: Forked | subprocess.Popen[bytes]
        if forks:
            self._process = forks.start(["-c", _FORKED, *arguments], env, theirs, entry=theirs)
        else:
            command = ["env", "--default-signal=INT", str(PROGRAM), *arguments]
            self._process = subprocess.Popen(
                command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
            )
        os.close(theirs)
        self._ours = ours
        self._said = ""
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def text(self) -> str:
        """All that was ever shown, without colours."""
        return _CONTROL.sub("", self._said)

    def wait_text(self, text: str) -> None:
        """Wait until a text was shown."""
        wait_for(f"{text!r} on the terminal", lambda: text in self.text, about=self._end)

    def _end(self) -> str:
        return self.text[-3000:]

    def press_ctrl_c(self) -> None:
        """Interrupt the program."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait until the program has ended and return its exit code."""
        wait_for("the program to end", lambda: self._process.poll() is not None, about=self._end)
        return self._process.wait()

    def _read(self) -> None:
        try:
            while part := os.read(self._ours, 65536):
                self._said += part.decode(errors="replace")
        except OSError:  # the program has ended
            pass
