"""Images that a training has never seen, to be predicted: all that is wrong with them is named before a network loads.

The same rules as for a dataset, as far as they are about images.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_api.dataset.beside import sidecar_problems, spacing_files
from nnunet_api.dataset.geometry import grid_problems
from nnunet_api.dataset.layout import find_images, named
from nnunet_api.dataset.places import look, place_problems
from nnunet_api.dataset.truncation import is_damaged
from nnunet_api.words import counted
from nnunet_trainer.dataset.examination import DAMAGED, LARGEST, REMEDIES, Finding, Kind
from nnunet_trainer.dataset.raw import whole_problems
from nnunet_trainer.dataset.readers import (
    PRINTED,
    attempt,
    forms_of,
    grid_of,
    hidden_not_finite,
    numbers_in_a_voxel,
    read_image,
)
from nnunet_trainer.process.failures import TrainerError, wrong_data
from nnunet_trainer.process.heartbeat import heartbeat

log = logging.getLogger(__name__)

_CALLED = "the folder of images"
_REMEDIES = {
    **REMEDIES,
    Kind.CHANNELS: "The networks take the channels that they were trained with, in that order: correct the images",
}

Images = Mapping[str, Sequence[Path]]
"""The files of each case by its name, in the order of channels."""


def find_new_images(folder: Path, ending: str, channels: int, workers: int) -> dict[str, tuple[Path, ...]]:
    """Return the files of each case. Raises TrainerError with WRONG_DATA that names all that is wrong with the files.

    What is in the images is another question, see `require_usable`.
    """
    found = find_images("images", [path.name for path in folder.iterdir()], ending, channels)
    images = {case: tuple(folder / name for name in names) for case, names in found.cases.items()}
    every = [path for paths in images.values() for path in paths]
    beside = [path for paths in images.values() for path in spacing_files(paths, None)]
    there = [path for path in (*every, *beside) if path.is_symlink() or path.is_file()]
    places = look({path.name: path for path in there})
    problems = [*found.problems, *place_problems(places, os.path.realpath(folder), _CALLED)]
    problems += (f"{path.name} is no file: put a file in its place, or remove it" for path in every if _is_none(path))
    if not problems:
        problems = [*whole_problems("the images", folder, every, workers)]
    if problems:
        raise _unusable(problems)
    return images


def _unusable(problems: Sequence[str]) -> TrainerError:
    return wrong_data(f"the images can't be predicted: {'; '.join(problems)}")


def _is_none(path: Path) -> bool:
    return not path.is_file() and not path.is_symlink()


def require_usable(images: Images, reader: Any, channels: int, workers: int) -> None:
    """Read each image as the networks get it. Raises TrainerError with WRONG_DATA that names all that can't be used.

    `reader` is the class of nnU-Net's that the plans name.
    """
    done: list[list[Finding]] = []
    with (
        heartbeat("reading the images", lambda: f"{len(done)}/{len(images)} cases"),
        ThreadPoolExecutor(max(1, workers)) as pool,
    ):
        done.extend(pool.map(partial(_findings, reader, channels), images.values()))
    findings = [finding for case in done for finding in case]
    problems = []
    for kind in Kind:
        if texts := [finding.text for finding in findings if finding.kind is kind]:
            problems.append(f"{kind.counted(len(texts))}: {named(texts)}. {_REMEDIES[kind]}")
    if reader.__name__ == "Tiff3DIO":
        problems += sidecar_problems([(tuple(paths), None) for paths in images.values()], _folder(images))
    if problems:
        for finding in findings:  # the message names the first few
            log.error("%s", finding.text)
        raise _unusable(problems)


def _folder(images: Images) -> Path:
    return next(iter(images.values()))[0].parent


def _findings(reader: Any, channels: int, paths: Sequence[Path]) -> list[Finding]:
    """Return what is wrong with the images of a case. They are read one after the other, and none is kept."""
    findings, grids, count = list[Finding](), {}, 0
    for path in paths:
        found, trouble = attempt(partial(read_image, reader, path), [path])
        if is_damaged(path):
            findings.append(Finding(Kind.UNREADABLE, f"{path.name}: {DAMAGED}"))  # some readers take it nevertheless
        elif trouble is not None:
            findings.append(Finding(Kind.UNREADABLE, f"{path.name}: {trouble[:PRINTED]}"))
        else:
            array, properties = found
            count += len(array)
            if about := list(_about(path, array, properties)):
                findings += about
                continue
            grids[path.name] = replace(grid_of(array, properties), forms=forms_of(path, properties))
            if hidden := hidden_not_finite(path, array, properties):
                words = counted(hidden, "voxel")
                log.warning("%s has %s that are not finite, which nnU-Net reads as 0", path.name, words)
    if findings:
        return findings
    if count != channels:
        return [Finding(Kind.CHANNELS, f"{', '.join(path.name for path in paths)}: {count} instead of {channels}")]
    return [Finding(Kind.GRID, text) for text in grid_problems(grids)]


def _about(path: Path, array: Any, properties: Mapping[str, Any]) -> Iterator[Finding]:
    import numpy as np

    if (numbers := numbers_in_a_voxel(array, properties)) > 1:
        yield Finding(Kind.CHANNELS, f"{path.name} has {numbers} numbers in a voxel: save each in an image of its own")
    elif len(properties.get("sitk_stuff", {}).get("spacing", ())) > 3:
        words = "has 4 axes: give each channel a file of its own, _0000, _0001 and so on"
        yield Finding(Kind.CHANNELS, f"{path.name} {words}")
    elif not np.isfinite(array.min() - array.max()):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        yield Finding(Kind.VOXELS, f"{path.name} has {bad}")
    elif (largest := max(abs(float(array.max())), abs(float(array.min())))) > LARGEST:
        yield Finding(Kind.LARGE, f"{path.name} has {largest:.3g}")
