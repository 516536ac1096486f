"""What preprocessing keeps of each case beside its voxels: read as numbers, text and arrays, whoever wrote it.

nnU-Net keeps it as a pickle, which it loads in the processes that feed a GPU and in the validation. The file is on a
volume; whoever can write there would have code in all folds that train on it.
"""

import collections
import logging
import multiprocessing
import pickle
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from nnunet_api.pickled_keys import HeavyKeys, WeighedUnpickler
from nnunet_trainer.process.failures import TrainerError, one_line, wrong_data
from nnunet_trainer.process.files import read_bytes
from nnunet_trainer.run.arrays import STAND_INS, whole

log = logging.getLogger(__name__)

_KNOWN = STAND_INS | {
    "collections.OrderedDict": collections.OrderedDict,
    "builtins.complex": complex,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
}


class UnknownType(pickle.UnpicklingError):
    """A pickle names something that is no plain data."""


class _Reader(WeighedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for. Raises UnknownType."""
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise UnknownType(f"it names {module}.{name}"[:200]) from None


_DAMAGED = (
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    ImportError,
    AssertionError,
    RecursionError,
)
"""What pickle and numpy raise, besides UnpicklingError, for bytes that nobody has written like that."""


def read_properties(file: str) -> Any:
    """Return the properties of a preprocessed case.

    Raises UnpicklingError with what is wrong with the file, and UnknownType where it names more than plain data.
    """
    try:
        return whole(_Reader(read_bytes(Path(file))).load())
    except HeavyKeys as error:
        raise pickle.UnpicklingError(str(error)) from error
    except _DAMAGED as error:
        words = one_line(f"{type(error).__name__}: {error}")[:200]
        raise pickle.UnpicklingError(f"it is damaged ({words})") from error


def unreadable_properties(folder: Path) -> str:
    """Return which of the cases' properties in a folder is refused, and why; empty where all can be read.

    All are looked at: what a reader keeps may depend on the image, and one file is easily exchanged.
    """
    for path in sorted(folder.glob("*.pkl")):
        try:
            read_properties(str(path))
        except pickle.UnpicklingError as error:
            return f"{path.name}: {error}"
    return ""


class Properties:
    """Reads them in place of nnU-Net, in this process and those that are forked from it."""

    def __init__(self) -> None:
        # nnU-Net's workers end at an exception, and all that is said of it is that they are no longer alive.
        self._told, self._tell = multiprocessing.Pipe(duplex=False)

    def read_by(self, module: Any) -> None:
        """Let the nnU-Net module that calls load_pickle by its global name call this."""
        assert hasattr(module, "load_pickle"), f"{module.__name__} reads properties in another way now"
        module.load_pickle = self

    def __call__(self, file: str) -> Any:
        try:
            return read_properties(file)
        except pickle.UnpicklingError as error:
            message = (
                f"{file} can't be read: {error}. From the properties of a case only numbers, text, lists, dicts and "
                "arrays of numbers or text are read, and nothing is run. If the file is damaged or somebody has "
                "changed it, suspend and resume the training, which has the data made again, and look at who may write "
                "to the claim. If a preprocessor or reader of the image keeps such objects, let it keep plain data"
            )
            log.error("%s", message)
            _send(self._tell, message)
            raise wrong_data(message) from None

    def refused(self) -> TrainerError | None:
        """Return the error of a process that has refused a file, where there is one."""
        return wrong_data(self._told.recv_bytes().decode(errors="replace")) if self._told.poll() else None


def _send(connection: Connection, message: str) -> None:
    # In one piece, as several processes write, and never more than a pipe holds.
    connection.send_bytes(message.encode()[:2000])
