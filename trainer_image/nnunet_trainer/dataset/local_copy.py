"""A copy on the node of what nnU-Net reads while it trains. No torch in here.

Each file is compared with the manifest while it is copied, and gets its name only as a whole: what is there after an
interruption is taken, and nothing else. What nnU-Net reads once at most stays on the claim, behind links.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from nnunet_api.contract import PlanFacts
from nnunet_api.local_copy import LOCAL_COPY_ENV, LOCAL_COPY_FIELD, CopyFacts, CopyOrder, CopyState, Medium, gibibytes
from nnunet_api.words import counted
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.manifest import FileEntry, read_manifest
from nnunet_trainer.process.failures import one_line, wrong_data
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.memory import free_memory
from nnunet_trainer.run import environment
from nnunet_trainer.run.fold_run import FoldRun
from nnunet_trainer.run.paths import RunPaths, local_folder

log = logging.getLogger(__name__)

COPY, CLAIM = "local copy", "claim"
"""Where a fold reads from, as its provenance says."""
STREAMS = 8
"""Files that are copied at the same time: one stream alone does not use what a network has."""
CHUNK_BYTES = 1 << 20
MOST_INTERRUPTED = 3
"""Attempts in a row that ended while they copied, after which a fold trains without a copy: on some nodes all would."""
_BLOCK_BYTES = 4096
_SLACK = 1.01
"""By how much a volume holds more than its files' blocks: folders, and what a file system notes of large files."""
_KEPT_FREE = 0.15
"""Share of a node's disk that stays free: the kubelet evicts pods below 10 %, and removes images below 15 %."""
_UNFINISHED = ".unfinished"
"""Folder of what is being copied, beside the data: nnU-Net takes all in that for cases."""
_ANEW = "then suspend and resume the training"


class _NoCopy(Exception):
    """There can be no copy, for this reason: the fold reads from the claim."""


def use_local_copy(run: FoldRun, paths: RunPaths, plan: PlanFacts) -> None:
    """Make the copy where one is asked for, and let nnU-Net, which is not imported yet, read from there.

    Raises TrainerError with WRONG_DATA for data that is not as it was made.
    """
    order = read_order()
    if order is None:
        return
    source, local = paths.preprocessed / plan.preprocessed_key, local_folder()
    before, begun = run.copy_before, time.monotonic()
    cut_off = before is not None and before.state is CopyState.COPYING
    interrupted = before.interrupted + 1 if before and cut_off else 0
    try:
        if interrupted >= MOST_INTERRUPTED:
            raise _NoCopy(
                f"{interrupted} attempts in a row ended while they copied: see how (kubectl nnunet logs "
                f"{run.contract.name} --previous-attempts); a node that is low on disk or memory evicts such pods"
            )
        data = source / run.contract.dataset
        identifier = data_identifier(read_checked_plans(data / f"{plan.plans_name}.json"), run.contract.configuration)
        copy = _Copy(order, source, local, wanted(source, run.contract.dataset, identifier))

        def facts(state: CopyState) -> CopyFacts:
            return CopyFacts(
                state=state,
                total_bytes=copy.total,
                copied_bytes=copy.copied,
                seconds=round(time.monotonic() - begun, 1),
                interrupted=interrupted if state is CopyState.COPYING else 0,
            )

        copy.require_room()
        run.tell_copy(facts(CopyState.COPYING), durable=True)
        copy.make(lambda: run.tell_copy(facts(CopyState.COPYING)))
        copy.link_the_rest(run.contract.dataset)
        environment.read_from(local / source.name)
        run.tell_copy(facts(CopyState.IN_USE), durable=True)
        log.info("nnU-Net reads its data from the copy in %s", local)
    except _NoCopy as reason:
        shutil.rmtree(local / source.name, ignore_errors=True)
        shutil.rmtree(local / _UNFINISHED, ignore_errors=True)
        log.warning("there is no local copy, and nnU-Net reads its data from the claim: %s", reason)
        run.tell_copy(CopyFacts(state=CopyState.SKIPPED, why=str(reason)[:500]), durable=True)


def read_order() -> CopyOrder | None:
    """Return what the operator has told of the volume for the copy; None where none is asked for."""
    text = os.environ.get(LOCAL_COPY_ENV)
    return CopyOrder.model_validate(json.loads(text)) if text else None


def reads_from(run: FoldRun, folder: str | None, trains: bool = False) -> str | None:
    """Return in words where a trainer reads that has this data folder; None where no copy is asked for.

    An attempt that only validates says what the one before has said, which trained: one that has made no copy, unless
    it is known that it `trains`.
    """
    if read_order() is None:
        return None
    if run.local_copy is None and not trains:
        return run.facts.provenance.data_read_from if run.facts.provenance else None
    return COPY if folder and Path(folder).is_relative_to(local_folder()) else CLAIM


def data_identifier(plans: Mapping[str, Any], configuration: str) -> str:
    """Return the name of the folder with a configuration's cases, as nnU-Net resolves it. The plans were checked."""
    settings = plans["configurations"][configuration]
    while "data_identifier" not in settings:
        settings = plans["configurations"][settings["inherits_from"]]
    return str(settings["data_identifier"])


def wanted(source: Path, dataset: str, identifier: str) -> dict[str, FileEntry]:
    """Return the files of the copy, by their paths in the result: the cases, and the small files beside them."""
    manifest = read_manifest(source)
    if manifest is None:
        raise _NoCopy(
            "the preprocessed data has no manifest to compare it with, as an older version made it. A new training "
            "makes one"
        )
    home = f"{dataset}/"
    found = {
        name: entry
        for name, entry in manifest.files.items()
        if name.startswith(f"{home}{identifier}/") or (name.startswith(home) and "/" not in name[len(home) :])
    }
    if outside := [name for name in found if ".." in name.split("/")]:
        raise wrong_data(f"the manifest of the preprocessed data names a file outside of it: {outside[0]}")
    return found


class _Copy:
    """The copy of some files of a result."""

    def __init__(self, order: CopyOrder, source: Path, local: Path, files: Mapping[str, FileEntry]) -> None:
        self._order, self._source, self._local, self._files = order, source, local, files
        self._target = local / source.name
        self.total = sum(entry.size for entry in files.values())
        self._missing = [name for name, entry in files.items() if not self._is_there(name, entry)]
        self._copied = self.total - sum(files[name].size for name in self._missing)
        self._guard = threading.Lock()
        self._stop = threading.Event()

    @property
    def copied(self) -> int:
        """Bytes that are there, or on their way."""
        return min(self._copied, self.total)

    def _is_there(self, name: str, entry: FileEntry) -> bool:
        path = self._target / name
        with contextlib.suppress(OSError):
            # It has its name since it was compared; the volume is this pod's alone.
            return path.is_file() and not path.parent.is_symlink() and path.stat().st_size == entry.size
        return False

    def require_room(self) -> None:
        """Raise _NoCopy where the whole does not fit."""
        whole = _on_disk(entry.size for entry in self._files.values())
        limit, told = self._order.size_limit, _size(self.total)
        if limit is not None and whole > limit:
            raise _NoCopy(
                f"the data takes {told}, and {self._order.limited_by} is {_size(limit)}: raise it to "
                f"{gibibytes(whole)}, {_ANEW}"
            )
        with _on_volume():
            self._local.mkdir(parents=True, exist_ok=True)
        self._require_free(_on_disk(self._files[name].size for name in self._missing), told)

    def _require_free(self, size: int, told: str) -> None:
        with _on_volume():
            stat = os.statvfs(self._local)
        free, whole = stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize
        if self._order.medium is Medium.DISK:
            free -= int(whole * _KEPT_FREE)
        if size > free:
            raise _NoCopy(f"the data takes {told}, and {self._no_room(max(0, free))}")
        if self._order.medium is Medium.MEMORY and size > (left := free_memory()):
            raise _NoCopy(
                f"the data takes {told} of memory, and of spec.resources.memory {_size(left)} are left: raise it by "
                f"{gibibytes(size)}, {_ANEW}"
            )

    def _no_room(self, free: int) -> str:
        needed = gibibytes(_on_disk(entry.size for entry in self._files.values()))
        if self._order.medium is Medium.DISK:
            return (
                f"the node's disk has room for {_size(free)} if {_KEPT_FREE:.0%} of it stay free, below which pods are "
                f"evicted: choose nodes with more (spec.resources.ephemeralStorage asks for it, {needed} and some "
                f"more), or {LOCAL_COPY_FIELD}.claim"
            )
        return f"its volume has {_size(free)} free: raise {self._order.limited_by} to {needed}, {_ANEW}"

    def make(self, progress: Callable[[], None]) -> None:
        """Copy what is not there; call `progress` about once a second.

        Raises _NoCopy where the volume does not take it, TrainerError with WRONG_DATA for a file that is not as its
        manifest says, and OSError where the source can't be read.
        """
        there = len(self._files) - len(self._missing)
        found = f", {there} of which are there" if there else ""
        log.info("copying %s (%s) to the node%s", counted(len(self._files), "file"), _size(self.total), found)
        with _on_volume():
            shutil.rmtree(self._local / _UNFINISHED, ignore_errors=True)
            (self._local / _UNFINISHED).mkdir()
            for folder in {(self._target / name).parent for name in self._files}:
                if folder.is_symlink():  # of a copy for another configuration
                    folder.unlink()
                folder.mkdir(parents=True, exist_ok=True)
        what = "copying the preprocessed data to the node"
        with heartbeat(what, self._told), ThreadPoolExecutor(STREAMS) as pool:
            open_: set[Future[None]] = {
                pool.submit(self._copy, name, number) for number, name in enumerate(self._missing)
            }
            try:
                while open_:
                    done, open_ = wait(open_, timeout=1, return_when=FIRST_EXCEPTION)
                    for one in done:
                        one.result()
                    progress()
            finally:
                self._stop.set()
                pool.shutdown(wait=False, cancel_futures=True)

    def _told(self) -> str:
        return f"{_size(self.copied)} of {_size(self.total)}"

    def _copy(self, name: str, number: int) -> None:
        entry, unfinished = self._files[name], self._local / _UNFINISHED / str(number)
        self._require_free(_on_disk([entry.size]), _size(self.total))
        digest = hashlib.sha256()
        try:
            with (self._source / name).open("rb") as reading, _opened(unfinished) as write:
                while not self._stop.is_set() and (chunk := reading.read(CHUNK_BYTES)):
                    digest.update(chunk)
                    write(chunk)
                    with self._guard:
                        self._copied += len(chunk)
        except FileNotFoundError as error:
            raise _damaged(f"{name} is missing") from error
        if self._stop.is_set():
            return
        if digest.hexdigest() != entry.sha256:
            raise _damaged(f"{name} was changed")
        with _on_volume():
            unfinished.replace(self._target / name)

    def link_the_rest(self, dataset: str) -> None:
        """Let nnU-Net find what was not copied: reference segmentations, the data of a cascade's next stages."""
        with _on_volume():
            for entry in sorted((self._source / dataset).iterdir()):
                link = self._target / dataset / entry.name
                if entry.is_dir() and not entry.name.startswith(".") and not os.path.lexists(link):
                    link.symlink_to(entry)


@contextlib.contextmanager
def _on_volume() -> Iterator[None]:
    """Raise _NoCopy for what the volume of the copy does not take; errors of the source pass."""
    try:
        yield
    except PermissionError as error:
        raise _NoCopy(
            f"its volume can't be written to by UID {os.getuid()}, GID {os.getgid()}: the claims of the training have "
            "to match the chart's trainer.ownedClaims, which gives the volumes of the pod to one group"
        ) from error
    except OSError as error:
        reason = one_line(os.strerror(error.errno) if error.errno else str(error))
        raise _NoCopy(f"its volume reported {reason} while the data was copied to it") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Open a file of the volume and yield what writes to it."""
    with _on_volume():
        file = path.open("wb")

    def write(chunk: bytes) -> None:
        with _on_volume():
            file.write(chunk)

    try:
        yield write
        with _on_volume():
            file.flush()
    finally:
        with contextlib.suppress(OSError):
            file.close()


def _damaged(what: str) -> Exception:
    return wrong_data(
        f"the preprocessed data of this training is not as it was made ({what}). Suspend and resume the training to "
        "have it made again; it then goes on from its checkpoints"
    )


def _on_disk(sizes: Iterable[int]) -> int:
    return int(_SLACK * sum(-(-size // _BLOCK_BYTES) * _BLOCK_BYTES for size in sizes))


def _size(number: float) -> str:
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.1f} MiB"
