"""Commands that download: a mirror or registry that hiccups once must not cost a whole run."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PAUSE_SECONDS = 5.0
Done = subprocess.CompletedProcess[str]


def fetch(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    pause: float = PAUSE_SECONDS,
) -> Done:
    """Run a command that downloads, and once more where it fails; return how it ended and what it printed.

    `timeout` (seconds) is for each of the two; a command that is too slow twice has exit code 124.
    """
    done = _once(command, cwd, env, timeout)
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip()[-300:]
        again = f"{command[0]} failed with exit code {done.returncode} and is tried once more: {last}"
        print(again, file=sys.stderr, flush=True)
        time.sleep(pause)
        done = _once(command, cwd, env, timeout)
    return done


def _once(command: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None, timeout: float | None) -> Done:
    try:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return Done(command, 124, "", f"not done after {timeout:g} s")
