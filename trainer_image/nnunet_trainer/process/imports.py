"""Imports of large libraries without the search for garbage among what they bring."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import in this block, and nothing else.

    What is imported stays, and Python would look through all of it over and over while it grows: a tenth of the time
    of importing torch and nnU-Net. Afterwards it is never looked through, so that the training's own searches are
    short, and workers that are forked share its memory.
    """
    looks = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if looks:
            gc.enable()
