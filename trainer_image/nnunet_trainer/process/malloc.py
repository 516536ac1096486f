"""Keeps memory that was freed for the next batch, where glibc gives it back to the kernel and asks for it anew.

Each batch, and on a CPU each step of the network, allocates and frees the same large arrays. By itself glibc gives
those of 32 MiB and more back at once, and what is free at the end of the heap; the kernel clears each page again when
it is used the next time. That was a fifth to a third of the CPU time of nnU-Net's augmentation
(docs/decisions/0059). Numbers stay the same. What is set is described in mallopt(3).
"""

import contextlib
import ctypes
import logging
import os
from collections.abc import Iterator

from nnunet_trainer.process.memory import free_memory

log = logging.getLogger(__name__)

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h: the bytes from which on an array has pages of its own, and those
that may be free at the end of the heap."""
_MIB = 1 << 20
_KEPT = {_MMAP_THRESHOLD: 512 * _MIB, _TRIM_THRESHOLD: 1024 * _MIB}
_GIVEN_BACK = {_MMAP_THRESHOLD: 32 * _MIB, _TRIM_THRESHOLD: 64 * _MIB}
"""What glibc comes to by itself once it has seen large arrays."""
_BYTES_EACH = 5 << 28
"""For each process, 1.25 GiB: more than one that augments had for itself at most (decision 59). All may then keep what
they had at most, which is seldom at the same time. A third of them augment for the validation, which is little."""
_VARIABLES = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
"""How those begin by which somebody has decided about it, or uses another allocator."""


@contextlib.contextmanager
def freed_memory_kept(processes: int) -> Iterator[None]:
    """Keep what this process frees in this block, and what workers free that are forked in it: `processes` in all.

    Not where less than 1.25 GiB for each of them is free in the container. At the end all is given back: a validation
    has other arrays, and much larger ones.
    """
    library = ctypes.CDLL(None)
    if why := _reason_against(library, processes):
        log.info("memory that is freed is given back at once: %s", why)
        yield
        return
    if not _set(library, _KEPT):
        log.info("this glibc keeps less of the memory that is freed than it was asked to")
    try:
        yield
    finally:
        _set(library, _GIVEN_BACK)
        library.malloc_trim(0)


def _reason_against(library: ctypes.CDLL, processes: int) -> str:
    if decided := next((name for name, value in os.environ.items() if value and name.startswith(_VARIABLES)), ""):
        return f"{decided} is set"
    if not (hasattr(library, "mallopt") and hasattr(library, "malloc_trim")):
        return "the C library is not glibc"
    if (free := free_memory()) < processes * _BYTES_EACH:
        return f"{processes} processes share {free / (1 << 30):.1f} GiB that are free, and each would want 1.25 GiB"
    return ""


def _set(library: ctypes.CDLL, values: dict[int, int]) -> bool:
    """Return whether glibc takes all of it: before 2.35 it takes no threshold above 32 MiB."""
    taken = [library.mallopt(name, value) for name, value in values.items()]
    return all(taken)
