"""What went wrong, as an exit code and a message that says what to do. No torch in here."""

import contextlib
import errno
import os
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.words import counted

UNEXPECTED = 1
"""Exit code of a failure that has no code of its own; another attempt may succeed."""

STORAGE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What a volume says that stays as it is until somebody changes the volume."""
_STORAGE_PASSING = frozenset(
    {
        *(errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN, errno.EPROTO),
        *(errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EHOSTDOWN, errno.EHOSTUNREACH),
        *(errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.ENOLINK, errno.ECOMM, errno.EBUSY, errno.ENOLCK),
    }
)
_TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_NODE_PASSING = _TOO_MANY_FILES | {*(errno.ENOMEM, errno.ENOBUFS, errno.EINTR, errno.EAGAIN, errno.ENXIO, errno.ENODEV)}
PASSING_ERRNOS = _STORAGE_PASSING | _NODE_PASSING
"""What the storage, the network or the node says that another attempt may not meet, maybe on another node."""


def _text_of(errnos: Iterable[int]) -> re.Pattern[str]:
    """Return what errors of the system look like in the words of libraries and in those of other processes."""
    return re.compile("|".join(sorted(re.escape(os.strerror(number)) for number in errnos)))


_STORAGE_TEXT = _text_of(STORAGE_ERRNOS)
_PASSING_TEXT = _text_of(PASSING_ERRNOS)
_TOO_MANY_FILES_TEXT = _text_of(_TOO_MANY_FILES)
_INPUT_OUTPUT_TEXT = _text_of([errno.EIO])
_CUT_SHORT_TEXT = re.compile(r"PytorchStreamWriter failed|inline_container\.cc:\d+\] \. (unexpected pos|write)")
"""What torch.save says when a write comes back short; it keeps no errno."""
ROOM_FOR_A_CHECKPOINT_BYTES = 8 << 30
"""With more free space than this, no checkpoint is cut short because the volume is full."""
_GPU_MEMORY_TEXT = re.compile(r"CUDA out of memory|CUDNN_STATUS_ALLOC_FAILED|CUDA error: out of memory")
_DEAD_WORKER_TEXT = re.compile(
    r"workers? (are|is) no longer alive|worker is 6 feet under|worker died|Background workers died"
)
_SHARED_MEMORY = Path("/dev/shm")
_SHARED_MEMORY_TEXT = re.compile(
    # torch's and multiprocessing's names in it, torch's words about it.
    r"/dev/shm\b|</torch_|'/(torch|psm)_|unable to \w+ shared memory|(out of|insufficient) shared memory"
)
_MEMORY_TEXT = re.compile(
    r"can(no|')t allocate memory|failed to allocate memory|not enough memory|can't start new thread", re.IGNORECASE
)
_GPU_TEXT = re.compile(r"CUDA|CUDNN|CUBLAS|NVML|HIP error", re.IGNORECASE)
_DAMAGED_FILE_ERRNOS = frozenset({None, errno.EINVAL})
"""Errors of the system that a damaged file gives: decompressors set none, a seek before the file's start EINVAL."""
_MISSING_FILE_ERRNOS = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""Errors of the system that tell that a file is not there, or is none."""
FULL_BELOW_BYTES = 1 << 20
"""A volume with less free space than this counts as full."""
FINISH_AGAIN = (
    "Suspend and resume the training: the fold is finished again from its newest checkpoint that loads, and verified"
)
"""What to do about a final checkpoint that is not the one that was verified."""


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


def replaced(names: Sequence[str], remedy: str = FINISH_AGAIN) -> TrainerError:
    """Return the error for checkpoints that have another SHA-256 than the one that was verified."""
    words = counted(len(names), "checkpoint was replaced after it was", "checkpoints were replaced after they were")
    return TrainerError(ExitCode.CHECKPOINT_UNUSABLE, f"{words} verified: {named(names)}. {remedy}")


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
    """Return the error for a volume that is full or read-only."""
    space = free_space(path)
    return TrainerError(
        ExitCode.STORAGE_FAILED,
        f"{reason}: {path}{f' ({space})' if space else ''}. Enlarge the claim that holds this path or delete old runs "
        "from it, then suspend and resume the training; it goes on from the last checkpoint",
    )


def may_be_damage(error: BaseException) -> bool:
    """Tell whether an error while a file was loaded may come from its contents, so that another file may load.

    Not so for what the storage, the memory or the GPU has to say: that would end the same way with any file.
    """
    return _may_come_from_a_file(error, _DAMAGED_FILE_ERRNOS)


def is_missing_or_damaged(error: BaseException) -> bool:
    """Tell whether a file can't be read because it is not there or not whole."""
    return _may_come_from_a_file(error, _DAMAGED_FILE_ERRNOS | _MISSING_FILE_ERRNOS)


def _may_come_from_a_file(error: BaseException, errnos: Container[int | None]) -> bool:
    for link in _chain(error):
        if isinstance(link, TrainerError | MemoryError):
            return False
        if isinstance(link, OSError) and link.errno not in errnos:
            return False
        if isinstance(link, OSError) and link.errno is not None:
            # Its text has a path in it, which may say anything.
            continue
        text = f"{type(link).__name__}: {link}"
        if any(pattern.search(text) for pattern in (_STORAGE_TEXT, _PASSING_TEXT, _MEMORY_TEXT, _GPU_TEXT)):
            return False
    return True


class TooLarge(MemoryError):
    """There was no memory for a file; the words say which, after "out of memory"."""


def when_reading(error: Exception, names: Sequence[str]) -> Exception:
    """Return the error that says which files were read, where an error is that there was no memory for them."""
    if not names or not any(map(_is_of_memory, _chain(error))):
        return error
    return TooLarge(f"while {', '.join(names)[:200]} was read, which may be larger than it looks")


def _is_of_memory(link: BaseException) -> bool:
    return isinstance(link, MemoryError) or bool(_MEMORY_TEXT.search(str(link)))


def said_by_torch(error: Exception) -> str:
    """Return what torch says of a file without its advice, which is to load it without restriction."""
    text = one_line(str(error))
    said = (text.partition("WeightsUnpickler error: ")[2] or text).partition(" Check the documentation of torch.load")[
        0
    ]
    return said[:300]


def may_pass(error: BaseException) -> bool:
    """Tell whether an error comes from the storage, the network, the memory or the node, and not from what was asked.

    Another attempt may not meet it: it is never the training's fault, nor the data's.
    """
    return any(
        isinstance(link, MemoryError)
        or (isinstance(link, OSError) and link.errno in PASSING_ERRNOS)
        or any(pattern.search(str(link)) for pattern in (_PASSING_TEXT, _MEMORY_TEXT))
        for link in _chain(error)
    )


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
            return _failure(storage_failed(one_line(match.group(0)), full or _first(volumes)))
        if _CUT_SHORT_TEXT.search(text) and (short := full or _without_room(volumes)):
            return _failure(storage_failed(f"a write was cut short, the volume is full ({_describe(link)})", short))
    # Libraries (ITK, blosc2) report a failed write in words of their own: a full volume tells.
    if full:
        return _failure(storage_failed(f"the volume is full ({_describe(error)})", full))
    return Failure(UNEXPECTED, _unexpected_message(error, chain, [*volumes, *read_only]))


def _unexpected_message(error: BaseException, chain: Sequence[BaseException], mounts: Sequence[Path]) -> str:
    for link in chain:
        if isinstance(link, OSError) and link.errno in _STORAGE_PASSING:
            on_mount = _mount_of(link.filename, mounts) is not None
            if link.errno == errno.EIO or on_mount:
                return _passing_message(os.strerror(link.errno or 0), link.filename or _first(mounts))
        if _INPUT_OUTPUT_TEXT.search(str(link)):
            return _passing_message(f"{os.strerror(errno.EIO)} ({_describe(link)})", _first(mounts))
        if _CUT_SHORT_TEXT.search(str(link)):
            return _passing_message(f"a write was cut short ({_describe(link)})", _first(mounts))
        if (isinstance(link, OSError) and link.errno in _TOO_MANY_FILES) or _TOO_MANY_FILES_TEXT.search(str(link)):
            return (
                "too many open files: lower resources.cpu (resources.preprocessing.cpu for planning) for fewer "
                f"workers, or have the container runtime's limit raised ({_describe(error)})"
            )
    if any(map(_is_of_memory, chain)):
        told = next((f" {link}" for link in chain if isinstance(link, TooLarge)), "")
        return f"out of memory{told}: raise resources.memory (resources.preprocessing.memory for planning)"
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


def _passing_message(reason: str, where: object) -> str:
    path = Path(os.fsdecode(where)) if isinstance(where, str | bytes | Path) else Path("/")
    space = free_space(path)
    return one_line(
        f"the storage reported an error, {reason}: {path}{f' ({space})' if space else ''}. It may pass: another "
        "attempt counts against retryLimit, and folds go on from their last checkpoints. Where it comes back, ask who "
        "runs the storage; the log of the node's kernel may name the device or server"
    )


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


def _without_room(volumes: Sequence[Path]) -> Path | None:
    """Return the first volume on which a checkpoint may have found no room; what was written of it is gone again."""
    for path in volumes:
        with contextlib.suppress(OSError):
            stat = os.statvfs(_existing(path))
            if stat.f_blocks and stat.f_bavail * stat.f_frsize < ROOM_FOR_A_CHECKPOINT_BYTES:
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
