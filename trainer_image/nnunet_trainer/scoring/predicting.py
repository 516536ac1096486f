"""Let nnU-Net predict cases, as many at once as the memory has room for."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.words import counted
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_json, to_json, write_json
from nnunet_trainer.process.memory import memory_limit
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.scoring import prediction_memory as memory
from nnunet_trainer.scoring.prediction_memory import ALONE, Extent

log = logging.getLogger(__name__)

WORKERS_FILE = "workers.json"
"""Beside predictions while they are made: with how many workers, so that the attempt after one that was killed for
memory does not die at the same case again."""
_under_way: dict[Path, Fence | None] = {}
"""The notes that this process has written, each with the right to do so, for who has to hold it."""
_PREDICTION_PROCESSES = 3
"""nnU-Net's own number of preprocessing and of export processes for prediction."""
_MATTERS = 4
"""An attempt that needed less than one part in so many of the room was not killed for memory."""


def predict_cases(
    contract: RunContract,
    predictor: Any,
    images: Mapping[str, Sequence[Path]],
    extents: Sequence[Extent],
    output: Path,
    previous: Path | None = None,
    probabilities: bool = False,
    fence: Fence | None = None,
) -> int:
    """Predict cases into a folder; return the number of workers, `ALONE` for one case after the other.

    `previous` has the segmentations of a cascade's previous stage. `probabilities` are kept beside, where asked for.
    With a fence, raises TrainerError with PREEMPTED when another attempt has taken over.
    """
    extents = [replace(one, keeps_probabilities=probabilities) for one in extents]
    asked = contract.evaluation.processes
    most = min(contract.processes, _PREDICTION_PROCESSES) if asked is None else asked
    workers = choose_workers(extents, most, memory_limit(), output / WORKERS_FILE, fence)
    if workers == ALONE:
        # Nothing of one case is left in memory when the next one begins.
        for case in images:
            _predict(predictor, {case: images[case]}, output, 1, previous, probabilities)
    else:
        _predict(predictor, images, output, workers, previous, probabilities)
    if fence:
        # It may be the note of who has taken over.
        fence.check()
    (output / WORKERS_FILE).unlink(missing_ok=True)
    return workers


def choose_workers(extents: Sequence[Extent], most: int, limit: int, note: Path, fence: Fence | None = None) -> int:
    """Return with how many workers to predict, and note it for the attempt that follows should this one be killed.

    With a fence, raises TrainerError with PREEMPTED when another attempt has taken over.
    """
    workers = memory.fitting_workers(extents, most, limit)
    if lacking := memory.shortage(extents, limit):
        log.warning("%s", lacking)
    before = _noted(note, limit)
    if before is not None and _MATTERS * memory.needed_bytes(extents, before) > memory.room_bytes(limit, before):
        workers = memory.after_a_kill(workers, before)
        log.warning("an earlier attempt with %s did not come to its end: going on with fewer", _words(before))
    if workers != most:
        log.info(
            "predicting with %s, as the memory limit of %.1f GiB has no room for more", _words(workers), limit / 2**30
        )
    _under_way[note] = fence
    content = {"workers": workers, "memoryLimit": limit}
    if fence:
        fence.write(note, to_json(content))
    else:
        write_json(note, content)
    return workers


def forget_attempt() -> None:
    """Remove what this attempt has noted for the next: it is stopped on request, and not killed for memory.

    Where another attempt has taken over, the note is that one's.
    """
    for note, fence in tuple(_under_way.items()):
        with contextlib.suppress(TrainerError):
            if fence:
                fence.check()
            note.unlink(missing_ok=True)


def _words(workers: int) -> str:
    return "one case after the other" if workers == ALONE else f"{counted(workers, 'worker')} of each kind"


def _noted(note: Path, limit: int) -> int | None:
    """Return the workers of an attempt that did not come to its end and had no less memory; None for none."""
    try:
        content = read_json(note)
        workers, had = int(content["workers"]), int(content["memoryLimit"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return workers if workers >= 0 and had >= limit else None


def _predict(
    predictor: Any,
    images: Mapping[str, Sequence[Path]],
    output: Path,
    workers: int,
    previous: Path | None,
    probabilities: bool,
) -> None:
    predictor.predict_from_files(
        [[str(path) for path in paths] for paths in images.values()],
        [str(output / name) for name in images],
        save_probabilities=probabilities,
        num_processes_preprocessing=workers,
        num_processes_segmentation_export=workers,
        folder_with_segs_from_prev_stage=None if previous is None else str(previous),
    )


def extents_of(predictor: Any, images: Mapping[str, Sequence[Path]]) -> dict[str, Extent]:
    """Return how large cases are for the networks of a predictor of nnU-Net."""
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    found = {}
    for name, paths in images.items():
        shape, spacing = geometry(plans.image_reader_writer_class(), paths[0])
        order = plans.transpose_forward
        found[name] = memory.extent(
            [shape[axis] for axis in order],
            [spacing[axis] for axis in order],
            list(configuration.spacing),
            list(configuration.patch_size),
            len(predictor.dataset_json.get("channel_names") or predictor.dataset_json.get("modality") or paths),
            int(predictor.label_manager.num_segmentation_heads),
            bool(predictor.label_manager.has_regions),
        )
    return found


def geometry(reader: Any, path: Path) -> tuple[list[int], list[float]]:
    """Return shape and spacing of an image as the reader gives them, by the header alone where ITK reads it."""
    if type(reader).__name__ == "SimpleITKIO":
        import SimpleITK

        header = SimpleITK.ImageFileReader()
        header.SetFileName(str(path))
        header.ReadImageInformation()
        shape, spacing = list(header.GetSize())[::-1], list(header.GetSpacing())[::-1]
        if len(shape) == 2:  # as nnU-Net's reader does
            shape, spacing = [1, *shape], [max(spacing) * 999, *spacing]
        if len(shape) == 3 and header.GetNumberOfComponents() == 1:
            return [int(size) for size in shape], [float(size) for size in spacing]
    array, properties = reader.read_images((str(path),))
    return [int(size) for size in array.shape[1:]], [float(size) for size in properties["spacing"]]
