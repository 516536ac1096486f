"""What a training frees is there for its next batch, and is given back when it ends."""

import ctypes
import json
import os
import subprocess
import sys

import pytest

from nnunet_trainer.process import malloc
from nnunet_trainer.process.malloc import _VARIABLES

ROUNDS, LARGEST, MIB = 2, 64, 1 << 20
"""By itself glibc keeps no array of more than 32 MiB, nor more than 64 MiB in all."""
PROGRAM = f"""
import ctypes, json, os, resource, sys, numpy
from nnunet_trainer.process import malloc

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({ROUNDS}):
        arrays = [numpy.empty(size << 20, numpy.uint8) for size in ({LARGEST}, 40, 8)]
        for array in arrays:
            array[::4096] = 1
        del arrays, array
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def in_a_fork():
    reader, writer = os.pipe()
    if os.fork() == 0:
        faults()
        os.write(writer, str(faults()).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reader, 99))

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 >> 20

# Pages of 2 MiB would make few faults of many.
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
found = {{}}
with malloc.freed_memory_kept(int(sys.argv[1])):
    faults()
    found["within"] = faults()
    if sys.argv[2] == "all":
        found["fork"], found["rests"] = in_a_fork(), resident()
if sys.argv[2] == "all":
    found["left"], found["after"] = resident(), faults()
print(json.dumps(found))
"""
PAGES = ROUNDS * LARGEST * MIB // 4096
"""That the largest array has in all rounds."""


def _found(processes: int, asked: str, **env: str) -> dict[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_VARIABLES)}
    command = [sys.executable, "-c", PROGRAM, str(processes), asked]
    ended = subprocess.run(command, env=clean | env, capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(ended.stdout)
    return found


def test_memory_that_others_have_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the data in memory, for example."""
    for name in [name for name in os.environ if name.startswith(_VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(malloc, "free_memory", lambda: 5 << 30)
    assert malloc._reason_against(ctypes.CDLL(None), 4) == ""
    assert "5 processes share 5.0 GiB that are free" in malloc._reason_against(ctypes.CDLL(None), 5)


def test_pages_are_used_again_and_given_back_at_the_end() -> None:
    found = _found(1, "all")
    assert found["within"] < PAGES / 20
    assert found["fork"] < PAGES / 20, "workers that augment are forks"
    assert found["rests"] > LARGEST
    assert found["left"] < found["rests"] - LARGEST
    assert found["after"] >= PAGES


@pytest.mark.parametrize(
    ("processes", "env"),
    [(1, {"MALLOC_ARENA_MAX": "2"}), (1, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}), (10**6, {})],
    ids=["decided by a variable", "decided by a tunable", "less than 1.25 GiB each"],
)
def test_what_others_decided_and_little_memory_are_left_alone(processes: int, env: dict[str, str]) -> None:
    assert _found(processes, "within", **env)["within"] >= PAGES
