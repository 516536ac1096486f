"""Checkpoints from images that nobody vouches for: read without running anything that they bring along."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

_FORCES_FULL_UNPICKLING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""torch's variable, which training sets for some of nnU-Net's trainers."""
_SCALARS = ("float16", "float32", "float64", "int32", "int64", "bool")


class Inert(dict[Any, Any]):
    """Stands in for every type and function that is not known to be harmless: keeps nothing, does nothing.

    A trainer class may put what it likes into its checkpoints; that is no reason not to find the history beside it.
    """

    def __new__(cls, *_args: Any, **_kwargs: Any) -> "Inert":
        """Take any arguments."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        """Take any state."""


def load_restricted(path: Path) -> Any:
    """Return the contents of a checkpoint, with its tensors left on disk and `Inert` for what is not plain data.

    Raises whatever torch.load raises for a file that is damaged, is none or reaches for the system.
    """
    os.environ.pop(_FORCES_FULL_UNPICKLING, None)
    with safe_globals(_harmless()):
        unknown = get_unsafe_globals_in_checkpoint(path)
        with safe_globals([(Inert, name) for name in unknown]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _harmless() -> list[Any]:
    """Return what nnU-Net's checkpoints hold beside tensors and plain data: numpy's numbers."""
    dtypes = [type(np.dtype(name)) for name in _SCALARS]
    scalar = np.float64(0).__reduce__()[0]
    # numpy 1 has it in another module than numpy 2, and the trainer's image need not have the numpy of this one.
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *dtypes, *((scalar, name) for name in names)]
