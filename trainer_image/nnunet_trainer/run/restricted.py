"""Checkpoints that anybody may have written: read without running anything that they bring along.

Where only counters and weights are wanted, what is unknown is left out (`load_restricted`). A training that goes on
from a checkpoint needs all of it, so what is unknown is refused (`only_known_loads`): unless the trainer class has said
by torch's own means, `torch.serialization.add_safe_globals`, that it is a type of its own.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
    safe_globals,
)

from nnunet_api.pickled_keys import MOST_STEPS, require_light_keys
from nnunet_api.torch_file import read_torch_file
from nnunet_api.torch_tensors import require_whole_tensors
from nnunet_trainer.process.failures import FINISH_AGAIN, replaced
from nnunet_trainer.run.arrays import STAND_INS, whole

_FORCES_FULL_UNPICKLING = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
"""torch's variable, which an image may bring along."""
_torch_load = torch.load
_SHOWN = 5
_STEPS_AT_SAVING = 4 * MOST_STEPS // 5
"""Fewer than a fold goes on with: what is on disk when a class is told can still be gone on from."""
_STEPS_OF_A_BYTE = 2
"""At most, of keys that a class notes things by: a pair of numbers has ten bytes, and counts 20 steps."""


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
def only_restricted_loads(proven: Mapping[Path, str], remedy: str = FINISH_AGAIN) -> Iterator[Callable[[Path], Any]]:
    """While it lasts, `torch.load` reads whole files as `load_restricted` does, whoever calls it. Gives what does so.

    What is loaded is what was hashed: nobody can replace a file in between. Raises TrainerError with
    CHECKPOINT_UNUSABLE, and this remedy, for a file whose SHA-256 is not what `proven` has for it; the others are read
    all the same.
    """

    def load(file: Any, *_args: Any, **_kwargs: Any) -> Any:
        path = Path(file)
        content = path.read_bytes()
        if path in proven and hashlib.sha256(content).hexdigest() != proven[path]:
            raise replaced([str(path)], remedy)
        return _load(io.BytesIO(content), io.BytesIO(content), mmap=False)

    torch.load = load
    try:
        yield load
    finally:
        torch.load = _torch_load


@contextlib.contextmanager
def only_known_loads() -> Iterator[None]:
    """While it lasts, `torch.load` raises for each file that names something unknown, whoever calls it and how."""

    def load(file: Any, map_location: Any = None, *_args: Any, **_kwargs: Any) -> Any:
        _require_readable(file)
        with _as_is_known():
            return whole(_torch_load(file, map_location=map_location, weights_only=True))

    torch.load = load
    try:
        yield
    finally:
        torch.load = _torch_load


def unknown_names(path: Path) -> str:
    """Return the types and functions in a checkpoint by which `only_known_loads` refuses it, with commas in between.

    Raises whatever torch raises for a file that is damaged, is none or reaches for the system.
    """
    with _as_is_known():
        names = sorted(get_unsafe_globals_in_checkpoint(path))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])[:500]}{more}"


def weighed(path: Path, due: int = 0) -> int:
    """Weigh the keys of a saved checkpoint whose pickle has `due` bytes or more; return with how many it is due again.

    A usual one, of a thousand epochs, is weighed some thirty times by then, for 1.4 s at most. Raises ValueError.
    """
    with path.open("rb") as file:
        data = read_torch_file(file).data
    if len(data) < due:
        return due
    left = _STEPS_AT_SAVING - require_light_keys(data, _STEPS_AT_SAVING)
    return len(data) + left // _STEPS_OF_A_BYTE


def _load(first: Any, again: Any, mmap: bool) -> Any:
    """Return the contents of a checkpoint, which is read twice: for the names in it, and for what it holds."""
    _require_readable(first)
    with _as_is_known():
        unknown = get_unsafe_globals_in_checkpoint(first)
        with safe_globals([(Inert, name) for name in unknown]):
            return whole(_torch_load(again, map_location="cpu", weights_only=True, mmap=mmap))


def _require_readable(file: Any) -> None:
    """Raise ValueError for a checkpoint that torch would read for ever, or other readers otherwise.

    torch's reader hashes what a file says are keys, as Python's does, and no signal comes through meanwhile; and it
    believes how large tensors are.
    """
    begin = file.tell() if hasattr(file, "tell") else 0
    with contextlib.nullcontext(file) if hasattr(file, "read") else Path(file).open("rb") as opened:
        require_whole_tensors(read_torch_file(opened))
        opened.seek(begin)


@contextlib.contextmanager
def _as_is_known() -> Iterator[None]:
    """Let torch read what nnU-Net's checkpoints hold beside tensors and plain data: numpy's numbers and arrays.

    Modules of trainer classes put numpy's own on torch's list, as many advise for torch 2.6. torch keeps a set: of two
    things with one name either may win, and numpy's dtype is no use to what stands for its numbers.
    """
    forced = os.environ.pop(_FORCES_FULL_UNPICKLING, None)
    listed = get_safe_globals()
    clear_safe_globals()
    add_safe_globals([one for one in listed if _name_of(one) not in STAND_INS])
    try:
        with safe_globals([(stands, name) for name, stands in STAND_INS.items()]):
            yield
    finally:
        add_safe_globals(listed)
        if forced is not None:
            os.environ[_FORCES_FULL_UNPICKLING] = forced


def _name_of(listed: Any) -> str:
    """Return the name by which torch knows something on its list."""
    return str(listed[1]) if isinstance(listed, tuple) else f"{listed.__module__}.{listed.__name__}"
