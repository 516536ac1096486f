"""Predict new images with what a training has chosen, or with its only model, as its evaluation predicts the test set.

The run's folder is only read. What is not done lies in a folder beside the segmentations, so that another attempt goes
on case by case; a segmentation gets its place when all are done.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nnunet_api.contract import RunContract, TerminationReport
from nnunet_api.dataset.description import channel_names
from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.folders import RESULTS
from nnunet_api.prediction import (
    IMAGES_PATH,
    PREDICTION_ENV,
    RECORD_FILE,
    RESEARCH_USE,
    SEGMENTATIONS_PATH,
    Prediction,
    PredictionRecord,
)
from nnunet_api.told_steps import are_steps
from nnunet_api.words import counted
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.identity import file_hashes
from nnunet_trainer.dataset.new_images import find_new_images, require_usable
from nnunet_trainer.process.failures import (
    FINISH_AGAIN,
    TrainerError,
    is_missing_or_damaged,
    one_line,
    replaced,
    wrong_configuration,
)
from nnunet_trainer.process.files import Locked, fsync_folder, lock, read_json, write_json
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import FINAL, RunPaths, root
from nnunet_trainer.scoring.ensemble import Ensemble, description_of, ensemble_of, predict
from nnunet_trainer.scoring.scores import class_names
from nnunet_trainer.selection.chosen import predict_chosen
from nnunet_trainer.selection.record import ALL_FOREGROUND, read_record

log = logging.getLogger(__name__)

LOCK_FILE = ".lock"
_DONE = "segmentations"
"""In the work folder: what is whole."""
_NOTE = "handing_over.json"
"""In the work folder: that all is predicted, by what, and by what each segmentation is known again."""
_LOCK_TIMEOUT_SECONDS = 120.0
_READERS = 3
"""Images that are read at once: as many as nnU-Net prepares."""


@dataclass(frozen=True)
class NewCases:
    """What is to be predicted."""

    images: Mapping[str, tuple[Path, ...]]
    ending: str


def read_prediction() -> Prediction:
    """Return what is asked for. Raises TrainerError with WRONG_CONFIGURATION."""
    text = os.environ.get(PREDICTION_ENV)
    if not text:
        raise wrong_configuration(f"{PREDICTION_ENV} is not set; kubectl nnunet predict sets it")
    try:
        return Prediction.model_validate_json(text)
    except ValidationError as error:
        raise wrong_configuration(
            f"{PREDICTION_ENV} does not fit this image; is it older or newer than kubectl nnunet? "
            f"{one_line(str(error))[:1000]}"
        ) from error


def images_folder() -> Path:
    """Return the folder of images in this pod."""
    return root() / IMAGES_PATH.lstrip("/")


def segmentations_folder() -> Path:
    """Return the folder in this pod where segmentations go."""
    return root() / SEGMENTATIONS_PATH.lstrip("/")


def predict_images(contract: RunContract, paths: RunPaths, asked: Prediction) -> TerminationReport:
    """Predict the images and return the report."""
    work = segmentations_folder() / asked.work_folder
    work.mkdir(exist_ok=True)
    try:
        with lock(work / LOCK_FILE, "prediction", _LOCK_TIMEOUT_SECONDS):
            report = _predict(contract, paths, asked, work)
            shutil.rmtree(work / _DONE, ignore_errors=True)
    except Locked as error:
        raise TrainerError(
            ExitCode.PREEMPTED, f"another pod writes to the same folder ({error}); trying again later"
        ) from error
    # Not before: on NFS a file that is open can't be removed.
    shutil.rmtree(work, ignore_errors=True)
    return report


def _predict(contract: RunContract, paths: RunPaths, asked: Prediction, work: Path) -> TerminationReport:
    members = [_member(contract.of_configuration(name), paths, asked) for name in asked.configurations]
    model = members[0].model
    description = description_of(model, f"the {RESULTS} lack the model folder's dataset.json", "Restore it")
    ending, channels = str(description["file_ending"]), len(channel_names(description))
    cases = NewCases(find_new_images(images_folder(), ending, channels, contract.processes), ending)
    if whole := handed_over(cases, work, segmentations_folder(), asked.asked_for):
        log.info("an earlier attempt has predicted all cases")
        return _report(whole)
    _require_verified(members, contract.processes)
    postprocessing = _postprocessing(paths, asked, description)
    environment.prepare(contract, paths, paths.preprocessed)
    require_usable(cases.images, _reader(model), channels, min(contract.processes, _READERS))
    version = _nnunet_version()
    if asked.nnunet_version not in (None, version):
        log.warning("trained with nnU-Net %s, predicting with %s", asked.nnunet_version, version)
    output = work / _DONE
    if len(members) == 1 and not postprocessing:
        predict(contract, members[0], cases.images, ending, output)
    else:
        words = ("the images by two configurations", "predict fewer images at once")
        predict_chosen(contract, members, postprocessing, cases, output, words)
    record = PredictionRecord(
        asked_for=asked.asked_for,
        training=f"{contract.namespace}/{contract.name}",
        uid=contract.uid,
        configurations=asked.configurations,
        checkpoints=asked.checkpoints,
        postprocessing=postprocessing,
        step_size=contract.evaluation.step_size,
        mirroring=contract.evaluation.mirroring,
        device=contract.device.value,
        nnunet_version=version,
        cases=sorted(cases.images),
    )
    hand_over(cases, work, segmentations_folder(), record)
    return _report(record)


def _report(record: PredictionRecord) -> TerminationReport:
    told = f"{counted(len(record.cases), 'case')} segmented by {' and '.join(record.configurations)}"
    kept = record.postprocessing
    steps = f", then the largest component of {named(kept)} kept" if kept else ""
    return TerminationReport(message=f"{told}{steps}. {RESEARCH_USE}")


def _member(contract: RunContract, paths: RunPaths, asked: Prediction) -> Ensemble:
    """Return the folds of a configuration, in a cascade with those of the stages before it."""
    proven: dict[Path, str] = {}
    for one in _stages(contract):
        for key in one.fold_keys_of(asked.replicate):
            if key.name not in asked.checkpoints:
                raise wrong_configuration(f"{PREDICTION_ENV} has no hash of the final checkpoint of fold {key.name}")
            path = paths.fold(one, asked.plans_name, key.fold, asked.replicate) / FINAL
            proven[path] = asked.checkpoints[key.name]
    return ensemble_of(contract, paths, asked.plans_name, asked.replicate, FINAL, proven)


def _stages(contract: RunContract) -> Iterator[RunContract]:
    """Yield the contract with the configuration at hand, and with each previous stage."""
    yield contract
    if contract.previous_stage:
        yield from _stages(contract.of_configuration(contract.previous_stage))


def _require_verified(members: list[Ensemble], workers: int) -> None:
    """Raise TrainerError with CHECKPOINT_UNUSABLE unless all checkpoints are those that were verified."""
    proven = {path: sha256 for member in members for path, sha256 in member.proven.items()}
    names = {str(path.relative_to(path.parents[2])): path for path in proven}
    try:
        found = file_hashes(f"hashing {counted(len(names), 'checkpoint')}", names, workers, "checkpoints")
    except OSError as error:
        if not is_missing_or_damaged(error):
            raise
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE, f"a checkpoint can't be read ({error}). {FINISH_AGAIN}"
        ) from error
    if other := [name for name, path in names.items() if found[name] != proven[path]]:
        raise replaced(other)


def _postprocessing(paths: RunPaths, asked: Prediction, description: Mapping[str, Any]) -> list[str]:
    """Return the steps that were chosen, which the status has, of many only the first ones.

    Raises TrainerError with CHECKPOINT_UNUSABLE where the run's folder has others.
    """
    if not asked.postprocessing:
        return []
    record = read_record(paths.run)
    classes = {ALL_FOREGROUND, *class_names(description["labels"]).values()}
    steps = record.postprocessing if record else []
    if not are_steps(asked.postprocessing, steps) or not set(steps) <= classes:
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE,
            f"selection.json keeps the largest component of {named(steps) or 'nothing'}, and the status says that of "
            f"{named(asked.postprocessing)}: it is not the postprocessing that was chosen. Restore selection.json and "
            "dataset.json",
        )
    return steps


def _reader(model: Path) -> Any:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    return PlansManager(read_checked_plans(model / "plans.json")).image_reader_writer_class


def _nnunet_version() -> str:
    from importlib.metadata import version

    return version("nnunetv2")


def hand_over(cases: NewCases, work: Path, target: Path, record: PredictionRecord) -> None:
    """Put the segmentations where they belong, each whole, and say at the end that all are there.

    A note says before that all are done, so that another attempt moves what is left and predicts nothing again.
    """
    stamps = {case: _stamp(work / _DONE / f"{case}{cases.ending}") for case in cases.images}
    fsync_folder(work / _DONE)
    write_json(work / _NOTE, {"record": record.to_json_dict(), "stamps": stamps})
    _move(cases, work, target, record)


def handed_over(cases: NewCases, work: Path, target: Path, asked_for: str) -> PredictionRecord | None:
    """Return by what all was predicted, where an earlier attempt did so; move what that one has not yet."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        record = PredictionRecord.model_validate(read_json(target / RECORD_FILE))
        there = all((target / f"{case}{cases.ending}").exists() for case in cases.images)
        if there and _is_of(record, cases, asked_for):
            return record
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, KeyError):
        note = read_json(work / _NOTE)
        record = PredictionRecord.model_validate(note["record"])
        if _is_of(record, cases, asked_for) and note["stamps"] == _stamps(cases, work, target):
            _move(cases, work, target, record)
            return record
    return None


def _is_of(record: PredictionRecord, cases: NewCases, asked_for: str) -> bool:
    return record.asked_for == asked_for and record.cases == sorted(cases.images)


def _stamps(cases: NewCases, work: Path, target: Path) -> dict[str, list[int]]:
    """Return those of the segmentations where they are by now. Raises FileNotFoundError where one is in no place."""
    names = {case: f"{case}{cases.ending}" for case in cases.images}
    made = {case: work / _DONE / name for case, name in names.items()}
    return {case: _stamp(path if path.exists() else target / path.name) for case, path in made.items()}


def _stamp(path: Path) -> list[int]:
    """Return by what a file is known again where it was moved to, and not taken for another prediction's."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _move(cases: NewCases, work: Path, target: Path, record: PredictionRecord) -> None:
    (target / RECORD_FILE).unlink(missing_ok=True)
    fsync_folder(target)
    for case in cases.images:
        for ending in (".json", cases.ending):  # the spacing, beside a tif that can't hold it
            source = work / _DONE / f"{case}{ending}"
            if source.exists():
                source.replace(target / source.name)
    fsync_folder(target)
    write_json(target / RECORD_FILE, record.to_json_dict())
    (work / _NOTE).unlink()
