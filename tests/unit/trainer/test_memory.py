"""Worker processes share the pod's memory."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from nnunet_trainer.process.memory import MemoryBudget, free_memory, memory_limit

MIB = 1 << 20


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": f"{64 * MIB}\n"}, 64 * MIB),
        ({"memory/memory.limit_in_bytes": f"{32 * MIB}\n"}, 32 * MIB),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096)}, None),
        ({}, None),
    ],
    ids=["cgroups v2", "cgroups v1", "v2 without a limit", "v1 without a limit", "no cgroups"],
)
def test_the_limit_is_the_containers_or_the_nodes(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    node = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory_limit(tmp_path) == (limit or node)


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (
            {
                "memory.max": "1000",
                "memory.current": "700",
                "memory.stat": "file 400\nactive_file 100\ninactive_file 50",
            },
            450,
        ),
        ({"memory.max": "1000", "memory.current": "1200", "memory.stat": "shmem 9"}, 0),
        (
            {
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "700",
                "memory/memory.stat": "active_file 1\ninactive_file 2\ntotal_active_file 100\ntotal_inactive_file 50",
            },
            450,
        ),
        ({"memory.max": "1000"}, 1000),
    ],
)
def test_free_memory_counts_what_the_kernel_can_give_back(tmp_path: Path, files: dict[str, str], free: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert free_memory(tmp_path) == free


def test_what_does_not_fit_waits_until_it_does() -> None:
    budget = MemoryBudget(multiprocessing.get_context("spawn"), 10 * MIB)
    order: list[str] = []
    waits = threading.Event()

    def take() -> None:
        waits.set()
        with budget.hold(6 * MIB):
            order.append("second")

    with budget.hold(6 * MIB):
        thread = threading.Thread(target=take)
        thread.start()
        assert waits.wait(5)
        with budget.hold(2 * MIB):
            # It fits beside the first, while the second has to wait.
            order.append("small")
        thread.join(0.1)
        order.append("first")
    thread.join(5)
    assert order == ["small", "first", "second"]


def test_more_than_there_is_runs_alone_instead_of_never() -> None:
    budget = MemoryBudget(multiprocessing.get_context("spawn"), 10 * MIB)
    with budget.hold(1000 * MIB):
        pass
    with pytest.raises(RuntimeError, match="an error"), budget.hold(10 * MIB):
        raise RuntimeError("an error")
    with budget.hold(10 * MIB):
        pass
