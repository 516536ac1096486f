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
for name, (processes, env) in json.loads(sys.argv[1]).items():
    os.environ.update(env)
    with malloc.freed_memory_kept(processes):
        faults()
        found[name] = faults()
    for variable in env:
        del os.environ[variable]
with malloc.freed_memory_kept(1):
    faults()
    found["within"], found["fork"], found["rests"] = faults(), in_a_fork(), resident()
found["left"], found["after"] = resident(), faults()
print(json.dumps(found))
"""
PAGES = ROUNDS * LARGEST * MIB // 4096
"""That the largest array has in all rounds."""


LEFT_ALONE: dict[str, tuple[int, dict[str, str]]] = {
    "decided by a variable": (1, {"MALLOC_ARENA_MAX": "2"}),
    "decided by a tunable": (1, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}),
    "less than 1.25 GiB each": (10**6, {}),
}
"""How many processes are to keep memory, and what has been decided about it."""


@pytest.fixture(scope="module")
def found() -> dict[str, int]:
    """What a process finds: how many faults, and MiB."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_VARIABLES)}
    command = [sys.executable, "-c", PROGRAM, json.dumps(LEFT_ALONE)]
    ended = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    said: dict[str, int] = json.loads(ended.stdout)
    return said


def test_memory_that_others_have_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the data in memory, for example."""
    for name in [name for name in os.environ if name.startswith(_VARIABLES)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(malloc, "free_memory", lambda: 5 << 30)
    assert malloc._reason_against(ctypes.CDLL(None), 4) == ""
    assert "5 processes share 5.0 GiB that are free" in malloc._reason_against(ctypes.CDLL(None), 5)


def test_pages_are_used_again_and_given_back_at_the_end(found: dict[str, int]) -> None:
    assert found["within"] < PAGES / 20
    assert found["fork"] < PAGES / 20, "workers that augment are forks"
    assert found["rests"] > LARGEST
    assert found["left"] < found["rests"] - LARGEST
    assert found["after"] >= PAGES


@pytest.mark.parametrize("why", LEFT_ALONE)
def test_what_others_decided_and_little_memory_are_left_alone(found: dict[str, int], why: str) -> None:
    assert found[why] >= PAGES
