"""Checkpoints from images that nobody vouches for: read without running anything that they bring along."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError

_FORCES_FULL_UNPICKLING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""torch's variable, which training sets for some of nnU-Net's trainers."""
_torch_load = torch.load
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
    return _load(path, path, mmap=True)


@contextlib.contextmanager
def only_restricted_loads(proven: Mapping[Path, str]) -> Iterator[None]:
    """While it lasts, `torch.load` reads whole files as `load_restricted` does, whoever calls it.

    What is loaded is what was hashed: nobody can replace a file in between. Raises TrainerError with
    CHECKPOINT_UNUSABLE for a file whose SHA-256 is not what `proven` has for it; the others are read all the same.
    """

    def load(file: Any, *_args: Any, **_kwargs: Any) -> Any:
        path = Path(file)
        content = path.read_bytes()
        if path in proven and hashlib.sha256(content).hexdigest() != proven[path]:
            raise TrainerError(ExitCode.CHECKPOINT_UNUSABLE, f"{path} was replaced after it was verified")
        return _load(io.BytesIO(content), io.BytesIO(content), mmap=False)

    torch.load = load
    try:
        yield
    finally:
        torch.load = _torch_load


def _load(first: Any, again: Any, mmap: bool) -> Any:
    """Return the contents of a checkpoint, which is read twice: for the names in it, and for what it holds."""
    forced = os.environ.pop(_FORCES_FULL_UNPICKLING, None)
    try:
        with safe_globals(_harmless()):
            unknown = get_unsafe_globals_in_checkpoint(first)
            with safe_globals([(Inert, name) for name in unknown]):
                return _torch_load(again, map_location="cpu", weights_only=True, mmap=mmap)
    finally:
        # Training goes on, and some of nnU-Net's trainers can't read their own checkpoints without it.
        if forced is not None:
            os.environ[_FORCES_FULL_UNPICKLING] = forced


def _harmless() -> list[Any]:
    """Return what nnU-Net's checkpoints hold beside tensors and plain data: numpy's numbers."""
    dtypes = [type(np.dtype(name)) for name in _SCALARS]
    scalar = np.float64(0).__reduce__()[0]
    # numpy 1 has it in another module than numpy 2, and the trainer's image need not have the numpy of this one.
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *dtypes, *((scalar, name) for name in names)]
