"""Checkpoints that survive any interruption: written whole or not at all, chosen by what loads."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_api.exit_codes import ExitCode
from nnunet_api.facts import MAX_COUNT
from nnunet_trainer.process.failures import TrainerError, classify, may_be_damage, said_by_torch, wrong_configuration
from nnunet_trainer.process.files import fsync_file, fsync_folder
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.paths import BEST, FINAL, LATEST, PREVIOUS

log = logging.getLogger(__name__)

Load = Callable[[Path], Any]
_PREFERENCE = (FINAL, LATEST, BEST, PREVIOUS)
"""Order among checkpoints of the same epoch."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose structure could be read."""

    path: Path
    epoch: int
    """Finished epochs."""


def write_checkpoint(path: Path, save: Callable[[str], Any], fence: Fence, keep: Path | None = None) -> None:
    """Write a checkpoint by `save(file name)`: temporary file, flush to disk, rename.

    What was at `path` moves to `keep`, if given, once the new one is on disk. Raises TrainerError with
    STORAGE_FAILED for a volume that is full or failing, with PREEMPTED when another attempt has taken over; the old
    checkpoint is then still there.
    """
    temporary = fence.temporary(path)
    try:
        # Never through a file that is there: it may be a second name of a checkpoint (link_checkpoint).
        temporary.unlink(missing_ok=True)
        save(str(temporary))
        if not temporary.is_file():
            # An attempt that took over meanwhile has removed it.
            fence.check()
            raise wrong_configuration(
                "the trainer class writes no checkpoints (it overrides save_checkpoint), so it can't be used here"
            )
        fsync_file(temporary)
        # Until here it may have hung for hours, with its node.
        fence.check()
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
        fsync_folder(path.parent)
    except Exception as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, TrainerError):
            # Where another attempt has taken over, nothing else matters.
            with contextlib.suppress(OSError):
                fence.check()
        failure = classify(error, [path])
        if failure.code == ExitCode.STORAGE_FAILED and not isinstance(error, TrainerError):
            raise TrainerError(ExitCode.STORAGE_FAILED, failure.message) from error
        raise


def link_checkpoint(source: Path, path: Path, fence: Fence, keep: Path | None = None) -> bool:
    """Publish a checkpoint under a second name without writing it again; False where links are not possible."""
    try:
        write_checkpoint(path, lambda name: os.link(source, name), fence, keep)
    except (OSError, TrainerError) as error:
        log.debug("no hard links on this volume: %s", error)
        return False
    return True


def _restricted(path: Path) -> Any:
    from nnunet_trainer.run.restricted import load_restricted

    return load_restricted(path)


def finished_epochs(path: Path, load: Load = _restricted) -> int:
    """Return the number of finished epochs in a checkpoint, whoever wrote it: nothing in it is run.

    Raises whatever `load` raises for a damaged one, ValueError for what is none or a link out of its folder, to
    another's file.
    """
    real = path.resolve(strict=True)
    if real.parent != path.parent.resolve() or not real.is_file():
        raise ValueError("it is no file of the fold's folder")
    epochs = int(load(path)["current_epoch"])
    if not 0 <= epochs <= MAX_COUNT:
        raise ValueError("its counter of epochs is no number of epochs")
    return epochs


def readable_checkpoints(folder: Path, load: Load = _restricted) -> tuple[list[Checkpoint], list[str]]:
    """Return the checkpoints of a fold whose structure can be read, newest first, and the names of the damaged ones.

    By default torch reads them, as it will when the fold goes on from one.
    Raises TrainerError with CHECKPOINT_UNUSABLE when there are some but none can be read.
    """
    present = [folder / name for name in _PREFERENCE if (folder / name).exists()]
    found: list[Checkpoint] = []
    damaged: list[str] = []
    first = ""
    for path in present:
        try:
            found.append(Checkpoint(path, finished_epochs(path, load)))
        except Exception as error:
            if not may_be_damage(error):
                raise
            why = said_by_torch(error)
            log.warning("%s can't be read and is passed over: %s", path.name, why)
            damaged.append(path.name)
            first = first or f"{path.name}: {why}"
    if present and not found:
        raise unusable(folder, f"none of them can be read ({first})")
    return sorted(found, key=lambda checkpoint: checkpoint.epoch, reverse=True), damaged


def passed_over(damaged: Iterable[str], loaded: str) -> list[str]:
    """Return those of the damaged checkpoints that would have been taken before the one that was loaded.

    How many epochs a damaged one had can't be told; their order by name is that of a training.
    """
    ahead = _PREFERENCE[: _PREFERENCE.index(loaded)]
    return [name for name in damaged if name in ahead]


def all_finite(network: Any) -> bool:
    """Tell whether all weights of a network are finite numbers."""
    import torch

    return all(bool(torch.isfinite(weights).all()) for weights in network.parameters())


def unusable(folder: Path, reason: str) -> TrainerError:
    """Return the error for a fold whose checkpoints are of no use."""
    return TrainerError(
        ExitCode.CHECKPOINT_UNUSABLE,
        f"there are checkpoints in {folder}, but {reason}. Restore them from a backup, or delete that folder to train "
        "the fold from the beginning, then suspend and resume the training",
    )
