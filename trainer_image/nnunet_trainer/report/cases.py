"""Pictures of the worst, median and best case of each class: from which files, how many, and what could not be drawn.

They show patients, so they are drawn only where the training asks for them (evaluation.pictures).
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.words import counted
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.raw import Case, load_dataset
from nnunet_trainer.process.failures import one_line
from nnunet_trainer.process.files import read_json, write_json
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.memory import memory_limit
from nnunet_trainer.report.overlays import Chosen, chosen_cases, dice_of, draw, plane_of
from nnunet_trainer.run.paths import FINAL, VALIDATION_FOLDER, RunPaths
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.ensemble import PREDICTIONS, HeldOut
from nnunet_trainer.scoring.results import Replicate, Results
from nnunet_trainer.scoring.subgroups import TEST, VALIDATION
from nnunet_trainer.scoring.surface import mask_of

log = logging.getLogger(__name__)

MOST_CLASSES = 12
"""Classes with pictures, of all configurations together; those with the lowest mean Dice come first."""
MOST_BYTES = 2_000_000
"""Of all pictures, as they stand in the page: the page is to stay below 3 MB."""
NOTE = ".drawing"
"""In the run folder while a case is drawn: its name. An attempt that was killed for its memory has left it."""
_SAME_DICE = 1e-3
_NATURAL = "NaturalImage2DIO"
_WHY = 300
"""Characters of an error that the page has."""


@dataclass(frozen=True)
class Picture:
    """A case as the page shows it."""

    name: str
    """Name of the class."""
    rank: str
    case: str
    dice: float
    source: str
    """Data URI; empty for a picture that is missing."""
    missing: str = ""
    """Why there is none."""


@dataclass
class CasePictures:
    """The pictures of the cases of one configuration."""

    of: str
    """What was scored: test or validation."""
    pictures: list[Picture] = field(default_factory=list)
    left_out: str = ""
    """What is not shown, and why."""

    @property
    def by_class(self) -> list[tuple[str, list[Picture]]]:
        """The pictures with the name of their class, in nnU-Net's order."""
        names = dict.fromkeys(one.name for one in self.pictures)
        return [(name, [one for one in self.pictures if one.name == name]) for name in names]


@dataclass(frozen=True)
class Sources:
    """Where the files of cases are."""

    reader: Any
    """nnU-Net's reader of the dataset's file format."""
    cases: Mapping[str, Case]
    predictions: Mapping[str, Path]
    """By case."""
    ignore_label: int | None
    paths: RunPaths


def pictures_of_cases(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    found: Mapping[str, Results],
    folders: Mapping[str, Path],
    test_set: HeldOut | None,
) -> dict[str, CasePictures]:
    """Return the pictures under the keys of `found`; none where none are asked for.

    Where any results are of the test set, those alone have some. What goes wrong is said in the place of a picture.
    """
    if not contract.evaluation.pictures:
        return {}
    tested = {name: one for name, one in found.items() if one.replicates[0].test}
    shown = tested or found
    return {
        name: _pictures(name, one, contract, paths, plan, folders, test_set, len(shown)) for name, one in shown.items()
    }


def _pictures(
    name: str,
    results: Results,
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    folders: Mapping[str, Path],
    test_set: HeldOut | None,
    parts: int,
) -> CasePictures:
    """Return the pictures of one of so many parts of the page, which share the room that there is."""
    run = results.replicates[0]
    shown = CasePictures(TEST if run.test else VALIDATION)
    try:
        wanted, shown.left_out = _wanted(run, results.labels, max(1, MOST_CLASSES // parts))
        if wanted:
            sources = _sources(contract, paths, plan, run, folders, test_set, results.labels)
            shown.pictures = _drawn(wanted, sources, scores.class_names(results.labels), MOST_BYTES // parts)
    except Exception as error:
        log.exception("the cases of %s could not be drawn", name)
        shown.left_out = f"There are no pictures: {_words(error)}"
    return shown


def forget_drawing(paths: RunPaths) -> None:
    """Remove the note of this attempt: it is stopped on request, and not killed for its memory."""
    (paths.run / NOTE).unlink(missing_ok=True)


def _wanted(run: Replicate, labels: Mapping[str, Any], most: int) -> tuple[list[Chosen], str]:
    """Return the cases to draw, by class in nnU-Net's order, and in words which classes are left out."""
    of_cases: scores.CaseScores = (
        run.test.dice if run.test else {case: dice for fold in run.validation.values() for case, dice in fold.items()}
    )
    means = scores.class_means(of_cases.values())
    names = scores.class_names(labels)
    known = [key for key in names if key in means]
    lowest = sorted(known, key=lambda key: means[key])[:most]
    chosen = [one for key in known if key in lowest for one in chosen_cases(key, of_cases)]
    words = ""
    if left := len(known) - len(lowest):
        words = (
            f"Pictures of {counted(left, 'class', 'classes')} with a higher mean Dice are left out, to keep the page "
            "small."
        )
    return chosen, words


def _sources(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    run: Replicate,
    folders: Mapping[str, Path],
    test_set: HeldOut | None,
    labels: Mapping[str, Any],
) -> Sources:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    # All configurations read the same files.
    planned = contract.by_configuration[0]
    plans = read_checked_plans(paths.model(planned, plan.plans_name) / "plans.json")
    reader = PlansManager(plans).image_reader_writer_class()
    ignore = labels.get("ignore")
    if run.test and test_set:
        folder = paths.results_of(contract, run.replicate) / PREDICTIONS[FINAL]
        predictions = {case: folder / f"{case}{test_set.ending}" for case in test_set.cases}
        return Sources(reader, test_set.cases, predictions, ignore, paths)
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds, contract.splits)
    validated = {
        case: folders[fold] / VALIDATION_FOLDER / f"{case}{dataset.ending}"
        for fold, cases in run.validation.items()
        for case in cases
    }
    return Sources(reader, dataset.cases, validated, ignore, paths)


def _drawn(wanted: Sequence[Chosen], sources: Sources, names: Mapping[str, str], size: int) -> list[Picture]:
    """Return the pictures in the order of what is wanted. One case is in memory at a time, and read once."""
    note = sources.paths.run / NOTE
    limit = memory_limit()
    if before := _noted(note, limit):
        raise MemoryError(
            f"an earlier attempt ended while case {before} was read, perhaps for lack of memory. To have pictures, "
            "raise resources.memory, without a test set resources.preprocessing.memory"
        )
    found: dict[Chosen, Picture] = {}
    cases = list(dict.fromkeys(one.case for one in wanted))
    done: list[str] = []
    try:
        with heartbeat(f"drawing {counted(len(cases), 'case')}", lambda: f"{len(done)}/{len(cases)} cases"):
            for case in cases:
                write_json(note, {"case": case, "memoryLimit": limit})
                of_case = [one for one in wanted if one.case == case]
                for one, (source, why) in zip(of_case, _of_case(case, of_case, sources), strict=True):
                    if len(source) > size:
                        source, why = "", "the page would become too large"
                    size -= len(source)
                    found[one] = Picture(names[one.key], one.rank, case, one.dice, source, why)
                done.append(case)
    finally:
        note.unlink(missing_ok=True)
    return [found[one] for one in wanted]


def _noted(note: Path, limit: int) -> str:
    """Return the case at which an attempt with no less memory was killed; empty for none."""
    try:
        content = read_json(note)
        return one_line(str(content["case"]))[:100] if int(content["memoryLimit"]) >= limit else ""
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""


def _of_case(case: str, wanted: Sequence[Chosen], sources: Sources) -> list[tuple[str, str]]:
    """Return for each class that is wanted of a case the picture, or an empty text and why there is none."""
    try:
        files = _read(case, sources)
    except Exception as error:
        log.warning("case %s could not be drawn: %s", case, _words(error))
        return [("", _words(error))] * len(wanted)
    found = []
    for one in wanted:
        try:
            found.append((_picture(one, *files), ""))
        except Exception as error:
            log.warning("class %s of case %s could not be drawn: %s", one.key, case, _words(error))
            found.append(("", _words(error)))
    return found


def _picture(one: Chosen, image: Any, reference: Any, prediction: Any, spacing: Sequence[float]) -> str:
    region = region_of(one.key)
    masks = mask_of(reference, region), mask_of(prediction, region)
    now = dice_of(*masks)
    if not math.isclose(now, one.dice, abs_tol=_SAME_DICE):
        raise ValueError(f"its files are no longer those that were scored: their Dice is {now:.4f}, not {one.dice:.4f}")
    axis, place = plane_of(*masks, spacing)
    of_plane = [step for other, step in enumerate(spacing) if other != axis]
    in_reference, in_prediction = (np.take(mask, place, axis=axis) for mask in masks)
    shown = np.take(image, place, axis=axis + 1)
    return draw(shown if len(shown) == 3 else shown[0], in_reference, in_prediction, of_plane)


def region_of(key: str) -> int | tuple[int, ...]:
    """Return a class, or the labels of a region, of nnU-Net's key of it."""
    labels = tuple(int(number) for number in re.findall(r"\d+", key))
    return labels if key.startswith("(") else labels[0]


def _read(case: str, sources: Sources) -> tuple[Any, Any, Any, list[float]]:
    """Return image (channels first), reference, prediction and spacing: the first channel, or the three of a colour."""
    if case not in sources.cases:
        raise FileNotFoundError("the dataset has no such case any more")
    files = sources.cases[case]
    image, properties = sources.reader.read_images((str(files.images[0]),))
    colours = type(sources.reader).__name__ == _NATURAL and len(files.images) == 1 and len(image) == 3
    image = image if colours else image[:1]
    reference = sources.reader.read_seg(str(files.label))[0][0]
    prediction = sources.reader.read_seg(str(sources.paths.own_file(sources.predictions[case])))[0][0]
    if not image.shape[1:] == reference.shape == prediction.shape:
        shapes = " and ".join(str(tuple(one.shape)) for one in (image[0], reference, prediction))
        raise ValueError(f"image, reference and prediction differ in shape: {shapes}")
    if sources.ignore_label is not None:
        prediction = np.where(reference == sources.ignore_label, 0, prediction)
    return image, reference, prediction, [float(step) for step in properties["spacing"]]


def _words(error: Exception) -> str:
    return (one_line(str(error)) or type(error).__name__)[:_WHY]
