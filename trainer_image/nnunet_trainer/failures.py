"""What went wrong, as an exit code and a message that says what to do. No torch in here."""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_operator.api.exit_codes import ExitCode

UNEXPECTED = 1
"""Exit code of a failure that has no code of its own; another attempt may succeed."""

STORAGE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})

_STORAGE_TEXT = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Input/output error"
    # What torch.save says when a write comes back short; it keeps no errno.
    r"|PytorchStreamWriter failed|inline_container\.cc:\d+\] \. (unexpected pos|write)",
)
_GPU_MEMORY_TEXT = re.compile(r"CUDA out of memory|CUDNN_STATUS_ALLOC_FAILED|CUDA error: out of memory")
_DEAD_WORKER_TEXT = re.compile(
    r"workers? (are|is) no longer alive|worker is 6 feet under|worker died|Background workers died"
)
_SHARED_MEMORY = Path("/dev/shm")
_SHARED_MEMORY_TEXT = re.compile(
    # torch's and multiprocessing's names in it, torch's words about it.
    r"/dev/shm\b|</torch_|'/(torch|psm)_|unable to \w+ shared memory|(out of|insufficient) shared memory"
)
_MEMORY_TEXT = re.compile(r"can(no|')t allocate memory|not enough memory", re.IGNORECASE)
_GPU_TEXT = re.compile(r"CUDA|CUDNN|CUBLAS|NVML|HIP error", re.IGNORECASE)
_DAMAGED_FILE_ERRNOS = frozenset({None, errno.EINVAL})
"""Errors of the system that a damaged file gives: decompressors set none, a seek before the file's start EINVAL."""
FULL_BELOW_BYTES = 1 << 20
"""A volume with less free space than this counts as full."""


class TrainerError(Exception):
    """A failure that is understood: its exit code and what the user can do."""

    def __init__(self, code: ExitCode, message: str) -> None:
        # Both: an exception that a worker process raises is made anew here from its arguments.
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Failure:
    """How the process ends."""

    code: int
    message: str


def wrong_data(message: str) -> TrainerError:
    """Return the error for a dataset that is missing, incomplete or inconsistent."""
    return TrainerError(ExitCode.WRONG_DATA, message)


def wrong_configuration(message: str) -> TrainerError:
    """Return the error for something that the training asks for and that does not exist."""
    return TrainerError(ExitCode.WRONG_CONFIGURATION, message)


def one_line(text: str) -> str:
    """Return the text with all white space runs, line ends included, as single blanks."""
    return " ".join(text.split())


def free_space(path: Path) -> str:
    """Return "X free of Y" for the volume that holds the path, or an empty string where that can't be told."""
    try:
        stat = os.statvfs(_existing(path))
    except OSError:
        return ""
    return f"{_size(stat.f_bavail * stat.f_frsize)} free of {_size(stat.f_blocks * stat.f_frsize)}"


def storage_failed(reason: str, path: Path) -> TrainerError:
    """Return the error for a volume that is full, read-only or failing."""
    space = free_space(path)
    return TrainerError(
        ExitCode.STORAGE_FAILED,
        f"{reason}: {path}{f' ({space})' if space else ''}. Enlarge the claim that holds this path or delete old runs "
        "from it, then suspend and resume the training; it goes on from the last checkpoint",
    )


def may_be_damage(error: Exception) -> bool:
    """Tell whether an error while a file was loaded may come from its contents, so that another file may load.

    Not so for what the storage, the memory or the GPU has to say: that would end the same way with any file.
    """
    for link in _chain(error):
        if isinstance(link, TrainerError | MemoryError):
            return False
        if isinstance(link, OSError) and link.errno not in _DAMAGED_FILE_ERRNOS:
            return False
        text = f"{type(link).__name__}: {link}"
        if any(pattern.search(text) for pattern in (_STORAGE_TEXT, _MEMORY_TEXT, _GPU_TEXT)):
            return False
    return True


def is_missing_or_damaged(error: Exception) -> bool:
    """Tell whether a file can't be read because it is not there or not whole."""
    return isinstance(error, FileNotFoundError) or may_be_damage(error)


def dead_worker_message(detail: str) -> str:
    """Return the message for a worker process that did not end by itself."""
    return (
        "a worker process died; usually pod memory or shared memory ran out. Raise resources.memory "
        "(resources.preprocessing.memory for planning) or resources.sharedMemory (/dev/shm: "
        f"{free_space(_SHARED_MEMORY) or 'missing'}), or lower resources.cpu for fewer workers ({detail})"
    )


def classify(error: BaseException, volumes: Sequence[Path] = (), read_only: Sequence[Path] = ()) -> Failure:
    """Return exit code and message for an exception.

    `volumes` are the folders that the command writes to, `read_only` are mounts that it only reads.
    """
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, TrainerError):
            return Failure(link.code, one_line(link.message))
    full = _full_volume(volumes)
    if any(_lacks_shared_memory(link, full) for link in chain):
        return Failure(UNEXPECTED, _shared_memory_message(error))
    for link in chain:
        if isinstance(link, PermissionError) and (mount := _mount_of(link.filename, [*volumes, *read_only])):
            return _failure(_not_permitted(link, mount))
        if isinstance(link, OSError) and link.errno in STORAGE_ERRNOS:
            reason = os.strerror(link.errno or 0)
            path = Path(link.filename) if isinstance(link.filename, str) else full or _first(volumes)
            return _failure(storage_failed(reason, path))
    for link in chain:
        text = f"{type(link).__name__}: {link}"
        if "OutOfMemoryError" in _type_names(link) or _GPU_MEMORY_TEXT.search(text):
            return Failure(ExitCode.GPU_OUT_OF_MEMORY, _gpu_memory_message(text))
        if match := _STORAGE_TEXT.search(text):
            return _failure(storage_failed(_storage_reason(match.group(0)), full or _first(volumes)))
    # Libraries (ITK, blosc2) report a failed write in words of their own: a full volume tells.
    if full:
        return _failure(storage_failed(f"the volume is full ({_describe(error)})", full))
    return Failure(UNEXPECTED, _unexpected_message(error, chain))


def _unexpected_message(error: BaseException, chain: Sequence[BaseException]) -> str:
    if any(isinstance(link, MemoryError) or _MEMORY_TEXT.search(str(link)) for link in chain):
        return "out of memory: raise resources.memory (resources.preprocessing.memory for planning)"
    if any(_DEAD_WORKER_TEXT.search(str(link)) for link in chain):
        return dead_worker_message(_describe(error))
    return f"{_describe(error)}. The log of this pod has the traceback"


def _failure(error: TrainerError) -> Failure:
    return Failure(error.code, one_line(error.message))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _type_names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _describe(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")[:1000].rstrip(" .:")


def _storage_reason(text: str) -> str:
    return "a write was cut short, the volume is full or failing" if "inline_container" in text else text


def _gpu_memory_message(text: str) -> str:
    return (
        "the GPU's memory is too small for this network. Use a larger GPU, or create the training anew with a smaller "
        f"planning.gpuMemoryTargetGB, patch_size or batch_size ({one_line(text)[:300]})"
    )


def _lacks_shared_memory(error: BaseException, full: Path | None) -> bool:
    """Tell whether /dev/shm is what is full: by its name, or because nothing else is."""
    if _SHARED_MEMORY_TEXT.search(str(error)):
        return True
    unnamed = isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None
    return unnamed and full is None and _full_volume([_SHARED_MEMORY]) is not None


def _shared_memory_message(error: BaseException) -> str:
    return (
        f"shared memory ran out (/dev/shm: {free_space(_SHARED_MEMORY) or 'missing'}). Raise resources.sharedMemory, "
        f"or lower resources.cpu for fewer workers ({_describe(error)})"
    )


def _mount_of(filename: object, mounts: Sequence[Path]) -> Path | None:
    if not isinstance(filename, str):
        return None
    return next((mount for mount in mounts if Path(filename).is_relative_to(mount)), None)


def _not_permitted(error: PermissionError, mount: Path) -> TrainerError:
    return TrainerError(
        ExitCode.STORAGE_FAILED,
        f"{os.strerror(error.errno or errno.EACCES)}: {error.filename}. The trainer runs as UID {os.getuid()}, GID "
        f"{os.getgid()}, and may not use this file or folder of the claim mounted at {mount}. Give it to them (chown; "
        "volumes that ignore fsGroup, such as NFS, need it), then suspend and resume the training",
    )


def _full_volume(volumes: Sequence[Path]) -> Path | None:
    for path in volumes:
        try:
            stat = os.statvfs(_existing(path))
        except OSError:
            continue
        if stat.f_blocks and stat.f_bavail * stat.f_frsize < FULL_BELOW_BYTES:
            return path
    return None


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _first(volumes: Sequence[Path]) -> Path:
    return volumes[0] if volumes else Path("/")


def _size(number: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"
