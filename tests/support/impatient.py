"""The operator as it is, but that it waits less for more of the same: here one training has a cluster to itself.

As a program it forks one for each line that it reads, `{"env": ..., "log": ...}`, because to import the operator costs
more than a second of CPU; it prints `started PID`, later `ended PID STATUS`, and ends them all when its input ends.
"""

import json
import os
import select
import signal
import sys
from typing import Any

from kubernetes.aio.config import kube_config

from nnunet_operator.__main__ import main
from nnunet_operator.runtime.patience import Patience

PATIENCE = Patience(
    created=0.2, children=0.1, policies=0.3, relists=0.2, first_lists=1.0, job_without_pod=1.0, pod_events=2.0
)


def serve() -> None:
    """Fork operators until the input ends."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: set[int] = set()
    orders = b""
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _reap(running)
        if 0 in ready:
            read = os.read(0, 65536)
            if not read:
                break
            *lines, orders = (orders + read).split(b"\n")
            for line in lines:
                pid = os.fork()
                if not pid:
                    _become(json.loads(line), (ended, wake))
                running.add(pid)
                print(f"started {pid}", flush=True)
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _reap(running: set[int]) -> None:
    for pid in list(running):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            running.discard(pid)
            print(f"ended {pid} {os.waitstatus_to_exitcode(status)}", flush=True)


def _become(order: Any, inherited: tuple[int, ...]) -> None:
    """Be an operator. Never returns."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, log), (2, log)):
            os.dup2(source, target)
        for descriptor in (log, nothing, *inherited):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(order["env"])
        kube_config.KUBE_CONFIG_DEFAULT_LOCATION = os.environ["KUBECONFIG"]  # which it reads once, when it is imported
        code = main([], PATIENCE)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
