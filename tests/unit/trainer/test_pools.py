"""Workers that share their imports are what nnU-Net's own are, but for the time that they take to start."""

from pathlib import Path

import pytest

from nnunet_trainer.process.pools import THREADS
from tests.unit.trainer.piped import Start

ENV = {"PATH": "/usr/bin:/bin"} | dict.fromkeys(THREADS, "1")

PROGRAM = """
import multiprocessing, os, sys
from nnunet_trainer.process import pools

own = multiprocessing.get_context("fork")
pools.share_imports()
pools.share_also("colorsys")
print(multiprocessing.get_context("fork") is own)
found = []
for colour in ("red", "green"):
    os.environ["COLOUR"] = colour
    os.environ.pop("GONE", None)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found += [
            (
                pool.apply(os.getppid),
                pool.apply(os.getenv, ["COLOUR"]),
                pool.apply(os.getenv, ["GONE"]),
                pool.apply(eval, ["'colorsys' in __import__('sys').modules"]),
                pool.apply(eval, ["'nnunetv2' in __import__('sys').modules"]),
            )
        ]
    os.environ["GONE"] = "not yet"
servers = {server for server, *_ in found}
print(len(servers), os.getpid() in servers)
for _, *told in found:
    print(*told)
"""


def test_workers_have_one_parent_its_imports_and_the_environment_of_their_start(start: Start) -> None:
    process = start(["-c", PROGRAM], ENV | {"GONE": "still there"})
    output, errors = process.communicate(60)
    assert output.splitlines() == ["True", "1 False", "red None True False", "green None True False"], errors


POLLED = """
import multiprocessing, sys, threading
from nnunet_trainer.process import pools

pools.share_imports()
multiprocessing.set_forkserver_preload([])
sys.setswitchinterval(1e-6)
told = set()

def ask(process):
    while (code := process.exitcode) is None:
        pass
    told.add(code)

for number in range(10):
    process = multiprocessing.get_context("spawn").Process(target=sys.exit, args=(3,))
    process.start()
    threads = [threading.Thread(target=ask, args=(process,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    process.join()
    told.add(process.exitcode)
    for thread in threads:
        thread.join()
print(told)
"""


def test_all_threads_that_ask_how_a_worker_ended_are_told_the_same(start: Start) -> None:
    process = start(["-c", POLLED], ENV)
    output, errors = process.communicate(60)
    assert output == "{3}\n", errors


DRAWN = """
import multiprocessing
from nnunet_trainer.process import pools

pools.share_imports()
multiprocessing.set_forkserver_preload(["numpy.random"])
for library in ("numpy.random", "random"):
    drawn = set()
    for _ in range(4):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            drawn.add(pool.apply(eval, [f"__import__({library!r}, fromlist=['random']).random()"]))
    print(library, len(drawn))
"""


def test_no_two_workers_draw_the_same_random_numbers(start: Start) -> None:
    process = start(["-c", DRAWN], ENV)
    output, errors = process.communicate(60)
    assert output.splitlines() == ["numpy.random 4", "random 4"], errors


PARENTS = """
import logging, multiprocessing, os, sys, tempfile
from nnunet_trainer.process import pools

logging.basicConfig(stream=sys.stdout, format="%(message)s")
tempfile.tempdir = None  # what its parent has found
pools.share_imports()
multiprocessing.set_forkserver_preload([])
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(os.getppid) == os.getpid())
"""


def test_where_the_folder_for_temporary_files_has_no_sockets_workers_are_spawned(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    process = start(["-c", PARENTS], ENV | {"TMPDIR": str(folder)})
    output, errors = process.communicate(60)
    why, spawned = output.splitlines()
    assert str(folder) in why and "TMPDIR" in why and "path too long" in why, errors
    assert spawned == "True"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("threads", "spawned"), [({}, False), ({"OMP_NUM_THREADS": "4"}, True), ({"OPENBLAS_NUM_THREADS": "2"}, True)]
)
def test_workers_whose_libraries_may_have_threads_are_spawned(
    start: Start, threads: dict[str, str], spawned: bool
) -> None:
    process = start(["-c", PARENTS], ENV | threads)
    output, errors = process.communicate(60)
    assert output == f"{spawned}\n", errors


BROKEN = """
import importlib, multiprocessing, os, sys
sys.path[:0] = [os.environ["PYTHONPATH"]]  # which its parent has not
from nnunet_trainer.process import pools

pools.share_imports()
pools.share_also(pools.SURFACES)
with multiprocessing.get_context("spawn").Pool(1) as pool:
    print(pool.apply(os.getppid) == os.getpid())
    for name in ("imagecodecs", "monai"):
        try:
            pool.apply(importlib.import_module, [name])
        except RuntimeError as error:
            print(error)
"""


def test_a_broken_library_fails_in_the_worker_that_needs_it_and_nowhere_else(start: Start, tmp_path: Path) -> None:
    for name in ("imagecodecs", "monai"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} is broken')")
    process = start(["-c", BROKEN], ENV | {"PYTHONPATH": str(tmp_path)})
    output, errors = process.communicate(60)
    assert output.splitlines() == ["False", "imagecodecs is broken", "monai is broken"], errors
