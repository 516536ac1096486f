"""nnU-Net's own commands, forked as trainers are: by themselves they import for 5 s of a core, and each worker for 3.

They are what people run, but for how processes begin: the same entry points with the same arguments, words of a shell
or `python -c`. What a program prints is not the shell's, and is told where one fails. A test that is about how they
begin starts them as people do.
"""

import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from nnunet_trainer.process.pools import THREADS
from tests.trainer.world import World, zygote

PROGRAMS = Path("/opt/nnunet/bin")
LIMIT_SECONDS = 600
BEGIN = """
import os
os.cpu_count = lambda: int(os.environ["PYTHON_CPU_COUNT"])  # Python itself reads it when it starts
from nnunet_trainer.process.pools import share_imports
share_imports()
"""
PROGRAM = """
import runpy, sys
sys.argv[:] = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
ASKS = """#!/bin/sh
# Stands for a program of nnU-Net's: has the tests run it, and ends as it does.
for word in "${0##*/}" "$@"; do echo "$word"; done > "$ASKED"
read -r code < "$ANSWERED"
exit "$code"
"""


def run_code(world: World, results: Path, code: str, *arguments: str, **variables: str) -> None:
    """Run `python -c` with code that calls nnU-Net, on a machine with one core; `results` is nnUNet_results.

    It computes with as many threads as there are cores, and another number is another order of summation.
    """
    found = [*(world.root / "nnunet/preprocessed").glob("Dataset*[0-9a-f]"), world.root / "none"]
    folders = {
        "nnUNet_raw": str(world.root / "nnunet/raw"),
        "nnUNet_preprocessed": str(found[0]),
        "nnUNet_results": str(results),
        "nnUNet_compile": "f",
        "nnUNet_def_n_proc": "1",
        "PYTHON_CPU_COUNT": "1",
    }
    ended, told = forked([code, *arguments], os.environ | folders | variables)
    assert ended == 0, told


def run_shell(commands: str, env: Mapping[str, str]) -> None:
    """Run commands in a shell in which nnU-Net's programs are forks. `env` has PYTHON_CPU_COUNT."""
    with tempfile.TemporaryDirectory() as name, _programs(Path(name), env) as (variables, told):
        ended = subprocess.run(
            ["bash", "-ec", commands], env=variables, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
    assert ended.returncode == 0, "\n".join((commands, ended.stdout, ended.stderr, *told))


@contextmanager
def _programs(folder: Path, env: Mapping[str, str]) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield an environment in which a shell finds nnU-Net's programs, and what these have printed."""
    asked, answered, told = folder / "asked", folder / "answered", list[str]()
    for pipe in (asked, answered):
        os.mkfifo(pipe)
    for program in PROGRAMS.glob("nnUNetv2_*"):
        (folder / program.name).write_text(ASKS)
        (folder / program.name).chmod(0o755)

    def serve() -> None:
        while words := asked.read_text().splitlines():
            ended, printed = forked([PROGRAM, str(PROGRAMS / words[0]), *words[1:]], env)
            told.append(printed)
            answered.write_text(f"{ended}\n")

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    path = f"{folder}:{env['PATH']}"
    yield {**env, "PATH": path, "ASKED": str(asked), "ANSWERED": str(answered)}, told
    asked.write_text("")
    serving.join()


def forked(words: Sequence[str], env: Mapping[str, str]) -> tuple[int, str]:
    """Run code with arguments, in a fork; return how it ended and what it printed."""
    alone = dict.fromkeys(THREADS, "1")
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        command = ["-c", BEGIN + words[0], *words[1:]]
        ended = zygote().start(command, {**env, **alone}, output.fileno(), pools=True).wait(LIMIT_SECONDS)
        output.seek(0)
        return ended, output.read()
