"""Pools whose workers do not import torch each: they are forked from a process that has, once for a command.

nnU-Net starts a pool for each of its steps by "spawn", and each worker imports torch and what goes with it: 2 to 3 s of
a core before it does anything, on tiny datasets most of what planning and validation take. Python's "forkserver" starts
a process that imports these libraries (`preloaded`) when the first worker is wanted, and forks the workers from it. It
has neither threads nor a GPU of its own, for which nnU-Net does not fork. Libraries for numbers have no threads only
where the environment says so, as it does unless somebody asks for more (`THREADS`): then workers are spawned.

A worker is what one by "spawn" is: it has the environment that its parent has at that moment, and imports by itself
nnU-Net, which reads the environment, this project, and people's own trainer classes. Only libraries that are loaded
have read the environment before.
"""

import logging
import multiprocessing
import os
import pickle
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing import connection, popen_forkserver
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

PRELOADED = "nnunet_trainer.process.preloaded"
SURFACES = "nnunet_trainer.process.preloaded_surfaces"
"""What workers need besides that measure surfaces."""
SERVER_IS_GONE = 255
"""Exit code of a worker whose forkserver has died: Python can't tell its own any more."""


class _Popen(popen_forkserver.Popen):
    """Several threads may ask it: who started the process, the handler of its pool, the watchdog.

    How it ended can be read once. Python's own reads without a lock: of two that see the end at the same moment, the
    second finds nothing left, and takes the server for dead.
    """

    def __init__(self, process: BaseProcess) -> None:
        # One that its own thread may take again: a signal's handler may ask.
        self._reading = threading.RLock()
        super().__init__(process)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        if flag != os.WNOHANG and self.returncode is None:
            # For as long as it takes, in which others may ask.
            connection.wait([self.sentinel])
        with self._reading:
            return super().poll(os.WNOHANG)


class ForkedProcess(ForkServerProcess):
    """A process that the forkserver forks, with the environment of who starts it and not that of the server."""

    @staticmethod
    def _Popen(process: BaseProcess) -> _Popen:
        return _Popen(process)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what the new process makes of it. The environment comes before anything else is imported."""
        return _restored, (type(self), dict(os.environ), bytes(ForkingPickler.dumps(self.__dict__)))


def _restored(kind: type[ForkedProcess], environment: Mapping[str, str], state: bytes) -> ForkedProcess:
    os.environ.clear()
    os.environ.update(environment)
    # As in a process that imports it: chance of its own, and not that of the server, which all workers would share.
    # Python's own random does so by itself.
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    process = kind.__new__(kind)
    process.__dict__.update(pickle.loads(state))
    return process


class _Context(ForkServerContext):
    Process = ForkedProcess


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables that libraries read, when they are loaded, for the threads that they start."""
_forked = _Context()
_get_context = multiprocessing.get_context


def _by_forks(method: str | None = None) -> BaseContext:
    alone = all(os.environ.get(name) == "1" for name in THREADS)
    return _forked if method == "spawn" and alone else _get_context(method)


def share_imports() -> None:
    """From now on let what asks for a pool by "spawn" in this process, as nnU-Net does, have one of forks.

    Not where the environment allows libraries more than one thread at that moment (`THREADS`).

    Where the server could not be reached, as in a folder for temporary files that has no sockets, pools stay as they
    are, and the log says why.
    """
    if problem := _no_sockets():
        log.warning("workers are started one by one, which takes longer: %s", problem)
        return
    multiprocessing.set_forkserver_preload([PRELOADED])
    multiprocessing.get_context = _by_forks  # type: ignore[assignment]


def share_also(*modules: str) -> None:
    """Let imports that are shared be those of these modules, too, unless there has been a pool already.

    They let nothing raise of what they import.
    """
    multiprocessing.set_forkserver_preload([PRELOADED, *modules])


def _no_sockets() -> str:
    """Return why multiprocessing could not make the socket of its forkserver; nothing where it could.

    Its own would be made when the first pool is, in a folder that is left behind where the process ends at once.
    """
    folder = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory(prefix="pymp-") as made, socket.socket(socket.AF_UNIX) as probe:
            probe.bind(str(Path(made, "listener-12345678")))
    except OSError as error:
        return f"no socket can be made in {folder} (TMPDIR): {error}"
    return ""
